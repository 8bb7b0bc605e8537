// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keys change while cookies are on their way (user/keys.h). Time passes in seconds here; each
 * second a client gets a cookie, and all that were given are tried, before, while and after the
 * agent writes. "While": a packet sees any mixture of the bytes of both.
 */
#include <errno.h>
#include <sys/random.h>

#include "log.h" /* before cmocka, which has a macro of the name of fail() */
#include "client.h"
#include "clock.h"
#include "keys.h"

#define FLIGHT 140 /* s that cookies are remembered */

enum {
	MIXTURES = 24,
	TRIED_IN_MIXTURES = 8
};

struct sim {
	struct settings set;
	u64 now; /* ns */
	u64 seed;
	struct client clients[FLIGHT];
	u64 sent[FLIGHT]; /* ns; 0: none */
	u32 n;            /* cookies given so far */
	bool punctual;    /* the agent writes at once */
};

/* Instead of the C library's: keys are random, but the same ones each time. (A cookie that is too
 * old is taken for a good one with odds of 1 : 2^26 after all.) */
ssize_t getrandom(void *buf, size_t n, unsigned int flags)
{
	static u64 seed = 1;
	unsigned char *to = buf;

	(void)flags;
	for (size_t i = 0; i < n; i++)
		to[i] = random64(&seed);
	return n;
}

static void sim_start(struct sim *s, u64 seed, u64 now)
{
	memset(s, 0, sizeof(*s));
	s->seed = seed;
	s->now = now;
	assert_int_equal(keys_new_settings(&s->set, now), 0);
}

/* Is the cookie of slot i accepted `when`, as it must be? */
static void try_one(const struct sim *s, const struct settings *set, u32 i, u64 when)
{
	struct cookie_offer back;
	u64 age = elapsed(when, s->sent[i]);
	bool good = client_ack(&s->clients[i], set, when, &back);

	if (when < s->sent[i])
		return; /* nothing comes back before it was sent */
	/* the clock of counts moves in steps of 2^COOKIE_COUNT_SHIFT1 ns, 67 ms */
	if (age < 64 * NS_PER_SEC - (1 << COOKIE_COUNT_SHIFT1) && !good)
		fail_msg("at %llu ms a cookie of %llu ms is refused (keys %u %u, from %u, count "
			 "%u)",
			 when / NS_PER_MS, age / NS_PER_MS, set->previous.id, set->key.id,
			 set->key.from, cookie_count(when));
	if (age > 128 * NS_PER_SEC && good)
		fail_msg("at %llu ms a cookie of %llu ms is accepted", when / NS_PER_MS,
			 age / NS_PER_MS);
}

static void try_all(const struct sim *s, const struct settings *set, u64 when)
{
	for (u32 i = 0; i < FLIGHT; i++)
		if (s->sent[i])
			try_one(s, set, i, when);
}

/* A client gets a cookie from `set`, at `when`. */
static void give(struct sim *s, const struct settings *set, u64 when)
{
	u32 i = s->n % FLIGHT;

	s->clients[i] = client_new(s->n & 1, random64(&s->seed));
	client_syn(&s->clients[i], set, 1460, 7, s->n & 2 ? TCP_FEATURES : TCP_SACK, when);
	s->sent[i] = when;
	s->n++;
}

/* What a packet may see between `was` and `now`: a prefix, bytes or whole fields of either. */
static struct settings mixture(struct sim *s, const struct settings *was,
			       const struct settings *now, u32 kind)
{
	struct settings mixed = *was;
	size_t n = random64(&s->seed) % sizeof(mixed);

	if (kind == 0) {
		mixed.key.from = now->key.from; /* chosen by the new one, secrets as before */
	} else if (kind == 1) {
		mixed = *now; /* and the other way round */
		mixed.key.from = was->key.from;
	} else if (kind % 2) {
		memcpy(&mixed, now, n);
	} else {
		for (size_t i = 0; i < sizeof(mixed); i++)
			if (random64(&s->seed) >> 63)
				((u8 *)&mixed)[i] = ((const u8 *)now)[i];
	}
	return mixed;
}

