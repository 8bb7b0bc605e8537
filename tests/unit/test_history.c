// SPDX-License-Identifier: GPL-2.0-only
/* The ring of rows: what it keeps, and who gives up when there are too many. */
#include "unit.h"
#include "history_ring.h"

#define ROWS   10
#define TRACKS 4 /* of which three can be had */
#define GRACE  3

static struct history_ring ring;

static int begin(void **state)
{
	(void)state;
	return history_ring_init(&ring, ROWS, TRACKS);
}

static int end(void **state)
{
	(void)state;
	history_ring_free(&ring);
	return 0;
}

static void put(struct history_track *t, u32 n)
{
	struct history_row row = {{n, n + 1}};

	history_ring_put(&ring, t, &row);
}

/* A second in which this owner does something; its track. */
static struct history_track *busy(u32 owner, bool attacked)
{
	return history_ring_track(&ring, owner, true, attacked, GRACE);
}

static void test_total(void **state)
{
	(void)state;
	assert_null(history_ring_at(&ring, &ring.at[0], 0));
	for (u32 i = 0; i < 25; i++) {
		history_ring_next(&ring, i * 100);
		put(&ring.at[0], i);
	}
	assert_int_equal(history_ring_begin(&ring, &ring.at[0]), 15);
	assert_null(history_ring_at(&ring, &ring.at[0], 14));
	assert_null(history_ring_at(&ring, &ring.at[0], 25));
	for (u32 i = 15; i < 25; i++) {
		assert_int_equal(history_ring_at(&ring, &ring.at[0], i)->n[0], i);
		assert_int_equal(history_ring_at(&ring, &ring.at[0], i)->n[1], i + 1);
		assert_int_equal(ring.when[i % ROWS], i * 100);
	}
}

/* It begins with its first traffic, goes on without, and what was not written is not there. */
static void test_gap(void **state)
{
	struct history_track *t;

	(void)state;
	history_ring_next(&ring, 0);
	assert_null(history_ring_track(&ring, 7, false, false, GRACE));
	history_ring_next(&ring, 1);
	t = busy(7, false);
	assert_non_null(t);
	put(t, 70);
	history_ring_next(&ring, 2); /* not looked at */
	history_ring_next(&ring, 3);
	assert_ptr_equal(history_ring_track(&ring, 7, false, false, GRACE), t);
	put(t, 73);
	assert_int_equal(history_ring_begin(&ring, t), 1);
	assert_null(history_ring_at(&ring, t, 0));
	assert_int_equal(history_ring_at(&ring, t, 1)->n[0], 70);
	assert_null(history_ring_at(&ring, t, 2));
	assert_int_equal(history_ring_at(&ring, t, 3)->n[0], 73);
	/* rows of one turn ago are not taken for those of this one */
	for (u32 i = 4; i < 4 + ROWS; i++)
		history_ring_next(&ring, i);
	for (u32 i = 4; i < 4 + ROWS; i++)
		assert_null(history_ring_at(&ring, t, i));
}

/* Three are busy: a fourth gets the place of who was quiet for longest, but not too soon. */
static void test_too_many(void **state)
{
	struct history_track *one, *two;

	(void)state;
	history_ring_next(&ring, 0);
	one = busy(1, false);
	history_ring_next(&ring, 1);
	two = busy(2, false);
	busy(3, false);
	put(two, 2);
	for (u32 i = 2; i <= GRACE; i++) {
		history_ring_next(&ring, i);
		busy(3, false);
		assert_null(busy(4, false));
	}
	history_ring_next(&ring, GRACE + 1);
	assert_ptr_equal(busy(4, false), one);
	assert_null(history_ring_find(&ring, 1));
	assert_int_equal(history_ring_begin(&ring, one), GRACE + 1);
	history_ring_next(&ring, GRACE + 2);
	assert_ptr_equal(busy(5, false), two);
	assert_null(history_ring_at(&ring, two, 1)); /* it was another's */
	assert_null(busy(6, false));
}

static void test_attacked_goes_first(void **state)
{
	struct history_track *one;

	(void)state;
	history_ring_next(&ring, 0);
	one = busy(1, false);
	busy(2, true);
	history_ring_next(&ring, 1);
	busy(3, false);
	assert_null(busy(4, false));
	assert_ptr_equal(busy(4, true), one);
	assert_non_null(busy(5, true)); /* 3's */
	assert_null(busy(6, true));     /* all of them are */
	assert_non_null(history_ring_find(&ring, 2));
}

static void test_forget(void **state)
{
	struct history_track *t;

	(void)state;
	history_ring_next(&ring, 0);
	t = busy(1, false);
	put(t, 1);
	history_ring_forget(t);
	assert_null(history_ring_find(&ring, 1));
	history_ring_next(&ring, 1);
	assert_ptr_equal(busy(1, false), t);
	put(t, 2);
	assert_null(history_ring_at(&ring, t, 0));
	assert_int_equal(history_ring_at(&ring, t, 1)->n[0], 2);
}

/* The mark of a row that is not there is no number. */
static void test_mark(void **state)
{
	(void)state;
	history_ring_next(&ring, 0);
	put(&ring.at[0], HISTORY_UNKNOWN);
	assert_int_equal(history_ring_at(&ring, &ring.at[0], 0)->n[0], HISTORY_UNKNOWN - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_total, begin, end),
		cmocka_unit_test_setup_teardown(test_gap, begin, end),
		cmocka_unit_test_setup_teardown(test_too_many, begin, end),
		cmocka_unit_test_setup_teardown(test_attacked_goes_first, begin, end),
		cmocka_unit_test_setup_teardown(test_forget, begin, end),
		cmocka_unit_test_setup_teardown(test_mark, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
