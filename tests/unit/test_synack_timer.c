// SPDX-License-Identifier: GPL-2.0-only
/* The kernel's timer of request sockets, as user space computes it. */
#include "synack_timer.h"
#include "unit.h"

static void waits(void **state)
{
	static const struct {
		u32 retries;
		u64 s;
	} rows[] = {{0, 1},      {1, 3},   {2, 7},   {3, 15},  {4, 31},
		    {5, 63},     {6, 127}, {7, 247}, {8, 367}, {15, 127 + 9 * 120},
		    {255, 30007}};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_int_equal(synack_wait_ms(rows[i].retries), rows[i].s * 1000);
}

static void retries(void **state)
{
	static const struct {
		u64 ms;
		u32 retries;
	} rows[] = {{0, 0},      {1, 0},      {999, 0},    {1000, 0},      {2999, 0},
		    {3000, 1},   {6999, 1},   {7000, 2},   {14999, 2},     {15000, 3},
		    {30999, 3},  {31000, 4},  {62999, 4},  {63000, 5},     {126999, 5},
		    {127000, 6}, {246999, 6}, {247000, 7}, {86400000, 255}};
	size_t i;
	u32 n;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_int_equal(synack_retries_within(rows[i].ms), rows[i].retries);
	/* the nearest not above, and the other way round */
	for (n = 0; n < 256; n++)
		assert_int_equal(synack_retries_within(synack_wait_ms(n)), n);
	for (n = 1; n < 256; n++)
		assert_int_equal(synack_retries_within(synack_wait_ms(n) - 1), n - 1);
	/* the nearest not below */
	for (n = 0; n < 256; n++)
		assert_int_equal(synack_retries_reaching(synack_wait_ms(n)), n);
	for (n = 1; n < 256; n++)
		assert_int_equal(synack_retries_reaching(synack_wait_ms(n - 1) + 1), n);
	assert_int_equal(synack_retries_reaching(0), 0);
	assert_int_equal(synack_retries_reaching(-1), 255);
}

static void ages(void **state)
{
	(void)state;
	assert_int_equal(synack_age_ms(0, 1000), 0);
	assert_int_equal(synack_age_ms(0, 900), 100);
	assert_int_equal(synack_age_ms(0, 0), 1000);
	assert_int_equal(synack_age_ms(1, 2000), 1000);
	assert_int_equal(synack_age_ms(1, 1), 2999);
	assert_int_equal(synack_age_ms(5, 32000), 31000);
	assert_int_equal(synack_age_ms(7, 120000), 127000);
	/* a timer that is later than any wait: another kernel's, or another unit */
	assert_int_equal(synack_age_ms(0, 5000), 0);
	assert_int_equal(synack_age_ms(0, 0xffffffff), 0);
	/* as many as the message can say */
	assert_int_equal(synack_age_ms(255, 0), 30007000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waits),
		cmocka_unit_test(retries),
		cmocka_unit_test(ages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
