// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>

#include "log.h"
#include "top_once.h"
#include "top_term.h"

/* Up to the last that is more than a space. */
static int line_end(const struct cell *line, int w, bool color)
{
	while (w > 0 && line[w - 1].ch == ' ' && !(color && (line[w - 1].style == STYLE_BRAND)))
		w--;
	return w;
}

static void print_line(const struct cell *line, int w, bool color)
{
	enum style style = STYLE_PLAIN;
	char utf8[5];
	int x;

	w = line_end(line, w, color);
	for (x = 0; x < w; x++) {
		if (color && line[x].style != style)
			printf("\033[0%s%sm", line[x].style == STYLE_PLAIN ? "" : ";",
			       style_sgr(line[x].style));
		style = line[x].style;
		utf8_put(utf8, line[x].ch);
		fputs(utf8, stdout);
	}
	puts(color && style != STYLE_PLAIN ? "\033[0m" : "");
}

int top_print(struct top *t, int w, bool color)
{
	struct canvas c;
	int y, h;

	t->printed = true;
	h = top_natural_height(t, w);
	if (!canvas_new(&c, w, h, t->glyphs))
		return -ENOMEM;
	top_draw(t, &c);
	for (; h > 0 && !line_end(&c.at[(size_t)(h - 1) * w], w, false); h--)
		;
	for (y = 0; y < h; y++)
		print_line(&c.at[(size_t)y * w], w, color);
	canvas_free(&c);
	if (fflush(stdout) || ferror(stdout))
		return fail(errno ? errno : EIO, "cannot write the output: %s", strerror(errno));
	return 0;
}
