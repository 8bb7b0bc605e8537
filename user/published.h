/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Published ports: those of local addresses that netfilter leads elsewhere in prerouting (DNAT, a
 * redirect), as for `docker run -p`. A program of this host may listen there too (docker-proxy),
 * but the connections are not its: a cookie handshake must not be finished with it. Rules for the
 * host's own connections (hook output) are no matter.
 *
 * Read from nftables, iptables-nft among it, and from the nat tables of legacy iptables. What a
 * rule asks for beyond protocol, port and local address (interfaces, sources, marks) may be given.
 */
#ifndef SYNSTILE_USER_PUBLISHED_H
#define SYNSTILE_USER_PUBLISHED_H

#include "ports.h"

struct published;

/* Nothing is read yet. NULL: no memory. */
struct published *published_new(void);
void published_free(struct published *p);
/*
 * Cheap enough for each second: rules are read again if nftables says that they changed; those of
 * legacy iptables, and those that name addresses, every 10 s; and never so often that it takes more
 * than a fiftieth of the time. True if the ports have changed.
 */
bool published_refresh(struct published *p);
/* Is this port (host order) led elsewhere? */
bool published_has(const struct published *p, u16 port);
const struct ports *published_ports(const struct published *p);

#endif
