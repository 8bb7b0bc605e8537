// SPDX-License-Identifier: GPL-2.0-only
/* Prometheus' text format. (promtool reads whole answers: tests/net/test_metrics.py.) */
#include <stdlib.h>

#include "unit.h"
#include "metrics_text.h"

static struct metrics_text text;

static int begin(void **state)
{
	(void)state;
	text = (struct metrics_text){0};
	return 0;
}

static int end(void **state)
{
	(void)state;
	free(text.at);
	return 0;
}

static void expect(const char *wanted)
{
	assert_false(text.failed);
	assert_int_equal(text.n, strlen(wanted));
	assert_memory_equal(text.at, wanted, text.n);
	text.n = 0;
}

static void test_samples(void **state)
{
	(void)state;
	metrics_family(&text, "a_total", "counter", "Help.");
	expect("# HELP a_total Help.\n# TYPE a_total counter\n");
	metrics_sample(&text, "a_total", "");
	metrics_value(&text, 0);
	expect("a_total 0\n");
	metrics_sample(&text, "a_total", "");
	metrics_label(&text, "x", "1");
	metrics_label(&text, "y", "");
	metrics_value(&text, UINT64_MAX);
	expect("a_total{x=\"1\",y=\"\"} 18446744073709551615\n");
	metrics_sample(&text, "a_total", ""); /* labels begin anew */
	metrics_label(&text, "x", "2");
	metrics_value(&text, 10);
	expect("a_total{x=\"2\"} 10\n");
}

static void test_escapes(void **state)
{
	(void)state;
	metrics_sample(&text, "a", "");
	metrics_label(&text, "x", "a\"b\\c\nd\xc3\xa9");
	metrics_value(&text, 1);
	expect("a{x=\"a\\\"b\\\\c\\nd\xc3\xa9\"} 1\n");
}

static void test_seconds(void **state)
{
	static const struct {
		u64 us;
		const char *text;
	} rows[] = {
		{0, "s 0\n"},
		{1, "s 0.000001\n"},
		{999999, "s 0.999999\n"},
		{1000000, "s 1\n"},
		{63000000, "s 63\n"},
		{1500000, "s 1.500000\n"},
		{1795381597361889, "s 1795381597.361889\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		metrics_sample(&text, "s", "");
		metrics_value_us(&text, rows[i].us);
		expect(rows[i].text);
	}
}

/* Buckets add up, and the last one has no bound. */
static void test_histogram(void **state)
{
	static const char *const bounds[] = {"0.1", "1"};
	static const u64 n[] = {3, 0, 2};
	struct metrics_histogram h = {.name = "h",
				      .bounds = bounds,
				      .buckets = 3,
				      .key = "k",
				      .value = "v",
				      .n = n,
				      .sum_us = 2100000};

	(void)state;
	metrics_histogram(&text, &h);
	expect("h_bucket{k=\"v\",le=\"0.1\"} 3\n"
	       "h_bucket{k=\"v\",le=\"1\"} 3\n"
	       "h_bucket{k=\"v\",le=\"+Inf\"} 5\n"
	       "h_sum{k=\"v\"} 2.100000\n"
	       "h_count{k=\"v\"} 5\n");
	h.key2 = "l";
	h.value2 = "w";
	h.buckets = 1;
	metrics_histogram(&text, &h);
	expect("h_bucket{k=\"v\",l=\"w\",le=\"+Inf\"} 3\n"
	       "h_sum{k=\"v\",l=\"w\"} 2.100000\n"
	       "h_count{k=\"v\",l=\"w\"} 3\n");
}

/* More than the first room. */
static void test_long(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < 100000; i++) {
		metrics_sample(&text, "long", "");
		metrics_value(&text, 7);
	}
	assert_int_equal(text.n, 7 * i);
	for (i = 0; i < text.n; i += 7)
		assert_memory_equal(text.at + i, "long 7\n", 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_samples, begin, end),
		cmocka_unit_test_setup_teardown(test_escapes, begin, end),
		cmocka_unit_test_setup_teardown(test_seconds, begin, end),
		cmocka_unit_test_setup_teardown(test_histogram, begin, end),
		cmocka_unit_test_setup_teardown(test_long, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
