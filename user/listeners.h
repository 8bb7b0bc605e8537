/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which local addresses and ports are protected, and how: the host's listening sockets and its
 * addresses, seen with the eyes of a policy, brought into the maps `services`, `ports` and
 * `listeners`.
 *
 * A pair of address and port belongs to the service that the policy finds for it; else to one that
 * is named by its port, with the policy's defaults. Both slots of the maps are kept, and are equal
 * but for the time in which another policy is about to be put in force.
 */
#ifndef SYNSTILE_LISTENERS_H
#define SYNSTILE_LISTENERS_H

#include "maps.h"
#include "policy.h"
#include "state.h"

struct listeners;
struct published; /* ports that lead to containers */

/* Takes over what the maps hold already. `p` is in force and lives on until another one is. NULL:
 * out of memory, or a reason. */
struct listeners *listeners_new(const struct maps *m, const struct state *st,
				const struct policy *p);
void listeners_free(struct listeners *l);
/* Tells of interfaces that were attached, detached or renamed. */
void listeners_set_state(struct listeners *l, const struct state *st);
/* Looks for what own cookies do not survive (nat.h, bridged.h): with it, services are only observed
 * from the next refresh on. */
void listeners_see_hindrance(struct listeners *l);
/* Ports that can only be observed, for their traffic is led to a container. It may change while it
 * lives: then `changed`. */
void listeners_set_published(struct listeners *l, const struct published *p, bool changed);
/* Brings the maps up to date. `addresses_changed`: ask the kernel for its addresses again. */
int listeners_refresh(struct listeners *l, bool addresses_changed);

/* Writes what this policy wants into the slot that is not in force. All or nothing: an error is
 * followed by listeners_abandon(), as is any later one; else, once it is in force, by
 * listeners_switch(). */
int listeners_prepare(struct listeners *l, const struct policy *next);
void listeners_abandon(struct listeners *l);
/* Could it be prepared? Writes nothing. */
int listeners_try(struct listeners *l, const struct policy *next);
/* After either of the two: does anything listen for this service of it? */
bool listeners_next_serves(const struct listeners *l, size_t service);
/* `next` is in force now: the other slot becomes equal with the next refresh. */
void listeners_switch(struct listeners *l);

/* Once a second: looks which services that are no more are referred to by nothing. */
void listeners_rest(struct listeners *l);

/* The values of a service that the policy in force has or makes; NULL: no such service. */
const struct value *listeners_values(const struct listeners *l, u16 index);
/* Counts up whenever those may be others. */
u64 listeners_version(const struct listeners *l);
/* How many ports, how many pairs of address and port. */
void listeners_count(const struct listeners *l, size_t *ports, size_t *pairs);

#endif
