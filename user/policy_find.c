// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which service an address and port belong to. Entries with one port, nearly all, are sorted, so
 * that thousands of services and sockets cost no more than their number; ranges are gone through.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy_address.h"
#include "policy_read.h"

struct entry {
	const struct policy_listen *l;
	u32 service, number; /* the order of the file: services, their entries */
};

struct policy_index {
	struct entry *single; /* by port, what, address; then in the order of the file */
	size_t n_single;
	struct entry *range; /* in the order of the file */
	size_t n_range;
	u8 by_interface[8192]; /* a bit per port */
};

/* By what can be looked up. */
static int compare_key(const struct policy_listen *a, const struct policy_listen *b)
{
	if (a->first != b->first)
		return a->first < b->first ? -1 : 1;
	if (a->what != b->what)
		return a->what < b->what ? -1 : 1;
	return a->what == LISTEN_ADDRESS ? memcmp(&a->addr, &b->addr, sizeof(a->addr)) : 0;
}

static int compare(const void *l, const void *r)
{
	const struct entry *a = l, *b = r;
	int d = compare_key(a->l, b->l);

	return d ? d : a->number < b->number ? -1 : 1;
}

static size_t entries(const struct policy *p)
{
	size_t i, n = 0;

	for (i = 0; i < p->n_services; i++)
		n += p->services[i].n_listen;
	return n;
}

static void note_interfaces(struct policy_index *x, const struct policy_listen *l)
{
	u32 port;

	for (port = l->first; port <= l->last; port++)
		x->by_interface[port / 8] |= 1 << port % 8;
}

static void enter(struct policy_index *x, const struct policy *p)
{
	const struct policy_service *s;
	u32 i, j, number = 0;
	struct entry e;

	for (i = 0; i < p->n_services; i++) {
		s = &p->services[i];
		for (j = 0; j < s->n_listen; j++) {
			e = (struct entry){&s->listen[j], i, number++};
			if (e.l->first == e.l->last)
				x->single[x->n_single++] = e;
			else
				x->range[x->n_range++] = e;
			if (s->n_interfaces)
				note_interfaces(x, e.l);
		}
	}
	if (x->n_single)
		qsort(x->single, x->n_single, sizeof(*x->single), compare);
}

int policy_index_make(struct policy *p)
{
	struct policy_index *x = calloc(1, sizeof(*x));
	size_t n = entries(p);

	if (!x)
		return -ENOMEM;
	x->single = calloc(n + 1, sizeof(*x->single));
	x->range = calloc(n + 1, sizeof(*x->range));
	if (!x->single || !x->range) {
		policy_index_free(x);
		return -ENOMEM;
	}
	enter(x, p);
	p->index = x;
	return 0;
}

void policy_index_free(struct policy_index *x)
{
	if (!x)
		return;
	free(x->single);
	free(x->range);
	free(x);
}

/* The first entry that is not before the key. */
static size_t lower_bound(const struct policy_index *x, const struct policy_listen *key)
{
	size_t from = 0, to = x->n_single, middle;

	while (from < to) {
		middle = from + (to - from) / 2;
		if (compare_key(x->single[middle].l, key) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

/* What is wanted: an entry that holds for all of `l`, and that `suits`; the first. */
struct search {
	const struct policy *p;
	const struct policy_listen *l;
	bool (*suits)(const struct search *s, const struct entry *e);
	const char *interface; /* for policy_find() */
	size_t service;        /* for policy_covered() */
	const struct entry *best;
};

static void consider(struct search *s, const struct entry *e)
{
	if ((!s->best || e->number < s->best->number) && s->suits(s, e))
		s->best = e;
}

static bool holds_for(const struct policy_listen *l, const struct policy_listen *of)
{
	bool ipv4 =
		of->what == LISTEN_IPV4 || (of->what == LISTEN_ADDRESS && addr_is_ipv4(&of->addr));

	if (of->first < l->first || of->last > l->last)
		return false;
	switch (l->what) {
	case LISTEN_ANY:
		return true;
	case LISTEN_IPV4:
		return ipv4;
	case LISTEN_IPV6:
		return !ipv4 && of->what != LISTEN_ANY;
	default:
		return of->what == LISTEN_ADDRESS && !memcmp(&l->addr, &of->addr, sizeof(l->addr));
	}
}

static void search_singles(struct search *s, const struct policy_listen *key)
{
	const struct policy_index *x = s->p->index;
	size_t i;

	for (i = lower_bound(x, key); i < x->n_single && !compare_key(x->single[i].l, key); i++)
		if (holds_for(x->single[i].l, s->l))
			consider(s, &x->single[i]);
}

static const struct entry *search(struct search *s)
{
	static const int wider[] = {LISTEN_ANY, LISTEN_IPV4, LISTEN_IPV6, LISTEN_ADDRESS};
	const struct policy_index *x = s->p->index;
	struct policy_listen key = *s->l;
	size_t i;

	if (!x)
		return NULL;
	if (s->l->first == s->l->last) {
		for (i = 0; i < sizeof(wider) / sizeof(*wider); i++) {
			key.what = wider[i];
			search_singles(s, &key);
		}
	}
	for (i = 0; i < x->n_range && (!s->best || x->range[i].number < s->best->number); i++)
		if (holds_for(x->range[i].l, s->l))
			consider(s, &x->range[i]);
	return s->best;
}

static bool has_interface(const struct policy_service *s, const char *name)
{
	size_t i;

	for (i = 0; i < s->n_interfaces; i++)
		if (!strcmp(s->interfaces[i], name))
			return true;
	return false;
}

static bool comes_in_there(const struct search *s, const struct entry *e)
{
	const struct policy_service *service = &s->p->services[e->service];

	return !service->n_interfaces || (s->interface && has_interface(service, s->interface));
}

const struct policy_service *policy_find(const struct policy *p, const struct addr *addr, u16 port,
					 const char *interface)
{
	const struct policy_listen l = {
		.what = LISTEN_ADDRESS, .addr = *addr, .first = port, .last = port};
	struct search s = {.p = p, .l = &l, .suits = comes_in_there, .interface = interface};
	const struct entry *e = search(&s);

	return e ? &p->services[e->service] : NULL;
}

bool policy_port_by_interface(const struct policy *p, u16 port)
{
	return p->index && p->index->by_interface[port / 8] >> port % 8 & 1;
}

/* Does an entry leave nothing for the one that is looked at? */
static bool comes_first(const struct search *s, const struct entry *e)
{
	const struct policy_service *before = &s->p->services[e->service];
	const struct policy_service *of = &s->p->services[s->service];
	size_t i;

	if (e->l->first == 0 || e->service > s->service ||
	    (e->service == s->service && e->l >= s->l))
		return false;
	if (e->service == s->service || !before->n_interfaces)
		return true;
	for (i = 0; i < of->n_interfaces; i++)
		if (!has_interface(before, of->interfaces[i]))
			return false;
	return of->n_interfaces;
}

const struct policy_listen *policy_covered(const struct policy *p, size_t service, size_t listen,
					   size_t *by)
{
	struct search s = {.p = p,
			   .l = &p->services[service].listen[listen],
			   .suits = comes_first,
			   .service = service};
	const struct entry *e = search(&s);

	if (!e)
		return NULL;
	*by = e->service;
	return e->l;
}
