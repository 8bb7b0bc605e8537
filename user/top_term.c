// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <langinfo.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "log.h"
#include "top.h"
#include "top_term.h"

/* last: term.h makes macros of names such as "lines" and "columns" */
#ifndef _XOPEN_SOURCE_EXTENDED
#define _XOPEN_SOURCE_EXTENDED 1
#endif
#include <curses.h>
#include <term.h>

#define ESCAPE_MS 50 /* how long after an ESC the rest of a key's sequence may come */

/* ---- styles ---- */

enum {
	GREY = 8,
	ORANGE = 208,
	BAR = 236, /* a dark grey, behind the first line */
};

/* Colours: -1 is the terminal's own. `rich`: where there are 256. */
static const struct {
	short fg, bg;
	short rich_fg, rich_bg;
	attr_t attr, mono; /* mono: without colour */
	const char *sgr;
} styles[STYLE_COUNT] = {
	[STYLE_PLAIN] = {-1, -1, -1, -1, 0, 0, ""},
	[STYLE_DIM] = {-1, -1, 245, -1, A_DIM, A_DIM, "2"},
	[STYLE_BOLD] = {-1, -1, -1, -1, A_BOLD, A_BOLD, "1"},
	[STYLE_BRAND] = {COLOR_WHITE, COLOR_BLUE, 255, 24, A_BOLD, A_REVERSE, "1;37;44"},
	[STYLE_HEAD] = {-1, -1, 250, -1, A_BOLD, A_BOLD, "1"},
	[STYLE_SORTED] = {COLOR_CYAN, -1, 81, -1, A_BOLD, A_BOLD | A_UNDERLINE, "1;36"},
	[STYLE_TITLE] = {-1, -1, 252, -1, A_BOLD, A_BOLD, "1"},
	[STYLE_FOCUS] = {COLOR_BLACK, COLOR_CYAN, 16, 81, 0, A_REVERSE, "30;46"},
	[STYLE_RULE] = {COLOR_BLUE, -1, 240, -1, 0, A_DIM, "34"},
	[STYLE_SELECTED] = {COLOR_BLACK, COLOR_WHITE, 16, 252, 0, A_REVERSE, "7"},
	[STYLE_CALM] = {COLOR_GREEN, -1, 78, -1, 0, 0, "32"},
	[STYLE_CALM_BLOCK] = {COLOR_BLACK, COLOR_GREEN, 16, 78, 0, A_BOLD, "30;42"},
	[STYLE_ATTACK] = {COLOR_RED, -1, 203, -1, A_BOLD, A_BOLD, "1;31"},
	[STYLE_ATTACK_BLOCK] = {COLOR_WHITE, COLOR_RED, 231, 160, A_BOLD, A_BOLD | A_REVERSE,
				"1;37;41"},
	[STYLE_WARN] = {COLOR_YELLOW, -1, 214, -1, 0, 0, "33"},
	[STYLE_WARN_BLOCK] = {COLOR_BLACK, COLOR_YELLOW, 16, 214, 0, A_REVERSE, "30;43"},
	[STYLE_SYN] = {COLOR_CYAN, -1, 81, -1, 0, 0, "36"},
	[STYLE_COOKIE] = {COLOR_YELLOW, -1, 221, -1, 0, 0, "33"},
	[STYLE_HALF_OPEN] = {COLOR_MAGENTA, -1, 176, -1, 0, 0, "35"},
	[STYLE_KEY] = {COLOR_CYAN, -1, 81, -1, A_BOLD, A_BOLD, "1;36"},
	[STYLE_STALE] = {-1, -1, 240, -1, A_DIM, A_DIM, "2"},
};

static bool in_color;

const char *style_sgr(enum style style)
{
	return styles[style].sgr;
}

static void make_colors(void)
{
	const bool rich = COLORS >= 256;
	int i;

	use_default_colors();
	for (i = 0; i < STYLE_COUNT; i++)
		init_pair(i + 1, rich ? styles[i].rich_fg : styles[i].fg,
			  rich ? styles[i].rich_bg : styles[i].bg);
}

static attr_t attr_of(enum style style, short *pair)
{
	*pair = in_color ? style + 1 : 0;
	if (!in_color)
		return styles[style].mono;
	/* a grey of its own is better than one that the terminal makes */
	return COLORS >= 256 ? styles[style].attr & ~A_DIM : styles[style].attr;
}

enum glyphs term_glyphs(bool ascii)
{
	const char *term = getenv("TERM");

	if (ascii || strcmp(nl_langinfo(CODESET), "UTF-8"))
		return GLYPHS_ASCII;
	if (!term || !strncmp(term, "vt1", 3) || !strncmp(term, "vt2", 3) || !strcmp(term, "dumb"))
		return GLYPHS_ASCII;
	/* the fonts of the Linux console have few characters: blocks, but no braille */
	return !strncmp(term, "linux", 5) ? GLYPHS_BLOCKS : GLYPHS_BRAILLE;
}

/* ---- leaving, also when all is lost ---- */

static struct termios found; /* as it was */
static bool found_known, opened;
static char reset_text[256];
static size_t reset_length;

/* A capability without its padding ("$<5>"), which only real terminals of old need. */
static void add_capability(const char *name)
{
	const char *s = tigetstr(name);

	if (!s || s == (char *)-1)
		return;
	while (*s && reset_length < sizeof(reset_text)) {
		if (s[0] == '$' && s[1] == '<' && strchr(s, '>'))
			s = strchr(s, '>') + 1;
		else
			reset_text[reset_length++] = *s++;
	}
}

