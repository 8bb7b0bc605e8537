/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What comes each second: the counters of services (map `load`) and of verdicts, looked at once a
 * second by the agent, as rates. For the history, the live view and the metrics, so that the maps
 * are read once for all of them.
 */
#ifndef SYNSTILE_USER_RATES_H
#define SYNSTILE_USER_RATES_H

#include "half_open.h"
#include "instance.h"
#include "maps.h"
#include "state.h"

struct rates;

/* A second, as it was; of one service or of all of them together. */
struct rate {
	u64 per_s[LOAD_KINDS]; /* index: enum load_kind */
	u64 total[LOAD_KINDS]; /* since synstile was attached; of all together: since the agent
				  began, plus what those services had then that were there */
	u32 half_open;         /* now, in the flow table: struct census */
	u32 kernel_half_open;  /* now: request sockets; UINT32_MAX: not known */
	u32 attacked;          /* services under attack: of one service 0 or 1 */
};

#define RATES_ALL 0 /* instead of a service: all services together */

/* `in` and `st` are looked at as they are then; the kernel's half-open connections are those that
 * `h` counts. NULL: no memory. */
struct rates *rates_new(const struct maps *m, const struct instance *in, const struct state *st,
			const struct half_open *h);
void rates_free(struct rates *r);

/* Once a second, after the sweep. -errno with a reason. */
int rates_look(struct rates *r);
/* When that was done last, ns (monotonic); 0: not yet. */
u64 rates_when(const struct rates *r);

/* False: there is no such service, or it was not looked at twice yet. */
bool rates_of(const struct rates *r, u16 service, struct rate *out);

/* As the last look found them; NULL: no such service. */
const struct service *rates_service(const struct rates *r, u16 service);
const struct pressure *rates_pressure(const struct rates *r, u16 service);
/* Connections in the flow table, those that the host opened too. */
void rates_flows(const struct rates *r, struct census *sum);
/* No service has an index as high as this. */
u16 rates_end(const struct rates *r);
/* Counts up when this index begins with another service's counts: what was known of it is not this
 * one's. (Another name alone is the same service, renamed.) */
u32 rates_life(const struct rates *r, u16 service);

/* Packets by verdict, on all interfaces; index as counters have it (BANK_x * V_COUNT + verdict).
 * `total` is of the interfaces that are attached now. */
struct verdict_rate {
	u64 per_s, total;
};
const struct verdict_rate *rates_verdicts(const struct rates *r);
/* Packets a second that were dropped, by any verdict that drops: also those of no service. */
u64 rates_dropped(const struct rates *r);

#endif
