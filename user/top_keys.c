// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "top.h"

const s64 top_spans_ms[TOP_SPANS] = {60000, 300000, 900000};

void top_init(struct top *t, enum glyphs glyphs)
{
	int i;

	*t = (struct top){.glyphs = glyphs, .span = 1};
	for (i = 0; i < PANE_COUNT; i++)
		t->pane[i].sort = AS_IT_COMES;
}

static void forget_record(struct top_record *r)
{
	size_t i;

	json_decref(r->conn);
	for (i = 0; i < r->n_events; i++)
		free(r->events[i]);
	free(r->events);
	*r = (struct top_record){0};
}

void top_free(struct top *t)
{
	forget_record(&t->record);
	frame_free(t->frame);
	frame_free(t->next);
}

/* ---- what comes from the agent ---- */

static void add_to_history(struct top *t, const struct top_frame *f)
{
	const struct frame_service *s = t->scope[0] ? frame_service(f, t->scope) : NULL;
	const struct frame_rates *now = s ? &s->now : &f->totals;
	const struct history_point p = {
		.t = f->t,
		.value = {[SERIES_SYNS] = now->syns,
			  [SERIES_COOKIES] = now->cookies,
			  [SERIES_HALF_OPEN] = now->half_open},
		.attacked = s ? s->attacked : f->attack,
	};

	if (s || !t->scope[0])
		history_add(&t->history, &p);
}

void top_take_frame(struct top *t, struct top_frame *f)
{
	struct top_frame **place = t->paused && t->frame ? &t->next : &t->frame;

	add_to_history(t, f);
	frame_free(*place);
	*place = f;
	t->trouble[0] = 0;
}

void top_take_record(struct top *t, u64 flow_id, json_t *conn)
{
	struct top_record *r = &t->record;

	if (!r->open || r->flow_id != flow_id)
		return;
	r->over = !conn;
	if (!conn)
		return;
	json_decref(r->conn);
	r->conn = json_incref(conn);
}

void top_take_events(struct top *t, u64 flow_id, char **lines, size_t n)
{
	struct top_record *r = &t->record;
	size_t i;

	if (r->open && r->flow_id == flow_id) {
		char **old = r->events;
		size_t n_old = r->n_events;

		r->events = lines;
		r->n_events = n;
		lines = old;
		n = n_old;
	}
	for (i = 0; i < n; i++)
		free(lines[i]);
	free(lines);
}

/* ---- moving ---- */

static void move_to(struct top *t, s64 by, bool absolute)
{
	struct pane_view *view = &t->pane[t->focus];
	size_t n, *rows = top_rows(t, t->focus, &n);
	s64 to;

	if (rows && n) {
		top_follow_selection(t, t->focus, rows, n);
		to = absolute      ? (by < 0 ? (s64)n - 1 : by)
		     : view->moved ? (s64)view->selected + by
				   : (s64)view->first + (by > 1 ? by : 0);
		to = to < 0 ? 0 : to >= (s64)n ? (s64)n - 1 : to;
		view->moved = true;
		view->selected = to;
		view->key = top_row_key(t, t->focus, rows[to]);
	}
	free(rows);
}

static void scroll_events(struct top_record *r, s64 by)
{
	const s64 lines = r->lines > 0 ? r->lines : 1;
	const s64 most = (s64)r->n_events > lines ? (s64)r->n_events - lines : 0;
	s64 back = (s64)r->back - by;

	r->back = back < 0 ? 0 : back > most ? most : back;
}

static bool move_key(struct top *t, int key)
{
	const int lines = t->record.open ? t->record.lines : t->pane[t->focus].lines;
	const s64 page = lines > 1 ? lines - 1 : 1;
	s64 by;

	switch (key) {
	case TOP_KEY_UP:
	case 'k':
		by = -1;
		break;
	case TOP_KEY_DOWN:
	case 'j':
		by = 1;
		break;
	case TOP_KEY_PAGE_UP:
		by = -page;
		break;
	case TOP_KEY_PAGE_DOWN:
		by = page;
		break;
	case TOP_KEY_HOME:
	case TOP_KEY_END:
		if (t->record.open)
			scroll_events(&t->record, key == TOP_KEY_HOME ? -1000000 : 1000000);
		else
			move_to(t, key == TOP_KEY_HOME ? 0 : -1, true);
		return true;
	default:
		return false;
	}
	if (t->record.open)
		scroll_events(&t->record, by);
	else
		move_to(t, by, false);
	return true;
}

/* ---- the filter ---- */

