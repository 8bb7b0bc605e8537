/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What came to a service over the last seconds: its counters, looked at now and then, as a course
 * over time. Pure. Between two looks they are taken to grow evenly.
 *
 * How many handshakes are completed? A SYN is answered for by its ACK, one round trip later, and
 * the counters do not say which ACK belongs to which SYN. So the SYNs of a span are compared with
 * the completions of an equally long span that begins up to `lag` later, whichever has most:
 *
 *	SYNs         |<---- span ---->|
 *	completions      |<---- span ---->|      shifted by 0 ... lag
 *
 * With steady traffic that is the true share, whatever the round trip. A crowd that appears at
 * once, with round trips of all lengths up to `lag`, is found complete if the span is at least
 * twice the lag: wherever the burst is in the first span, some shift has all of its completions
 * (a burst at b needs a shift x with x <= b - begin and x >= b - end + lag; there is one within
 * 0 ... lag). What is not complete by then (lost packets, longer round trips) counts as not
 * completed.
 */
#ifndef SYNSTILE_USER_TRAFFIC_H
#define SYNSTILE_USER_TRAFFIC_H

#include <synstile/types.h>

#define TRAFFIC_LOOKS 80 /* 4 s, at TRAFFIC_LOOK_NS the quickest */

#define TRAFFIC_LOOK_NS 50000000ULL

struct traffic_look {
	u64 at;                       /* ns */
	u64 syns, completed, cookies; /* since ever: struct load */
};

struct traffic {
	u32 n; /* looks that there ever were */
	u32 pad;
	struct traffic_look at[TRAFFIC_LOOKS];
};

/* False if the last look was less than TRAFFIC_LOOK_NS ago. Counters that fell (another service has
 * this index) begin a new course. */
bool traffic_add(struct traffic *t, const struct traffic_look *look);
/* When the oldest and the newest look were; 0: there was none. */
u64 traffic_begin(const struct traffic *t);
u64 traffic_end(const struct traffic *t);

/* What was counted from one moment to another; moments outside the course count as its ends. */
struct traffic_sum {
	u64 syns, completed, cookies;
};
struct traffic_sum traffic_between(const struct traffic *t, u64 from, u64 to);

/* SYN/s over the last second. */
u64 traffic_rate(const struct traffic *t);

/* The completions that belong to the SYNs of this span, see above: no more than those SYNs. */
u64 traffic_completions(const struct traffic *t, u64 from, u64 to, u64 lag);

#endif
