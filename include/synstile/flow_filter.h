/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A counting filter in front of the flow table: "surely not in the table", for the
 * price of one cache line.
 *
 * A look-up in the table costs a hash over 36 bytes and a cache miss, more than all
 * else that a flooding SYN costs. Its tuple is almost never in the table, and then
 * its counter here is most likely 0. Whoever enters a flow adds 1 before, whoever
 * removes one subtracts 1 after, so that a 0 can be trusted at any moment. With n flows
 * the chance of a useless look-up is about n / 65536.
 */
#ifndef SYNSTILE_FLOW_FILTER_H
#define SYNSTILE_FLOW_FILTER_H

#include "flow.h"

#define FLOW_FILTER_LINES 4096
#define FLOW_FILTER_SLOTS 16

/* Map `filter`: one cache line of counters. */
struct flow_filter {
	u32 n[FLOW_FILTER_SLOTS];
};

/* Where a flow counts: line in the high bits, slot in the low 4. Not secret: who hits
 * the counters of others on purpose only makes us look into the table. */
static inline __attribute__((always_inline)) u32 flow_filter_hash(const struct flow_key *k)
{
	u64 x = (u64)(k->remote.w[1] ^ k->remote.w[2] ^ k->remote_port) << 32 | k->remote.w[3];

	x = (x ^ k->remote.w[0]) * 0x9e3779b97f4a7c15ULL; /* 2^64 / golden ratio */
	return x >> 48;
}

_Static_assert(sizeof(struct flow_filter) == 64, "one cache line");

#endif
