// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pressure of a service: the causes of attack, hysteresis, hold time, rate
 * over a window, and clocks of two CPUs that disagree by a tick.
 */
#include "unit.h"
#include "pressure.h"

#define T0 (1000 * NS_PER_SEC)

static const struct service service = {
	.mode = MODE_AUTO,
	.half_open_attack_above = 100,
	.half_open_calm_below = 50,
	.rate_attack_above = 10000,
	.rate_calm_below = 5000,
	.hold_ms = 10000,
};

/* Feed `rate` SYN/s from *now on for `ms`, a report each 4 ms as a jiffy gives. */
static void feed(struct pressure *p, u64 *now, u64 rate, u64 ms)
{
	for (u64 t = 0; t < ms; t += 4) {
		*now += 4 * NS_PER_MS;
		pressure_syns(p, &service, rate * 4 / 1000, *now);
	}
}

static void test_elapsed(void **state)
{
	(void)state;
	assert_int_equal(elapsed(5, 3), 2);
	assert_int_equal(elapsed(3, 3), 0);
	assert_int_equal(elapsed(3, 5), 0);
	assert_int_equal(elapsed(3, UINT64_MAX), 0);
}

static void test_half_open_bound_is_exact(void **state)
{
	struct pressure p = {0};

	(void)state;
	for (int i = 1; i < 100; i++) {
		pressure_half_open(&p, &service, T0);
		assert_int_equal(p.half_open, i);
		assert_int_equal(p.state, PRESSURE_CALM);
	}
	pressure_half_open(&p, &service, T0);
	assert_int_equal(p.state, PRESSURE_ATTACK);
	assert_int_equal(p.attacks, 1);
	assert_int_equal(p.since, T0);
	/* more of the same is the same attack */
	pressure_half_open(&p, &service, T0 + 1);
	assert_int_equal(p.attacks, 1);
	assert_int_equal(p.since, T0);
	pressure_half_open_done(&p);
	assert_int_equal(p.half_open, 100);
}

static void test_rate_is_measured(void **state)
{
	static const u64 rates[] = {250, 1000, 4000, 9500, 250000, 5000000};
	u64 now;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(rates); i++) {
		struct pressure p = {.window_start = T0};

		now = T0;
		feed(&p, &now, rates[i], 1000);
		/* within 5 percent: a window ends with the report that comes first after 100 ms */
		assert_in_range(p.rate, rates[i] - rates[i] / 20, rates[i] + rates[i] / 20);
		assert_int_equal(p.state, rates[i] >= 10000 ? PRESSURE_ATTACK : PRESSURE_CALM);
	}
}

/* 2^44 SYNs in one window, and a window of an hour, do not overflow. */
static void test_rate_extremes(void **state)
{
	struct pressure p = {.window_start = T0, .syns = 1ULL << 43};

	(void)state;
	pressure_roll(&p, T0 + PRESSURE_WINDOW_NS);
	assert_in_range(p.rate, (1ULL << 43) * 9.9, (1ULL << 43) * 10.1);
	assert_int_equal(p.syns, 0);
	p = (struct pressure){.window_start = T0, .syns = 3600};
	pressure_roll(&p, T0 + 3600 * NS_PER_SEC);
	assert_in_range(p.rate, 0, 1);
}

static void test_window_not_over(void **state)
{
	struct pressure p = {.window_start = T0, .syns = 7, .rate = 42};

	(void)state;
	pressure_roll(&p, T0 + PRESSURE_WINDOW_NS - 1);
	assert_int_equal(p.syns, 7);
	assert_int_equal(p.rate, 42);
	pressure_roll(&p, T0 - NS_PER_MS); /* a CPU that is a tick behind */
	assert_int_equal(p.syns, 7);
	assert_int_equal(p.window_start, T0);
}

/* calm -> attack -> between the bounds: attack goes on -> below both: calm after hold_ms. */
static void test_hysteresis_and_hold(void **state)
{
	struct pressure p = {.window_start = T0};
	u64 now = T0, below;

	(void)state;
	feed(&p, &now, 20000, 1000);
	assert_int_equal(p.state, PRESSURE_ATTACK);
	feed(&p, &now, 7000, 60000);
	assert_int_equal(p.state, PRESSURE_ATTACK);
	below = now;
	feed(&p, &now, 1000, 9800);
	assert_int_equal(p.state, PRESSURE_ATTACK);
	feed(&p, &now, 1000, 600);
	assert_int_equal(p.state, PRESSURE_CALM);
	assert_in_range(p.since - below, 10 * NS_PER_SEC, 10300 * NS_PER_MS);
	assert_int_equal(p.attacks, 1);
	feed(&p, &now, 7000, 1000); /* above the lower bound does not begin an attack */
	assert_int_equal(p.state, PRESSURE_CALM);
}

/* One burst within the hold time starts it anew. */
static void test_hold_without_a_break(void **state)
{
	struct pressure p = {.window_start = T0};
	u64 now = T0;

	(void)state;
	feed(&p, &now, 20000, 500);
	feed(&p, &now, 1000, 9000);
	feed(&p, &now, 6000, 300);
	feed(&p, &now, 1000, 9000);
	assert_int_equal(p.state, PRESSURE_ATTACK);
	feed(&p, &now, 1000, 1500);
	assert_int_equal(p.state, PRESSURE_CALM);
}

