// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "top_sources.h"

void sample_list_add(struct sample_list *list, const struct addr *addr, float syns)
{
	size_t room = list->room ? list->room * 2 : 512;
	struct sample *at;

	if (list->n == list->room) {
		at = list->n < TOP_SAMPLES_MAX ? realloc(list->at, room * sizeof(*at)) : NULL;
		if (!at)
			return;
		list->at = at;
		list->room = room;
	}
	list->at[list->n++] = (struct sample){*addr, syns};
}

void sample_list_free(struct sample_list *list)
{
	free(list->at);
	*list = (struct sample_list){0};
}

static bool is_ipv4(const struct addr *a)
{
	return !a->w[0] && !a->w[1] && a->w[2] == htonl(0xffff);
}

static u8 prefix_bits(const struct addr *a)
{
	return is_ipv4(a) ? TOP_BITS_IPV4 : TOP_BITS_IPV6;
}

struct top_prefix top_prefix_of(const struct addr *a)
{
	struct top_prefix p = {.bits = prefix_bits(a)};

	memcpy(&p.prefix, a, p.bits / 8);
	return p;
}

static int compare_addr(const struct addr *a, const struct addr *b)
{
	return memcmp(a, b, sizeof(*a));
}

static int compare_samples(const void *a, const void *b)
{
	return compare_addr(&((const struct sample *)a)->addr, &((const struct sample *)b)->addr);
}

static bool same_prefix(const struct addr *a, const struct addr *b)
{
	u8 bits = prefix_bits(a);

	return bits == prefix_bits(b) && !memcmp(a, b, bits / 8);
}

/* What may come from many machines is one source: an IPv4 address, an IPv6 /64. */
static bool same_source(const struct addr *a, const struct addr *b)
{
	return is_ipv4(a) ? !compare_addr(a, b) : same_prefix(a, b);
}

/* Those from at[i] on that are the same, of `all` SYNs; equal ones stand together. */
static struct top_prefix run(const struct sample_list *list, size_t i, double all,
			     bool (*same)(const struct addr *, const struct addr *))
{
	const struct addr *first = &list->at[i].addr;
	struct top_prefix p = top_prefix_of(first);

	for (; i < list->n && same(first, &list->at[i].addr); i++) {
		p.n++;
		p.share += (double)list->at[i].syns / all;
	}
	return p;
}

/* Puts `new` in its place, if it has one. */
static void insert(struct top_prefix *top, u32 *n, u32 max, const struct top_prefix *new)
{
	u32 i;

	if (*n == max && top[max - 1].share >= new->share)
		return;
	*n += *n < max;
	for (i = *n - 1; i > 0 && top[i - 1].share < new->share; i--)
		top[i] = top[i - 1];
	top[i] = *new;
}

static void find_prefixes(const struct sample_list *list, double all, struct top_sources *top)
{
	struct top_prefix p;
	size_t i;

	for (i = 0; i < list->n; i += p.n) {
		p = run(list, i, all, same_prefix);
		if (p.share > top->fullest)
			top->fullest = p.share;
		if (p.n >= TOP_LEAST && p.share * 100 >= TOP_PERCENT)
			insert(top->top, &top->n, TOP_SOURCES, &p);
	}
}

static void find_few(const struct sample_list *list, double all, struct top_sources *top)
{
	struct top_prefix few[TOP_FEW], p;
	u32 n = 0;
	size_t i;

	for (i = 0; i < list->n; i += p.n) {
		p = run(list, i, all, same_source);
		if (p.n >= 2)
			insert(few, &n, TOP_FEW, &p);
	}
	while (n)
		top->few += few[--n].share;
}

void top_sources(struct sample_list *list, struct top_sources *top)
{
	double all = 0, squares = 0;
	size_t i;

	*top = (struct top_sources){.samples = list->n};
	for (i = 0; i < list->n; i++) {
		all += (double)list->at[i].syns;
		squares += (double)list->at[i].syns * (double)list->at[i].syns;
	}
	if (all <= 0)
		return;
	top->worth = (u32)(all * all / squares + 0.5);
	qsort(list->at, list->n, sizeof(*list->at), compare_samples);
	find_prefixes(list, all, top);
	find_few(list, all, top);
}

const char *top_prefix_text(const struct top_prefix *p, char buf[PREFIX_TEXT_SIZE])
{
	char text[INET6_ADDRSTRLEN];
	bool v4 = is_ipv4(&p->prefix);

	inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? (void *)&p->prefix.w[3] : (void *)&p->prefix, text,
		  sizeof(text));
	snprintf(buf, PREFIX_TEXT_SIZE, "%s/%u", text, v4 ? p->bits - 96 : p->bits);
	return buf;
}
