/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ends the kernel's half-open connections when the SYN timeout of their service is over, by
 * SOCK_DESTROY (sock_diag): the request socket goes, and the client hears nothing.
 *
 * The record in the flow table says how old a handshake is, and it ends first: what the datapath
 * has seen answered is not touched. Only where there is none does the kernel's own timer tell.
 */
#ifndef SYNSTILE_USER_REAPER_H
#define SYNSTILE_USER_REAPER_H

#include "maps.h"

/* What may go, by service. */
struct reap_limits {
	u32 known_ms[SYNSTILE_MAX_SERVICES];   /* older than this, with a record; 0: none */
	u32 unknown_ms[SYNSTILE_MAX_SERVICES]; /* and without one */
};

struct reaped {
	u32 n;          /* request sockets */
	u64 listing_ns; /* CPU time to have them listed, which also walks all connections */
};

/* At most 16,384 at a time. `forget`: see datapath_forget(). -errno with a reason; -EOPNOTSUPP:
 * this kernel cannot (CONFIG_INET_DIAG_DESTROY). */
int reap(const struct maps *m, int forget, const struct reap_limits *limits, struct reaped *done);

#endif
