/* SPDX-License-Identifier: GPL-2.0-only */
/* The estimate of distinct sources from the registers of bpf/hyperloglog.h. Pure. */
#ifndef SYNSTILE_USER_DISTINCT_H
#define SYNSTILE_USER_DISTINCT_H

#include "hyperloglog.h"

/* The standard error of any estimate, as a share: 1.04 / sqrt(DISTINCT_REGISTERS). That of some
 * hundred sources or fewer is smaller. */
#define DISTINCT_ERROR 0.0325

/* Sources in `epoch` (hll_epoch()), which is the present one or the one before. A source is an IPv4
 * address, or an IPv6 prefix as struct rules has it. */
double distinct_estimate(const struct distinct *d, u32 epoch);

#endif
