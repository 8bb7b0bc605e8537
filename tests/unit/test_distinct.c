// SPDX-License-Identifier: GPL-2.0-only
/*
 * The estimate of distinct sources: its mean error and its spread over many sketches, for 1 to a
 * million sources of both families; and that an epoch knows nothing of another.
 */
#include <math.h>

#include "unit.h"
#include "distinct.h"
#include "source.h"

#define T0 (1000ULL << HLL_EPOCH_SHIFT)

static struct distinct d;

/* Source number n: random IPv4 addresses, one after the other, or IPv6 /64 prefixes. */
static struct addr source(u32 n, u32 family)
{
	struct addr a = {.w = {0, 0, host_to_be32(0xffff), host_to_be32(0xc6120000 + n)}};

	if (family == 1)
		a.w[3] = n * 0x9e3779b1u;
	if (family == 2)
		a = (struct addr){.w = {host_to_be32(0x20010db8), host_to_be32(n)}};
	return a;
}

/* The relative error of one sketch with n sources, each of which comes `times`. */
static double error_of(u32 n, u32 family, u64 seed, u32 times)
{
	const u64 key[2] = {random64(&seed), random64(&seed)};

	memset(&d, 0, sizeof(d));
	for (u32 i = 0; i < n * times; i++) {
		struct addr a = source(i % n, family);

		hll_add(&d, source_hash(&a, key), T0);
	}
	return distinct_estimate(&d, hll_epoch(T0)) / n - 1;
}

/* The standard error of this many sources: below some thousand, mostly that of linear counting
 * (Whang et al. 1990), sqrt(m (e^t - t - 1)) / n for t = n / m. */
static double expected_error(double n)
{
	const double m = DISTINCT_REGISTERS, t = n / m;
	double e = 1, term = 1, linear;

	if (t > 3)
		return DISTINCT_ERROR;
	for (int i = 1; i < 40; i++) {
		term *= t / i;
		e += term;
	}
	linear = sqrt(m * (e - t - 1)) / n;
	return linear < DISTINCT_ERROR ? linear : DISTINCT_ERROR;
}

/* The mean is right within its own error, and the spread is what the header says. */
static void test_error(void **state)
{
	static const struct {
		u32 n, sketches;
	} rows[] = {{10, 400},   {100, 400},   {1000, 300},  {2500, 300},
		    {5000, 200}, {20000, 100}, {100000, 40}, {1000000, 12}};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		for (u32 family = 0; family < 3; family++) {
			double sum = 0, squares = 0, mean, spread, k = rows[i].sketches;
			double expected = expected_error(rows[i].n);

			for (u32 s = 1; s <= rows[i].sketches; s++) {
				double e = error_of(rows[i].n, family, s * 77 + family, 1);

				sum += e;
				squares += e * e;
			}
			mean = sum / k;
			spread = sqrt(squares / k);
			print_message("%7u sources: mean error %+.2f %%, spread %.2f %% (%.2f)\n",
				      rows[i].n, 100 * mean, 100 * spread, 100 * expected);
			assert_true(mean * mean * k < 16 * expected * expected);
			assert_true(spread < expected * (1 + 3 / sqrt(2 * k)));
			assert_true(spread > expected / 3);
		}
	}
}

static void test_few(void **state)
{
	(void)state;
	memset(&d, 0, sizeof(d));
	assert_true(distinct_estimate(&d, 0) == 0);
	for (u32 n = 1; n <= 8; n++)
		assert_true(error_of(n, 0, 5, 1) * n < 0.5 && error_of(n, 0, 5, 1) * n > -0.5);
}

/* Who comes again is not counted again. */
static void test_repeated(void **state)
{
	(void)state;
	assert_true(error_of(3000, 1, 9, 1) == error_of(3000, 1, 9, 20));
}

/* Each epoch has its own; the one before stays until the next but one begins; what is as old
 * as a cycle of banks is not taken for new. */
static void test_epochs(void **state)
{
	const u64 key[2] = {1, 2};

	(void)state;
	memset(&d, 0, sizeof(d));
	for (u32 epoch = 0; epoch < 5; epoch++) {
		u64 now = T0 + ((u64)epoch << HLL_EPOCH_SHIFT);
		u32 n = epoch == 3 ? 10 : 100 * (epoch + 1);
		double was = distinct_estimate(&d, hll_epoch(now) - 1);

		assert_true(distinct_estimate(&d, hll_epoch(now)) == 0);
		for (u32 i = 0; i < n; i++) {
			struct addr a = source(i, 1);

			hll_add(&d, source_hash(&a, key), now);
		}
		assert_true(distinct_estimate(&d, hll_epoch(now)) > 0.85 * n);
		assert_true(distinct_estimate(&d, hll_epoch(now)) < 1.15 * n);
		assert_true(distinct_estimate(&d, hll_epoch(now) - 1) == was);
	}
}

/* A rank is one more than the zero bits, to the last. */
static void test_rank(void **state)
{
	(void)state;
	for (int bit = 0; bit < HLL_HASH_BITS; bit++)
		for (u64 above = 0; above < 2; above++)
			assert_int_equal(hll_rank((1 | above << 1) << bit << HLL_INDEX_BITS),
					 bit + 1);
	assert_int_equal(hll_rank(DISTINCT_REGISTERS - 1), HLL_HASH_BITS + 1);
	memset(&d, 0, sizeof(d));
	hll_add(&d, 0, T0);
	hll_add(&d, 1 << HLL_INDEX_BITS, T0); /* lower: the higher one stays */
	assert_int_equal(d.at[0][0] & HLL_RANK_MASK, HLL_HASH_BITS + 1);
	assert_int_equal(d.at[0][0] >> HLL_RANK_BITS, hll_epoch(T0));
	assert_true(distinct_estimate(&d, hll_epoch(T0)) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_error),    cmocka_unit_test(test_few),
		cmocka_unit_test(test_repeated), cmocka_unit_test(test_epochs),
		cmocka_unit_test(test_rank),
	};

	return cmocka_run_group_tests_name("distinct", tests, NULL, NULL);
}
