// SPDX-License-Identifier: GPL-2.0-only
/* What the live view finds out: the oldest of many, and who sends most SYNs. */
#include <arpa/inet.h>

#include "unit.h"
#include "clock.h"
#include "half_open_oldest.h"
#include "syn_sources.h"

/* Half-open connections of all ages up to 60 s, `all` of them, until the bound stands. */
static u64 settle(u32 all, u64 now)
{
	static u64 ages[HALF_OPEN_LISTED];
	const u64 most = 60 * NS_PER_SEC;
	u32 found = 0, listed = 0, i, turn;

	for (turn = 0; turn < 12; turn++) {
		found = listed = 0;
		for (i = 0; i < all; i++) {
			/* in the order of hashes: none */
			u64 age = (u64)(i * 2654435761U) * (most >> 20) >> 12;

			if (age < now)
				continue;
			if (listed < HALF_OPEN_LISTED)
				ages[listed++] = age;
			found++;
		}
		now = oldest_least_age(ages, listed, found, now);
	}
	return found;
}

static void test_oldest(void **state)
{
	(void)state;
	assert_int_equal(settle(10, 0), 10);
	assert_int_equal(settle(HALF_OPEN_LISTED, 0), HALF_OPEN_LISTED);
	assert_in_range(settle(50000, 0), HALF_OPEN_LISTED / 4, HALF_OPEN_LISTED);
	assert_in_range(settle(1000000, 0), HALF_OPEN_LISTED / 4, HALF_OPEN_LISTED);
	/* the flood is over: the few that are left are all listed again */
	assert_int_equal(settle(300, 59 * NS_PER_SEC), 300);
}

static struct sample_list list;

static void from(u32 v4, float syns)
{
	struct addr a = {.w[2] = htonl(0xffff), .w[3] = htonl(v4)};

	sample_list_add(&list, &a, syns);
}

static void check(const struct source_top *top, u32 i, const char *prefix, double share)
{
	const struct top_prefix *p = &top->found.top[i];
	char text[PREFIX_TEXT_SIZE];

	assert_string_equal(top_prefix_text(p, text), prefix);
	assert_true(p->share > share - 0.001 && p->share < share + 0.001);
}

/* Samples that stand for much weigh more. */
static void test_weights(void **state)
{
	struct source_top top;
	size_t i;

	(void)state;
	for (i = 0; i < 1000; i++)
		from(0xc6130700 + i % 200, 900); /* 900,000 */
	for (i = 0; i < 1000; i++)
		from(0xc6124000 + i % 7, 1); /* 1,000 clients */
	for (i = 0; i < 999; i++)
		from(0xc6130000 + (i << 8), 100); /* 99,900 from everywhere */
	source_top_of(&list, 10 * NS_PER_SEC, &top);
	assert_int_equal(top.found.samples, 2999);
	assert_int_equal(top.over_ms, 10000);
	assert_in_range(top.syn_rate, 100089, 100091);
	assert_int_equal(top.found.n, 1);
	check(&top, 0, "198.19.7.0/24", 0.899);
	sample_list_free(&list);
}

/* The most first; what may be chance is none. */
static void test_order(void **state)
{
	struct source_top top;
	size_t i;

	(void)state;
	source_top_of(&list, 0, &top);
	assert_int_equal(top.found.n, 0);
	assert_int_equal(top.syn_rate, 0);
	for (i = 0; i < 50; i++)
		from(0xc6120100 + i, 1);
	for (i = 0; i < 100; i++)
		from(0xc6120200 + i, 1);
	for (i = 0; i < 43; i++)
		from(0xc6120300 + i, 1);
	for (i = 0; i < TOP_LEAST - 1; i++)
		from(0xc6120400 + i, 1);
	source_top_of(&list, NS_PER_SEC, &top);
	assert_int_equal(top.syn_rate, 200);
	assert_int_equal(top.found.n, 3);
	check(&top, 0, "198.18.2.0/24", 0.5);
	check(&top, 1, "198.18.1.0/24", 0.25);
	check(&top, 2, "198.18.3.0/24", 0.215);
	sample_list_free(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_oldest),
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_order),
	};

	return cmocka_run_group_tests_name("the live view", tests, NULL, NULL);
}