/* The agent writes, at once or when it gets to run again, and packets come meanwhile. */
static void write_settings(struct sim *s, const struct settings *now)
{
	struct settings was = s->set, mixed;
	u64 late = random64(&s->seed) % (KEYS_SPARE_NS - 20 * NS_PER_MS);
	u64 when = s->punctual || random64(&s->seed) & 1 ? s->now : s->now + late;

	for (u32 kind = 0; kind < MIXTURES; kind++) {
		/* the datapath's clock moves once a jiffy */
		u64 seen = when - random64(&s->seed) % (10 * NS_PER_MS);

		mixed = mixture(s, &was, now, kind);
		for (u32 n = 0; n < TRIED_IN_MIXTURES; n++) {
			u32 i = random64(&s->seed) % FLIGHT;

			if (s->sent[i])
				try_one(s, &mixed, i, seen);
		}
		if (kind % 8 == 0)
			give(s, &mixed, seen);
	}
	s->now = when;
	s->set = *now;
}

/* What the agent does once a second. True if it has written. */
static bool tick(struct sim *s)
{
	struct settings now = s->set;

	if (!keys_step(&now, s->now))
		return false;
	write_settings(s, &now);
	return true;
}

static void ask(struct sim *s)
{
	struct settings now = s->set;

	assert_int_equal(keys_make_next(&now, s->now), 0);
	write_settings(s, &now);
}

static void second(struct sim *s, bool agent_runs)
{
	s->now += NS_PER_SEC - random64(&s->seed) % NS_PER_MS;
	try_all(s, &s->set, s->now);
	give(s, &s->set, s->now);
	if (agent_runs)
		tick(s);
	try_all(s, &s->set, s->now);
}

static u64 some_time(u64 n)
{
	return CLIENT_T0 + n * 7777 * NS_PER_MS;
}

/* Asked for every second, every so often, or at random. */
static void test_no_cookie_is_lost(void **state)
{
	static const u32 every[] = {1, 2, 7, 30, 63, 64, 65, 128, 200, 0};
	struct sim s;

	(void)state;
	for (u32 i = 0; i < 2 * ARRAY_SIZE(every); i++) {
		u32 period = every[i / 2];

		sim_start(&s, 1 + i, some_time(i));
		for (u32 t = 0; t < 700; t++) {
			if (period ? t % period == 0 : random64(&s.seed) % 40 == 0)
				ask(&s);
			second(&s, true);
		}
		assert_true(s.set.key.id > 1);
	}
}

/* The agent is stopped or killed at any moment, for up to four minutes; another one goes on. */
static void test_agent_comes_and_goes(void **state)
{
	struct sim s;

	(void)state;
	for (u32 i = 0; i < 20; i++) {
		u32 away = 0;

		sim_start(&s, 100 + i, some_time(i));
		for (u32 t = 0; t < 900; t++) {
			if (away)
				away--;
			else if (random64(&s.seed) % 12 == 0)
				away = random64(&s.seed) % (i & 1 ? 10 : 240);
			if (!away && random64(&s.seed) % 20 == 0)
				ask(&s);
			second(&s, !away);
		}
		assert_true(s.set.key.id > 1);
	}
}

static u64 begin_of_count(u64 after)
{
	u64 low = after, high = after + 65 * NS_PER_SEC;
	u32 count = cookie_count(after);

	while (high - low > 1) {
		u64 mid = low + (high - low) / 2;

		*(cookie_count(mid) == count ? &low : &high) = mid;
	}
	return high;
}

/* A single rotation, asked for at each second before the next count begins: the new key signs from
 * then on if that is 9 s away, else from the count after it. */
static void test_when_it_takes_effect(void **state)
{
	const u64 next = begin_of_count(CLIENT_T0);
	struct sim s;

	(void)state;
	for (u32 before = 1; before < 63; before++) {
		sim_start(&s, before, next - before * NS_PER_SEC);
		s.punctual = true;
		ask(&s);
		while (cookie_count(s.now) < cookie_count(next)) {
			assert_int_equal(
				s.set.key.from > cookie_count(s.now) ? s.set.previous.id : 1, 1);
			second(&s, true);
		}
		if (before >= 9)
			assert_true(s.set.key.id == 2 && s.set.key.from == cookie_count(next));
		for (u32 t = 0; t < 64; t++)
			second(&s, true);
		assert_int_equal(s.set.key.id, 2);
		assert_in_range(s.set.key.from, cookie_count(next), cookie_count(next) + 1);
		assert_int_equal(s.set.next.id, 0);
	}
}

