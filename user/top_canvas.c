// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "top_canvas.h"

#define ELLIPSIS 0x2026
#define UNKNOWN  '?'

bool canvas_new(struct canvas *c, int w, int h, enum glyphs glyphs)
{
	*c = (struct canvas){.w = w, .h = h, .glyphs = glyphs};
	c->at = calloc((size_t)w * h + 1, sizeof(*c->at));
	if (!c->at)
		return false;
	canvas_clear(c);
	return true;
}

void canvas_free(struct canvas *c)
{
	free(c->at);
	c->at = NULL;
}

void canvas_clear(struct canvas *c)
{
	const struct rect all = {0, 0, c->h, c->w};

	canvas_fill(c, &all, STYLE_PLAIN, ' ');
}

/* ---- characters ---- */

/* The next character of UTF-8 text; what is not UTF-8 is UNKNOWN. */
static u32 utf8_next(const char **text)
{
	const u8 *s = (const u8 *)*text;
	int more = *s < 0x80 ? 0 : *s >> 5 == 6 ? 1 : *s >> 4 == 14 ? 2 : *s >> 3 == 30 ? 3 : -1;
	u32 ch = more <= 0 ? *s : *s & (0x3f >> more);
	int i;

	for (i = 1; i <= more; i++) {
		if (s[i] >> 6 != 2)
			break;
		ch = ch << 6 | (s[i] & 0x3f);
	}
	if (more < 0 || i <= more) {
		*text += 1;
		return UNKNOWN;
	}
	*text += more + 1;
	return ch;
}

int utf8_put(char buf[5], u32 ch)
{
	int n = 0;

	if (ch < 0x80) {
		buf[n++] = ch;
	} else if (ch < 0x800) {
		buf[n++] = 0xc0 | ch >> 6;
		buf[n++] = 0x80 | (ch & 0x3f);
	} else {
		buf[n++] = 0xe0 | ch >> 12;
		buf[n++] = 0x80 | (ch >> 6 & 0x3f);
		buf[n++] = 0x80 | (ch & 0x3f);
	}
	buf[n] = 0;
	return n;
}

/* What stands for a character where there is only ASCII; 0: itself must do. */
static u32 ascii_of(u32 ch)
{
	static const struct {
		u32 ch;
		char ascii;
	} same[] = {
		{0x2026, '~'}, {0x00b7, '-'}, {0x2500, '-'}, {0x2550, '='}, {0x2502, '|'},
		{0x250c, '+'}, {0x2510, '+'}, {0x2514, '+'}, {0x2518, '+'}, {0x2588, '#'},
		{0x2584, '.'}, {0x2591, '-'}, {0x25b2, '^'}, {0x25bc, 'v'}, {0x2192, '>'},
		{0x2190, '<'}, {0x25cf, '*'}, {0x2191, '^'}, {0x2193, 'v'},
	};
	size_t i;

	if (ch < 0x7f)
		return ch;
	for (i = 0; i < sizeof(same) / sizeof(*same); i++)
		if (same[i].ch == ch)
			return same[i].ascii;
	return UNKNOWN;
}

/* Control characters, and those that may be wider than a column or have no width, would ruin the
 * lines: names come from files and from the host. */
static u32 printable(u32 ch, enum glyphs glyphs)
{
	if (ch < ' ' || (ch >= 0x7f && ch < 0xa0) || ch == 0xad || (ch >= 0x300 && ch < 0x2010) ||
	    (ch > 0x2026 && ch < 0x2190) || ch > 0x28ff)
		return UNKNOWN;
	return glyphs == GLYPHS_ASCII ? ascii_of(ch) : ch;
}

int text_width(const char *text)
{
	int n = 0;

	while (*text) {
		utf8_next(&text);
		n++;
	}
	return n;
}

/* ---- drawing ---- */

void canvas_put(struct canvas *c, int y, int x, enum style style, u32 ch)
{
	if (y >= 0 && y < c->h && x >= 0 && x < c->w)
		c->at[(size_t)y * c->w + x] = (struct cell){printable(ch, c->glyphs), style};
}

int canvas_text(struct canvas *c, int y, int x, int w, enum style style, const char *text)
{
	int n = 0;

	for (; *text && n < w; n++) {
		u32 ch = utf8_next(&text);

		if (n == w - 1 && *text)
			ch = ELLIPSIS;
		canvas_put(c, y, x + n, style, ch);
	}
	return n;
}

int canvas_printf(struct canvas *c, int y, int x, int w, enum style style, const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return canvas_text(c, y, x, w, style, text);
}

int canvas_right(struct canvas *c, int y, int x, int w, enum style style, const char *text)
{
	int n = text_width(text);

	return canvas_text(c, y, n < w ? x + w - n : x, w, style, text);
}

void canvas_fill(struct canvas *c, const struct rect *r, enum style style, u32 ch)
{
	int y, x;

	for (y = r->y; y < r->y + r->h; y++)
		for (x = r->x; x < r->x + r->w; x++)
			canvas_put(c, y, x, style, ch);
}

void canvas_restyle(struct canvas *c, const struct rect *r, enum style style)
{
	int y, x;

	for (y = r->y < 0 ? 0 : r->y; y < r->y + r->h && y < c->h; y++)
		for (x = r->x < 0 ? 0 : r->x; x < r->x + r->w && x < c->w; x++)
			c->at[(size_t)y * c->w + x].style = style;
}

void canvas_bar(struct canvas *c, int y, int x, int w, enum style style, double part, double whole)
{
	/* thin where there are characters for it: many bars together look heavy */
	const u32 on = c->glyphs == GLYPHS_BRAILLE ? 0x2501 : 0x2588;
	const u32 off = c->glyphs == GLYPHS_BRAILLE ? 0x254c : 0x2591;
	double share = whole > 0 ? part / whole : 0;
	int full, i;

	share = share < 0 ? 0 : share > 1 ? 1 : share;
	full = (int)(share * w * 2 + 1) / 2; /* to the nearest */
	if (!full && part > 0)
		full = 1; /* little is not nothing */
	for (i = 0; i < w; i++)
		canvas_put(c, y, x + i, i < full ? style : STYLE_DIM, i < full ? on : off);
}
