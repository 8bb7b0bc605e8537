/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tells the kernel the SYN timeouts of the services (bpf/syn_timeout.h), which change with how
 * full their budgets of half-open connections are. Two ways:
 *
 *	request sockets that are over age are destroyed (reaper.h), service by service;
 *	net.ipv4.tcp_synack_retries follows, for the whole host. It knows steps only: 1, 3, 7, 15
 *... s. The kernel waits no less than the longest timeout, so that no handshake ends before its
 *time; the former way ends those that are over it. If the kernel cannot destroy request sockets, it
 *	waits no longer than the shortest timeout.
 */
#ifndef SYNSTILE_USER_TIMEOUTS_H
#define SYNSTILE_USER_TIMEOUTS_H

#include <jansson.h>

#include "instance.h"
#include "maps.h"
#include "policy.h"
#include "state.h"

struct timeouts;

/* `forget`, `sweep`: see datapath_forget(), datapath_sweep(). */
struct timeouts *timeouts_new(const struct maps *m, int forget, int sweep);
void timeouts_free(struct timeouts *t);
/* Which of both ways are allowed; NULL: as built in. */
void timeouts_follow(struct timeouts *t, const struct policy *p);

/* Every 250 ms, and right before the sweep of each second: ends what is over age, in the kernel and
 * in the flow table. Looking for it takes no more than 5 % of a CPU. -errno with a reason. */
int timeouts_reap(struct timeouts *t, const struct state *st);
/* Each second: lets the sysctl follow. Loads `st` anew when it changes something. */
int timeouts_adapt(struct timeouts *t, struct instance *in, struct state *st);
/* No one will adapt the sysctl from now on, or it is not wanted any more: gives it back. */
void timeouts_end(struct timeouts *t, struct instance *in, struct state *st);

/* Request sockets that were destroyed, so far. */
u64 timeouts_reaped(const struct timeouts *t);

/* {"reaping": "on", "off" (by policy) or "impossible", "reaped": request sockets, so far,
 * "adapting": "on", "off" or "yielded" (somebody else has changed the sysctl)} */
json_t *timeouts_json(const struct timeouts *t);

#endif
