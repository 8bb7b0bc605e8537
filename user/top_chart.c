// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>

#include "top_chart.h"
#include "top_text.h"

#define LABEL_W    6 /* of the scale: its numbers and the line */
#define CHARTS_W   512
#define HALF_BLOCK 0x2584
#define FULL_BLOCK 0x2588
#define BASELINE   0x2500
#define BRAILLE    0x2800

/* The curve: a column of dots for each value. A cell holds nx times ny of them. */
struct plot {
	struct rect at;
	int nx, ny;
	s64 scale;
	s64 value[2 * CHARTS_W];
	bool attacked[2 * CHARTS_W];
};

s64 chart_scale(s64 n)
{
	static const int tenths[] = {10, 15, 20, 30, 50, 100};
	s64 unit = 1;
	int i = 0;

	if (n <= 10)
		return n <= 5 ? 5 : 10;
	while (unit * 10 < n)
		unit *= 10;
	while (unit / 10 * tenths[i] < n)
		i++;
	return unit / 10 * tenths[i];
}

static s64 greatest(const struct plot *p)
{
	s64 most = UNKNOWN_NUMBER;
	int i;

	for (i = 0; i < p->at.w * p->nx; i++)
		if (p->value[i] > most)
			most = p->value[i];
	return most;
}

/* How many dots, of those of one column; anything that is not 0 is seen. */
static int dots(const struct plot *p, int i)
{
	s64 all = (s64)p->at.h * p->ny, n;

	if (p->value[i] <= 0)
		return 0;
	n = (p->value[i] * all + p->scale / 2) / p->scale;
	return n ? n : 1;
}

static u32 braille(const struct plot *p, int x, int below)
{
	static const u8 bits[2][4] = {{0x40, 0x04, 0x02, 0x01}, {0x80, 0x20, 0x10, 0x08}};
	u32 mask = 0;
	int side, k;

	for (side = 0; side < 2; side++) {
		int n = dots(p, 2 * x + side) - below;

		if (!below && n < 1 && p->value[2 * x + side] == 0)
			n = 1; /* the base line */
		for (k = 0; k < 4 && k < n; k++)
			mask |= bits[side][k];
	}
	return mask ? BRAILLE | mask : ' ';
}

static u32 block(const struct plot *p, int x, int below)
{
	int n = dots(p, x) - below;

	if (n > 0)
		return n > 1 ? FULL_BLOCK : HALF_BLOCK;
	return !below && p->value[x] == 0 ? BASELINE : ' ';
}

static void draw_cell(struct canvas *c, const struct plot *p, int x, int row, enum style style)
{
	int below = (p->at.h - 1 - row) * p->ny, i;
	u32 ch = p->nx == 2 ? braille(p, x, below) : block(p, x, below);
	bool attacked = false, zero = true;

	for (i = x * p->nx; i < (x + 1) * p->nx; i++) {
		attacked |= p->attacked[i];
		zero &= p->value[i] <= 0;
	}
	canvas_put(c, p->at.y + row, p->at.x + x,
		   zero       ? STYLE_DIM
		   : attacked ? STYLE_ATTACK
			      : style,
		   ch);
}

static void draw_scale(struct canvas *c, const struct rect *r, const struct plot *p)
{
	char text[NUMBER_SIZE];
	int y;

	for (y = 0; y < p->at.h; y++)
		canvas_put(c, p->at.y + y, p->at.x - 1, STYLE_DIM, 0x2502);
	canvas_right(c, p->at.y, r->x, LABEL_W - 1, STYLE_DIM, axis_text(p->scale, text));
	if (p->at.h >= 8 && p->scale % 2 == 0)
		canvas_right(c, p->at.y + p->at.h / 2, r->x, LABEL_W - 1, STYLE_DIM,
			     axis_text(p->scale / 2, text));
	if (p->at.h > 1)
		canvas_right(c, p->at.y + p->at.h - 1, r->x, LABEL_W - 1, STYLE_DIM, "0");
}

static void span_text(char *buf, size_t size, s64 ms)
{
	if (ms < 120000)
		snprintf(buf, size, "-%llds", (long long)ms / 1000);
	else if (ms % 60000)
		snprintf(buf, size, "-%lldm%02llds", (long long)ms / 60000,
			 (long long)ms % 60000 / 1000);
	else
		snprintf(buf, size, "-%lldm", (long long)ms / 60000);
}

static void draw_time(struct canvas *c, const struct plot *p, s64 span_ms)
{
	const int y = p->at.y + p->at.h;
	char text[24];

	span_text(text, sizeof(text), span_ms);
	canvas_text(c, y, p->at.x, p->at.w, STYLE_DIM, text);
	if (p->at.w >= 24) {
		span_text(text, sizeof(text), span_ms / 2);
		canvas_text(c, y, p->at.x + p->at.w / 2 - text_width(text) / 2, 10, STYLE_DIM,
			    text);
	}
	canvas_right(c, y, p->at.x, p->at.w, STYLE_DIM, "now");
}

static void draw_title(struct canvas *c, const struct rect *r, const struct chart *chart, s64 now,
		       s64 most)
{
	char text[NUMBER_SIZE];
	int x = r->x + 1, n;

	x += canvas_text(c, r->y, x, r->w - 1, STYLE_BOLD, chart->title) + 1;
	x += canvas_text(c, r->y, x, r->x + r->w - x, chart->style, number_text(now, text));
	n = r->x + r->w - x - 1;
	if (n >= 12)
		canvas_printf(c, r->y, x + 2, n, STYLE_DIM, "peak %s", number_text(most, text));
}

void chart_draw(struct canvas *c, const struct rect *r, const struct chart *chart,
		const struct top_history *h)
{
	struct plot p = {.at = {r->y + 1, r->x + LABEL_W, r->h - 2, r->w - LABEL_W}};
	s64 now = UNKNOWN_NUMBER, most;
	size_t i;
	int x, y;

	if (r->h < 3 || r->w < LABEL_W + 6)
		return;
	if (p.at.w > CHARTS_W)
		p.at.w = CHARTS_W;
	p.nx = c->glyphs == GLYPHS_BRAILLE ? 2 : 1;
	p.ny = c->glyphs == GLYPHS_BRAILLE ? 4 : 2;
	history_values(h, chart->series, chart->until, chart->span_ms, (size_t)p.at.w * p.nx,
		       p.value, p.attacked);
	most = greatest(&p);
	p.scale = chart_scale(most);
	for (y = 0; y < p.at.h; y++)
		for (x = 0; x < p.at.w; x++)
			draw_cell(c, &p, x, y, chart->style);
	for (i = h->n; i-- > 0 && now < 0;)
		if (h->at[i].t <= chart->until) {
			now = h->at[i].value[chart->series];
			break;
		}
	draw_title(c, r, chart, now, most);
	draw_scale(c, r, &p);
	draw_time(c, &p, chart->span_ms);
}
