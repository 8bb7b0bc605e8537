// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>

#include "top.h"
#include "top_text.h"

/* ---- rows ---- */

static const struct table *const tables[PANE_COUNT] = {
	[PANE_SERVICES] = &table_services,
	[PANE_HALF_OPEN] = &table_half_open,
	[PANE_SOURCES] = &table_sources,
	[PANE_VERDICTS] = &table_verdicts,
};

int top_columns(enum pane pane)
{
	return tables[pane]->n_columns;
}

u64 top_row_key(const struct top *t, enum pane pane, size_t row)
{
	return tables[pane]->key(t->frame, row);
}

struct order {
	const struct top *top;
	enum pane pane;
};

static int compare_rows(const void *l, const void *r, void *arg)
{
	const struct order *o = arg;
	const struct table *table = tables[o->pane];
	const struct pane_view *view = &o->top->pane[o->pane];
	const size_t a = *(const size_t *)l, b = *(const size_t *)r;
	int d = table->compare(o->top->frame, a, b, view->sort);
	/* numbers: the greatest first */
	bool down = view->sort != AS_IT_COMES && !table->columns[view->sort].left;

	if (!d)
		return a < b ? -1 : 1;
	return down != view->reverse ? -d : d;
}

size_t *top_rows(const struct top *t, enum pane pane, size_t *n)
{
	const struct table *table = tables[pane];
	size_t i, all = t->frame && table ? table->count(t->frame) : 0;
	size_t *rows = calloc(all + 1, sizeof(*rows));
	struct order order = {t, pane};

	*n = 0;
	for (i = 0; rows && i < all; i++)
		if (!t->filter[0] || table->matches(t->frame, i, t->filter))
			rows[(*n)++] = i;
	if (*n)
		qsort_r(rows, *n, sizeof(*rows), compare_rows, &order);
	return rows;
}

void top_follow_selection(struct top *t, enum pane pane, const size_t *rows, size_t n)
{
	struct pane_view *view = &t->pane[pane];
	size_t i;

	if (!view->moved)
		return;
	for (i = 0; i < n; i++)
		if (top_row_key(t, pane, rows[i]) == view->key)
			break;
	if (i < n)
		view->selected = i;
	else if (view->selected >= n)
		view->selected = n ? n - 1 : 0;
	if (n)
		view->key = top_row_key(t, pane, rows[view->selected]);
}

/* ---- drawing ---- */

static void draw_heads(const struct top *t, struct canvas *c, const struct rect *r, enum pane pane,
		       const struct places *p)
{
	const struct pane_view *view = &t->pane[pane];
	int i;

	for (i = 0; i < tables[pane]->n_columns; i++) {
		const struct column *column = &tables[pane]->columns[i];
		bool sorted = view->sort == i;
		bool down = !column->left != view->reverse;
		char head[40];

		if (!p->w[i])
			continue;
		snprintf(head, sizeof(head), "%s%s", column->head,
			 !sorted ? ""
			 : down  ? "\u25bc"
				 : "\u25b2");
		if (text_width(head) > p->w[i]) /* the style must do */
			snprintf(head, sizeof(head), "%s", column->head);
		(column->left ? canvas_text : canvas_right)(
			c, r->y, r->x + p->x[i], p->w[i], sorted ? STYLE_SORTED : STYLE_HEAD, head);
	}
}

static void draw_row(const struct top *t, struct canvas *c, const struct rect *r, enum pane pane,
		     const struct places *p, size_t row)
{
	const struct table *table = tables[pane];
	int i;

	for (i = 0; i < table->n_columns; i++) {
		const struct spot spot = {c, r->y, r->x + p->x[i], p->w[i]};

		if (p->w[i])
			table->cell(&spot, t->frame, row, i);
	}
}

/* The selected row is in sight, and no line is wasted at the end. */
static void scroll(struct pane_view *view, size_t n, int lines)
{
	const size_t fit = lines > 0 ? lines : 1;

	view->lines = lines;
	if (view->moved && view->selected < view->first)
		view->first = view->selected;
	if (view->moved && view->selected >= view->first + fit)
		view->first = view->selected - fit + 1;
	if (view->first + fit > n)
		view->first = n > fit ? n - fit : 0;
}

