/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counting: one verdict per packet and program, what came per service.
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

/* All but LOAD_SYNS, for which see sources.bpf.h. */
static __always_inline void count_load(u32 index, enum load_kind kind)
{
	struct load *l = map_at(&load, index);

	if (l)
		l->n[kind]++;
}

#endif
