// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "netlink.h"
#include "service_places.h"

struct reading {
	struct places *to;
	const struct maps *maps;
	u32 slot;
};

/* Where the interface decides, the entry without one is for sockets only. */
static bool is_shadow(const struct reading *r, const struct listener_key *key)
{
	struct port_entry port = {0};

	return !key->ifindex && !maps_port(r->maps, ntohs(key->port), &port) &&
	       port.flags & PORT_BY_INTERFACE;
}

static int on_listener(const struct listener_key *key, const struct listen_entry *value, void *arg)
{
	const struct reading *r = arg;
	struct places *p = r->to;
	size_t more = p->room ? 2 * p->room : 256;
	struct place *bigger;

	if (!value->service[r->slot] || is_shadow(r, key))
		return 0;
	if (p->n == p->room) {
		bigger = reallocarray(p->at, more, sizeof(*bigger));
		if (!bigger)
			return -ENOMEM;
		p->at = bigger;
		p->room = more;
	}
	p->at[p->n++] = (struct place){.service = value->service[r->slot],
				       .port = ntohs(key->port),
				       .ifindex = key->ifindex,
				       .addr = key->addr};
	return 0;
}

static int compare(const void *l, const void *r)
{
	const struct place *a = l, *b = r;
	int d;

	if (a->service != b->service)
		return a->service < b->service ? -1 : 1;
	if (a->port != b->port)
		return a->port < b->port ? -1 : 1;
	d = memcmp(&a->addr, &b->addr, sizeof(a->addr));
	return d ? d : a->ifindex < b->ifindex ? -1 : a->ifindex > b->ifindex;
}

int places_read(struct places *p, const struct maps *m)
{
	struct reading r = {.to = p, .maps = m};
	u32 generation = 0;
	int err = maps_generation(m, &generation);

	p->n = 0;
	r.slot = policy_slot(generation);
	if (!err)
		err = maps_listeners(m, on_listener, &r);
	if (p->n)
		qsort(p->at, p->n, sizeof(*p->at), compare);
	return err;
}

void places_free(struct places *p)
{
	free(p->at);
	memset(p, 0, sizeof(*p));
}

/* The first place of this service or of a later one. */
static size_t first_of(const struct places *p, u32 service)
{
	size_t low = 0, high = p->n, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (p->at[middle].service < service)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct place *places_of(const struct places *p, u16 service, size_t *n)
{
	size_t first = first_of(p, service);

	*n = first_of(p, service + 1u) - first;
	return *n ? &p->at[first] : NULL;
}

json_t *places_ports_json(const struct place *at, size_t n)
{
	json_t *ports = json_array();
	size_t i;

	for (i = 0; i < n; i++)
		if (!i || at[i].port != at[i - 1].port)
			json_array_append_new(ports, json_integer(at[i].port));
	return ports;
}

json_t *places_addresses_json(const struct place *at, size_t n)
{
	json_t *addresses = json_array(), *seen = json_object();
	char addr[INET6_ADDRSTRLEN];
	size_t i;

	for (i = 0; i < n; i++) {
		addr_text(&at[i].addr, addr);
		if (!json_object_get(seen, addr))
			json_array_append_new(addresses, json_string(addr));
		json_object_set_new(seen, addr, json_true());
	}
	json_decref(seen);
	return addresses;
}

static json_t *place_json(const struct place *p)
{
	char addr[INET6_ADDRSTRLEN], name[IF_NAMESIZE] = "?";

	addr_text(&p->addr, addr);
	if (p->ifindex)
		if_indextoname(p->ifindex, name);
	return json_sprintf(addr_is_v4(&p->addr) ? "%s:%u%s%s" : "[%s]:%u%s%s", addr, p->port,
			    p->ifindex ? " at " : "", p->ifindex ? name : "");
}

json_t *places_listeners_json(const struct place *at, size_t n)
{
	json_t *listeners = json_array();
	size_t i;

	for (i = 0; i < n; i++)
		json_array_append_new(listeners, place_json(&at[i]));
	return listeners;
}
