/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where new SYNs came from in the last seconds: the map `samples`, looked at once a second.
 *
 * Each CPU samples each service as often as any other (include/synstile/source.h), however many
 * SYNs it gets. So each sample stands for as many SYNs as this CPU counted for its service in that
 * second, divided by the samples of them: a CPU with three clients does not outweigh one that is
 * flooded.
 */
#ifndef SYNSTILE_USER_SYN_SOURCES_H
#define SYNSTILE_USER_SYN_SOURCES_H

#include <stddef.h>

#include "maps.h"
#include "top_sources.h"

#define SOURCES_SECONDS 10
#define SOURCES_TOP     50 /* more are not found */

struct syn_sources;

/* A prefix that does not send so many by chance: TOP_LEAST, TOP_PERCENT. */
struct source_share {
	struct top_prefix prefix;
	double share; /* of all new SYNs */
	u64 syn_rate; /* per second */
};

struct source_top {
	u64 over_ms; /* how much time this is about */
	u32 samples;
	u64 syn_rate;
	size_t n;
	struct source_share top[SOURCES_TOP]; /* most first */
};

/* NULL: no memory. */
struct syn_sources *syn_sources_new(const struct maps *m);
void syn_sources_free(struct syn_sources *s);

/* Once a second. -errno with a reason. */
int syn_sources_look(struct syn_sources *s);

/* `service` 0: of all services together. At most `max` prefixes. */
void syn_sources_top(const struct syn_sources *s, u16 service, size_t max, struct source_top *top);

/* ---- the pure part ---- */

struct weighed_sample {
	struct addr addr;
	u16 service;
	u16 cpu;
	float syns; /* that it stands for */
};

/* Sorts them. */
void source_top_of(struct weighed_sample *samples, size_t n, u64 over_ns, size_t max,
		   struct source_top *top);

#endif
