// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <string.h>

#include "locate.h"

void locator_begin(struct locator *l, const struct maps *m)
{
	u32 generation = 0;

	maps_generation(m, &generation);
	*l = (struct locator){.maps = m, .slot = policy_slot(generation)};
}

static void ask(struct locator *l, const struct listener_key *key)
{
	struct port_entry port = {0};
	struct listen_entry entry;

	l->last = *key;
	l->asked = true;
	l->found = 0;
	maps_port(l->maps, ntohs(key->port), &port);
	l->by_interface = port.flags & PORT_BY_INTERFACE;
	if (port.flags & PORT_ANY && !maps_listener(l->maps, key, &entry))
		l->found = entry.service[l->slot];
}

u16 locate(struct locator *l, const struct flow_key *key)
{
	const struct listener_key listener = {.addr = key->local, .port = key->local_port};
	struct flow f;

	if (!l->asked || memcmp(&l->last, &listener, sizeof(listener)))
		ask(l, &listener);
	if (l->found && l->by_interface && !maps_flow(l->maps, key, &f))
		return f.service;
	return l->found;
}
