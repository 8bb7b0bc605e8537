// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "policy_view.h"

#define COLUMN_MOST 64 /* where origins begin, at most */

/* ---- what is in force ---- */

/* Lines in two columns; the second one is aligned when all are there. */
struct view {
	struct view_line {
		char *text, *origin;
	} * lines;
	size_t n, most;
	const json_t *defaults; /* what services have from there is not repeated */
};

static void add(struct view *v, char *text, char *origin)
{
	struct view_line *more = v->lines;

	if (!(v->n & (v->n - 1))) { /* 0 or a power of two: no more room */
		more = realloc(v->lines, (v->n ? 2 * v->n : 1) * sizeof(*more));
		if (more)
			v->lines = more;
	}
	if (more && text) {
		v->lines[v->n++] = (struct view_line){text, origin};
		return;
	}
	free(text);
	free(origin);
}

static void add_line(struct view *v, char *origin, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void add_line(struct view *v, char *origin, const char *fmt, ...)
{
	char *text;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		text = NULL;
	va_end(args);
	add(v, text, origin);
}

/* A scalar as it can stand in YAML. */
static void scalar(const json_t *value, char *buf, size_t size)
{
	const char *text = json_string_value(value);

	if (text && strpbrk(text, ":*[] ")) /* without quotes something else in YAML */
		snprintf(buf, size, "\"%s\"", text);
	else if (text)
		snprintf(buf, size, "%s", text);
	else if (json_is_boolean(value))
		snprintf(buf, size, "%s", json_is_true(value) ? "true" : "false");
	else
		snprintf(buf, size, "%lld", (long long)json_integer_value(value));
}

static char *origin_of(const json_t *leaf)
{
	const char *from = json_string_value(json_object_get(leaf, "from"));
	const char *follows = json_string_value(json_object_get(leaf, "follows"));
	char *text;

	if (!from || asprintf(&text, follows ? "%s: %s" : "%s", from, follows) < 0)
		return NULL;
	return text;
}

static bool is_leaf(const json_t *j)
{
	return json_object_get(j, "from") != NULL;
}

/* A value that nobody chose and that follows something else is a comment: what is printed can be
 * read as a policy, and means the same. */
static void add_leaf(struct view *v, int indent, const char *key, const json_t *leaf)
{
	const json_t *value = json_object_get(leaf, "value");
	bool follows = json_object_get(leaf, "follows");
	char text[256];

	scalar(value, text, sizeof(text));
	if (json_is_null(value))
		add_line(v, origin_of(leaf), "%*s# %s", indent, "", key);
	else
		add_line(v, origin_of(leaf), "%*s%s%s%s%s", indent, "", follows ? "# " : "", key,
			 *key ? ": " : "- ", text);
}

/* Without what `except` has too. */
static void add_map(struct view *v, int indent, const json_t *map, const json_t *except);

/* Entries are leaves, texts, or mappings, of which the first key has the dash. */
static void add_list(struct view *v, int indent, const json_t *list)
{
	char text[256];
	const json_t *j;
	size_t i, first;

	json_array_foreach (list, i, j) {
		if (i == v->most && !json_object_get(j, "name")) {
			add_line(v, NULL, "%*s# and %zu more; -j lists all", indent, "",
				 json_array_size(list) - i);
			break;
		}
		if (is_leaf(j)) {
			add_leaf(v, indent, "", j);
		} else if (json_is_object(j)) {
			first = v->n;
			add_map(v, indent + 2, j, v->defaults);
			if (v->n > first)
				v->lines[first].text[indent] = '-';
		} else {
			scalar(j, text, sizeof(text));
			add_line(v, NULL, "%*s- %s", indent, "", text);
		}
	}
}

static void add_map(struct view *v, int indent, const json_t *map, const json_t *except)
{
	const json_t *other;
	const char *key;
	json_t *j;

	json_object_foreach ((json_t *)map, key, j) {
		other = json_object_get(except, key);
		if (other && json_equal(j, other))
			continue;
		if (is_leaf(j)) {
			add_leaf(v, indent, key, j);
		} else if (json_is_object(j)) {
			add_line(v, NULL, "%*s%s:", indent, "", key);
			add_map(v, indent + 2, j, other);
		} else if (json_is_array(j)) {
			if (json_array_size(j))
				add_line(v, NULL, "%*s%s:", indent, "", key);
			add_list(v, indent + 2, j);
		} else {
			add_line(v, NULL, "%*s%s: %lld", indent, "", key,
				 (long long)json_integer_value(j));
		}
	}
}

static int width(const struct view *v)
{
	size_t i, n, most = 0;

	for (i = 0; i < v->n; i++) {
		n = strlen(v->lines[i].text);
		if (v->lines[i].origin && n > most && n <= COLUMN_MOST)
			most = n;
	}
	return (int)most;
}

void policy_print(FILE *to, const json_t *policy, size_t most)
{
	struct view v = {.most = most, .defaults = json_object_get(policy, "defaults")};
	int column;
	size_t i;

	add_map(&v, 0, policy, NULL);
	column = width(&v);
	for (i = 0; i < v.n; i++) {
		if (v.lines[i].origin)
			fprintf(to, "%-*s  # %s\n", column, v.lines[i].text, v.lines[i].origin);
		else
			fprintf(to, "%s\n", v.lines[i].text);
		free(v.lines[i].text);
		free(v.lines[i].origin);
	}
	free(v.lines);
}

/* ---- what changes ---- */

static void print_change(FILE *to, const json_t *change)
{
	const char *path = json_string_value(json_object_get(change, "path"));
	const char *from = json_string_value(json_object_get(change, "from"));
	const char *after = json_string_value(json_object_get(change, "to"));
	json_int_t more = json_integer_value(json_object_get(change, "more"));

	if (!path)
		return;
	if (more)
		fprintf(to, "%s: %lld more\n", path, (long long)more);
	else if (from && after)
		fprintf(to, "%s: %s -> %s\n", path, from, after);
	else
		fprintf(to, "%s: %s %s\n", path, from ? "-" : "+", from ? from : after);
}

void policy_print_changes(FILE *to, const json_t *changes)
{
	const json_t *change;
	size_t i;

	json_array_foreach (changes, i, change)
		print_change(to, change);
	if (!json_array_size(changes))
		fprintf(to, "no change\n");
}
