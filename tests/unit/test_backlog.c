// SPDX-License-Identifier: GPL-2.0-only
/* Kept events: in order, the newest, and lines of their own are not pushed out by events. */
#include "unit.h"
#include "backlog.h"

static void keep(struct backlog *b, u64 time, bool line)
{
	const struct event e = {.time = time};

	backlog_keep(b, &e, 7, line ? strdup("{}\n") : NULL);
}

/* Walks back, and forth again; both see the same. */
static void check(const struct backlog *b, const u64 *times, size_t n)
{
	struct backlog_place p = backlog_end(b);
	const struct kept *k;
	size_t i = n;

	assert_null(backlog_forth(b, &p));
	while (i > 0 && (k = backlog_back(b, &p)))
		assert_int_equal(k->event.time, times[--i]);
	assert_int_equal(i, 0);
	assert_null(backlog_back(b, &p));
	for (; i < n && (k = backlog_forth(b, &p)); i++)
		assert_int_equal(k->event.time, times[i]);
	assert_null(backlog_forth(b, &p));
	assert_int_equal(i, n);
}

static void test_order(void **state)
{
	static const u64 times[] = {1, 2, 3, 4, 5, 6};
	struct backlog *b = calloc(1, sizeof(*b));

	(void)state;
	check(b, times, 0);
	for (u64 i = 1; i <= 6; i++)
		keep(b, i, i == 1 || i == 4 || i == 6);
	check(b, times, 6);
	backlog_clear(b);
	check(b, times, 0);
	for (u64 i = 1; i <= 6; i++)
		keep(b, i, i == 3);
	check(b, times, 6);
	backlog_clear(b);
	free(b);
}

/* A million events: lines from before are still there, in their place. */
static void test_lines_stay(void **state)
{
	struct backlog *b = calloc(1, sizeof(*b));
	u64 times[BACKLOG_MAX + 2] = {0};

	(void)state;
	times[0] = 5;
	times[1] = 500000;
	for (u64 i = 0; i < 1000000; i++)
		keep(b, i, i == 5 || i == 500000);
	for (u64 i = 0; i < BACKLOG_MAX; i++)
		times[2 + i] = 1000000 - BACKLOG_MAX + i;
	check(b, times, BACKLOG_MAX + 2);
	backlog_clear(b);
	free(b);
}

static void test_lines_are_bounded(void **state)
{
	struct backlog *b = calloc(1, sizeof(*b));
	u64 times[BACKLOG_LINES + 1] = {0};

	(void)state;
	keep(b, 1, false);
	for (u64 i = 2; i < 5000; i++)
		keep(b, i, true);
	times[0] = 1;
	for (u64 i = 0; i < BACKLOG_LINES; i++)
		times[1 + i] = 5000 - BACKLOG_LINES + i;
	check(b, times, BACKLOG_LINES + 1);
	backlog_clear(b);
	free(b);
}

/* Those from a number on, and how many of them are gone. */
static void check_from(const struct backlog *b, u64 number, u64 first, u64 n, u64 forgotten)
{
	struct backlog_place p = backlog_from(b, number);
	const struct kept *k = backlog_forth(b, &p);

	assert_int_equal(backlog_forgotten(b, number), forgotten);
	if (!n) {
		assert_null(k);
		return;
	}
	assert_non_null(k);
	assert_int_equal(k->number, first);
	while (--n)
		assert_non_null(backlog_forth(b, &p));
	assert_null(backlog_forth(b, &p));
}

static void test_resume(void **state)
{
	struct backlog *b = calloc(1, sizeof(*b));

	(void)state;
	check_from(b, 0, 0, 0, 0);
	check_from(b, 7, 0, 0, 0);
	for (u64 i = 0; i < 5000; i++)
		keep(b, i, i == 2 || i == 4500);
	check_from(b, 5000, 0, 0, 0);
	check_from(b, 4999, 4999, 1, 0);
	check_from(b, 4500, 4500, 500, 0);
	check_from(b, 1000, 1000, 4000, 0);
	/* the oldest event is 903: all before but a line is gone */
	check_from(b, 903, 903, BACKLOG_MAX + 1, 0);
	check_from(b, 902, 903, BACKLOG_MAX + 1, 1);
	check_from(b, 3, 903, BACKLOG_MAX + 1, 900);
	check_from(b, 2, 2, BACKLOG_MAX + 2, 900);
	check_from(b, 0, 2, BACKLOG_MAX + 2, 902);
	backlog_clear(b);
	free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_lines_stay),
		cmocka_unit_test(test_lines_are_bounded),
		cmocka_unit_test(test_resume),
	};

	return cmocka_run_group_tests_name("the backlog of events", tests, NULL, NULL);
}
