/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counting: one verdict per packet and program, SYNs per service.
 */
#ifndef SYNSTILE_ACCOUNT_BPF_H
#define SYNSTILE_ACCOUNT_BPF_H

#include "pressure.h"
#include "event.bpf.h"

static __always_inline void count_verdict(enum synstile_verdict v, enum synstile_bank bank)
{
	u64 *n = map_at(&counters, bank * V_COUNT + v);

	if (n)
		(*n)++; /* per CPU, and XDP and TC do not interrupt each other */
}

/* Count a SYN to a service; report to the shared state once a tick of the coarse clock. */
static __always_inline void count_syn(u32 index, const struct service *s, struct pressure *p,
				      u64 now)
{
	struct load *l = map_at(&load, index);

	if (!l)
		return;
	l->n[LOAD_SYNS]++;
	l->fresh++;
	if (l->tick == now)
		return;
	event_pressure(index, pressure_syns(p, s, l->fresh, now));
	l->fresh = 0;
	l->sampled = 0;
	l->tick = now;
}

static __always_inline void count_load(u32 index, enum load_kind kind)
{
	struct load *l = map_at(&load, index);

	if (l)
		l->n[kind]++;
}

#endif
