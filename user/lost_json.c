// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "event_json.h"
#include "event_names.h"
#include "lost_json.h"

/* Takes over `lost`. `value` may be NULL. */
static char *line_of(u64 wall, json_t *lost, const char *name, const char *value)
{
	json_t *root = event_json_head(wall, EVENT_LOST);
	json_t *all = json_pack("{s:i}", "schema", EVENT_SCHEMA);
	char *text, *line = NULL;

	if (value)
		json_object_set_new(all, name, json_string(value));
	json_object_set_new(root, "lost", lost);
	json_object_set_new(root, "synstile", all);
	text = json_dumps(root, JSON_COMPACT | JSON_PRESERVE_ORDER);
	if (text && asprintf(&line, "%s\n", text) < 0)
		line = NULL;
	free(text);
	json_decref(root);
	return line;
}

char *lost_line(u64 wall, const u64 n[EVENT_COUNT * LOST_STAGES], u32 mask, bool since_attach)
{
	json_t *lost = json_object();
	int type, stage;

	for (type = 0; type < EVENT_COUNT; type++) {
		json_t *of_type = json_object();

		for (stage = 0; stage < LOST_STAGES && mask & 1u << type; stage++)
			if (n[type * LOST_STAGES + stage])
				json_object_set_new(of_type, lost_names[stage],
						    json_integer(n[type * LOST_STAGES + stage]));
		if (json_object_size(of_type))
			json_object_set(lost, event_names[type], of_type);
		json_decref(of_type);
	}
	if (json_object_size(lost))
		return line_of(wall, lost, "since", since_attach ? "attach" : NULL);
	json_decref(lost);
	return NULL;
}

char *lost_line_after(u64 wall, u64 n, const char *id)
{
	if (!n)
		return NULL;
	return line_of(wall,
		       json_pack("{s:{s:o}}", "any", "backlog",
				 n == LOST_UNKNOWN ? json_null() : json_integer(n)),
		       "after", id);
}
