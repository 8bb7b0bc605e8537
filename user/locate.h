/* SPDX-License-Identifier: GPL-2.0-only */
/* Which service a socket belongs to, as the maps have it: for those who list the kernel's. */
#ifndef SYNSTILE_USER_LOCATE_H
#define SYNSTILE_USER_LOCATE_H

#include "maps.h"

/* Good for one pass over the sockets. */
struct locator {
	const struct maps *maps;
	u32 slot;
	struct listener_key last; /* many sockets in a row have one listener */
	u16 found;
	bool asked, by_interface;
};

void locator_begin(struct locator *l, const struct maps *m);
/* The service of this connection's local address and port, or 0. Where that depends on the
 * interface, of which sockets know nothing, the connection's record tells, if there is one. */
u16 locate(struct locator *l, const struct flow_key *key);

#endif
