/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's settings: what the datapath must know of them, and the few that it changes. */
#ifndef SYNSTILE_SYSCTLS_H
#define SYNSTILE_SYSCTLS_H

#include <synstile/settings.h>

#include "policy.h"
#include "state.h"

#define SYNACK_RETRIES  "net/ipv4/tcp_synack_retries"
#define MAX_SYN_BACKLOG "net/ipv4/tcp_max_syn_backlog"
#define SOMAXCONN_LIMIT "net/core/somaxconn"

/* Adds to `st` what must be changed for its cookie back end to protect; changes nothing yet. */
int sysctls_plan(struct state *st);
/* The same for the backlogs that the policy asks for. They are raised, never lowered; what it no
 * longer asks for is planned to be given back. NULL, or one that only observes: asks for nothing.
 */
int sysctls_plan_backlogs(struct state *st, const struct policy *p);
/* The number in /proc/sys/`name`, or `otherwise`. */
long sysctls_read(const char *name, long otherwise);
/* Makes the changes recorded in `st`, which must have been saved before; and afterwards, since what
 * was given back is dropped from it. */
int sysctls_apply(struct state *st);
/* Sets one, and records that in `st` and `path` before it does; 1: somebody else has changed it
 * since we did. It is theirs now, and off the record. */
int sysctls_change(struct state *st, const char *path, const char *name, int value);
/* Undoes those from number `from` on, except what somebody else has changed since, and drops
 * them from the record. */
void sysctls_restore(struct state *st, size_t from);

/* What the host had before synstile changed it, if the record says that it did; else what it has
 * now, or `otherwise`. */
long sysctls_original(const struct state *st, const char *name, long otherwise);
/* How long Linux keeps a half-open connection (net.ipv4.tcp_synack_retries): as the host has it,
 * not as synstile may have lowered it, if sysctls_remember() was told of the record. */
u32 sysctls_syn_timeout_ms(void);
void sysctls_remember(const struct state *st);
/* Opens what takes more privileges than reading: before they are given up. */
void sysctls_open(void);
/* Fills what the datapath needs, except READY and the keys. `ifname` gives the hop limit. */
int sysctls_settings(struct settings *set, enum service_mode mode, const char *ifname);
/* Bytes of window that a listener with this receive buffer offers in a SYN-ACK. */
u16 sysctls_window(u32 rcvbuf);

#endif
