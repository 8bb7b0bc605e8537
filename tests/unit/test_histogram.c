// SPDX-License-Identifier: GPL-2.0-only
/* The buckets of histograms: bounds belong to them, and the text of a bound says what it is. */
#include <stdlib.h>

#include "unit.h"
#include "histogram.h"

struct bound {
	u64 us;
	const char *seconds;
};

static const struct bound half_open[] = {
#define X(us, seconds) {us, seconds},
	HALF_OPEN_BOUNDS(X)
#undef X
};

static const struct bound rtt[] = {
#define X(us, seconds) {us, seconds},
	RTT_BOUNDS(X)
#undef X
};

#define N(a) (sizeof(a) / sizeof(*(a)))

static void test_bounds(void **state)
{
	(void)state;
	assert_int_equal(N(half_open) + 1, HALF_OPEN_BUCKETS);
	assert_int_equal(N(rtt) + 1, RTT_BUCKETS);
	for (size_t i = 0; i < N(half_open); i++) {
		assert_int_equal((u64)(strtod(half_open[i].seconds, NULL) * 1e6 + 0.5),
				 half_open[i].us);
		assert_true(!i || half_open[i].us > half_open[i - 1].us);
	}
	for (size_t i = 0; i < N(rtt); i++) {
		assert_int_equal((u64)(strtod(rtt[i].seconds, NULL) * 1e6 + 0.5), rtt[i].us);
		assert_true(!i || rtt[i].us > rtt[i - 1].us);
	}
}

/* What a bound says includes it: `le`. */
static void test_buckets(void **state)
{
	(void)state;
	assert_int_equal(half_open_bucket(0), 0);
	assert_int_equal(rtt_bucket(0), 0);
	for (size_t i = 0; i < N(half_open); i++) {
		assert_int_equal(half_open_bucket(half_open[i].us - 1), i);
		assert_int_equal(half_open_bucket(half_open[i].us), i);
		assert_int_equal(half_open_bucket(half_open[i].us + 1), i + 1);
	}
	for (size_t i = 0; i < N(rtt); i++) {
		assert_int_equal(rtt_bucket(rtt[i].us - 1), i);
		assert_int_equal(rtt_bucket(rtt[i].us), i);
		assert_int_equal(rtt_bucket(rtt[i].us + 1), i + 1);
	}
	assert_int_equal(half_open_bucket(UINT64_MAX), HALF_OPEN_ABOVE);
	assert_int_equal(rtt_bucket(UINT64_MAX), RTT_ABOVE);
}

/* A SYN timeout is found by the sweep at most a second later: the timeouts that the kernel knows
 * (3, 7, 15, 31, 63 s) have a bucket each. */
static void test_timeouts(void **state)
{
	u32 before = 0;

	(void)state;
	for (u64 s = 3; s <= 63; s = 2 * s + 1) {
		u32 bucket = half_open_bucket(s * 1000000 + 1);

		assert_int_equal(half_open_bucket((s + 1) * 1000000), bucket);
		assert_true(bucket > before);
		before = bucket;
	}
}

static void test_outcomes(void **state)
{
	(void)state;
	for (u32 phase = FLOW_PROVEN; phase < FLOW_CLOSED; phase++)
		assert_int_equal(handshake_outcome(phase, END_NONE), OUTCOME_COMPLETED);
	assert_int_equal(handshake_outcome(FLOW_CLOSED, END_SYN_TIMEOUT), OUTCOME_EXPIRED);
	assert_int_equal(handshake_outcome(FLOW_CLOSED, END_RST_CLIENT), OUTCOME_RESET);
	assert_int_equal(handshake_outcome(FLOW_CLOSED, END_RST_SERVER), OUTCOME_RESET);
	assert_int_equal(handshake_outcome(FLOW_CLOSED, END_FORGOTTEN), OUTCOME_OTHER);
	assert_int_equal(handshake_outcome(FLOW_CLOSED, END_REUSED), OUTCOME_OTHER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_buckets),
		cmocka_unit_test(test_timeouts),
		cmocka_unit_test(test_outcomes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
