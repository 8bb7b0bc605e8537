// SPDX-License-Identifier: GPL-2.0-only
/*
 * The limit per source: the meter of one source against a count of what it let pass, and the error
 * of the sketch against the bounds that bpf/limit.h states.
 */
#include <math.h>

#include "unit.h"
#include "limit.h"
#include "source.h"

#define T0 (1000 * NS_PER_SEC)

static u64 cells[LIMIT_ROWS * LIMIT_COLUMNS];

static bool take(const struct limit_rate *l, u64 hash, u64 now)
{
	return limit_take(l, &cells[limit_cell(hash, 0)], &cells[limit_cell(hash, 1)], now);
}

/* The hash of source number n. */
static u64 hash_of(u32 n)
{
	static const u64 key[2] = {0x0123456789abcdefULL, 0xfedcba9876543210ULL};
	const struct addr a = {.w = {0, 0, host_to_be32(0xffff), host_to_be32(n)}};

	return source_hash(&a, key);
}

static int clear(void **state)
{
	(void)state;
	memset(cells, 0, sizeof(cells));
	return 0;
}

static void test_limit_of(void **state)
{
	struct limit_rate l = limit_of(200, 400);

	(void)state;
	assert_int_equal(l.interval, 5 * NS_PER_MS);
	assert_int_equal(l.burst, 399 * 5 * NS_PER_MS + LIMIT_TICK_NS);
	assert_int_equal(limit_of(1, 0).burst, LIMIT_TICK_NS);
	assert_int_equal(limit_of(1000000, 10000000).interval, 1000);
}

/* A burst passes whole, not one more; then one for each interval; after a rest a burst again. */
static void test_burst(void **state)
{
	static const u32 bursts[] = {1, 2, 10, 400};
	u64 now = T0;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(bursts); i++) {
		const struct limit_rate l = limit_of(10, bursts[i]);

		for (int again = 0; again < 2; again++) {
			for (u32 n = 0; n < bursts[i]; n++)
				assert_true(take(&l, hash_of(7), now));
			for (u32 n = 0; n < 5; n++) {
				assert_false(take(&l, hash_of(7), now));
				assert_false(
					take(&l, hash_of(7), now + l.interval - LIMIT_TICK_NS - 1));
				now += l.interval;
				assert_true(take(&l, hash_of(7), now));
			}
			now += l.interval * bursts[i] + l.burst;
		}
	}
}

/* What keeps to its rate is never limited, though the clock moves but once in a jiffy of 10 ms. */
static void test_at_rate(void **state)
{
	static const u32 rates[] = {1, 7, 100, 200, 1000, 100000};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(rates); i++) {
		const struct limit_rate l = limit_of(rates[i], 1);

		for (u64 n = 0; n < 20000; n++) {
			u64 t = T0 + n * NS_PER_SEC / rates[i] + n; /* the interval is rounded */

			assert_true(take(&l, hash_of(i), t - t % LIMIT_TICK_NS));
		}
	}
}

/* Ten times too much: the rate passes, and the burst, within a percent. */
static void test_above_rate(void **state)
{
	const struct limit_rate l = limit_of(200, 400);
	u32 passed = 0;

	(void)state;
	for (u64 n = 0; n < 2000 * 100; n++)
		passed += take(&l, hash_of(1), T0 + n * NS_PER_SEC / 2000);
	assert_in_range(passed, 20000 + 395, 20000 + 405);
}

/* A clock that is a tick behind gives nothing away, and costs nothing. */
static void test_clock_behind(void **state)
{
	const struct limit_rate l = limit_of(10, 3);

	(void)state;
	for (u32 n = 0; n < 3; n++)
		assert_true(take(&l, hash_of(1), T0 - n % 2 * 4 * NS_PER_MS));
	assert_false(take(&l, hash_of(1), T0 - 4 * NS_PER_MS));
}

/* (a) 5,000,000 SYN/s from random sources for two seconds, and a client among them. */
static void test_random_flood(void **state)
{
	const struct limit_rate l = limit_of(200, 20);
	u64 seed = 5;

	(void)state;
	for (u64 n = 0; n < 10000000; n++) {
		u64 now = T0 + n * 200;

		if (!take(&l, random64(&seed), now))
			fail_msg("SYN %llu of a random source is over the limit", n);
		if (n % 50000 == 0 && !take(&l, hash_of(1), now)) /* 100/s */
			fail_msg("the client is over the limit at %llu", n);
	}
}

/* How many of 200,000 innocent sources are limited, once each, while `heavy` others are. */
static u32 innocents_limited(u32 heavy)
{
	const struct limit_rate l = limit_of(1, 5);
	u32 limited = 0;

	memset(cells, 0, sizeof(cells));
	for (u32 n = 0; n < heavy; n++)
		for (u32 i = 0; i < 10; i++)
			take(&l, hash_of(n), T0);
	for (u32 n = 0; n < 200000; n++) {
		u64 hash = hash_of(1000000 + n), *a = &cells[limit_cell(hash, 0)];
		u64 *b = &cells[limit_cell(hash, 1)], was_a = *a, was_b = *b;

		limited += !limit_take(&l, a, b, T0);
		*a = was_a; /* alone with the heavy ones, each of them */
		*b = was_b;
	}
	return limited;
}

/* (b) At most (heavy / LIMIT_COLUMNS)^2 of them; and not far below, so that this can fail. */
static void test_innocents(void **state)
{
	static const u32 heavy[] = {100, 1000, 10000, 40000};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(heavy); i++) {
		double share = (double)heavy[i] / LIMIT_COLUMNS, bound = share * share * 200000;
		u32 n = innocents_limited(heavy[i]);

		print_message("%u heavy sources: %u innocents of 200,000 limited, bound %.0f\n",
			      heavy[i], n, bound);
		assert_true(n <= bound + 4 * sqrt(bound) + 1);
		if (heavy[i] > 1000)
			assert_true(n > bound / 2);
	}
}

/* The cells are those of the row, and all of them; the two rows are independent. */
static void test_cells(void **state)
{
	static u8 used[LIMIT_ROWS * LIMIT_COLUMNS];
	u32 n = 0, same = 0;

	(void)state;
	for (u32 i = 0; i < 2000000; i++) {
		u64 hash = hash_of(i);

		for (u32 row = 0; row < LIMIT_ROWS; row++) {
			assert_int_equal(limit_cell(hash, row) / LIMIT_COLUMNS, row);
			n += !used[limit_cell(hash, row)];
			used[limit_cell(hash, row)] = 1;
		}
		same += limit_cell(hash, 0) == limit_cell(hash, 1) - LIMIT_COLUMNS;
	}
	assert_in_range(n, LIMIT_ROWS * LIMIT_COLUMNS - 10, LIMIT_ROWS * LIMIT_COLUMNS);
	assert_in_range(same, 2, 50); /* 15 by chance */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_limit_of, clear),
		cmocka_unit_test_setup(test_burst, clear),
		cmocka_unit_test_setup(test_at_rate, clear),
		cmocka_unit_test_setup(test_above_rate, clear),
		cmocka_unit_test_setup(test_clock_behind, clear),
		cmocka_unit_test_setup(test_random_flood, clear),
		cmocka_unit_test_setup(test_innocents, clear),
		cmocka_unit_test_setup(test_cells, clear),
	};

	return cmocka_run_group_tests_name("limit", tests, NULL, NULL);
}
