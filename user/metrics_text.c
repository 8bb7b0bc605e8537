// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>

#include "metrics_text.h"

static bool make_room(struct metrics_text *t, size_t n)
{
	size_t size = t->size ? t->size : 65536;
	char *more;

	if (t->failed)
		return false;
	while (size < t->n + n)
		size *= 2;
	if (size == t->size)
		return true;
	more = realloc(t->at, size);
	if (!more) {
		t->failed = true;
		return false;
	}
	t->at = more;
	t->size = size;
	return true;
}

static void put(struct metrics_text *t, const char *text)
{
	size_t n = strlen(text);

	if (!make_room(t, n))
		return;
	memcpy(t->at + t->n, text, n);
	t->n += n;
}

static void put_char(struct metrics_text *t, char c)
{
	if (make_room(t, 1))
		t->at[t->n++] = c;
}

/* At least `width` digits. */
static void put_number(struct metrics_text *t, u64 n, int width)
{
	char digits[24], *from = digits + sizeof(digits) - 1;

	*from = 0;
	for (; n || width > 0; n /= 10, width--)
		*--from = '0' + n % 10;
	put(t, from);
}

void metrics_family(struct metrics_text *t, const char *name, const char *type, const char *help)
{
	put(t, "# HELP ");
	put(t, name);
	put_char(t, ' ');
	put(t, help);
	put(t, "\n# TYPE ");
	put(t, name);
	put_char(t, ' ');
	put(t, type);
	put_char(t, '\n');
}

void metrics_sample(struct metrics_text *t, const char *name, const char *suffix)
{
	put(t, name);
	put(t, suffix);
	t->labels = false;
}

void metrics_label(struct metrics_text *t, const char *key, const char *value)
{
	put_char(t, t->labels ? ',' : '{');
	t->labels = true;
	put(t, key);
	put(t, "=\"");
	for (; *value; value++) {
		if (*value == '\\' || *value == '"' || *value == '\n')
			put_char(t, '\\');
		put_char(t, *value == '\n' ? 'n' : *value);
	}
	put_char(t, '"');
}

static void end_labels(struct metrics_text *t)
{
	put(t, t->labels ? "} " : " ");
}

void metrics_value(struct metrics_text *t, u64 value)
{
	end_labels(t);
	put_number(t, value, 1);
	put_char(t, '\n');
}

void metrics_value_us(struct metrics_text *t, u64 us)
{
	end_labels(t);
	put_number(t, us / 1000000, 1);
	if (us % 1000000) {
		put_char(t, '.');
		put_number(t, us % 1000000, 6);
	}
	put_char(t, '\n');
}

static void histogram_sample(struct metrics_text *t, const struct metrics_histogram *h,
			     const char *suffix)
{
	metrics_sample(t, h->name, suffix);
	metrics_label(t, h->key, h->value);
	if (h->key2)
		metrics_label(t, h->key2, h->value2);
}

void metrics_histogram(struct metrics_text *t, const struct metrics_histogram *h)
{
	u64 count = 0;
	size_t i;

	for (i = 0; i < h->buckets; i++) {
		count += h->n[i];
		histogram_sample(t, h, "_bucket");
		metrics_label(t, "le", i + 1 < h->buckets ? h->bounds[i] : "+Inf");
		metrics_value(t, count);
	}
	histogram_sample(t, h, "_sum");
	metrics_value_us(t, h->sum_us);
	histogram_sample(t, h, "_count");
	metrics_value(t, count);
}
