// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>

#include "top_table.h"
#include "top_text.h"

enum {
	OPEN_SOURCE,
	OPEN_SERVICE,
	OPEN_AGE,
	OPEN_LEFT,
	OPEN_SYNS,
	OPEN_SYN_ACKS,
	OPEN_DEST,
	OPEN_BY,
	OPEN_COLUMNS
};

static const struct column half_open_columns[OPEN_COLUMNS] = {
	[OPEN_SOURCE] = {"SOURCE", 21, 47, 0, true},
	[OPEN_SERVICE] = {"SERVICE", 7, 16, 0, true},
	[OPEN_AGE] = {"AGE", 12, 32, 0},
	[OPEN_LEFT] = {"LEFT", 6, 6, 1},
	[OPEN_SYNS] = {"SYN", 3, 5, 0},
	[OPEN_SYN_ACKS] = {"SYN-ACK", 7, 7, 2},
	[OPEN_DEST] = {"TO", 21, 47, 3, true},
	[OPEN_BY] = {"OPENED BY", 9, 9, 4, true},
};

static size_t count_half_open(const struct top_frame *f)
{
	return f->n_half_open;
}

static bool half_open_matches(const struct top_frame *f, size_t i, const char *filter)
{
	const struct frame_half_open *h = &f->half_open[i];

	if (strchr(filter, '/'))
		return in_prefix(h->src, filter);
	return contains(h->source, filter) || contains(h->service, filter);
}

static u64 half_open_key(const struct top_frame *f, size_t i)
{
	return f->half_open[i].flow_id;
}

static int compare_half_open(const struct top_frame *f, size_t l, size_t r, int column)
{
	const struct frame_half_open *a = &f->half_open[l], *b = &f->half_open[r];

	switch (column) {
	case OPEN_SOURCE:
		return strcmp(a->source, b->source);
	case OPEN_SERVICE:
		return strcmp(a->service, b->service);
	case OPEN_AGE:
		return compare_numbers(a->age_ms, b->age_ms);
	case OPEN_LEFT:
		return compare_numbers(a->left_ms, b->left_ms);
	case OPEN_SYNS:
		return compare_numbers(a->syns, b->syns);
	case OPEN_SYN_ACKS:
		return compare_numbers(a->syn_acks, b->syn_acks);
	case OPEN_DEST:
		return strcmp(a->dest, b->dest);
	case OPEN_BY:
		return a->by_host - b->by_host;
	default:
		return 0;
	}
}

/* How much of its SYN timeout is over. */
static void draw_age_bar(const struct spot *s, const struct frame_half_open *h)
{
	const s64 left = h->left_ms > 0 ? h->left_ms : 0, age = h->age_ms > 0 ? h->age_ms : 0;
	const int bar = s->w - 7;
	enum style style = age > 3 * left ? STYLE_WARN : STYLE_HALF_OPEN;

	if (bar > 0)
		canvas_bar(s->c, s->y, s->x, bar, style, age, age + left);
	draw_age(s, STYLE_PLAIN, h->age_ms);
}

static void draw_dest(const struct spot *s, const struct frame_half_open *h)
{
	canvas_printf(s->c, s->y, s->x, s->w, STYLE_PLAIN,
		      strchr(h->dest, ':') ? "[%s]:%lld" : "%s:%lld", h->dest,
		      (long long)h->dest_port);
}

static void half_open_cell(const struct spot *s, const struct top_frame *f, size_t i, int column)
{
	const struct frame_half_open *h = &f->half_open[i];

	switch (column) {
	case OPEN_SOURCE:
		draw_word(s, STYLE_PLAIN, h->source);
		break;
	case OPEN_SERVICE:
		draw_word(s, STYLE_PLAIN, h->service[0] ? h->service : "-");
		break;
	case OPEN_AGE:
		draw_age_bar(s, h);
		break;
	case OPEN_LEFT:
		draw_age(s, STYLE_DIM, h->left_ms);
		break;
	case OPEN_SYNS:
		draw_number(s, h->syns > 1 ? STYLE_WARN : STYLE_PLAIN, h->syns);
		break;
	case OPEN_SYN_ACKS:
		draw_number(s, STYLE_PLAIN, h->syn_acks);
		break;
	case OPEN_DEST:
		draw_dest(s, h);
		break;
	default:
		draw_word(s, STYLE_DIM, h->by_host ? "this host" : "the peer");
	}
}

/* An empty list during a flood looks as if something were broken: it is what is wanted. */
static void no_half_open(struct canvas *c, const struct rect *r, const struct top_frame *f)
{
	char rate[NUMBER_SIZE], text[128];

	if (f->totals.cookies > 0) {
		snprintf(text, sizeof(text), "%s SYNs a second are answered with cookies.",
			 number_text(f->totals.cookies, rate));
		say(c, r, 0, STYLE_COOKIE, text);
		say(c, r, 1, STYLE_PLAIN, "They take no memory: nothing is half-open.");
		return;
	}
	if (f->half_open_total > 0)
		say(c, r, 0, STYLE_DIM, "they are being listed ...");
	else if (f->half_open_total < 0)
		say(c, r, 0, STYLE_DIM, "not known");
	else
		say(c, r, 0, STYLE_DIM, "none: every handshake is complete");
}

const struct table table_half_open = {half_open_columns, OPEN_COLUMNS,      count_half_open,
				      half_open_matches, compare_half_open, half_open_key,
				      half_open_cell,    no_half_open};
