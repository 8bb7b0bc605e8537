/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where new SYNs came from in the last seconds: the map `samples`, looked at once a second.
 *
 * Each sample stands for the SYNs up to the next one of its service (sample_weights.h), in total
 * for as many as this CPU counted for the service in that second.
 */
#ifndef SYNSTILE_USER_SYN_SOURCES_H
#define SYNSTILE_USER_SYN_SOURCES_H

#include <stddef.h>

#include "maps.h"
#include "top_sources.h"

#define SOURCES_SECONDS 10

struct source_top {
	u64 over_ms;  /* how much time this is about */
	u64 syn_rate; /* of all new SYNs, per second */
	struct top_sources found;
};

struct syn_sources;

/* NULL: no memory. */
struct syn_sources *syn_sources_new(const struct maps *m);
void syn_sources_free(struct syn_sources *s);

/* Once a second. -errno with a reason. */
int syn_sources_look(struct syn_sources *s);

/* `service` 0: of all services together. */
void syn_sources_top(const struct syn_sources *s, u16 service, struct source_top *top);

/* The pure part. Sorts the samples. */
void source_top_of(struct sample_list *samples, u64 over_ns, struct source_top *top);

#endif
