/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The keys of our own cookies: made, put in force, replaced by time or when asked.
 *
 * A cookie bears a count, a unit of 64 s (bpf/cookie.h), and only the present count and the one
 * before it are accepted. The datapath chooses by the cookie's count: settings.key from count
 * key.from on, settings.previous before. A rotation may change neither of the two choices, or
 * clients that are about to answer lose their handshake. Hence:
 *
 * - A new key signs from a count on that has not begun. Until then it waits in settings.next,
 *   which the datapath does not read; a further one that is asked for meanwhile takes its place.
 *   So however often somebody asks, nothing piles up, and every key that has signed is kept
 *   for as long as its cookies live.
 * - Two keys are enough if the next change begins only once both counts are settings.key's: one
 *   change in two counts (128 s) at most. Alone, a rotation takes effect at the next begin of a
 *   count that is at least 9 s away.
 *
 * The kernel copies a map's value byte by byte while packets read it, so a packet may see any
 * mixture of old and new. Each of the three steps of a change, a second apart and each one write,
 * is harmless in every mixture:
 *
 *  1. previous = key. It is read for counts before key.from, of which none is accepted any more.
 *  2. key.from = a count to come. Whichever key a packet takes: they are equal.
 *  3. key = next, keeping `from`. It is read from that count on, which has not begun and
 *     will not for KEYS_SPARE_NS; and who chose it before step 2 has long finished. While
 *     that holds, this step may be repeated with yet another key.
 *
 * Steps 1 and 2 are right however late they are carried out. Step 3 is too late if its process is
 * stopped for longer than KEYS_SPARE_NS between reading the clock and writing: cookies that
 * the old key has signed in that time fail. If the agent is killed between two steps, another agent
 * goes on from what it finds in the map; without one, the keys there stay in force.
 */
#ifndef SYNSTILE_USER_KEYS_H
#define SYNSTILE_USER_KEYS_H

#include <stdbool.h>
#include <string.h>

#include <jansson.h>
#include <synstile/settings.h>

#include "moment.h"

#define KEY_LIFE_DEFAULT 900 /* s */
#define KEY_LIFE_LEAST   120 /* changes cannot be much closer */
#define KEY_LIFE_MOST    86400

#define KEYS_SPARE_NS 3000000000ULL

/* "15m" as seconds; -EINVAL with a reason. */
int keys_parse_life(const char *text, u32 *seconds);

/* The first settings of an instance: a fresh key and cookie codes, not READY. `now` here and below:
 * monotonic, ns. -errno with a reason. */
int keys_new_settings(struct settings *set, u64 now);

/* Has the newest key lived for `life` seconds? */
bool keys_due(const struct settings *set, u32 life, u64 now);
/* Makes a key that waits in settings.next. -errno with a reason. */
int keys_make_next(struct settings *set, u64 now);
/* One step of putting settings.next in force, if there is one to do: then true, and *set is to be
 * written at once. To be called once a second. */
bool keys_step(struct settings *set, u64 now);

/* {"cookies":, "life_s":, "keys": [{"id":, "state":, "age_ms":, ...}]}: those that sign, will or
 * may verify; newest first. */
json_t *keys_json(const struct settings *set, u32 life, const struct moment *now);
/* The same where the cookies are the kernel's. */
json_t *keys_json_none(void);

/* Overwrites the secrets of a copy. */
static inline void keys_forget(struct settings *set)
{
	explicit_bzero(set->key.k, sizeof(set->key.k));
	explicit_bzero(set->previous.k, sizeof(set->previous.k));
	explicit_bzero(set->next.k, sizeof(set->next.k));
}

#endif
