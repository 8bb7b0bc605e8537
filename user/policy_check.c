// SPDX-License-Identifier: GPL-2.0-only
/* What can be seen only when all of a policy is read: values that contradict each other. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy_address.h"
#include "policy_read.h"
#include "policy_value.h"

/* ---- bounds in pairs ---- */

static const struct pair {
	enum service_value low, high;
	bool may_be_equal;
} pairs[] = {
	{SV_HALF_OPEN_CALM, SV_HALF_OPEN_ATTACK, false},
	{SV_RATE_CALM, SV_RATE_ATTACK, false},
	{SV_SYN_ATTACK, SV_SYN_CALM, true},
};

/* " (built in)" or " (4:9)". */
static const char *origin_hint(const struct origin *o, char buf[32])
{
	if (o->from == ORIGIN_FILE)
		snprintf(buf, 32, " (%u:%u)", o->line, o->column);
	else
		strcpy(buf, " (built in)");
	return buf;
}

/* Said right here, not inherited from the defaults? */
static bool own(const struct value *v, const struct value *defaults)
{
	return v->origin.from == ORIGIN_FILE &&
	       (v == defaults || !origin_same(&v->origin, &defaults->origin));
}

static void check_pair(struct reader *r, const struct pair *pair, const struct value *v,
		       const char *of)
{
	const struct value *low = &v[pair->low], *high = &v[pair->high], *at = low;
	const struct value_type *types = service_types;
	char a[VALUE_TEXT_SIZE], b[VALUE_TEXT_SIZE], there[32];
	bool low_own = own(low, &r->p->defaults[pair->low]);
	bool high_own = own(high, &r->p->defaults[pair->high]);

	if (low->n == VALUE_WRONG || high->n == VALUE_WRONG || (!low_own && !high_own))
		return; /* the fault is not here */
	if (low->n < high->n || (pair->may_be_equal && low->n == high->n))
		return;
	/* told where it was said here; if both were, at the one that is to be smaller */
	if (!low_own)
		at = high;
	complain(&r->errors, &at->origin, "%s%s: %s must be %s %s, which is %s%s", of,
		 types[at == low ? pair->low : pair->high].path,
		 value_text(types[pair->low].kind, at->n, a),
		 at == low            ? pair->may_be_equal ? "at most" : "below"
		 : pair->may_be_equal ? "at least"
				      : "above",
		 types[at == low ? pair->high : pair->low].path,
		 value_text(types[pair->low].kind, at == low ? high->n : low->n, b),
		 origin_hint(at == low ? &high->origin : &low->origin, there));
}

static void check_pairs(struct reader *r)
{
	const struct policy *p = r->p;
	char of[32];
	size_t i, s;

	for (i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		check_pair(r, &pairs[i], p->defaults, "defaults.");
		for (s = 0; s < p->n_services; s++) {
			snprintf(of, sizeof(of), "services[%zu].", s);
			check_pair(r, &pairs[i], p->services[s].v, of);
		}
	}
}

/* ---- services ---- */

struct named {
	const struct policy_service *s;
};

static int by_name(const void *l, const void *r)
{
	const struct named *a = l, *b = r;
	int d = strcmp(a->s->name, b->s->name);

	return d ? d : a->s < b->s ? -1 : 1;
}

static void check_name(struct reader *r, const struct policy_service *s,
		       const struct policy_service *first)
{
	const struct policy_service *all = r->p->services;

	if (!*s->name || *s->name == '?' || strcmp(s->name, first->name) != 0)
		return;
	complain(&r->errors, &s->origin,
		 "services[%zu].name: \"%s\" is the name of services[%zu] too (%u:%u)", s - all,
		 s->name, first - all, first->origin.line, first->origin.column);
}

static int check_names(struct reader *r)
{
	const struct policy *p = r->p;
	struct named *names = calloc(p->n_services + 1, sizeof(*names));
	size_t i, first = 0;

	if (!names)
		return -ENOMEM;
	for (i = 0; i < p->n_services; i++)
		names[i].s = &p->services[i];
	qsort(names, p->n_services, sizeof(*names), by_name);
	for (i = 1; i < p->n_services; i++) {
		if (strcmp(names[i].s->name, names[first].s->name) != 0)
			first = i;
		else
			check_name(r, names[i].s, names[first].s);
	}
	free(names);
	return 0;
}

static void check_listen(struct reader *r)
{
	const struct policy *p = r->p;
	const struct policy_listen *l, *before;
	char text[ADDRESS_TEXT_SIZE], other[ADDRESS_TEXT_SIZE];
	size_t i, j, by;

	for (i = 0; i < p->n_services && !r->errors.more; i++) {
		for (j = 0; j < p->services[i].n_listen; j++) {
			l = &p->services[i].listen[j];
			before = l->first ? policy_covered(p, i, j, &by) : NULL;
			if (before)
				complain(&r->errors, &l->origin,
					 "services[%zu].listen[%zu]: %s can never match: "
					 "services[%zu] has %s (%u:%u)",
					 i, j, listen_text(l, text), by, listen_text(before, other),
					 before->origin.line, before->origin.column);
		}
	}
}

/* ---- prefixes ---- */

static void check_prefixes(struct reader *r)
{
	const struct policy *p = r->p;
	const struct policy_prefix *a, *d;
	char text[ADDRESS_TEXT_SIZE];
	size_t i = 0, j = 0;
	int c;

	while (i < p->allow.n && j < p->deny.n) {
		a = &p->allow.at[i];
		d = &p->deny.at[j];
		c = prefix_compare(a, d);
		if (!c)
			complain(&r->errors, &d->origin,
				 "%s%s is in sources.allow too (%s:%u:%u), which wins",
				 d->origin.file ? "" : "sources.deny: ", prefix_text(d, text),
				 p->files[a->origin.file].name, a->origin.line, a->origin.column);
		i += c <= 0;
		j += c >= 0;
	}
}

int policy_check(struct reader *r)
{
	int err;

	check_pairs(r);
	err = check_names(r);
	if (err)
		return err;
	check_listen(r);
	check_prefixes(r);
	return 0;
}
