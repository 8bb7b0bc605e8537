// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>

#include "top.h"
#include "top_chart.h"
#include "top_text.h"

#define HEADER_H  4
#define NARROW    76 /* columns; with fewer there is one pane at the bottom instead of three */
#define LOW       15 /* lines of the body; with fewer, charts are among those at the bottom */
#define ROWS_MOST 20 /* of a list that is printed once */

/* ---- the header ---- */

/* Who and where; the time that all below is of. */
static void draw_brand(const struct top *t, struct canvas *c)
{
	const struct top_frame *f = t->frame;
	char clock[AGE_SIZE];
	int x = 1, end = c->w - 10;

	canvas_fill(c, &(struct rect){0, 0, 1, c->w}, STYLE_BRAND, ' ');
	canvas_right(c, 0, c->w - 9, 8, STYLE_BRAND, clock_text(f->t, clock));
	x += canvas_printf(c, 0, x, end - x, STYLE_BRAND, "synstile %s", f->version);
	if (f->hostname[0])
		x += canvas_printf(c, 0, x, end - x, STYLE_BRAND, " \u00b7 %s", f->hostname);
	if (strcmp(f->instance, "host"))
		x += canvas_printf(c, 0, x, end - x, STYLE_BRAND, " \u00b7 %s", f->instance);
	if (f->cookies[0])
		x += canvas_printf(c, 0, x, end - x, STYLE_BRAND, " \u00b7 %s cookies", f->cookies);
	if (f->mode[0])
		x += canvas_printf(c, 0, x, end - x, STYLE_BRAND, " \u00b7 mode %s", f->mode);
	if (f->interfaces[0])
		canvas_printf(c, 0, x, end - x, STYLE_BRAND, " \u00b7 %s", f->interfaces);
}

static void draw_spoofed(const struct top_frame *f, struct canvas *c, int from)
{
	static const struct {
		const char *text;
		enum style style;
	} words[] = {
		[SPOOFED_SAID_YES] = {" SPOOFED sources ", STYLE_WARN_BLOCK},
		[SPOOFED_SAID_NO] = {" real sources ", STYLE_WARN_BLOCK},
		[SPOOFED_UNSAID] = {"spoofed or not: unclear", STYLE_DIM},
	};
	const int n = text_width(words[f->spoofed].text);

	if (from + n + 1 < c->w)
		canvas_right(c, 1, c->w - n - 1, n, words[f->spoofed].style,
			     words[f->spoofed].text);
}

/* State in words and colour. */
static void draw_state_line(const struct top *t, struct canvas *c)
{
	const struct top_frame *f = t->frame;
	char lasts[AGE_SIZE];
	int x = 1;

	if (t->trouble[0]) {
		x += canvas_text(c, 1, x, c->w - x, STYLE_WARN_BLOCK, " UNKNOWN ") + 1;
		canvas_text(c, 1, x, c->w - x, STYLE_WARN,
			    "whether this host is protected is not known");
		return;
	}
	if (!f->attack) {
		x += canvas_text(c, 1, x, c->w - x, STYLE_CALM_BLOCK, " CALM ") + 1;
		if (f->for_ms < 0 && f->uptime_ms >= 0)
			x += canvas_printf(c, 1, x, c->w - x, STYLE_CALM,
					   "since the agent began, %s  ",
					   age_short(f->uptime_ms, lasts));
		else if (f->for_ms >= 0)
			x += canvas_printf(c, 1, x, c->w - x, STYLE_CALM, "for %s  ",
					   age_short(f->for_ms, lasts));
		canvas_text(c, 1, x, c->w - x, STYLE_PLAIN, "no service is under attack");
		return;
	}
	x += canvas_text(c, 1, x, c->w - x, STYLE_ATTACK_BLOCK, " ATTACK ") + 1;
	x += canvas_printf(c, 1, x, c->w - x, STYLE_ATTACK, "for %s on ",
			   age_short(f->for_ms, lasts));
	x += canvas_text(c, 1, x, c->w - x - 20 > 8 ? c->w - x - 20 : 8, STYLE_BOLD, f->attacked);
	draw_spoofed(f, c, x);
}

/* Services that synstile may not protect, though the policy says so. False: there is none. */
static bool draw_observed(const struct top_frame *f, struct canvas *c, int x, int w)
{
	const struct frame_service *first = NULL;
	size_t i, n = 0;

	for (i = f->n_services; i-- > 0;)
		if (f->services[i].observed_because[0]) {
			first = &f->services[i];
			n++;
		}
	if (n == 1)
		canvas_printf(c, 2, x, w, STYLE_WARN, "service %s is only observed: %s",
			      first->name, first->observed_because);
	else if (n)
		canvas_printf(c, 2, x, w, STYLE_WARN, "%zu services are only observed: %s", n,
			      first->observed_because);
	return n;
}

