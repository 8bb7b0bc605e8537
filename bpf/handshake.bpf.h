/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counting how long handshakes took: once for each, where its state changes. Global functions, for
 * their stack; at the end of the chain of calls, as event_attack() is.
 */
#ifndef SYNSTILE_HANDSHAKE_BPF_H
#define SYNSTILE_HANDSHAKE_BPF_H

#include "histogram.h"
#include "maps.bpf.h"

/* A half-open connection ended after so many us: enum handshake_outcome. */
__noinline int handshake_ended(u32 service, u32 outcome, u64 us)
{
	struct handshakes *h = map_at(&handshakes, handshake_entry(service));
	u32 bucket = half_open_bucket(us);

	if (!h || outcome >= OUTCOMES)
		return 0;
	/* the sweep can be interrupted by packets on its CPU */
	__sync_fetch_and_add(&h->half_open[outcome].n[bucket], 1);
	__sync_fetch_and_add(&h->half_open[outcome].sum_us, us);
	return 0;
}

__noinline int handshake_measured(u32 service, u32 us)
{
	struct handshakes *h = map_at(&handshakes, handshake_entry(service));
	u32 bucket = rtt_bucket(us);

	if (!h)
		return 0;
	__sync_fetch_and_add(&h->rtt.n[bucket], 1);
	__sync_fetch_and_add(&h->rtt.sum_us, us);
	return 0;
}

#endif
