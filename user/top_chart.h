/* SPDX-License-Identifier: GPL-2.0-only */
/* A chart of `synstile top`: a title, the curve with its scale, and a time axis. */
#ifndef SYNSTILE_USER_TOP_CHART_H
#define SYNSTILE_USER_TOP_CHART_H

#include "top_canvas.h"
#include "top_history.h"

struct chart {
	const char *title;
	enum series series;
	enum style style;
	s64 until, span_ms;
};

/* Needs 3 lines and 12 columns; draws nothing in less. */
void chart_draw(struct canvas *c, const struct rect *r, const struct chart *chart,
		const struct top_history *h);
/* What the top of a scale says that has room for `n`: 1, 1.5, 2, 3 or 5 with zeros, at least 5. */
s64 chart_scale(s64 n);

#endif
