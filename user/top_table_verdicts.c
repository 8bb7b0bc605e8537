// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include <synstile/verdict.h>

#include "top_table.h"
#include "top_text.h"

enum {
	VERDICT_NAME,
	VERDICT_RATE,
	VERDICT_TOTAL,
	VERDICT_HELP,
	VERDICT_COLUMNS
};

static const struct column verdict_columns[VERDICT_COLUMNS] = {
	[VERDICT_NAME] = {"VERDICT", 15, 22, 0, true},
	[VERDICT_RATE] = {"/s", 5, 6, 0},
	[VERDICT_TOTAL] = {"TOTAL", 5, 6, 0},
	[VERDICT_HELP] = {"MEANS", 24, 100, 1, true},
};

enum action {
	PASS,
	DROP,
	REPLY
};

static const struct {
	const char *name, *help;
	enum action action;
} verdicts[V_COUNT] = {
#define X(id, action, name, help) [V_##id] = {name, help, action},
	SYNSTILE_VERDICTS(X)
#undef X
};

static size_t count_verdicts(const struct top_frame *f)
{
	return f->n_verdicts;
}

static bool verdict_matches(const struct top_frame *f, size_t i, const char *filter)
{
	(void)f;
	(void)i;
	(void)filter; /* it is about services and sources */
	return true;
}

static u64 verdict_key(const struct top_frame *f, size_t i)
{
	return hash_text(f->verdicts[i].name) + f->verdicts[i].observed;
}

/* By magnitude first, so that rows stand still; those of a kind by name. */
static int compare_common(const struct frame_verdict *a, const struct frame_verdict *b)
{
	if (magnitude(a->rate) != magnitude(b->rate))
		return magnitude(a->rate) > magnitude(b->rate) ? -1 : 1;
	return strcmp(a->name, b->name);
}

static int compare_verdicts(const struct top_frame *f, size_t l, size_t r, int column)
{
	const struct frame_verdict *a = &f->verdicts[l], *b = &f->verdicts[r];

	switch (column) {
	case AS_IT_COMES:
		return compare_common(a, b);
	case VERDICT_RATE:
		return compare_numbers(a->rate, b->rate);
	case VERDICT_TOTAL:
		return compare_numbers(a->total, b->total);
	default:
		return strcmp(a->name, b->name);
	}
}

static int verdict_of(const char *name)
{
	int v;

	for (v = 0; v < V_COUNT; v++)
		if (!strcmp(verdicts[v].name, name))
			return v;
	return -1;
}

static void verdict_cell(const struct spot *s, const struct top_frame *f, size_t i, int column)
{
	static const enum style styles[] = {
		[PASS] = STYLE_CALM, [DROP] = STYLE_ATTACK, [REPLY] = STYLE_COOKIE};
	const struct frame_verdict *verdict = &f->verdicts[i];
	int v = verdict_of(verdict->name);
	enum style style = v < 0 || !verdict->rate ? STYLE_DIM : styles[verdicts[v].action];
	char name[FRAME_NAME + 1];

	switch (column) {
	case VERDICT_NAME:
		/* what mode observe would have done */
		snprintf(name, sizeof(name), "%s%s", verdict->observed ? "~" : "", verdict->name);
		draw_word(s, style, name);
		break;
	case VERDICT_RATE:
		draw_number(s, style, verdict->rate);
		break;
	case VERDICT_TOTAL:
		draw_number(s, STYLE_PLAIN, verdict->total);
		break;
	default:
		canvas_printf(s->c, s->y, s->x, s->w, STYLE_DIM, "%s%s",
			      verdict->observed ? "would have been: " : "",
			      v < 0 ? "" : verdicts[v].help);
	}
}

static void no_verdicts(struct canvas *c, const struct rect *r, const struct top_frame *f)
{
	(void)f;
	say(c, r, 0, STYLE_DIM, "no packet was seen yet");
}

const struct table table_verdicts = {verdict_columns, VERDICT_COLUMNS,  count_verdicts,
				     verdict_matches, compare_verdicts, verdict_key,
				     verdict_cell,    no_verdicts};
