/* SPDX-License-Identifier: GPL-2.0-only */
/* Pairs of address and port (and interface) with their services: the map `listeners`, and what
 * `ports` has of it. */
#ifndef SYNSTILE_USER_PAIRS_H
#define SYNSTILE_USER_PAIRS_H

#include "maps.h"

struct pair {
	struct listener_key key;
	struct listen_entry value;
	u8 missed; /* looks at the host in a row that did not find it */
};

struct pairs {
	struct pair *at; /* by key, once tidied */
	size_t n, room;
};

int pairs_add(struct pairs *p, const struct listener_key *key, const struct listen_entry *value);
/* Sorts, and joins those of sockets that share address and port: the smallest window. */
void pairs_tidy(struct pairs *p);
/* What the map has. */
int pairs_load(struct pairs *have, const struct maps *m);
/* Makes the map, of which *have is a copy, have what is wanted. One that is not found is removed
 * only the next time: `waits` says that there are such. */
int pairs_update(struct pairs *have, const struct pairs *want, const struct maps *m, bool *waits);

/* A copy of the map `ports`. Index: port, host order. */
struct port_table {
	struct port_entry have[65536], want[65536];
};

int port_table_load(struct port_table *t, const struct maps *m);
/* Makes the map fit these pairs. */
int port_table_update(struct port_table *t, const struct pairs *pairs, const struct maps *m);

#endif
