// SPDX-License-Identifier: GPL-2.0-only
/* The adaptive SYN timeout: its two ends, what lies between, and when it does not adapt. */
#include "unit.h"
#include "syn_timeout.h"

static const struct service service = {.mode = MODE_AUTO,
				       .half_open_calm_below = 100,
				       .half_open_attack_above = 200,
				       .syn_calm_ms = 63000,
				       .syn_attack_ms = 3000};

static void test_table(void **state)
{
	static const struct {
		s32 half_open;
		u32 state, ms;
	} rows[] = {
		{-5, PRESSURE_CALM, 63000},  {0, PRESSURE_CALM, 63000},
		{100, PRESSURE_CALM, 63000}, {101, PRESSURE_CALM, 62400},
		{150, PRESSURE_CALM, 33000}, {199, PRESSURE_CALM, 3600},
		{200, PRESSURE_CALM, 3000},  {9999, PRESSURE_CALM, 3000},
		{0, PRESSURE_ATTACK, 3000},  {150, PRESSURE_ATTACK, 3000},
	};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pressure p = {.half_open = rows[i].half_open, .state = rows[i].state};

		assert_int_equal(syn_timeout_ms(&service, &p), rows[i].ms);
	}
}

static void test_modes(void **state)
{
	struct pressure p = {.half_open = 1000, .state = PRESSURE_ATTACK};
	struct service s = service;

	(void)state;
	s.mode = MODE_ALWAYS;
	assert_int_equal(syn_timeout_ms(&s, &p), 3000);
	s.mode = MODE_OBSERVE; /* nothing is hurried along */
	assert_int_equal(syn_timeout_ms(&s, &p), 63000);
	s.mode = MODE_AUTO;
	s.syn_attack_ms = 70000; /* never longer than when calm */
	assert_int_equal(syn_timeout_ms(&s, &p), 63000);
	s.syn_attack_ms = s.syn_calm_ms;
	assert_int_equal(syn_timeout_ms(&s, &p), 63000);
}

/* Never up as connections come, never out of its ends; also with the largest of bounds, and
 * with bounds that leave nothing between them, or are the wrong way round. */
static void test_monotonic(void **state)
{
	static const u32 bounds[][2] = {{0, 1}, {0, 0}, {5, 5}, {9, 3}, {64, 256}, {1, 1 << 24}};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(bounds); i++) {
		struct service s = service;
		u32 last = UINT32_MAX;

		s.half_open_calm_below = bounds[i][0];
		s.half_open_attack_above = bounds[i][1];
		s.syn_calm_ms = 86400000;
		for (s64 n = -1; n <= 2LL * bounds[i][1] + 20; n += 1 + n / 7) {
			struct pressure p = {.half_open = n};
			u32 ms = syn_timeout_ms(&s, &p);

			assert_true(ms <= last);
			assert_in_range(ms, 3000, 86400000);
			last = ms;
		}
		assert_int_equal(last, 3000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_monotonic),
	};

	return cmocka_run_group_tests_name("syn_timeout", tests, NULL, NULL);
}
