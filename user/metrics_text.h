/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Prometheus' text format, version 0.0.4: one family after the other, each with HELP and TYPE, then
 * its samples. Pure; without printf, since there may be tens of thousands of samples.
 */
#ifndef SYNSTILE_USER_METRICS_TEXT_H
#define SYNSTILE_USER_METRICS_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include <synstile/types.h>

struct metrics_text {
	char *at; /* to be freed; not terminated */
	size_t n, size;
	bool failed; /* no memory: it is not whole */
	bool labels; /* of the sample in the making */
};

/* `type`: counter, gauge or histogram. */
void metrics_family(struct metrics_text *t, const char *name, const char *type, const char *help);

/* A sample: its name, with _bucket, _sum or _count behind it (or ""); labels, any number; one of
 * the values. */
void metrics_sample(struct metrics_text *t, const char *name, const char *suffix);
/* The value may be any text. */
void metrics_label(struct metrics_text *t, const char *key, const char *value);
void metrics_value(struct metrics_text *t, u64 value);
/* In seconds. */
void metrics_value_us(struct metrics_text *t, u64 us);

/* The samples of one histogram: `n` counts of `buckets` buckets, each its own, whose upper bounds
 * are in `bounds` as text (the last one has none). With one label, or two if `key2` is not NULL. */
struct metrics_histogram {
	const char *name;
	const char *const *bounds;
	size_t buckets;
	const char *key, *value, *key2, *value2;
	const u64 *n;
	u64 sum_us;
};
void metrics_histogram(struct metrics_text *t, const struct metrics_histogram *h);

#endif
