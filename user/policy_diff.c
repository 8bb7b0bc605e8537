// SPDX-License-Identifier: GPL-2.0-only
/* What is different between two policies, as somebody would say it who knows them. */
#include <stdlib.h>
#include <string.h>

#include "policy_address.h"
#include "policy_read.h"
#include "policy_value.h"

#define PREFIXES_TOLD 1000 /* of each list */

static void tell(json_t *to, json_t *path, json_t *before, json_t *after)
{
	json_array_append_new(to, json_pack("{sososo}", "path", path, "from", before, "to", after));
}

/* ---- values ---- */

static json_t *value_said(const struct value_type *t, const struct value *v)
{
	bool built_in = v->origin.from == ORIGIN_BUILT_IN;
	char text[VALUE_TEXT_SIZE], follows[80];

	value_text(t->kind, v->n, text);
	if (!built_in || !value_follows(t, follows, sizeof(follows)))
		return json_string(text);
	return v->n ? json_sprintf("%s (built in)", text) : json_string("built in");
}

static void diff_value(json_t *to, const char *of, const struct value_type *t,
		       const struct value *a, const struct value *b)
{
	json_t *before = value_said(t, a), *after = value_said(t, b);

	if (!json_equal(before, after))
		tell(to, json_sprintf("%s%s", of, t->path), json_incref(before),
		     json_incref(after));
	json_decref(before);
	json_decref(after);
}

/* ---- services ---- */

/* What it listens at, or with `interfaces` where, in one line. */
static json_t *joined(const struct policy_service *s, bool interfaces)
{
	size_t i, n = interfaces ? s->n_interfaces : s->n_listen, size = 0;
	char text[ADDRESS_TEXT_SIZE], *line = NULL;
	FILE *f = open_memstream(&line, &size);
	json_t *j;

	if (!f)
		return json_null();
	for (i = 0; i < n; i++)
		fprintf(f, "%s%s", i ? ", " : "",
			interfaces ? s->interfaces[i] : listen_text(&s->listen[i], text));
	fclose(f);
	j = json_string(n ? line : "all");
	free(line);
	return j;
}

static bool inherited(const struct policy *p, const struct policy_service *s, size_t v)
{
	return origin_same(&s->v[v].origin, &p->defaults[v].origin);
}

/* A value that follows the defaults before and after is told there. */
static void diff_service(json_t *to, const struct policy *from, const struct policy_service *a,
			 const struct policy *p, const struct policy_service *b)
{
	static const char *const lists[] = {"listen", "interfaces"};
	json_t *before, *after;
	char of[64];
	size_t i;

	snprintf(of, sizeof(of), "services.%s.", b->name);
	for (i = 0; i < 2; i++) {
		before = joined(a, i);
		after = joined(b, i);
		if (!json_equal(before, after))
			tell(to, json_sprintf("%s%s", of, lists[i]), json_incref(before),
			     json_incref(after));
		json_decref(before);
		json_decref(after);
	}
	for (i = 0; i < SV_COUNT; i++)
		if (!inherited(from, a, i) || !inherited(p, b, i))
			diff_value(to, of, &service_types[i], &a->v[i], &b->v[i]);
}

/* A service that comes has what it says itself told too. */
static void new_service(json_t *to, const struct policy *p, const struct policy_service *s)
{
	char of[64];
	size_t i;

	tell(to, json_sprintf("services.%s", s->name), json_null(), joined(s, false));
	snprintf(of, sizeof(of), "services.%s.", s->name);
	if (s->n_interfaces)
		tell(to, json_sprintf("%sinterfaces", of), json_string("all"), joined(s, true));
	for (i = 0; i < SV_COUNT; i++)
		if (!inherited(p, s, i))
			diff_value(to, of, &service_types[i], &p->defaults[i], &s->v[i]);
}

/* Services in the order of their names. */
struct names {
	struct name {
		const struct policy_service *s;
	} * at;
	size_t n;
};

