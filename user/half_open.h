/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Half-open truth over time: does the flow table go on telling something else than the
 * kernel? For the agent, once a second.
 *
 * The numbers are compared each time: the last sweep's census and the kernel's request sockets.
 * Only while they differ are the lists compared, connection by connection; a connection that is in
 * one of them for more than a second counts as a disagreement. Short handshakes, of which each look
 * catches others, are none.
 */
#ifndef SYNSTILE_USER_HALF_OPEN_H
#define SYNSTILE_USER_HALF_OPEN_H

#include <jansson.h>

#include "maps.h"

struct half_open;

/* NULL: no memory. */
struct half_open *half_open_new(const struct maps *m);
void half_open_free(struct half_open *h);

/* Right after the sweep. Takes no more than 2 % of the time: after a costly check it does
 * nothing for a while. -errno with a reason. */
int half_open_check(struct half_open *h);

/* The kernel's half-open connections to this service, as last counted; UINT32_MAX: not lately. */
u32 half_open_kernel(const struct half_open *h, u16 service);

/* {"services": [{"service": "80", "port": 80, "half_open": 3, "answered": 3, "kernel": 3,
 *   "only_synstile": 0, "only_kernel": 0, "differs_ms": 0, "why": null}],
 *  "checked_ms_ago": 120} */
json_t *half_open_json(const struct half_open *h);

#endif
