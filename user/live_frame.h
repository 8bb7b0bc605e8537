/* SPDX-License-Identifier: GPL-2.0-only */
/* A frame of the live view: everything that a dashboard shows, at one moment. See docs/api.md. */
#ifndef SYNSTILE_USER_LIVE_FRAME_H
#define SYNSTILE_USER_LIVE_FRAME_H

#include <jansson.h>

#include "half_open_oldest.h"
#include "moment.h"
#include "service_json.h"
#include "syn_sources.h"

struct agent;

/* All services together: an attack on any of them is one. */
struct overall {
	bool attacked;
	u64 since; /* when that began, monotonic ns; 0: before the agent, or with it */
	char stamp[TIMESTAMP_SIZE]; /* the same for people */
};

/* What frames are made from, beside the agent itself. */
struct live_parts {
	struct agent *agent;
	struct services_now *services;
	struct oldest *oldest;
	struct syn_sources *sources;
	struct overall overall;
	u64 began; /* the agent, monotonic ns */
};

/* Once a second, after rates_look(). */
void overall_follow(struct overall *o, const struct rates *r);

/* With the busiest `services` services and the oldest `half_open` connections. */
json_t *live_frame(struct live_parts *l, u64 seq, size_t services, size_t half_open);

/* {"over_ms":, "samples":, "syn_rate":, "sources": [{"prefix":, "percent":, "syn_rate":}]} */
json_t *source_top_json(const struct source_top *top, size_t max);

#endif
