// SPDX-License-Identifier: GPL-2.0-only
#include "top.h"

#define HELP_W 74

static const char *const help[][2] = {
	{"Tab, 1-5", "the pane that the keys are for; z shows it alone"},
	{"arrows, j k", "select a row; also PgUp, PgDn, Home, End"},
	{"Enter", "half-open: the connection's record; service: its"},
	{"", "charts; source: only what comes from it"},
	{"s, S", "sort by the next, the previous column; r reverses"},
	{"/", "filter: part of a source, of a service, or 198.18.0.0/15"},
	{"p, space", "pause: the screen stands still, nothing is missed"},
	{"+, -", "charts of 1, 5 or 15 minutes; red is an attack"},
	{"q, Esc", "back; q quits, Esc also clears the filter"},
	{"", ""},
	{"COOKIE/s", "SYNs answered with a cookie: they take no memory"},
	{"VALID/s", "clients that proved their cookie: real connections"},
	{"HALF-OPEN", "open handshakes, and how many of them make an attack"},
	{"KERNEL", "request sockets (SYN-RECV) that the kernel itself holds"},
	{"TIMEOUT", "how long a half-open connection may take now"},
};

#define LINES ((int)(sizeof(help) / sizeof(*help)))

void top_draw_help(struct canvas *c, const struct rect *r)
{
	const int w = r->w < HELP_W ? r->w : HELP_W, h = r->h < LINES + 2 ? r->h : LINES + 2;
	const struct rect box = {r->y + (r->h - h) / 2, r->x + (r->w - w) / 2, h, w};
	const int bottom = box.y + h - 1, right = box.x + w - 1;
	int i;

	canvas_fill(c, &box, STYLE_PLAIN, ' ');
	for (i = box.x; i <= right; i++) {
		canvas_put(c, box.y, i, STYLE_TITLE, 0x2500);
		canvas_put(c, bottom, i, STYLE_TITLE, 0x2500);
	}
	for (i = box.y; i <= bottom; i++) {
		canvas_put(c, i, box.x, STYLE_TITLE,
			   i == box.y    ? 0x250c
			   : i == bottom ? 0x2514
					 : 0x2502);
		canvas_put(c, i, right, STYLE_TITLE,
			   i == box.y    ? 0x2510
			   : i == bottom ? 0x2518
					 : 0x2502);
	}
	canvas_text(c, box.y, box.x + 2, w - 4, STYLE_FOCUS, " Help ");
	for (i = 0; i < LINES && i < h - 2; i++) {
		canvas_text(c, box.y + 1 + i, box.x + 2, 12, STYLE_KEY, help[i][0]);
		canvas_text(c, box.y + 1 + i, box.x + 14, w - 15, STYLE_PLAIN, help[i][1]);
	}
}
