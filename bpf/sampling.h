/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which SYNs are kept in `samples`: see struct samples. Pure, and counts in one CPU's struct load.
 *
 * The first SYN of each span is kept, and then every stride-th. A span begins with the stride that
 * would have kept SAMPLES_PER_SPAN of the span before. It doubles when as many are kept: the span
 * in which a flood begins leaves 8 + 5 * log(n / 8) / log(2.3) of its n SYNs, 57 of 28,000.
 */
#ifndef SYNSTILE_SAMPLING_H
#define SYNSTILE_SAMPLING_H

#include "synstile/service.h"
#include "synstile/source.h"

/* One more SYN, before it is counted. `tick`: now, in l->tick's unit. */
static inline __attribute__((always_inline)) bool sampling_due(struct load *l, u32 tick)
{
	u32 stride = l->stride;

	if ((l->tick ^ tick) >> (SAMPLE_SPAN_SHIFT - LOAD_TICK_SHIFT)) {
		stride = l->seen / SAMPLES_PER_SPAN;
		l->seen = 0;
	} else if (l->left) {
		l->left--;
		return false;
	} else if (l->seen >= SAMPLES_PER_SPAN * stride) {
		stride *= 2;
	}
	stride = (stride < SAMPLE_STRIDE_MAX ? stride : SAMPLE_STRIDE_MAX) | 1;
	l->seen += stride;
	l->left = stride - 1;
	l->stride = stride;
	return true;
}

#endif
