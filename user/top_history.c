// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "top_history.h"
#include "top_text.h"

#define SECOND_MS  1000
#define VALUE_MOST 1000000000000000LL /* charts calculate with what is there */
#define LATE_MS    700 /* how much later than a second after the one before a look may come */

/* ---- what comes ---- */

void history_add(struct top_history *h, const struct history_point *p)
{
	int i;

	if (h->n && p->t < h->at[h->n - 1].t - 60 * SECOND_MS)
		h->n = 0;
	if (p->t < 0 || (h->n && p->t <= h->at[h->n - 1].t + SECOND_MS / 4))
		return;
	if (h->n == HISTORY_POINTS) {
		memmove(h->at, h->at + 1, (HISTORY_POINTS - 1) * sizeof(*h->at));
		h->n--;
	}
	h->at[h->n] = *p;
	for (i = 0; i < SERIES_COUNT; i++)
		if (p->value[i] > VALUE_MOST)
			h->at[h->n].value[i] = VALUE_MOST;
	h->n++;
}

static size_t column_of(const json_t *columns, const char *name)
{
	const json_t *j;
	size_t i;

	json_array_foreach (columns, i, j)
		if (json_is_string(j) && !strcmp(json_string_value(j), name))
			return i;
	return SIZE_MAX;
}

static s64 value_at(const json_t *row, size_t column)
{
	const json_t *n = json_array_get(row, column);

	return json_is_integer(n) ? json_integer_value(n) : UNKNOWN_NUMBER;
}

bool history_read(struct top_history *h, const json_t *answer)
{
	static const char *const names[SERIES_COUNT] = {"syns", "cookies", "half_open"};
	const json_t *columns = json_object_get(answer, "columns");
	const json_t *rows = json_object_get(answer, "rows"), *row;
	size_t i, t = column_of(columns, "t"), attacked = column_of(columns, "attacked");
	size_t of[SERIES_COUNT];

	if (!json_is_array(rows) || t == SIZE_MAX)
		return false;
	for (i = 0; i < SERIES_COUNT; i++)
		of[i] = column_of(columns, names[i]);
	h->n = 0;
	json_array_foreach (rows, i, row) {
		struct history_point p = {.t = value_at(row, t),
					  .attacked = value_at(row, attacked) > 0};
		size_t k;

		for (k = 0; k < SERIES_COUNT; k++)
			p.value[k] = value_at(row, of[k]);
		history_add(h, &p);
	}
	return true;
}

/* ---- what is shown ---- */

static void merge(s64 *value, bool *attacked, const struct history_point *p, enum series series)
{
	if (p->value[series] > *value)
		*value = p->value[series];
	*attacked |= p->attacked;
}

void history_values(const struct top_history *h, enum series series, s64 until, s64 span_ms,
		    size_t n, s64 *values, bool *attacked)
{
	const s64 part = n && span_ms > (s64)n ? span_ms / (s64)n : 1;
	const s64 first = until / part - (s64)n + 1;
	size_t i, at;

	for (i = 0; i < n; i++) {
		values[i] = UNKNOWN_NUMBER;
		attacked[i] = false;
	}
	for (at = 0; at < h->n && h->at[at].t <= until; at++) {
		const struct history_point *p = &h->at[at];
		bool last = at + 1 == h->n || h->at[at + 1].t > until;
		/* a second has the parts whose middle is in it; the last has all up to its end */
		s64 begin = at && h->at[at - 1].t > p->t - SECOND_MS - LATE_MS ? h->at[at - 1].t
									       : p->t - SECOND_MS;
		s64 from = (begin + part / 2) / part, to = (last ? p->t : p->t - part / 2) / part;

		if (part >= SECOND_MS)
			from = to = p->t / part;
		for (from = from < first ? first : from; from <= to; from++)
			merge(&values[from - first], &attacked[from - first], p, series);
	}
}
