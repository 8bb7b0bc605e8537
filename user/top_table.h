/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A table of `synstile top`: its columns, of which it has as many as fit, and its rows, which are
 * those of a list in the frame.
 */
#ifndef SYNSTILE_USER_TOP_TABLE_H
#define SYNSTILE_USER_TOP_TABLE_H

#include "top_canvas.h"
#include "top_frame.h"

#define TABLE_COLUMNS 16

struct column {
	const char *head;
	int min, max; /* columns of the terminal */
	int rank;     /* 0: always there; the others in this order, as long as there is room */
	bool left;    /* text; else a number, of which the greatest comes first */
};

enum {
	AS_IT_COMES = -1 /* not sorted by a column */
};

/* Where a cell is drawn. */
struct spot {
	struct canvas *c;
	int y, x, w;
};

struct table {
	const struct column *columns;
	int n_columns;
	size_t (*count)(const struct top_frame *f);
	bool (*matches)(const struct top_frame *f, size_t i, const char *filter);
	/* By numbers or texts, ascending; AS_IT_COMES: in the table's own order. */
	int (*compare)(const struct top_frame *f, size_t a, size_t b, int column);
	/* Tells a row from others, whatever its place. */
	u64 (*key)(const struct top_frame *f, size_t i);
	void (*cell)(const struct spot *s, const struct top_frame *f, size_t i, int column);
	/* What to say without rows. */
	void (*empty)(struct canvas *c, const struct rect *r, const struct top_frame *f);
};

extern const struct table table_services, table_half_open, table_sources, table_verdicts;

/* Where each column is: `w` is 0 for those that have no room. */
struct places {
	int x[TABLE_COLUMNS], w[TABLE_COLUMNS];
};

void table_fit(const struct column *columns, int n, int width, struct places *p);

/* ---- for those who fill tables ---- */

int compare_numbers(s64 a, s64 b);
/* Of a number, so that rows which are sorted by it stand still: 1 to 7, 8 to 63, 64 to 511, ... */
int magnitude(s64 n);
u64 hash_text(const char *text);

void draw_word(const struct spot *s, enum style style, const char *text);
/* 0 is there, but does not catch the eye. */
void draw_number(const struct spot *s, enum style style, s64 n);
void draw_age(const struct spot *s, enum style style, s64 ms);
/* A line of an empty table. */
void say(struct canvas *c, const struct rect *r, int line, enum style style, const char *text);

#endif