static void about_pane(const struct top *t, enum pane pane, size_t shown, char *buf, size_t size)
{
	const struct top_frame *f = t->frame;
	const bool filtered = t->filter[0] && pane != PANE_VERDICTS;
	char number[NUMBER_SIZE];
	size_t n = 0;

	buf[0] = 0;
	if (pane == PANE_SERVICES)
		n = snprintf(buf, size, "%s", number_text(f->services_total, number));
	if (pane == PANE_SERVICES && f->services_total > (s64)f->n_services)
		n += snprintf(buf + n, size - n, ", busiest %zu listed", f->n_services);
	if (pane == PANE_HALF_OPEN)
		n = snprintf(buf, size, "%s", number_text(f->half_open_total, number));
	if (pane == PANE_HALF_OPEN && f->half_open_total > (s64)f->n_half_open)
		n += snprintf(buf + n, size - n, ", oldest %zu listed", f->n_half_open);
	if (pane == PANE_HALF_OPEN && f->listed_ms_ago >= 2000)
		n += snprintf(buf + n, size - n, " %s ago", age_short(f->listed_ms_ago, number));
	if (pane == PANE_SOURCES && f->sampled > 0)
		n = snprintf(buf, size, "%s SYNs sampled", number_text(f->sampled, number));
	if (filtered)
		n += snprintf(buf + n, size - n, "%s%zu match", n ? ", " : "", shown);
	if (pane == PANE_HALF_OPEN && !filtered && f->totals.cookies > 0 && f->n_half_open)
		snprintf(buf + n, size - n, " \u00b7 cookies answer %s SYN/s, no memory used",
			 number_text(f->totals.cookies, number));
}

static void draw_rows(struct top *t, struct canvas *c, const struct rect *r, enum pane pane,
		      const size_t *rows, size_t n)
{
	struct pane_view *view = &t->pane[pane];
	struct places p;
	int i;

	table_fit(tables[pane]->columns, tables[pane]->n_columns, r->w - 1, &p);
	view->columns = 0;
	for (i = 0; i < tables[pane]->n_columns; i++)
		view->columns |= (u32)(p.w[i] > 0) << i;
	scroll(view, n, r->h - 1);
	draw_heads(t, c, &(struct rect){r->y, r->x + 1, 1, r->w - 1}, pane, &p);
	for (i = 0; i < r->h - 1 && view->first + i < n; i++) {
		const struct rect line = {r->y + 1 + i, r->x + 1, 1, r->w - 1};

		draw_row(t, c, &line, pane, &p, rows[view->first + i]);
		if (view->moved && t->focus == pane && view->first + i == view->selected) {
			canvas_put(c, line.y, r->x, STYLE_SELECTED, '>');
			canvas_restyle(c, &(struct rect){line.y, r->x, 1, r->w}, STYLE_SELECTED);
		}
	}
}

/* Rows above or below what is in sight. */
static void draw_more(const struct top *t, struct canvas *c, const struct rect *r, enum pane pane,
		      size_t n, int from)
{
	const struct pane_view *view = &t->pane[pane];
	size_t end = view->first + (view->lines > 0 ? view->lines : 0);
	char text[48];
	int w;

	if (n <= (size_t)(view->lines > 0 ? view->lines : 0))
		return;
	snprintf(text, sizeof(text), " %zu-%zu of %zu ", view->first + 1, end > n ? n : end, n);
	w = text_width(text);
	if (r->x + r->w - w - 1 >= from)
		canvas_right(c, r->y, r->x, r->w - 1, STYLE_DIM, text);
}

int top_draw_rule(const struct top *t, struct canvas *c, const struct rect *r, enum pane pane,
		  const char *about)
{
	static const char *const titles[PANE_COUNT] = {[PANE_SERVICES] = "Services",
						       [PANE_CHARTS] = "History",
						       [PANE_HALF_OPEN] = "Half-open",
						       [PANE_SOURCES] = "Top sources",
						       [PANE_VERDICTS] = "Verdicts"};
	const bool focus = t->focus == pane && !t->printed;
	int x = r->x;

	canvas_fill(c, &(struct rect){r->y, r->x, 1, r->w}, STYLE_RULE, 0x2500);
	if (t->printed)
		x += canvas_printf(c, r->y, x, r->w, STYLE_TITLE, "%s ", titles[pane]);
	else
		x += canvas_printf(c, r->y, x, r->w, focus ? STYLE_FOCUS : STYLE_TITLE, " %d %s ",
				   pane + 1, titles[pane]);
	if (about[0] && r->x + r->w - x > 6)
		x += canvas_printf(c, r->y, x, r->x + r->w - x, STYLE_DIM, " %s ", about);
	return x;
}

void top_draw_pane(struct top *t, struct canvas *c, const struct rect *r, enum pane pane)
{
	const struct rect body = {r->y + 1, r->x, r->h - 1, r->w};
	size_t n, *rows = top_rows(t, pane, &n);
	char about[160];
	int x;

	about_pane(t, pane, n, about, sizeof(about));
	x = top_draw_rule(t, c, r, pane, about);
	top_follow_selection(t, pane, rows, n);
	if (rows && n) {
		draw_rows(t, c, &body, pane, rows, n);
		draw_more(t, c, r, pane, n, x);
	} else if (t->filter[0] && tables[pane]->count(t->frame)) {
		say(c, &body, 0, STYLE_DIM, "nothing here matches the filter");
	} else {
		tables[pane]->empty(c, &body, t->frame);
	}
	free(rows);
}