static void draw_why_line(const struct top *t, struct canvas *c)
{
	const struct top_frame *f = t->frame;
	char number[NUMBER_SIZE];
	int x = 1, end = c->w - 1;

	if (t->trouble[0]) {
		canvas_printf(c, 2, x, end - x, STYLE_WARN,
			      "no connection to the agent: %s, trying again", t->trouble);
		return;
	}
	if (f->lost > 0) {
		end -= 24;
		canvas_printf(c, 2, end, 24, STYLE_WARN, "%5s events were lost",
			      number_text(f->lost, number));
	}
	if (!f->ready)
		canvas_text(c, 2, x, end - x, STYLE_WARN,
			    "not ready: synstile only watches; `synstile doctor` says why");
	else if (f->attack)
		canvas_printf(c, 2, x, end - x, STYLE_PLAIN, "%s%s", f->why,
			      f->why[0] ? "" : "the reason is not known");
	else if (!draw_observed(f, c, x, end - x) && f->policy_generation > 0)
		canvas_printf(c, 2, x, end - x, STYLE_DIM, "policy %s, generation %lld",
			      f->policy_file[0] ? f->policy_file : "built in",
			      (long long)f->policy_generation);
}

/* As many of the sums as fit, each in a place of its own. */
static void draw_sums(const struct top *t, struct canvas *c)
{
	const struct top_frame *f = t->frame;
	const struct {
		const char *label;
		s64 n;
		enum style style;
	} sums[] = {
		{"SYN/s", f->totals.syns, STYLE_SYN},
		{"cookie/s", f->totals.cookies, STYLE_COOKIE},
		{"valid/s", f->totals.validated, STYLE_CALM},
		{"drop/s", f->totals.dropped, STYLE_WARN},
		{"half-open", f->totals.half_open, STYLE_HALF_OPEN},
		{"kernel", f->totals.kernel, STYLE_HALF_OPEN},
		{"established", f->open, STYLE_PLAIN},
		{"followed", f->flows, STYLE_PLAIN},
		{"of", f->max_flows, STYLE_DIM},
	};
	const int gap = c->w >= 120 ? 3 : 1;
	char number[NUMBER_SIZE];
	size_t i;
	int x = 1;

	for (i = 0; i < sizeof(sums) / sizeof(*sums); i++) {
		if (x + text_width(sums[i].label) + 6 > c->w)
			return;
		x += canvas_text(c, 3, x, 20, STYLE_DIM, sums[i].label) + 1;
		x += canvas_text(c, 3, x, 5, sums[i].n > 0 ? sums[i].style : STYLE_DIM,
				 number_text(sums[i].n, number));
		x += 5 - text_width(number) + gap;
	}
}

/* ---- the charts ---- */

static void draw_charts(const struct top *t, struct canvas *c, const struct rect *r)
{
	static const struct {
		const char *title;
		enum style style;
	} charts[SERIES_COUNT] = {
		[SERIES_SYNS] = {"SYN/s", STYLE_SYN},
		[SERIES_COOKIES] = {"cookies/s", STYLE_COOKIE},
		[SERIES_HALF_OPEN] = {"half-open", STYLE_HALF_OPEN},
	};
	const s64 span = top_spans_ms[t->span];
	bool below = t->alone && r->h >= 16;
	char about[160];
	int i;

	snprintf(about, sizeof(about), "%lld min%s%s", (long long)span / 60000,
		 t->scope[0] ? " \u00b7 service " : "", t->scope);
	top_draw_rule(t, c, r, PANE_CHARTS, about);
	for (i = 0; i < SERIES_COUNT; i++) {
		const struct chart chart = {charts[i].title, i, charts[i].style, t->frame->t, span};
		const int h = (r->h - 1) / (below ? SERIES_COUNT : 1);
		const int w = (r->w + 1) / SERIES_COUNT;
		const struct rect at =
			below ? (struct rect){r->y + 1 + i * h, r->x, h, r->w}
			      : (struct rect){r->y + 1, r->x + i * w, h,
					      i < SERIES_COUNT - 1 ? w - 1 : r->w - i * w};

		chart_draw(c, &at, &chart, &t->history);
	}
}

/* ---- the last line ---- */

static void draw_keys(struct canvas *c, int y, bool record, int end)
{
	static const char *const main_keys[][2] = {
		{"q", "quit"},    {"?", "help"},        {"Tab", "pane"}, {"s", "sort"},
		{"/", "filter"},  {"Enter", "look at"}, {"p", "pause"},  {"+", "span"},
		{"r", "reverse"}, {"z", "pane alone"},
	};
	static const char *const record_keys[][2] = {
		{"Esc", "back"}, {"?", "help"}, {"\u2191\u2193", "scroll"}, {"p", "pause"}};
	const size_t n = record ? sizeof(record_keys) / sizeof(*record_keys)
				: sizeof(main_keys) / sizeof(*main_keys);
	size_t i;
	int x = 1;

	for (i = 0; i < n; i++) {
		const char *const *key = record ? record_keys[i] : main_keys[i];

		if (x + text_width(key[0]) + text_width(key[1]) + 1 > end)
			return;
		x += canvas_text(c, y, x, 12, STYLE_KEY, key[0]) + 1;
		x += canvas_text(c, y, x, 12, STYLE_DIM, key[1]) + 2;
	}
}