static void type_filter(struct top *t, int key)
{
	size_t n = strlen(t->filter);

	switch (key) {
	case TOP_KEY_ENTER:
		t->typing = false;
		break;
	case TOP_KEY_ESCAPE:
		t->typing = false;
		t->filter[0] = 0;
		break;
	case TOP_KEY_BACKSPACE:
		if (n)
			t->filter[n - 1] = 0;
		else
			t->typing = false;
		break;
	case 'U' - '@': /* as in a shell */
		t->filter[0] = 0;
		break;
	default:
		if (key > ' ' && key < 0x7f && n + 1 < sizeof(t->filter)) {
			t->filter[n] = key;
			t->filter[n + 1] = 0;
		}
	}
}

/* ---- panes ---- */

/* The next column that is in sight; after the last, none. */
static void sort_by(struct top *t, int step)
{
	struct pane_view *view = &t->pane[t->focus];
	const int n = t->focus == PANE_CHARTS ? 0 : top_columns(t->focus);
	int i;

	for (i = 0; i <= n; i++) {
		view->sort += step;
		if (view->sort >= n)
			view->sort = AS_IT_COMES;
		else if (view->sort < AS_IT_COMES)
			view->sort = n - 1;
		if (view->sort == AS_IT_COMES || !view->columns || view->columns & 1u << view->sort)
			break;
	}
	view->reverse = false;
	if (!view->moved)
		view->first = 0;
}

static void set_scope(struct top *t, const char *name)
{
	bool same = !strcmp(t->scope, name);

	snprintf(t->scope, sizeof(t->scope), "%s", same ? "" : name);
	t->history.n = 0; /* the other's is asked for */
}

static void open_record(struct top *t, const struct frame_half_open *h)
{
	struct top_record *r = &t->record;

	forget_record(r);
	r->open = true;
	r->flow_id = h->flow_id;
	snprintf(r->title, sizeof(r->title),
		 strchr(h->dest, ':') ? "%s > [%s]:%lld" : "%s > %s:%lld", h->source, h->dest,
		 (long long)h->dest_port);
}

static void choose(struct top *t)
{
	struct pane_view *view = &t->pane[t->focus];
	size_t n, row, *rows = top_rows(t, t->focus, &n);

	if (rows && n) {
		if (!view->moved)
			move_to(t, 0, true);
		top_follow_selection(t, t->focus, rows, n);
		row = rows[view->selected];
		if (t->focus == PANE_SERVICES)
			set_scope(t, t->frame->services[row].name);
		else if (t->focus == PANE_HALF_OPEN)
			open_record(t, &t->frame->half_open[row]);
		else if (t->focus == PANE_SOURCES)
			snprintf(t->filter, sizeof(t->filter), "%s", t->frame->sources[row].prefix);
	}
	free(rows);
}

static void pause_or_go_on(struct top *t)
{
	t->paused = !t->paused;
	if (t->paused || !t->next)
		return;
	frame_free(t->frame);
	t->frame = t->next;
	t->next = NULL;
}

/* One step back: what is on top goes first. */
static void back(struct top *t)
{
	if (t->help)
		t->help = false;
	else if (t->record.open)
		forget_record(&t->record);
	else if (t->filter[0])
		t->filter[0] = 0;
	else if (t->scope[0])
		set_scope(t, t->scope);
	else
		t->alone = false;
}

static void pane_key(struct top *t, int key)
{
	switch (key) {
	case TOP_KEY_TAB:
		t->focus = (t->focus + 1) % PANE_COUNT;
		break;
	case TOP_KEY_BACK_TAB:
		t->focus = (t->focus + PANE_COUNT - 1) % PANE_COUNT;
		break;
	case '1' ... '0' + PANE_COUNT:
		t->focus = key - '1';
		break;
	case 's':
	case 'S':
		sort_by(t, key == 's' ? 1 : -1);
		break;
	case 'r':
		t->pane[t->focus].reverse = !t->pane[t->focus].reverse;
		break;
	case '/':
		t->typing = true;
		break;
	case 'z':
		t->alone = !t->alone;
		break;
	case TOP_KEY_ENTER:
		choose(t);
		break;
	default:
		move_key(t, key);
	}
}

void top_key(struct top *t, int key)
{
	if (t->typing) {
		type_filter(t, key);
		return;
	}
	switch (key) {
	case 'q':
		if (t->help || t->record.open)
			back(t);
		else
			t->quit = true;
		return;
	case 'Q':
		t->quit = true;
		return;
	case TOP_KEY_ESCAPE:
		back(t);
		return;
	case 'h':
	case '?':
		t->help = !t->help;
		return;
	case 'p':
	case ' ':
		pause_or_go_on(t);
		return;
	case '+':
	case '=':
		t->span = (t->span + 1) % TOP_SPANS;
		return;
	case '-':
		t->span = (t->span + TOP_SPANS - 1) % TOP_SPANS;
		return;
	}
	if (t->help)
		t->help = false;
	else if (t->record.open && key == TOP_KEY_ENTER)
		back(t);
	else if (t->record.open)
		move_key(t, key);
	else
		pane_key(t, key);
}
