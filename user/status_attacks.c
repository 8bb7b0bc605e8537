// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include "attack_json.h"
#include "event_names.h"
#include "moment.h"
#include "status_attacks.h"

/* ---- collecting ---- */

static bool is_attacked(json_t *service)
{
	const char *state = json_string_value(json_object_get(service, "state"));

	return state && !strcmp(state, "attack");
}

static json_t *attacks_of(json_t *detection)
{
	json_t *list = json_array(), *j;
	size_t i;

	json_array_foreach (json_object_get(detection, "services"), i, j)
		if (is_attacked(j))
			json_array_append(list, j);
	return list;
}

static json_t *attacks_in_maps(const struct maps *m)
{
	struct moment now = moment_now();
	json_t *list = json_array();
	struct pressure p;
	struct service s;
	u32 i;

	for (i = 1; i < SYNSTILE_MAX_SERVICES; i++) {
		if (maps_service(m, i, &s) || !s.used || maps_pressure(m, i, &p) ||
		    p.state != PRESSURE_ATTACK)
			continue;
		json_array_append_new(
			list,
			json_pack("{s:s, s:s, s:I, s:I, s:o}", "service", s.name, "state", "attack",
				  "half_open", (json_int_t)(p.half_open > 0 ? p.half_open : 0),
				  "duration_ms", (json_int_t)moment_ms_since(&now, p.since),
				  "reasons", reasons_json(p.reasons)));
	}
	return list;
}

json_t *status_attacks_json(const struct maps *m, json_t *detection)
{
	return detection ? attacks_of(detection) : attacks_in_maps(m);
}

/* ---- text ---- */

static long long int_of(json_t *j, const char *key)
{
	return json_integer_value(json_object_get(j, key));
}

static const char *word_of(json_t *reason)
{
	const char *name = json_string_value(reason);
	int i;

	for (i = 0; name && i < ATTACK_REASONS; i++)
		if (!strcmp(name, reason_names[i]))
			return reason_words[i];
	return name ? name : "?";
}

static void print_figures(json_t *j)
{
	json_t *percent = json_object_get(j, "completion_percent");

	printf("  %lld SYN/s now, %lld at its worst, %lld in all; %lld half-open",
	       int_of(j, "syn_rate"), int_of(j, "peak_syn_rate"), int_of(j, "syns"),
	       int_of(j, "half_open"));
	if (json_is_integer(percent))
		printf("; %lld %% of handshakes completed", (long long)json_integer_value(percent));
	printf("; %lld sources a second\n", int_of(j, "distinct_sources"));
}

static void print_sources(json_t *j)
{
	const char *why = json_string_value(json_object_get(j, "spoofed_why"));
	json_t *spoofed = json_object_get(j, "spoofed"), *top;
	size_t i;

	printf("  %s: %s",
	       json_is_true(spoofed)    ? "SPOOFED sources"
	       : json_is_false(spoofed) ? "real sources"
					: "spoofed or not is unclear",
	       why ? why : "?");
	json_array_foreach (json_object_get(j, "top_sources"), i, top) {
		const char *prefix = json_string_value(json_object_get(top, "prefix"));

		printf("%s%s %.0f %%", i ? ", " : "\n  most from ", prefix ? prefix : "?",
		       json_number_value(json_object_get(top, "share")) * 100);
	}
	putchar('\n');
}

static void print_attack(json_t *j)
{
	const char *name = json_string_value(json_object_get(j, "service"));
	char lasts[DURATION_SIZE];
	json_t *reason;
	size_t i;

	printf("\nservice %s is under ATTACK for %s", name ? name : "?",
	       duration_text(int_of(j, "duration_ms"), lasts));
	json_array_foreach (json_object_get(j, "reasons"), i, reason)
		printf("%s%s", i ? ", " : ": ", word_of(reason));
	putchar('\n');
	if (json_object_get(j, "spoofed")) {
		print_figures(j);
		print_sources(j);
	}
}

void status_attacks_print(json_t *attacks)
{
	json_t *j;
	size_t i;

	json_array_foreach (attacks, i, j)
		print_attack(j);
}
