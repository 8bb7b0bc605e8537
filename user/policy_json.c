// SPDX-License-Identifier: GPL-2.0-only
/* A policy as JSON: what is in force, and where each value came from. */
#include <string.h>

#include "policy_address.h"
#include "policy_read.h"
#include "policy_value.h"

/* A file is named as it is seen from the policy's directory. */
static const char *near_name(const struct policy *p, u16 file)
{
	const char *policy = p->files[0].name, *slash = strrchr(policy, '/');
	const char *name = p->files[file].name;
	size_t n = slash ? slash + 1 - policy : 0;

	return strncmp(name, policy, n) ? name : name + n;
}

static json_t *origin_json(const struct policy *p, const struct origin *o)
{
	json_t *j;

	if (o->from == ORIGIN_FILE) {
		j = json_sprintf("%s:%u:%u", near_name(p, o->file), o->line, o->column);
		/* the name of a file may be no UTF-8 */
		return j ? j : json_sprintf("%u:%u", o->line, o->column);
	}
	return json_string(o->from == ORIGIN_OPTION ? "option" : "built in");
}

static json_t *number_json(const struct value_type *t, u64 n)
{
	char text[VALUE_TEXT_SIZE];

	if (t->kind == KIND_COUNT)
		return json_integer(n);
	if (t->kind == KIND_BOOL)
		return json_boolean(n);
	return json_string(value_text(t->kind, n, text));
}

static json_t *value_json(const struct policy *p, const struct value_type *t, const struct value *v)
{
	bool built_in = v->origin.from == ORIGIN_BUILT_IN;
	char follows[80];
	const char *instead = built_in ? value_follows(t, follows, sizeof(follows)) : NULL;
	json_t *j = json_object();

	json_object_set_new(j, "value", instead && !v->n ? json_null() : number_json(t, v->n));
	json_object_set_new(j, "from", origin_json(p, &v->origin));
	if (instead)
		json_object_set_new(j, "follows", json_string(instead));
	return j;
}

/* Enters it at "syn_timeout.calm". */
static void set_path(json_t *to, const char *path, json_t *value)
{
	const char *dot;
	char key[64];
	json_t *next;

	while ((dot = strchr(path, '.'))) {
		snprintf(key, sizeof(key), "%.*s", (int)(dot - path), path);
		next = json_object_get(to, key);
		if (!next) {
			next = json_object();
			json_object_set_new(to, key, next);
		}
		to = next;
		path = dot + 1;
	}
	json_object_set_new(to, path, value);
}

static void set_values(json_t *to, const struct policy *p, const struct value_type *types,
		       const struct value *v, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		set_path(to, types[i].path, value_json(p, &types[i], &v[i]));
}

static json_t *said(const struct policy *p, const char *text, const struct origin *o)
{
	return json_pack("{ssso}", "value", text, "from", origin_json(p, o));
}

static json_t *service_json(const struct policy *p, const struct policy_service *s)
{
	json_t *j = json_pack("{so}", "name", said(p, s->name, &s->origin));
	json_t *listen = json_array(), *interfaces = json_array();
	char text[ADDRESS_TEXT_SIZE];
	size_t i;

	for (i = 0; i < s->n_listen; i++)
		json_array_append_new(
			listen, said(p, listen_text(&s->listen[i], text), &s->listen[i].origin));
	json_object_set_new(j, "listen", listen);
	for (i = 0; i < s->n_interfaces; i++)
		json_array_append_new(interfaces, json_string(s->interfaces[i]));
	json_object_set_new(j, "interfaces", interfaces);
	set_values(j, p, service_types, s->v, SV_COUNT);
	return j;
}

static json_t *prefixes_json(const struct policy *p, const struct policy_prefixes *set)
{
	json_t *list = json_array();
	char text[ADDRESS_TEXT_SIZE];
	size_t i;

	for (i = 0; i < set->n; i++)
		json_array_append_new(list,
				      said(p, prefix_text(&set->at[i], text), &set->at[i].origin));
	return list;
}

json_t *policy_json(const struct policy *p)
{
	json_t *j = json_pack("{si}", "version", 1), *defaults = json_object();
	json_t *services = json_array();
	size_t i;

	set_values(defaults, p, service_types, p->defaults, SV_COUNT);
	json_object_set_new(j, "defaults", defaults);
	for (i = 0; i < p->n_services; i++)
		json_array_append_new(services, service_json(p, &p->services[i]));
	json_object_set_new(j, "services", services);
	set_path(j, "sources.allow", prefixes_json(p, &p->allow));
	set_path(j, "sources.deny", prefixes_json(p, &p->deny));
	set_values(j, p, host_types, p->host, HV_COUNT);
	return j;
}
