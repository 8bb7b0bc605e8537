// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "attack_json.h"
#include "event_names.h"

#define TOP_PREFIXES 10

/* 0 is never: no bound. */
static json_t *bound(u64 n)
{
	return n ? json_integer(n) : json_null();
}

static json_t *top_json(const struct top_sources *top)
{
	char text[PREFIX_TEXT_SIZE];
	json_t *list = json_array();
	u32 i;

	for (i = 0; i < top->n && i < TOP_PREFIXES; i++) {
		/* more digits would be noise: see top_sources.h */
		json_array_append_new(
			list, json_pack("{s:s, s:f}", "prefix", top_prefix_text(&top->top[i], text),
					"share", (int)(top->top[i].share * 1000 + 0.5) / 1000.0));
	}
	return list;
}

json_t *attack_json(const struct attack_facts *f)
{
	const struct detect_bounds *b = &f->bounds;
	json_t *j;

	j = json_pack("{s:I, s:I, s:I, s:o, s:o, s:I, s:o, s:I}", "peak_syn_rate",
		      (json_int_t)f->peak_rate, "syns", (json_int_t)f->syns, "completed",
		      (json_int_t)f->completed, "completion_percent",
		      f->completion < 0 ? json_null() : json_integer(f->completion),
		      "completion_bound", bound(b->completion_below), "distinct_sources",
		      (json_int_t)f->sources, "distinct_sources_bound", bound(b->sources_above),
		      "queue_overflows", (json_int_t)f->overflows);
	json_object_update_new(j, json_pack("{s:o, s:s?, s:o, s:I}", "spoofed",
					    f->spoofed == SPOOFED_UNKNOWN
						    ? json_null()
						    : json_boolean(f->spoofed == SPOOFED_YES),
					    "spoofed_why", f->why, "top_sources", top_json(&f->top),
					    "samples", (json_int_t)f->top.samples));
	return j;
}

json_t *reasons_json(u32 reasons)
{
	json_t *list = json_array();
	u32 i;

	for (i = 0; i < ATTACK_REASONS; i++)
		if (reasons & 1u << i)
			json_array_append_new(list, json_string(reason_names[i]));
	return list;
}

char *attack_members(const struct attack_facts *f)
{
	json_t *j = attack_json(f);
	char *text = json_dumps(j, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(3));
	size_t n = text ? strlen(text) : 0;

	json_decref(j);
	if (n > 2) {
		text[0] = ',';
		text[n - 1] = 0;
	}
	return text;
}
