// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "netlink.h"
#include "pairs.h"

/* A socket that closes while the kernel lists them can hide another one from the
 * list: a pair is removed only after it was missed this many times in a row. */
#define MISSES 2

int pairs_add(struct pairs *p, const struct listener_key *key, const struct listen_entry *value)
{
	size_t more = p->room ? p->room * 2 : 64;
	struct pair *bigger;

	if (p->n == p->room) {
		bigger = reallocarray(p->at, more, sizeof(*bigger));
		if (!bigger)
			return -ENOMEM;
		p->at = bigger;
		p->room = more;
	}
	p->at[p->n++] = (struct pair){.key = *key, .value = *value};
	return 0;
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct listener_key));
}

static void sort(struct pairs *p)
{
	if (p->n)
		qsort(p->at, p->n, sizeof(*p->at), compare);
}

void pairs_tidy(struct pairs *p)
{
	size_t i, n = 0;

	sort(p);
	for (i = 0; i < p->n; i++) {
		if (n && !compare(&p->at[n - 1], &p->at[i])) {
			if (p->at[i].value.window < p->at[n - 1].value.window)
				p->at[n - 1].value.window = p->at[i].value.window;
			continue;
		}
		p->at[n++] = p->at[i];
	}
	p->n = n;
}

static int load_pair(const struct listener_key *key, const struct listen_entry *value, void *arg)
{
	return pairs_add(arg, key, value);
}

int pairs_load(struct pairs *have, const struct maps *m)
{
	int err = maps_listeners(m, load_pair, have);

	/* a walk that met changes may have seen one twice */
	pairs_tidy(have);
	return err;
}

static int enter(const struct maps *m, const struct pair *p)
{
	return bpf_map_update_elem(m->listeners, &p->key, &p->value, BPF_ANY) ? -errno : 0;
}

/* One that is wanted no more: removes it, or keeps it in `next` for the time being. */
static int leave(const struct maps *m, struct pair *p, struct pairs *next, bool *waits)
{
	int err;

	if (++p->missed >= MISSES) {
		bpf_map_delete_elem(m->listeners, &p->key);
		return 0;
	}
	*waits = true;
	err = pairs_add(next, &p->key, &p->value);
	if (!err)
		next->at[next->n - 1].missed = p->missed;
	return err;
}

/* One walk over both sorted lists; what is to stay is collected in `next`. */
static int walk(const struct maps *m, const struct pairs *have, const struct pairs *want,
		struct pairs *next, bool *waits)
{
	struct pair *h = have->at, *h_end = h + have->n;
	const struct pair *w = want->at, *w_end = w + want->n;
	int err = 0, order;

	while (!err && (h < h_end || w < w_end)) {
		order = h == h_end ? 1 : w == w_end ? -1 : compare(h, w);
		if (order < 0) {
			err = leave(m, h++, next, waits);
			continue;
		}
		if (order > 0 || memcmp(&h->value, &w->value, sizeof(w->value)))
			err = enter(m, w);
		if (!err)
			err = pairs_add(next, &w->key, &w->value);
		h += !order;
		w++;
	}
	return err;
}

int pairs_update(struct pairs *have, const struct pairs *want, const struct maps *m, bool *waits)
{
	struct pairs next = {0};
	int err;

	*waits = false;
	err = walk(m, have, want, &next, waits);
	if (err) {
		/* the map may be ahead of `have`: see what it has now */
		free(next.at);
		have->n = 0;
		pairs_load(have, m);
		return err;
	}
	free(have->at);
	*have = next;
	return 0;
}

/* ---- ports ---- */

int port_table_load(struct port_table *t, const struct maps *m)
{
	return maps_ports(m, t->have);
}

/*
 * The kernel copies an entry of an array while packets read it, word by word. A packet that goes
 * by the new address and the old answer, or the other way round, would be in the wrong service:
 * in between there is no quick answer.
 */
static int set_port(struct port_table *t, const struct maps *m, u32 port)
{
	const struct port_entry *want = &t->want[port];
	struct port_entry *have = &t->have[port], between = *have;
	int err = 0;

	if (have->addr4 != want->addr4) {
		between.addr4 = 0;
		err = maps_set_port(m, port, &between);
		between.quick = want->quick;
		if (!err)
			err = maps_set_port(m, port, &between);
	}
	if (!err)
		err = maps_set_port(m, port, want);
	if (!err)
		*have = *want;
	return err;
}

/* The first IPv4 address of each port is its quick answer, unless the interface matters, which
 * that cannot tell. One that was missed does not say that it does. */
int port_table_update(struct port_table *t, const struct pairs *pairs, const struct maps *m)
{
	const struct pair *p;
	struct port_entry *want;
	int err = 0;
	u32 port;

	/* PORT_ANY stays: connections may be open though their listener is gone */
	for (port = 0; port < 65536; port++)
		t->want[port] = (struct port_entry){.flags = t->have[port].flags & PORT_ANY};
	for (p = pairs->at; p < pairs->at + pairs->n; p++) {
		want = &t->want[ntohs(p->key.port)];
		want->flags |= PORT_ANY;
		if (p->key.ifindex && !p->missed)
			want->flags |= PORT_BY_INTERFACE;
		if (p->key.ifindex || want->addr4 || !addr_is_v4(&p->key.addr))
			continue;
		want->addr4 = p->key.addr.w[3];
		want->quick = p->value;
	}
	for (port = 0; !err && port < 65536; port++) {
		want = &t->want[port];
		if (want->flags & PORT_BY_INTERFACE)
			*want = (struct port_entry){.flags = want->flags};
		if (memcmp(want, &t->have[port], sizeof(*want)))
			err = set_port(t, m, port);
	}
	return err;
}