/* Every second for 30 s: keys do not pile up, and the last one is in force in the end. */
static void test_many_at_once(void **state)
{
	const u64 next = begin_of_count(CLIENT_T0);
	struct sim s;

	(void)state;
	sim_start(&s, 1, next - 40 * NS_PER_SEC);
	s.punctual = true;
	for (u32 t = 0; t < 30; t++) {
		ask(&s);
		second(&s, true);
		assert_in_range(s.set.previous.id, 0, 1); /* nothing else has signed */
	}
	second(&s, true);
	assert_int_equal(s.set.key.id, 31);
	assert_int_equal(s.set.previous.id, 1);
	assert_int_equal(s.set.next.id, 0);
	for (u32 t = 0; t < 200; t++)
		second(&s, true);
	assert_int_equal(s.set.key.id, 31);
}

/* Asked for without end, there is a new key at least every third count, and every second at most.
 */
static void test_no_starvation(void **state)
{
	struct sim s;
	u32 last_from = 0, id = 1;

	(void)state;
	sim_start(&s, 3, CLIENT_T0);
	for (u32 t = 0; t < 2000; t++) {
		u32 count;

		if (t % 3 == 0)
			ask(&s);
		second(&s, true);
		count = cookie_count(s.now);
		if (count < s.set.key.from || s.set.key.id == id)
			continue;
		if (last_from)
			assert_in_range(s.set.key.from - last_from, 2, 3);
		last_from = s.set.key.from;
		id = s.set.key.id;
	}
	assert_in_range(id, 200, 700);
}

/* Who learns a key cannot use it once another one signs and its last cookies are old. */
static void test_an_old_key_opens_nothing(void **state)
{
	struct sim s;

	(void)state;
	for (u32 i = 0; i < 64; i++) {
		struct settings thief;
		struct cookie_offer back;
		struct client c = client_new(i & 1, 1 + i);

		sim_start(&s, 1 + i, some_time(i));
		thief = s.set;
		ask(&s);
		while (s.set.key.id == 1 || cookie_count(s.now) < s.set.key.from)
			second(&s, true);
		client_syn(&c, &thief, 1460, 7, i & 2 ? TCP_FEATURES : TCP_SACK, s.now);
		assert_false(client_ack(&c, &s.set, s.now, &back));
		/* one of the count before is a cookie like others, for its life */
		client_syn(&c, &thief, 1460, 7, i & 2 ? TCP_FEATURES : TCP_SACK,
			   s.now - 3 * NS_PER_SEC);
		for (u32 t = 0; t < 66; t++)
			second(&s, true);
		assert_false(client_ack(&c, &s.set, s.now, &back));
	}
}

static void test_due(void **state)
{
	const u64 t = CLIENT_T0;
	struct settings set;

	(void)state;
	assert_int_equal(keys_new_settings(&set, t), 0);
	assert_false(keys_due(&set, 900, t));
	assert_false(keys_due(&set, 900, t - NS_PER_SEC));
	assert_false(keys_due(&set, 900, t + 900 * NS_PER_SEC - 1));
	assert_true(keys_due(&set, 900, t + 900 * NS_PER_SEC));
	assert_int_equal(keys_make_next(&set, t + 900 * NS_PER_SEC), 0);
	assert_false(keys_due(&set, 900, t + 900 * NS_PER_SEC)); /* it is made already */
	assert_true(keys_due(&set, 900, t + 1800 * NS_PER_SEC));
	assert_false(keys_due(&set, 86400, t + 1800 * NS_PER_SEC));
}

/* A day by time alone: one key for each life, each in force soon after it was made. */
static void test_by_time(void **state)
{
	static const u32 lives[] = {120, 900, 86400};
	struct settings set;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(lives); i++) {
		u64 now = CLIENT_T0, end = now + 86400 * NS_PER_SEC;

		assert_int_equal(keys_new_settings(&set, now), 0);
		for (; now < end; now += NS_PER_SEC) {
			if (keys_due(&set, lives[i], now))
				assert_int_equal(keys_make_next(&set, now), 0);
			keys_step(&set, now);
			if (set.next.id)
				assert_in_range(elapsed(now, set.next.made), 0, 192 * NS_PER_SEC);
		}
		assert_in_range(set.key.id, 86400 / lives[i] - 1, 86400 / lives[i] + 1);
	}
}