static void prepare_reset(void)
{
	static const char *const names[] = {"rmkx", "sgr0", "op", "cnorm", "rmcup"};
	size_t i;

	reset_length = 0;
	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(names[i], "op") || in_color)
			add_capability(names[i]);
}

/* Only what a signal handler may do. */
static void on_crash(int signal)
{
	static const char text[] = "synstile top crashed; the terminal was put back\n";
	ssize_t n = 0;

	if (opened) {
		n += write(STDOUT_FILENO, reset_text, reset_length);
		tcsetattr(STDIN_FILENO, TCSANOW, &found);
		n += write(STDERR_FILENO, text, sizeof(text) - 1);
	}
	(void)n;
	raise(signal); /* now as without us (SA_RESETHAND): a core, and the status that tells */
}

static void watch_crashes(void)
{
	static const int crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS};
	static char stack[64 << 10]; /* a stack that is used up can be why */
	const stack_t other = {.ss_sp = stack, .ss_size = sizeof(stack)};
	struct sigaction action = {.sa_handler = on_crash, .sa_flags = SA_RESETHAND | SA_ONSTACK};
	size_t i;

	sigaltstack(&other, NULL);
	for (i = 0; i < sizeof(crashes) / sizeof(*crashes); i++)
		sigaction(crashes[i], &action, NULL);
}

void term_close(void)
{
	if (!opened)
		return;
	opened = false;
	endwin();
	if (found_known)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &found);
}

/* ---- opening ---- */

static void take_over(void)
{
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	leaveok(stdscr, TRUE);
	curs_set(0);
}

int term_open(bool color)
{
	const char *term = getenv("TERM");

	found_known = !tcgetattr(STDIN_FILENO, &found);
	set_escdelay(ESCAPE_MS);
	use_tioctl(TRUE); /* the size that it has, whatever LINES and COLUMNS say */
	if (!newterm(NULL, stdout, stdin))
		return fail(EINVAL,
			    "the terminal TERM=%s is not known here; try TERM=vt100, or "
			    "`synstile top --once`",
			    term && *term ? term : "(not set)");
	in_color = color && has_colors() && start_color() == OK;
	if (in_color)
		make_colors();
	take_over();
	prepare_reset();
	opened = true;
	watch_crashes();
	return 0;
}

/* ---- size, stopping ---- */

void term_size(int *w, int *h)
{
	getmaxyx(stdscr, *h, *w);
}

void term_resized(void)
{
	struct winsize size;

	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_row && size.ws_col)
		resizeterm(size.ws_row, size.ws_col);
	clearok(stdscr, TRUE);
}

void term_again(void)
{
	reset_prog_mode();
	take_over();
	clearok(stdscr, TRUE);
	refresh();
	term_resized();
}

void term_stop(void)
{
	sigset_t set, before;

	def_prog_mode();
	endwin();
	if (found_known)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &found);
	sigemptyset(&set);
	sigaddset(&set, SIGTSTP);
	raise(SIGTSTP);
	sigprocmask(SIG_UNBLOCK, &set, &before); /* here it stops */
	sigprocmask(SIG_SETMASK, &before, NULL);
	term_again();
}

/* ---- the screen ---- */

void term_show(const struct canvas *c)
{
	cchar_t *line = calloc(c->w + 1, sizeof(*line));
	int y, x;

	for (y = 0; line && y < c->h; y++) {
		for (x = 0; x < c->w; x++) {
			const struct cell *cell = &c->at[(size_t)y * c->w + x];
			const wchar_t text[2] = {cell->ch, 0};
			short pair;
			attr_t attr = attr_of(cell->style, &pair);

			setcchar(&line[x], text, attr, pair, NULL);
		}
		mvadd_wchnstr(y, 0, line, c->w);
	}
	free(line);
	refresh();
}

int term_key(void)
{
	static const struct {
		int curses, key;
	} same[] = {
		{KEY_UP, TOP_KEY_UP},
		{KEY_DOWN, TOP_KEY_DOWN},
		{KEY_PPAGE, TOP_KEY_PAGE_UP},
		{KEY_NPAGE, TOP_KEY_PAGE_DOWN},
		{KEY_HOME, TOP_KEY_HOME},
		{KEY_FIND, TOP_KEY_HOME}, /* what PuTTY and screen send */
		{KEY_END, TOP_KEY_END},
		{KEY_SELECT, TOP_KEY_END},
		{KEY_ENTER, TOP_KEY_ENTER},
		{KEY_BTAB, TOP_KEY_BACK_TAB},
		{KEY_BACKSPACE, TOP_KEY_BACKSPACE},
	};
	static const int plain[][2] = {{'\r', TOP_KEY_ENTER},     {'\n', TOP_KEY_ENTER},
				       {'\t', TOP_KEY_TAB},       {0x1b, TOP_KEY_ESCAPE},
				       {0x7f, TOP_KEY_BACKSPACE}, {'\b', TOP_KEY_BACKSPACE}};
	wint_t ch;
	int kind = get_wch(&ch);
	size_t i;

	if (kind == ERR)
		return -1;
	for (i = 0; kind == KEY_CODE_YES && i < sizeof(same) / sizeof(*same); i++)
		if ((int)ch == same[i].curses)
			return same[i].key;
	if (kind == KEY_CODE_YES)
		return TOP_KEY_OTHER;
	if (ch == 'L' - '@') { /* draws all anew, as everywhere */
		clearok(stdscr, TRUE);
		return TOP_KEY_OTHER;
	}
	for (i = 0; i < sizeof(plain) / sizeof(*plain); i++)
		if ((int)ch == plain[i][0])
			return plain[i][1];
	return (int)ch;
}
