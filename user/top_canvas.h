/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What `synstile top` draws on: cells with a character and a style. Text is UTF-8; on a canvas that
 * is ASCII only, characters that are not are replaced by ones that look like them, so that nobody
 * who draws needs to care. Whatever does not fit is cut off.
 */
#ifndef SYNSTILE_USER_TOP_CANVAS_H
#define SYNSTILE_USER_TOP_CANVAS_H

#include <stdbool.h>
#include <stdio.h>

#include <synstile/types.h>

enum style {
	STYLE_PLAIN,
	STYLE_DIM,
	STYLE_BOLD,
	STYLE_BRAND,    /* the first line */
	STYLE_HEAD,     /* of a column */
	STYLE_SORTED,   /* of the column that a table is sorted by */
	STYLE_TITLE,    /* of a pane */
	STYLE_FOCUS,    /* of the pane that has the keys */
	STYLE_RULE,     /* the line beside a title */
	STYLE_SELECTED, /* a row */
	STYLE_CALM,
	STYLE_CALM_BLOCK, /* the word in the header */
	STYLE_ATTACK,
	STYLE_ATTACK_BLOCK,
	STYLE_WARN,
	STYLE_WARN_BLOCK,
	STYLE_SYN, /* of new connections, and their chart */
	STYLE_COOKIE,
	STYLE_HALF_OPEN,
	STYLE_KEY,   /* a key that can be pressed */
	STYLE_STALE, /* everything, while nothing new comes */
	STYLE_COUNT
};

enum glyphs {
	GLYPHS_ASCII,
	GLYPHS_BLOCKS, /* as the fonts of consoles have them */
	GLYPHS_BRAILLE,
};

struct cell {
	u32 ch; /* Unicode, one column wide */
	u8 style;
};

struct canvas {
	int w, h;
	enum glyphs glyphs;
	struct cell *at; /* w * h */
};

struct rect {
	int y, x, h, w;
};

/* False: no memory. Blank. */
bool canvas_new(struct canvas *c, int w, int h, enum glyphs glyphs);
void canvas_free(struct canvas *c);
void canvas_clear(struct canvas *c);

void canvas_put(struct canvas *c, int y, int x, enum style style, u32 ch);
/* Not wider than `w` columns; the last that fits is '…' if something is cut off. Returns the
 * columns that it takes. */
int canvas_text(struct canvas *c, int y, int x, int w, enum style style, const char *text);
int canvas_printf(struct canvas *c, int y, int x, int w, enum style style, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));
/* The same, ending before column x + w. */
int canvas_right(struct canvas *c, int y, int x, int w, enum style style, const char *text);
void canvas_fill(struct canvas *c, const struct rect *r, enum style style, u32 ch);
/* Another style for what is there. */
void canvas_restyle(struct canvas *c, const struct rect *r, enum style style);
/* `part` of `whole`, as a bar of `w` columns. */
void canvas_bar(struct canvas *c, int y, int x, int w, enum style style, double part, double whole);

/* Columns that a text takes. */
int text_width(const char *text);
/* UTF-8 of a character, with its NUL; returns its length. */
int utf8_put(char buf[5], u32 ch);

#endif
