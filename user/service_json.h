/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How the services are doing, for /v1/services and for the live view: one table, which the agent
 * reads as often as somebody asks. See docs/api.md, "Service".
 */
#ifndef SYNSTILE_USER_SERVICE_JSON_H
#define SYNSTILE_USER_SERVICE_JSON_H

#include <jansson.h>

#include "detect.h"
#include "listeners.h"
#include "maps.h"
#include "rates.h"

struct services_now;

/* NULL: no memory. */
struct services_now *services_now_new(const struct maps *m, const struct listeners *l,
				      const struct rates *r, struct detect *d);
void services_now_free(struct services_now *s);

/* Before those below: reads the maps. Cheap enough for every frame, but not for every service.
 * -errno with a reason. */
int services_now_read(struct services_now *s);

/* The services that have a listener or are under attack, in this order: attacked, then most SYNs a
 * second, then most half-open connections, then by name. Returns how many. */
size_t services_now_busiest(const struct services_now *s, u16 order[SYNSTILE_MAX_SERVICES]);

/* Under attack? In any mode, also if it is only observed. */
bool service_attacked(const struct services_now *s, u16 i);
/* enum attack_reason: all bounds that were reached since the attack began; 0 unless attacked. */
u32 service_reasons(const struct services_now *s, u16 i);
/* Since when it is in its state, monotonic ns; 0: since it was attached. */
u64 service_since(const struct services_now *s, u16 i);
const struct service *service_record(const struct services_now *s, u16 i);
const struct pressure *service_pressure(const struct services_now *s, u16 i);

/* {"service":, "port":, "ports":, "mode":, "state":, ...}; `where`: with "addresses" and
 * "listeners" too, which may be many. What is not known (yet) is null. */
json_t *service_json(const struct services_now *s, u16 i, bool where);

/* "attack", "observe", "always" or "calm". */
const char *service_state_word(const struct service *s, const struct pressure *p);
/* Why it is only observed although its policy wants more; NULL: it is not. */
const char *service_held_words(const struct service *s);

#endif