/* Fresh secrets each time; ids go up, and around. */
static void test_make(void **state)
{
	struct settings a, b;
	u64 k[2];

	(void)state;
	assert_int_equal(keys_new_settings(&a, 5), 0);
	assert_int_equal(keys_new_settings(&b, 5), 0);
	assert_memory_not_equal(a.key.k, b.key.k, sizeof(a.key.k));
	assert_memory_not_equal(a.previous.k, b.previous.k, sizeof(a.key.k));
	assert_memory_not_equal(a.previous.k, a.key.k, sizeof(a.key.k));
	assert_true(a.key.id == 1 && a.key.made == 5 && !a.previous.id && !a.next.id && !a.flags);
	assert_int_equal(keys_make_next(&a, 6), 0);
	assert_true(a.next.id == 2 && a.next.made == 6);
	memcpy(k, a.next.k, sizeof(k));
	assert_int_equal(keys_make_next(&a, 7), 0);
	assert_true(a.next.id == 3 && a.next.made == 7);
	assert_memory_not_equal(k, a.next.k, sizeof(k));
	a.next.id = -1;
	assert_int_equal(keys_make_next(&a, 7), 0);
	assert_int_equal(a.next.id, 1);
	keys_forget(&a);
	memset(k, 0, sizeof(k));
	assert_memory_equal(a.key.k, k, sizeof(k));
	assert_memory_equal(a.previous.k, k, sizeof(k));
	assert_memory_equal(a.next.k, k, sizeof(k));
}

static void test_life_text(void **state)
{
	static const struct {
		const char *text;
		u32 seconds; /* 0: refused */
	} rows[] = {{"15m", 900},    {"2m", 120},       {"24h", 86400},
		    {"120s", 120},   {"86400s", 86400}, {"1440m", 86400},
		    {"1h", 3600},    {"15", 0},         {"", 0},
		    {"m", 0},        {"1m", 0},         {"119s", 0},
		    {"25h", 0},      {"1441m", 0},      {"86401s", 0},
		    {"-15m", 0},     {"+15m", 0},       {" 15m", 0},
		    {"15m ", 0},     {"15 m", 0},       {"15M", 0},
		    {"15mm", 0},     {"1.5h", 0},       {"0x10m", 0},
		    {"0m", 0},       {"1d", 0},         {"99999999999999999999m", 0},
		    {"71582789m", 0}};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		u32 seconds = 0;
		int err = keys_parse_life(rows[i].text, &seconds);

		if (err != (rows[i].seconds ? 0 : -EINVAL) || (!err && seconds != rows[i].seconds))
			fail_msg("\"%s\": %d, %u s", rows[i].text, err, seconds);
		if (err)
			assert_non_null(strstr(fail_reason(err), "from 2m to 24h"));
		fail_clear();
	}
}

/* ---- what is told of them ---- */

/* "3 next, 2 signing, 1 previous" at the simulation's time; checks what each line says. */
static const char *listed(const struct sim *s, char *text, size_t size)
{
	struct moment now = {s->now, 1700000000 * NS_PER_SEC};
	json_t *j = keys_json(&s->set, 900, &now), *keys = json_object_get(j, "keys"), *key;
	u32 signing = 0, n = 0;
	size_t i;

	assert_int_equal(json_integer_value(json_object_get(j, "life_s")), 900);
	*text = 0;
	json_array_foreach (keys, i, key) {
		const char *state = json_string_value(json_object_get(key, "state"));
		u64 in = json_integer_value(json_object_get(key, "signs_in_ms"));
		u64 left = json_integer_value(json_object_get(key, "verifies_ms"));

		n += snprintf(text + n, size - n, "%s%lld %s", n ? ", " : "",
			      json_integer_value(json_object_get(key, "id")), state);
		signing += !strcmp(state, "signing");
		assert_int_equal(!!in, !strcmp(state, "next"));
		assert_int_equal(!!left, !strcmp(state, "previous"));
		assert_in_range(in, 0, 200000);
		assert_in_range(left, 0, 65000);
	}
	assert_int_equal(signing, 1);
	json_decref(j);
	return text;
}

