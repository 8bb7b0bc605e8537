/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How many different sources are there? HyperLogLog (Flajolet et al. 2007): a register keeps the
 * highest rank (the number of zeros that a hash ends with, and one) of the sources that fell to
 * it. Pure. user/distinct.h makes the estimate: standard error 1.04 / sqrt(DISTINCT_REGISTERS),
 * 3.3 %.
 *
 * Counted in epochs of 1.07 s. A register knows its epoch, and one of another is as good as empty:
 * nothing has to be cleared. Epochs use two banks by turns, so that the last one is whole while
 * the present one fills.
 *
 * CPUs write at the same time. One that is overtaken by another loses its rank: with the few
 * thousand writes of an epoch that is rare, and seldom the highest one.
 */
#ifndef SYNSTILE_HYPERLOGLOG_H
#define SYNSTILE_HYPERLOGLOG_H

#include "synstile/source.h"

#define HLL_EPOCH_SHIFT 30 /* ns: 1.07 s */
#define HLL_RANK_BITS   6
#define HLL_RANK_MASK   ((1u << HLL_RANK_BITS) - 1)
#define HLL_INDEX_BITS  10
#define HLL_HASH_BITS   (64 - HLL_INDEX_BITS) /* that give the rank: 1 to one more than them */

/* As it stands in the registers: 26 bits of it, which last for two years. */
static inline __attribute__((always_inline)) u32 hll_epoch(u64 now)
{
	return (u32)(now >> HLL_EPOCH_SHIFT) & (~0u >> HLL_RANK_BITS);
}

static inline __attribute__((always_inline)) u32 hll_rank(u64 hash)
{
	u64 rest = hash >> HLL_INDEX_BITS;
	u32 rank = 1;

	/* two rounds on average; count-trailing-zeros is long in BPF */
	for (int i = 0; i < HLL_HASH_BITS && !(rest & 1); i++) {
		rest >>= 1;
		rank++;
	}
	return rank;
}

static inline __attribute__((always_inline)) void hll_add(struct distinct *d, u64 hash, u64 now)
{
	u32 epoch = hll_epoch(now);
	u32 *at = &d->at[epoch % DISTINCT_BANKS][hash & (DISTINCT_REGISTERS - 1)];
	u32 rank = *at >> HLL_RANK_BITS == epoch ? *at & HLL_RANK_MASK : 0;

	/* nearly all rank no higher than what is there: not all of that many bits are 0 */
	if (hash >> HLL_INDEX_BITS & ((1ULL << rank) - 1))
		return;
	*at = epoch << HLL_RANK_BITS | hll_rank(hash);
}

_Static_assert(DISTINCT_REGISTERS == 1 << HLL_INDEX_BITS, "index bits");

#endif
