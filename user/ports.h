/* SPDX-License-Identifier: GPL-2.0-only */
/* The argument of --ports: "80,443,8000-8100". */
#ifndef SYNSTILE_PORTS_H
#define SYNSTILE_PORTS_H

#include <synstile/types.h>

struct ports {
	u8 bits[65536 / 8];
};

/* NULL: every port. -EINVAL with a reason. */
int ports_parse(struct ports *p, const char *text);
void ports_add(struct ports *p, u16 first, u16 last);
/* Takes away all but those of `others`, or just those. False: none is left. */
bool ports_keep(struct ports *p, const struct ports *others);
bool ports_take(struct ports *p, const struct ports *others);
bool ports_has(const struct ports *p, u16 port);

#endif
