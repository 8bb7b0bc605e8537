/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Detection, in the agent: looks at every service four times a second, finds what the datapath
 * cannot see by itself (user/judge.h), and sounds the alarm as long as it lasts. The datapath then
 * goes over to attack, and back as it does on its own account (bpf/pressure.h).
 *
 * The kernel counts overflows of its queues for the namespace, not for a listener. They are put
 * down to the service whose half-open connections fill its backlog most, if that is filled by a
 * quarter at least; else to none (a listener that is not protected has overflowed). Of several that
 * are full, by three quarters, it is the one to which most SYNs come. A service with listeners of
 * different backlogs is measured by the roomiest. When accept queues overflow, the
 * services are slow whose listeners' are half full at least when looked at right after; if none is,
 * all of them may be.
 */
#ifndef SYNSTILE_USER_DETECT_H
#define SYNSTILE_USER_DETECT_H

#include <jansson.h>

#include "attack.h"
#include "listeners.h"
#include "maps.h"

struct detect;

/* `alarm`: of datapath_open_alarm(). NULL: no memory. */
struct detect *detect_new(const struct maps *m, int alarm);
void detect_free(struct detect *d);

/* Takes the bounds that the policy in force has for each service, if they may have changed. Until
 * then the built-in ones hold. */
void detect_follow(struct detect *d, const struct listeners *l);

/* Every 250 ms. -errno with a reason. */
int detect_look(struct detect *d);

/* One more look at a service whose attack has just begun. */
void detect_look_again(struct detect *d, u16 service);

/* What goes with this event of type ATTACK_*, which has just been read, or was held for
 * JUDGE_AFTER. */
void detect_facts(struct detect *d, const struct event *e, struct attack_facts *f);

/* The names of the services that are under attack now, with ", " between them, cut to `size`. How
 * many there are. */
size_t detect_attacked(const struct detect *d, char *names, size_t size);

/* What is known of the present attack on a service: "since", "duration_ms", "reasons", and
 * attack_json(); NULL: it is not under attack. */
json_t *detect_attack_json(struct detect *d, u16 service);

/* GET /v1/detection: {"services": [{"service": "80", "port": 80, "state": "attack", ...}]}; see
 * docs/api.md. */
json_t *detect_json(struct detect *d);

#endif
