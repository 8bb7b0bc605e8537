/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's settings: what the datapath must know of them, and the few that it changes. */
#ifndef SYNSTILE_SYSCTLS_H
#define SYNSTILE_SYSCTLS_H

#include <synstile/settings.h>

#include "state.h"

/* Adds to `st` what must be changed for its cookie back end and mode; changes nothing yet. */
int sysctls_plan(struct state *st);
/* The number in /proc/sys/`name`, or `otherwise`. */
long sysctls_read(const char *name, long otherwise);
/* Makes the changes recorded in `st`, which must have been saved before. */
int sysctls_apply(const struct state *st);
/* Undoes those from number `from` on, except what somebody else has changed since, and drops
 * them from the record. */
void sysctls_restore(struct state *st, size_t from);

/* How long Linux keeps a half-open connection: 2^(n+1) - 1 s after n repeated SYN-ACKs
 * (net.ipv4.tcp_synack_retries). */
u32 sysctls_syn_timeout_ms(void);
/* Fills what the datapath needs, except READY and the keys. `ifname` gives the hop limit. */
int sysctls_settings(struct settings *set, enum service_mode mode, const char *ifname);
/* Bytes of window that a listener with this receive buffer offers in a SYN-ACK. */
u16 sysctls_window(u32 rcvbuf);

#endif
