/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * `synstile top`: what it knows and how it is set, apart from any terminal. Keys and frames go in
 * (top_keys.c), a canvas comes out (top_draw.c, top_panes.c, top_record.c): all of that is pure.
 * top_link.c talks with the agent, top_term.c with the terminal, cmd_top.c has the loop.
 */
#ifndef SYNSTILE_USER_TOP_H
#define SYNSTILE_USER_TOP_H

#include <jansson.h>

#include "top_canvas.h"
#include "top_frame.h"
#include "top_history.h"
#include "top_table.h"

#define TOP_W 60 /* the smallest terminal */
#define TOP_H 16

enum pane {
	PANE_SERVICES,
	PANE_CHARTS,
	PANE_HALF_OPEN,
	PANE_SOURCES,
	PANE_VERDICTS,
	PANE_COUNT
};

struct pane_view {
	int sort; /* a column */
	bool reverse;
	bool moved;      /* a row is selected */
	size_t selected; /* of the rows that are shown */
	u64 key;         /* of that row, so that the selection stays with it */
	size_t first;    /* row at the top */
	int lines;       /* rows that fit, and */
	u32 columns;     /* which columns did: of the last drawing */
};

/* A connection that was chosen. */
struct top_record {
	bool open;
	u64 flow_id;
	char title[256];
	json_t *conn; /* its record, NULL: not yet known */
	bool over;    /* it is no longer in the table: `conn` is how it was last seen */
	char **events;
	size_t n_events, back; /* back: lines from the end, where one looks first */
	int lines;
};

struct top {
	enum glyphs glyphs;
	struct top_frame *frame; /* that is shown; NULL: none came yet */
	struct top_frame *next;  /* the newest, while paused */
	struct top_history history;
	char scope[FRAME_NAME]; /* of the charts: a service; "": all together */
	int span;               /* index of top_spans_ms */

	enum pane focus;
	bool alone; /* only the pane that has the keys is shown */
	struct pane_view pane[PANE_COUNT];
	struct top_record record;
	char filter[64], filter_before[64];
	bool typing; /* the filter */
	bool paused, help, quit;
	bool printed; /* once, for eyes without a keyboard */

	char trouble[256]; /* of the connection to the agent; "": there is none */
};

#define TOP_SPANS 3
extern const s64 top_spans_ms[TOP_SPANS];

/* Keys other than characters. */
enum top_key {
	TOP_KEY_UP = 0x110000,
	TOP_KEY_DOWN,
	TOP_KEY_PAGE_UP,
	TOP_KEY_PAGE_DOWN,
	TOP_KEY_HOME,
	TOP_KEY_END,
	TOP_KEY_ENTER,
	TOP_KEY_ESCAPE,
	TOP_KEY_TAB,
	TOP_KEY_BACK_TAB,
	TOP_KEY_BACKSPACE,
	TOP_KEY_OTHER,
};

void top_init(struct top *t, enum glyphs glyphs);
void top_free(struct top *t);

/* ---- top_keys.c ---- */

void top_key(struct top *t, int key);
/* Takes the frame. */
void top_take_frame(struct top *t, struct top_frame *f);
/* The answers to what was asked about the chosen connection: `conn` NULL: it is not in the table.
 */
void top_take_record(struct top *t, u64 flow_id, json_t *conn);
void top_take_events(struct top *t, u64 flow_id, char **lines, size_t n); /* takes the lines */

/* ---- top_draw.c ---- */

/* All of the canvas. Notes how many lines there were for rows. */
void top_draw(struct top *t, struct canvas *c);
/* Lines that a canvas of `w` columns needs to show all that is there, and not much more. */
int top_natural_height(const struct top *t, int w);

/* ---- top_panes.c: the tables ---- */

/* The rows that match the filter, in their order; for the caller to free. NULL: no memory. */
size_t *top_rows(const struct top *t, enum pane pane, size_t *n);
u64 top_row_key(const struct top *t, enum pane pane, size_t row);
/* Brings the selection to the row that it was on. */
void top_follow_selection(struct top *t, enum pane pane, const size_t *rows, size_t n);
int top_columns(enum pane pane); /* how many can be sorted by */
void top_draw_pane(struct top *t, struct canvas *c, const struct rect *r, enum pane pane);
/* The line above a pane: its title, and words about it. Returns where they end. */
int top_draw_rule(const struct top *t, struct canvas *c, const struct rect *r, enum pane pane,
		  const char *about);

/* ---- top_record.c ---- */

void top_draw_record(struct top *t, struct canvas *c, const struct rect *r);

/* ---- top_help.c ---- */

void top_draw_help(struct canvas *c, const struct rect *r);

#endif
