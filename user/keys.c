// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "clock.h"
#include "cookie.h"
#include "keys.h"
#include "log.h"

int keys_parse_life(const char *text, u32 *seconds)
{
	static const struct {
		char name;
		unsigned int seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}};
	unsigned long n;
	size_t i;
	char *end;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (*text >= '0' && *text <= '9' && !errno && n <= KEY_LIFE_MOST && *end && !end[1]) {
		for (i = 0; i < sizeof(units) / sizeof(*units); i++) {
			if (*end != units[i].name)
				continue;
			*seconds = n * units[i].seconds;
			if (*seconds >= KEY_LIFE_LEAST && *seconds <= KEY_LIFE_MOST)
				return 0;
		}
	}
	return fail(EINVAL, "\"%.40s\" is not a time from 2m to 24h, such as 15m", text);
}

static int random_bytes(void *to, size_t n)
{
	if (getrandom(to, n, 0) != (ssize_t)n)
		return fail(EIO, "no random numbers for a cookie key (getrandom: %s)",
			    strerror(errno));
	return 0;
}

int keys_new_settings(struct settings *set, u64 now)
{
	int err;

	memset(set, 0, sizeof(*set));
	err = random_bytes(set->key.k, sizeof(set->key.k));
	/* the previous key too: the count before the first one after boot is signed with it */
	if (!err)
		err = random_bytes(set->previous.k, sizeof(set->previous.k));
	if (!err)
		err = random_bytes(&set->ts_offset, sizeof(set->ts_offset));
	if (!err)
		err = random_bytes(set->source_key, sizeof(set->source_key));
	set->key.id = 1;
	set->key.made = now;
	cookie_fill_codes(set->cookie_codes);
	return err;
}

static const struct cookie_key *newest(const struct settings *set)
{
	return set->next.id ? &set->next : &set->key;
}

bool keys_due(const struct settings *set, u32 life, u64 now)
{
	return elapsed(now, newest(set)->made) >= life * NS_PER_SEC;
}

int keys_make_next(struct settings *set, u64 now)
{
	u32 id = newest(set)->id + 1;
	int err = random_bytes(set->next.k, sizeof(set->next.k));

	if (err)
		return err;
	set->next.id = id ? id : 1; /* 0 is no key */
	set->next.made = now;
	return 0;
}

/* Counts wrap. */
static bool begun(u32 count, u32 from)
{
	return (s32)(count - from) >= 0;
}

/* Step 3: settings.key signs nothing yet, and will not while it is written. */
static bool may_fill(const struct settings *set, u64 now)
{
	return !begun(cookie_count(now + KEYS_SPARE_NS), set->key.from);
}

bool keys_step(struct settings *set, u64 now)
{
	const u32 from = set->key.from;

	if (!set->next.id)
		return false;
	if (may_fill(set, now)) {
		set->key = set->next;
		set->key.from = from;
		explicit_bzero(&set->next, sizeof(set->next));
	} else if (set->previous.id == set->key.id) {
		/* time for the next step too */
		set->key.from = cookie_count(now + 2 * KEYS_SPARE_NS) + 1;
	} else if (begun(cookie_count(elapsed(now, KEYS_SPARE_NS)) - 1, from)) {
		/* the datapath's clock may be some ms behind ours */
		set->previous = set->key;
	} else {
		return false;
	}
	return true;
}

/* ---- what to tell of them ---- */

/* The first ns of a count: the inverse of cookie_count(). */
static u64 begins(u32 count)
{
	u64 units = ((u64)count << COOKIE_COUNT_SHIFT2) + COOKIE_COUNT_FACTOR - 1;

	return units / COOKIE_COUNT_FACTOR << COOKIE_COUNT_SHIFT1;
}

/* The count from which on settings.next will sign: found by going on in thought. */
static u32 will_sign_from(const struct settings *set, u64 now)
{
	struct settings thought = *set;

	keys_forget(&thought);
	while (thought.next.id)
		keys_step(&thought, now += NS_PER_SEC);
	return thought.key.from;
}

static json_t *describe(const struct cookie_key *key, const char *state, u32 from,
			const struct moment *now)
{
	char made[TIMESTAMP_SIZE], signs[TIMESTAMP_SIZE];
	u64 begin = begins(from);

	if (begin < key->made)
		begin = key->made; /* the first key: it was made in its count */
	return json_pack("{s:I, s:s, s:I, s:s, s:s, s:I}", "id", (json_int_t)key->id, "state",
			 state, "age_ms", (json_int_t)moment_ms_since(now, key->made), "made",
			 moment_timestamp(now, key->made, made), "signs_from",
			 moment_timestamp(now, begin, signs), "signs_in_ms",
			 (json_int_t)(elapsed(begin, now->monotonic) / NS_PER_MS));
}

/* It signs until settings.key does, and verifies for one more count. */
static json_t *describe_previous(const struct settings *set, const struct moment *now)
{
	const struct cookie_key *key = &set->previous;
	u64 until = begins(set->key.from + 1);
	char text[TIMESTAMP_SIZE];
	json_t *j;

	if (!begun(cookie_count(now->monotonic), set->key.from))
		return describe(key, "signing", key->from, now);
	j = describe(key, "previous", key->from, now);
	json_object_set_new(j, "verifies_until", json_string(moment_timestamp(now, until, text)));
	json_object_set_new(j, "verifies_ms",
			    json_integer(elapsed(until, now->monotonic) / NS_PER_MS));
	return j;
}

json_t *keys_json(const struct settings *set, u32 life, const struct moment *now)
{
	const struct cookie_key *key = &set->key;
	u32 count = cookie_count(now->monotonic);
	bool twice = set->previous.id == key->id; /* between two steps */
	json_t *keys = json_array();

	if (set->next.id)
		json_array_append_new(keys, describe(&set->next, "next",
						     will_sign_from(set, now->monotonic), now));
	if (twice)
		json_array_append_new(keys, describe(key, "signing", set->previous.from, now));
	else if (begun(count, key->from))
		json_array_append_new(keys, describe(key, "signing", key->from, now));
	else if (!set->next.id || !may_fill(set, now->monotonic + NS_PER_SEC))
		json_array_append_new(keys, describe(key, "next", key->from, now));
	if (!twice && set->previous.id && !begun(count - 1, key->from))
		json_array_append_new(keys, describe_previous(set, now));
	return json_pack("{s:s, s:I, s:o}", "cookies", "own", "life_s", (json_int_t)life, "keys",
			 keys);
}

json_t *keys_json_none(void)
{
	return json_pack("{s:s, s:n, s:[]}", "cookies", "kernel", "life_s", "keys");
}
