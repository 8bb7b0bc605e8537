/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From a policy's values and what the host has to the records that the datapath reads; and which
 * index each service has. Pure.
 */
#ifndef SYNSTILE_USER_SERVICES_H
#define SYNSTILE_USER_SERVICES_H

#include <stdbool.h>

#include "policy.h"

/* Is there anything that it wants more than observed? */
bool policy_protects(const struct policy *p);

/* The record as the policy has it. `port`: network order, 0 if the service has several.
 * `kernel_ms`: how long the kernel itself waits for a handshake. */
void service_begin(struct service *s, const char *name, __be16 port, const struct value v[SV_COUNT],
		   u32 kernel_ms);
/* It has a listener with this backlog: the roomiest one of them sets the bounds nobody chose. */
void service_listens(struct service *s, const struct value v[SV_COUNT], u32 backlog);
/* It is only observed, for this reason. */
void service_hold(struct service *s, enum service_held why, u32 kernel_ms);

/*
 * The index of each service by its name. What refers to a service (flows, pressure, load) knows
 * its index alone, so an index never passes to another service while something may refer to it.
 */
#define INDEX_REST_NS 120000000000ULL /* longer than a cookie lives, and a packet is on its way */

struct service_index {
	struct {
		char name[SERVICE_NAME_SIZE]; /* "": nobody's */
		bool wanted;                  /* by the policy */
		u64 idle; /* nothing has referred to it since (monotonic ns); 0: it may */
	} of[SYNSTILE_MAX_SERVICES];
};

/* 0 if it has none. */
u16 service_index_find(const struct service_index *x, const char *name);
/* The index that this name has or gets: a free one, or that of a service that is no more.
 * 0: there is none. `reused`: it was another's. */
u16 service_index_take(struct service_index *x, const char *name, u64 now, bool *reused);
/* The service goes on under another name, if nobody wants it under its own. */
bool service_index_rename(struct service_index *x, u16 i, const char *name);
/* This is whose it is. */
void service_index_enter(struct service_index *x, u16 i, const char *name);
/* Nobody wants any, until they are taken again. */
void service_index_unwant(struct service_index *x);
/* Does anything refer to this one? */
void service_index_seen(struct service_index *x, u16 i, bool refers, u64 now);

#endif
