// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "clock.h"
#include "traffic.h"

#define SHIFT_NS (50 * NS_PER_MS) /* steps of the search for the best shift */

static const struct traffic_look *look_at(const struct traffic *t, u32 i)
{
	return &t->at[i % TRAFFIC_LOOKS];
}

static u32 oldest(const struct traffic *t)
{
	return t->n > TRAFFIC_LOOKS ? t->n - TRAFFIC_LOOKS : 0;
}

u64 traffic_begin(const struct traffic *t)
{
	return t->n ? look_at(t, oldest(t))->at : 0;
}

u64 traffic_end(const struct traffic *t)
{
	return t->n ? look_at(t, t->n - 1)->at : 0;
}

bool traffic_add(struct traffic *t, const struct traffic_look *look)
{
	const struct traffic_look *last = t->n ? look_at(t, t->n - 1) : NULL;

	if (last && (look->syns < last->syns || look->completed < last->completed))
		t->n = 0;
	else if (last && elapsed(look->at, last->at) < TRAFFIC_LOOK_NS)
		return false;
	if (t->n == 2 * TRAFFIC_LOOKS) /* so that it never wraps */
		t->n = TRAFFIC_LOOKS;
	t->at[t->n++ % TRAFFIC_LOOKS] = *look;
	return true;
}

static u64 part(u64 a, u64 b, double share)
{
	return a + (u64)((double)(b - a) * share + 0.5);
}

/* The counters at a moment. */
static struct traffic_look at(const struct traffic *t, u64 when)
{
	const struct traffic_look *a, *b;
	struct traffic_look look = {.at = when};
	double share;
	u32 i = t->n;

	if (!t->n)
		return look;
	while (i > oldest(t) && look_at(t, i - 1)->at > when)
		i--;
	if (i == oldest(t))
		return *look_at(t, i);
	if (i == t->n)
		return *look_at(t, i - 1);
	a = look_at(t, i - 1);
	b = look_at(t, i);
	share = (double)(when - a->at) / (double)(b->at - a->at);
	look.syns = part(a->syns, b->syns, share);
	look.completed = part(a->completed, b->completed, share);
	look.cookies = part(a->cookies, b->cookies, share);
	return look;
}

struct traffic_sum traffic_between(const struct traffic *t, u64 from, u64 to)
{
	struct traffic_look a, b;

	if (to <= from)
		return (struct traffic_sum){0};
	a = at(t, from);
	b = at(t, to);
	return (struct traffic_sum){b.syns - a.syns, b.completed - a.completed,
				    b.cookies - a.cookies};
}

u64 traffic_rate(const struct traffic *t)
{
	u64 end = traffic_end(t), from = end > NS_PER_SEC ? end - NS_PER_SEC : 0;

	if (from < traffic_begin(t))
		from = traffic_begin(t);
	if (end - from < TRAFFIC_LOOK_NS)
		return 0;
	return traffic_between(t, from, end).syns * (NS_PER_SEC / NS_PER_MS) /
	       ((end - from) / NS_PER_MS);
}

u64 traffic_completions(const struct traffic *t, u64 from, u64 to, u64 lag)
{
	u64 most = 0, shift, n, syns = traffic_between(t, from, to).syns;

	for (shift = 0; shift <= lag; shift += SHIFT_NS) {
		n = traffic_between(t, from + shift, to + shift).completed;
		if (n > most)
			most = n;
	}
	return most < syns ? most : syns;
}
