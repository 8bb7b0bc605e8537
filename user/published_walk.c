// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "published_walk.h"

bool walk_local(struct walk *w, const struct addr *a, unsigned int bits)
{
	size_t i;

	w->by_address = true;
	for (i = 0; i < w->n_local; i++) {
		const u8 *x = (const u8 *)a, *y = (const u8 *)&w->local[i];
		unsigned int whole = bits / 8, rest = bits % 8;

		if (!memcmp(x, y, whole) && (!rest || !((x[whole] ^ y[whole]) >> (8 - rest))))
			return true;
	}
	return false;
}
