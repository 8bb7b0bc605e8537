// SPDX-License-Identifier: GPL-2.0-only
#include "top_table.h"
#include "top_text.h"

#define MOST_RANK 9

/* Up to the first that has no room: those of a higher rank would look odd without it. Returns the
 * columns of the terminal that are left over. */
static int choose(const struct column *columns, int n, int width, struct places *p)
{
	int rank, i, left = width + 1; /* there is no gap before the first */

	for (rank = 0; rank <= MOST_RANK; rank++)
		for (i = 0; i < n; i++) {
			if (columns[i].rank != rank)
				continue;
			if (rank && columns[i].min + 1 > left)
				return left;
			p->w[i] = columns[i].min;
			left -= columns[i].min + 1;
		}
	return left;
}

void table_fit(const struct column *columns, int n, int width, struct places *p)
{
	int left, i, x = 0;
	bool grown = true;

	*p = (struct places){0};
	left = choose(columns, n, width, p);
	while (left > 0 && grown) {
		grown = false;
		for (i = 0; i < n && left > 0; i++)
			if (p->w[i] && p->w[i] < columns[i].max) {
				p->w[i]++;
				left--;
				grown = true;
			}
	}
	for (i = 0; i < n; i++) {
		p->x[i] = x;
		x += p->w[i] ? p->w[i] + 1 : 0;
	}
}

/* ---- for those who fill tables ---- */

int compare_numbers(s64 a, s64 b)
{
	return a < b ? -1 : a > b;
}

u64 hash_text(const char *text)
{
	u64 h = 0xcbf29ce484222325; /* FNV-1a */

	while (*text)
		h = (h ^ (u8)*text++) * 0x100000001b3;
	return h;
}

void draw_word(const struct spot *s, enum style style, const char *text)
{
	canvas_text(s->c, s->y, s->x, s->w, style, text);
}

void draw_number(const struct spot *s, enum style style, s64 n)
{
	char text[NUMBER_SIZE];

	canvas_right(s->c, s->y, s->x, s->w, n > 0 ? style : STYLE_DIM, number_text(n, text));
}

void draw_age(const struct spot *s, enum style style, s64 ms)
{
	char text[AGE_SIZE];

	canvas_right(s->c, s->y, s->x, s->w, style, age_short(ms, text));
}

void say(struct canvas *c, const struct rect *r, int line, enum style style, const char *text)
{
	if (line < r->h)
		canvas_text(c, r->y + line, r->x + 2, r->w - 2, style, text);
}

int magnitude(s64 n)
{
	return n <= 0 ? 0 : (66 - __builtin_clzll(n)) / 3;
}
