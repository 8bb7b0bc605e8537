/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What each sampled SYN stands for: itself and those that came after it up to the next sample of
 * its service (include/synstile/source.h). Pure.
 */
#ifndef SYNSTILE_USER_SAMPLE_WEIGHTS_H
#define SYNSTILE_USER_SAMPLE_WEIGHTS_H

#include <synstile/service.h>
#include <synstile/source.h>

/*
 * Sets weights[i] for ring->at[i], one CPU's. `number`: by service, how many SYNs that CPU has
 * counted for it; read after the ring, and overwritten.
 */
void sample_weights(const struct samples *ring, u32 number[SYNSTILE_MAX_SERVICES],
		    u32 weights[SAMPLES]);

#endif
