// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>

#include "top_table.h"
#include "top_text.h"

enum {
	SOURCE_PREFIX,
	SOURCE_SHARE,
	SOURCE_RATE,
	SOURCE_COLUMNS
};

static const struct column source_columns[SOURCE_COLUMNS] = {
	[SOURCE_PREFIX] = {"PREFIX", 15, 24, 0, true},
	[SOURCE_SHARE] = {"SHARE", 9, 30, 0},
	[SOURCE_RATE] = {"SYN/s", 5, 6, 1},
};

static size_t count_sources(const struct top_frame *f)
{
	return f->n_sources;
}

static bool source_matches(const struct top_frame *f, size_t i, const char *filter)
{
	const char *prefix = f->sources[i].prefix;
	char address[FRAME_ADDRESS];

	if (!strchr(filter, '/') || contains(prefix, filter))
		return contains(prefix, filter);
	snprintf(address, sizeof(address), "%.*s", (int)strcspn(prefix, "/"), prefix);
	return in_prefix(address, filter);
}

static u64 source_key(const struct top_frame *f, size_t i)
{
	return hash_text(f->sources[i].prefix);
}

static int compare_sources(const struct top_frame *f, size_t l, size_t r, int column)
{
	const struct frame_source *a = &f->sources[l], *b = &f->sources[r];

	switch (column) {
	case SOURCE_PREFIX:
		return strcmp(a->prefix, b->prefix);
	case SOURCE_SHARE:
		return a->percent < b->percent ? -1 : a->percent > b->percent;
	case SOURCE_RATE:
		return compare_numbers(a->rate, b->rate);
	default:
		return 0;
	}
}

static void source_cell(const struct spot *s, const struct top_frame *f, size_t i, int column)
{
	const struct frame_source *source = &f->sources[i];
	char text[16];

	switch (column) {
	case SOURCE_PREFIX:
		draw_word(s, STYLE_PLAIN, source->prefix);
		break;
	case SOURCE_SHARE:
		snprintf(text, sizeof(text), "%.1f%%", source->percent);
		if (s->w > 7)
			canvas_bar(s->c, s->y, s->x, s->w - 7, STYLE_SYN, source->percent, 100);
		canvas_right(s->c, s->y, s->x, s->w, STYLE_PLAIN, text);
		break;
	default:
		draw_number(s, STYLE_SYN, source->rate);
	}
}

static void no_sources(struct canvas *c, const struct rect *r, const struct top_frame *f)
{
	if (f->sampled > 0) {
		say(c, r, 0, STYLE_PLAIN, "no prefix stands out:");
		say(c, r, 1, STYLE_PLAIN, "the sources are spread");
	} else {
		say(c, r, 0, STYLE_DIM, "no SYN came lately");
	}
}

const struct table table_sources = {source_columns,  SOURCE_COLUMNS, count_sources, source_matches,
				    compare_sources, source_key,     source_cell,   no_sources};