/* ms until the newest key does, as it is told. */
static u64 signs_in(const struct sim *s)
{
	struct moment now = {s->now, 1700000000 * NS_PER_SEC};
	json_t *j = keys_json(&s->set, 900, &now);
	json_t *first = json_array_get(json_object_get(j, "keys"), 0);
	u64 in = json_integer_value(json_object_get(first, "signs_in_ms"));

	json_decref(j);
	return in;
}

static void test_list(void **state)
{
	const u64 next = begin_of_count(CLIENT_T0);
	char text[200];
	struct sim s;

	(void)state;
	sim_start(&s, 1, next - 30 * NS_PER_SEC);
	assert_string_equal(listed(&s, text, sizeof(text)), "1 signing");
	ask(&s);
	for (u32 t = 0; t < 5; t++) {
		assert_string_equal(listed(&s, text, sizeof(text)), "2 next, 1 signing");
		assert_int_equal(signs_in(&s), (next - s.now) / NS_PER_MS);
		second(&s, true);
	}
	ask(&s);
	assert_string_equal(listed(&s, text, sizeof(text)), "3 next, 1 signing");
	second(&s, true);
	assert_string_equal(listed(&s, text, sizeof(text)), "3 next, 1 signing");
	s.now = next - 2 * NS_PER_SEC; /* too late to take its place */
	ask(&s);
	s.now = next - 2 * NS_PER_SEC;
	assert_string_equal(listed(&s, text, sizeof(text)), "4 next, 3 next, 1 signing");
	while (s.now < next)
		second(&s, true);
	assert_string_equal(listed(&s, text, sizeof(text)), "4 next, 3 signing, 1 previous");
	for (u32 t = 0; t < 60; t++)
		second(&s, true);
	assert_string_equal(listed(&s, text, sizeof(text)), "4 next, 3 signing, 1 previous");
	for (u32 t = 0; t < 62; t++)
		second(&s, true);
	assert_string_equal(listed(&s, text, sizeof(text)), "4 next, 3 signing");
	for (u32 t = 0; t < 10; t++)
		second(&s, true);
	assert_string_equal(listed(&s, text, sizeof(text)), "4 signing, 3 previous");
}

/* "in 12 s" comes true, whatever goes on. */
static void test_forecast(void **state)
{
	struct sim s;

	(void)state;
	sim_start(&s, 11, CLIENT_T0);
	for (u32 i = 0; i < 300; i++) {
		u64 asked, in;
		u32 id;

		ask(&s);
		asked = s.now;
		in = signs_in(&s);
		id = s.set.next.id;
		if (i % 3) { /* another one takes its place, or it waits a little */
			for (u64 t = random64(&s.seed) % 90; t; t--)
				second(&s, true);
			continue;
		}
		while (s.set.key.id != id || cookie_count(s.now) < s.set.key.from) {
			s.now += NS_PER_SEC;
			tick(&s);
		}
		/* ticks and late writes: some seconds more */
		assert_in_range(elapsed(s.now, asked) / NS_PER_MS, in, in + 12000);
	}
}

static void test_secrets_are_not_told(void **state)
{
	struct moment now = {CLIENT_T0, 1700000000 * NS_PER_SEC};
	struct settings a, b;
	char *x, *y;
	json_t *j;

	(void)state;
	assert_int_equal(keys_new_settings(&a, CLIENT_T0 - NS_PER_SEC), 0);
	assert_int_equal(keys_make_next(&a, CLIENT_T0), 0);
	b = a;
	keys_forget(&b);
	j = keys_json(&a, 900, &now);
	x = json_dumps(j, 0);
	json_decref(j);
	j = keys_json(&b, 900, &now);
	y = json_dumps(j, 0);
	json_decref(j);
	assert_string_equal(x, y); /* nothing in it depends on them */
	free(x);
	free(y);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_cookie_is_lost),
		cmocka_unit_test(test_agent_comes_and_goes),
		cmocka_unit_test(test_when_it_takes_effect),
		cmocka_unit_test(test_many_at_once),
		cmocka_unit_test(test_no_starvation),
		cmocka_unit_test(test_an_old_key_opens_nothing),
		cmocka_unit_test(test_due),
		cmocka_unit_test(test_by_time),
		cmocka_unit_test(test_make),
		cmocka_unit_test(test_life_text),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_forecast),
		cmocka_unit_test(test_secrets_are_not_told),
	};

	return cmocka_run_group_tests_name("keys", tests, NULL, NULL);
}
