/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The terminal of `synstile top` (curses). However the program ends, crashes included, the terminal
 * is left as it was found.
 */
#ifndef SYNSTILE_USER_TOP_TERM_H
#define SYNSTILE_USER_TOP_TERM_H

#include "top_canvas.h"

/* What the locale and the terminal can show. */
enum glyphs term_glyphs(bool ascii);

/* -errno with a reason. */
int term_open(bool color);
void term_close(void);

void term_size(int *w, int *h);
/* After SIGWINCH. */
void term_resized(void);
/* For SIGTSTP: stops, as others do who know nothing of it; returns when it goes on. */
void term_stop(void);
/* After SIGCONT: whatever is on the screen is not ours. */
void term_again(void);

void term_show(const struct canvas *c);
/* The next key (see enum top_key); -1: there is none yet. */
int term_key(void);

/* Style as SGR, for text that is printed without curses: "" for STYLE_PLAIN. */
const char *style_sgr(enum style style);

#endif