static void draw_footer(const struct top *t, struct canvas *c)
{
	const int y = c->h - 1;
	int end = c->w - 1;

	if (t->paused) {
		end -= 8;
		canvas_text(c, y, end, 8, STYLE_WARN_BLOCK, " PAUSED ");
		end--;
	}
	if (t->typing) {
		canvas_printf(c, y, 1, end - 1, STYLE_KEY,
			      "filter: %s_   (Enter keeps it, Esc clears it)", t->filter);
		return;
	}
	if (t->filter[0]) {
		int n = text_width(t->filter) + 10;

		n = n < end / 2 ? n : end / 2;
		end -= n;
		canvas_printf(c, y, end, n, STYLE_WARN_BLOCK, " filter: %s ", t->filter);
		end--;
	}
	draw_keys(c, y, t->record.open, end);
}

/* ---- the whole ---- */

static int at_least(int n, int least)
{
	return n > least ? n : least;
}

static int at_most(int n, int most)
{
	return n < most ? n : most;
}

static void draw_any(struct top *t, struct canvas *c, const struct rect *r, enum pane pane)
{
	if (pane == PANE_CHARTS)
		draw_charts(t, c, r);
	else
		top_draw_pane(t, c, r, pane);
}

static int sources_lines(const struct top_frame *f)
{
	return at_most(at_least(f->n_sources, 2), 10) + 2;
}

/* Half-open connections; beside them where SYNs come from and what became of packets. */
static void draw_bottom(struct top *t, struct canvas *c, const struct rect *r)
{
	const int right = at_most(at_least(r->w * 36 / 100, 29), 84);
	/* what moves with the number of rows would be restless */
	const int sources = t->printed ? sources_lines(t->frame) : at_most((r->h + 1) / 2, 12);

	if (r->w < NARROW) {
		draw_any(t, c, r, t->focus > PANE_HALF_OPEN ? t->focus : PANE_HALF_OPEN);
		return;
	}
	draw_any(t, c, &(struct rect){r->y, r->x, r->h, r->w - right - 1}, PANE_HALF_OPEN);
	draw_any(t, c, &(struct rect){r->y, r->x + r->w - right, sources, right}, PANE_SOURCES);
	draw_any(t, c, &(struct rect){r->y + sources, r->x + r->w - right, r->h - sources, right},
		 PANE_VERDICTS);
}

/* How a body of `h` lines is divided; what is printed once takes what it needs. */
static void divide(const struct top *t, int h, int *services, int *charts)
{
	const int rows = at_least(t->frame->n_services, 1) + 2;

	if (t->printed) {
		*services = at_most(rows, ROWS_MOST + 2);
		*charts = 10;
	} else {
		*services = at_most(rows, at_least(h / 3, 4));
		*charts = h < LOW ? 0 : at_most(at_least(h * 7 / 20, 5), 14);
	}
}

static void draw_panes(struct top *t, struct canvas *c, const struct rect *r)
{
	struct rect at = *r;
	int services, charts;

	if (t->alone) {
		draw_any(t, c, r, t->focus);
		return;
	}
	divide(t, r->h, &services, &charts);
	at.h = services;
	draw_any(t, c, &at, PANE_SERVICES);
	at.y += services;
	at.h = charts;
	if (charts)
		draw_any(t, c, &at, PANE_CHARTS);
	at.y += charts;
	at.h = r->h - services - charts;
	if (!charts && t->focus == PANE_CHARTS)
		draw_any(t, c, &at, PANE_CHARTS);
	else
		draw_bottom(t, c, &at);
}

int top_natural_height(const struct top *t, int w)
{
	const struct top_frame *f = t->frame;
	const int left = at_most(at_least(f->n_half_open, 2), ROWS_MOST) + 2;
	const int right = sources_lines(f) + at_most(at_least(f->n_verdicts, 1), 12) + 2;
	int services, charts;

	divide(t, 0, &services, &charts);
	return HEADER_H + services + charts + (w < NARROW ? left : at_least(left, right));
}

static void too_small(struct canvas *c)
{
	canvas_printf(c, 0, 0, c->w, STYLE_WARN, "too small: %dx%d", c->w, c->h);
	canvas_printf(c, 1, 0, c->w, STYLE_PLAIN, "synstile top needs %dx%d", TOP_W, TOP_H);
	canvas_text(c, 2, 0, c->w, STYLE_DIM, "q quits");
}

void top_draw(struct top *t, struct canvas *c)
{
	const struct rect body = {HEADER_H, 0, c->h - HEADER_H - !t->printed, c->w};

	canvas_clear(c);
	if (c->w < TOP_W || c->h < TOP_H) {
		too_small(c);
		return;
	}
	draw_brand(t, c);
	draw_sums(t, c);
	if (t->record.open)
		top_draw_record(t, c, &body);
	else
		draw_panes(t, c, &body);
	if (t->trouble[0]) /* what is shown was so; what is so now nobody knows */
		canvas_restyle(c, &(struct rect){3, 0, c->h - 4, c->w}, STYLE_STALE);
	draw_state_line(t, c);
	draw_why_line(t, c);
	if (t->help)
		top_draw_help(c, &body);
	if (!t->printed)
		draw_footer(t, c);
}