/* A rate that fell does not end an attack whose half-open connections are still there. */
static void test_both_bounds_count(void **state)
{
	struct pressure p = {.window_start = T0, .half_open = 50};
	u64 now = T0;

	(void)state;
	feed(&p, &now, 20000, 500);
	feed(&p, &now, 100, 20000);
	assert_int_equal(p.state, PRESSURE_ATTACK);
	p.half_open = 49;
	feed(&p, &now, 100, 10300);
	assert_int_equal(p.state, PRESSURE_CALM);
}

static void test_negative_half_open(void **state)
{
	struct pressure p = {.window_start = T0, .half_open = -3};

	(void)state;
	pressure_update(&p, &service, T0 + NS_PER_SEC);
	assert_int_equal(p.state, PRESSURE_CALM);
	p.state = PRESSURE_ATTACK;
	p.above = T0;
	pressure_update(&p, &service, T0 + 10 * NS_PER_SEC);
	assert_int_equal(p.state, PRESSURE_CALM);
}

/* A report whose time lies before `above` is no reason to become calm. */
static void test_clock_behind(void **state)
{
	struct pressure p = {.window_start = T0, .state = PRESSURE_ATTACK, .above = T0};

	(void)state;
	pressure_update(&p, &service, T0 - NS_PER_MS);
	assert_int_equal(p.state, PRESSURE_ATTACK);
}

/* Every mixture of the three kinds of reasons, each right at its bound and right below it. */
static void test_reasons(void **state)
{
	(void)state;
	for (u32 n = 0; n < 8; n++) {
		struct pressure p = {.window_start = T0,
				     .half_open = n & 1 ? 100 : 99,
				     .rate = n & 2 ? 10000 : 9999,
				     .alarm = T0 - PRESSURE_ALARM_NS + (n & 4 ? 1 : 0),
				     .alarms = ATTACK_SOURCES | ATTACK_QUEUE};
		u32 expected = (n & 1 ? ATTACK_HALF_OPEN : 0) | (n & 2 ? ATTACK_RATE : 0) |
			       (n & 4 ? ATTACK_SOURCES | ATTACK_QUEUE : 0);

		assert_int_equal(pressure_reasons(&p, &service, T0), expected);
		assert_int_equal(pressure_update(&p, &service, T0),
				 n ? PRESSURE_BEGAN : PRESSURE_SAME);
		assert_int_equal(p.state, n ? PRESSURE_ATTACK : PRESSURE_CALM);
		assert_int_equal(p.reasons, expected);
	}
}

/* Reasons add up for as long as an attack lasts, and the next one begins without. */
static void test_reasons_of_an_attack(void **state)
{
	struct pressure p = {.window_start = T0};
	u64 now = T0;

	(void)state;
	feed(&p, &now, 20000, 500);
	assert_int_equal(p.reasons, ATTACK_RATE);
	p.half_open = 100;
	feed(&p, &now, 1000, 500);
	p.half_open = 0;
	assert_int_equal(p.reasons, ATTACK_RATE | ATTACK_HALF_OPEN);
	feed(&p, &now, 1000, 11000);
	assert_int_equal(p.state, PRESSURE_CALM);
	assert_int_equal(p.reasons, ATTACK_RATE | ATTACK_HALF_OPEN); /* for who asks afterwards */
	p.alarm = now;
	p.alarms = ATTACK_COMPLETION;
	assert_int_equal(pressure_update(&p, &service, now), PRESSURE_BEGAN);
	assert_int_equal(p.reasons, ATTACK_COMPLETION);
	assert_int_equal(p.attacks, 2);
}

/* An alarm that is sounded each second keeps a service under attack; when it is no more, it runs
 * out, and the hold time begins. */
static void test_alarm(void **state)
{
	struct pressure p = {.window_start = T0, .alarms = ATTACK_COMPLETION};
	u64 now = T0, ended;

	(void)state;
	for (int second = 0; second < 30; second++) {
		p.alarm = now;
		feed(&p, &now, 100, 1000);
		assert_int_equal(p.state, PRESSURE_ATTACK);
	}
	assert_int_equal(p.attacks, 1);
	ended = p.alarm + PRESSURE_ALARM_NS;
	while (p.state == PRESSURE_ATTACK && now < T0 + 100 * NS_PER_SEC)
		feed(&p, &now, 100, 4);
	assert_in_range(now - ended, 9900 * NS_PER_MS, 10100 * NS_PER_MS);
}

/* No reason, or an alarm of the first second since boot. */
static void test_no_alarm(void **state)
{
	struct pressure p = {.alarms = ATTACK_QUEUE};

	(void)state;
	assert_int_equal(pressure_reasons(&p, &service, NS_PER_SEC), 0);
	p = (struct pressure){.alarm = T0};
	assert_int_equal(pressure_update(&p, &service, T0), PRESSURE_SAME);
	p = (struct pressure){.alarm = T0, .alarms = ATTACK_QUEUE}; /* a CPU that is behind */
	assert_int_equal(pressure_reasons(&p, &service, T0 - NS_PER_MS), ATTACK_QUEUE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_elapsed),
		cmocka_unit_test(test_half_open_bound_is_exact),
		cmocka_unit_test(test_rate_is_measured),
		cmocka_unit_test(test_rate_extremes),
		cmocka_unit_test(test_window_not_over),
		cmocka_unit_test(test_hysteresis_and_hold),
		cmocka_unit_test(test_hold_without_a_break),
		cmocka_unit_test(test_both_bounds_count),
		cmocka_unit_test(test_negative_half_open),
		cmocka_unit_test(test_clock_behind),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_reasons_of_an_attack),
		cmocka_unit_test(test_alarm),
		cmocka_unit_test(test_no_alarm),
	};

	return cmocka_run_group_tests_name("pressure", tests, NULL, NULL);
}
