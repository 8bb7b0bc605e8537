/* SPDX-License-Identifier: GPL-2.0-only */
/* Where services listen: addresses and ports, as the map `listeners` has it for the policy in
 * force. */
#ifndef SYNSTILE_USER_SERVICE_PLACES_H
#define SYNSTILE_USER_SERVICE_PLACES_H

#include <jansson.h>

#include "maps.h"

struct place {
	u16 service, port; /* host order */
	u32 ifindex;       /* 0: any */
	struct addr addr;
};

/* In the order of services, and of ports in each. */
struct places {
	struct place *at;
	size_t n, room;
};

/* In place of those that it has. -errno. */
int places_read(struct places *p, const struct maps *m);
void places_free(struct places *p);
/* The `n` of this service; NULL: it has none. */
const struct place *places_of(const struct places *p, u16 service, size_t *n);

/* [80, 443] */
json_t *places_ports_json(const struct place *at, size_t n);
/* ["192.0.2.1", "2001:db8::1"] */
json_t *places_addresses_json(const struct place *at, size_t n);
/* ["192.0.2.1:80", "[2001:db8::1]:80", "192.0.2.1:80 at eth0"] */
json_t *places_listeners_json(const struct place *at, size_t n);

#endif