static int by_name(const void *l, const void *r)
{
	const struct name *a = l, *b = r;

	return strcmp(a->s->name, b->s->name);
}

static struct names sorted(const struct policy *p)
{
	struct names names = {.at = calloc(p->n_services + 1, sizeof(*names.at))};

	for (; names.at && names.n < p->n_services; names.n++)
		names.at[names.n].s = &p->services[names.n];
	if (names.n)
		qsort(names.at, names.n, sizeof(*names.at), by_name);
	return names;
}

static const struct policy_service *named(const struct names *names,
					  const struct policy_service *as)
{
	const struct name key = {as}, *found = NULL;

	if (names->n)
		found = bsearch(&key, names->at, names->n, sizeof(key), by_name);
	return found ? found->s : NULL;
}

/* The first that lists an address has it: is the order of those that stay the same? */
static bool moved(const struct names *before, const struct policy *to)
{
	const struct policy_service *last = NULL, *old;
	size_t i;

	for (i = 0; i < to->n_services; i++) {
		old = named(before, &to->services[i]);
		if (old && last && old < last)
			return true;
		last = old ? old : last;
	}
	return false;
}

static void diff_services(json_t *j, const struct policy *from, const struct policy *to)
{
	struct names before = sorted(from), after = sorted(to);
	const struct policy_service *s;
	size_t i;

	for (i = 0; i < from->n_services; i++) {
		s = &from->services[i];
		if (!named(&after, s))
			tell(j, json_sprintf("services.%s", s->name), joined(s, false),
			     json_null());
	}
	for (i = 0; i < to->n_services; i++) {
		s = named(&before, &to->services[i]);
		if (s)
			diff_service(j, from, s, to, &to->services[i]);
		else
			new_service(j, to, &to->services[i]);
	}
	if (moved(&before, to))
		tell(j, json_string("services"), json_string("one order"),
		     json_string("another order"));
	free(before.at);
	free(after.at);
}

/* ---- prefixes ---- */

struct prefix_change {
	json_t *to;
	const char *path;
	size_t told, more;
};

static void tell_prefix(struct prefix_change *c, const struct policy_prefix *p, bool comes)
{
	char text[ADDRESS_TEXT_SIZE];

	if (c->told == PREFIXES_TOLD) {
		c->more++;
		return;
	}
	c->told++;
	prefix_text(p, text);
	tell(c->to, json_string(c->path), comes ? json_null() : json_string(text),
	     comes ? json_string(text) : json_null());
}

static void diff_prefixes(json_t *to, const char *path, const struct policy_prefixes *before,
			  const struct policy_prefixes *after)
{
	struct prefix_change change = {.to = to, .path = path};
	size_t i = 0, j = 0;
	int c;

	while (i < before->n || j < after->n) {
		c = i == before->n  ? 1
		    : j == after->n ? -1
				    : prefix_compare(&before->at[i], &after->at[j]);
		if (c < 0)
			tell_prefix(&change, &before->at[i], false);
		else if (c > 0)
			tell_prefix(&change, &after->at[j], true);
		i += c <= 0;
		j += c >= 0;
	}
	if (change.more)
		json_array_append_new(to, json_pack("{sssnsnsI}", "path", path, "from", "to",
						    "more", (json_int_t)change.more));
}

json_t *policy_diff(const struct policy *from, const struct policy *to)
{
	json_t *j = json_array();
	size_t i;

	for (i = 0; i < SV_COUNT; i++)
		diff_value(j, "defaults.", &service_types[i], &from->defaults[i], &to->defaults[i]);
	diff_services(j, from, to);
	diff_prefixes(j, "sources.allow", &from->allow, &to->allow);
	diff_prefixes(j, "sources.deny", &from->deny, &to->deny);
	for (i = 0; i < HV_COUNT; i++)
		diff_value(j, "", &host_types[i], &from->host[i], &to->host[i]);
	return j;
}
