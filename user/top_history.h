/* SPDX-License-Identifier: GPL-2.0-only */
/* The seconds that the charts of `synstile top` show, oldest first; those without a look are
 * missing. */
#ifndef SYNSTILE_USER_TOP_HISTORY_H
#define SYNSTILE_USER_TOP_HISTORY_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include <synstile/types.h>

enum series {
	SERIES_SYNS,
	SERIES_COOKIES,
	SERIES_HALF_OPEN,
	SERIES_COUNT
};

struct history_point {
	s64 t; /* ms since 1970: the end of the second */
	s64 value[SERIES_COUNT];
	bool attacked;
};

#define HISTORY_POINTS 960 /* more than the 15 minutes that can be shown */

struct top_history {
	size_t n;
	struct history_point at[HISTORY_POINTS];
};

/* Instead of what is there: an answer of GET /v1/history. False: it is none. */
bool history_read(struct top_history *h, const json_t *answer);
/* One more second. One that is not newer than the last is left out; a clock that was set back
 * begins anew. */
void history_add(struct top_history *h, const struct history_point *p);

/*
 * `n` values for the time up to `until`: the greatest of the seconds that fall into each part of
 * it, or UNKNOWN_NUMBER where nothing is known. Parts begin at multiples of their length, so that
 * what was drawn once only moves. attacked[i]: in one of its seconds a service was under attack.
 */
void history_values(const struct top_history *h, enum series series, s64 until, s64 span_ms,
		    size_t n, s64 *values, bool *attacked);

#endif
