// SPDX-License-Identifier: GPL-2.0-only
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "ifnames.h"

#define NAMES    64
#define JSON_MAX (6 * IF_NAMESIZE + 3) /* each byte \u00XX */

struct ifnames {
	unsigned int n, last;
	struct {
		u32 ifindex;
		bool checked;
		char json[JSON_MAX]; /* "": unknown */
	} at[NAMES];
};

struct ifnames *ifnames_new(void)
{
	return calloc(1, sizeof(struct ifnames));
}

void ifnames_free(struct ifnames *names)
{
	free(names);
}

void ifnames_check(struct ifnames *names)
{
	unsigned int i;

	for (i = 0; i < names->n; i++)
		names->at[i].checked = false;
}

/* The kernel takes any byte but '/', ':' and white space; JSON must be UTF-8. */
static void to_json(char name[IF_NAMESIZE], char json[JSON_MAX])
{
	json_t *value = json_string(name);
	char *at, *text;

	for (at = name; !value && *at; at++)
		if (*at & 0x80)
			*at = '?';
	if (!value)
		value = json_string(name);
	text = json_dumps(value, JSON_ENCODE_ANY);
	snprintf(json, JSON_MAX, "%s", text ? text : "");
	free(text);
	json_decref(value);
}

static unsigned int find(struct ifnames *names, u32 ifindex)
{
	unsigned int i;

	for (i = 0; i < names->n; i++)
		if (names->at[i].ifindex == ifindex)
			return i;
	if (names->n == NAMES) /* more than can be attached to: they come and go */
		names->n = 0;
	i = names->n++;
	names->at[i].ifindex = ifindex;
	names->at[i].checked = false;
	names->at[i].json[0] = 0;
	return i;
}

const char *ifnames_json(struct ifnames *names, u32 ifindex)
{
	char name[IF_NAMESIZE];
	unsigned int i = names->last;

	if (!ifindex)
		return NULL;
	if (i >= names->n || names->at[i].ifindex != ifindex)
		i = names->last = find(names, ifindex);
	if (!names->at[i].checked && if_indextoname(ifindex, name))
		to_json(name, names->at[i].json);
	names->at[i].checked = true;
	return names->at[i].json[0] ? names->at[i].json : NULL;
}
