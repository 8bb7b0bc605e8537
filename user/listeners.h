/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which local addresses and ports are protected: the host's listening sockets
 * and its addresses, brought into the maps `services`, `ports` and `listeners`.
 */
#ifndef SYNSTILE_LISTENERS_H
#define SYNSTILE_LISTENERS_H

#include "maps.h"
#include "ports.h"
#include "state.h"

struct listeners;

/* Takes over what the maps hold already. NULL: out of memory, or a reason. */
struct listeners *listeners_new(const struct maps *m, const struct state *st);
/* Looks for NAT, which own cookies do not survive (nat.h): with it, services are only observed from
 * the next refresh on. */
void listeners_see_nat(struct listeners *l);
void listeners_free(struct listeners *l);
/* Brings the maps up to date. `addresses_changed`: ask the kernel for its addresses again. */
int listeners_refresh(struct listeners *l, bool addresses_changed);
/* The index of the service with this port (network order), or 0. */
u16 listeners_service(const struct listeners *l, __be16 port);
/* How many services, how many pairs of address and port. */
void listeners_count(const struct listeners *l, size_t *services, size_t *pairs);

#endif
