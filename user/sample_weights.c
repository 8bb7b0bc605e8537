// SPDX-License-Identifier: GPL-2.0-only
#include "sample_weights.h"

/* A service's index that was given to another one has begun to count anew; and what was
 * overwritten while it was read is newer than what follows it. Then it stands for itself. */
static u32 distance(u32 from, u32 to)
{
	s32 n = (s32)(to - from);

	return n > 0 ? n : 1;
}

void sample_weights(const struct samples *ring, u32 number[SYNSTILE_MAX_SERVICES],
		    u32 weights[SAMPLES])
{
	u32 i, k;

	/* from the newest on */
	for (k = 0; k < SAMPLES; k++) {
		const struct syn_sample *s;

		i = (ring->n - 1 - k) % SAMPLES;
		s = &ring->at[i];
		weights[i] = 0;
		if (k >= ring->n || s->service >= SYNSTILE_MAX_SERVICES)
			continue;
		weights[i] = distance(s->number, number[s->service]);
		number[s->service] = s->number;
	}
}
