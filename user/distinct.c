// SPDX-License-Identifier: GPL-2.0-only
#include "distinct.h"

#define HALF_INV_LN2 0.72134752044448170368 /* 1 / (2 ln 2) */

/* x + x^2 + 2 x^4 + 4 x^8 + ...: what empty registers tell. Below 1. */
static double sigma(double x)
{
	double y = 1, z = x, before;

	do {
		x *= x;
		before = z;
		z += x * y;
		y += y;
	} while (z != before);
	return z;
}

/*
 * Ertl's improved estimator (arXiv 1702.01284, algorithm 6): without bias from one source on, and
 * without tables. Its term for registers that have overflowed is left out: their hash ends with
 * 54 zeros.
 */
double distinct_estimate(const struct distinct *d, u32 epoch)
{
	const u32 *at = d->at[epoch % DISTINCT_BANKS];
	const double m = DISTINCT_REGISTERS;
	u32 n[HLL_HASH_BITS + 2] = {0}; /* registers with this rank */
	double z = 0;
	u32 i, rank;

	for (i = 0; i < DISTINCT_REGISTERS; i++) {
		rank = at[i] >> HLL_RANK_BITS == epoch ? at[i] & HLL_RANK_MASK : 0;
		n[rank <= HLL_HASH_BITS ? rank : HLL_HASH_BITS]++;
	}
	if (n[0] == DISTINCT_REGISTERS)
		return 0;
	for (rank = HLL_HASH_BITS; rank; rank--)
		z = (z + n[rank]) / 2;
	z += m * sigma(n[0] / m);
	return HALF_INV_LN2 * m * m / z;
}
