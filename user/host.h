/* SPDX-License-Identifier: GPL-2.0-only */
/* What the host has that may be protected: listening sockets, addresses, interfaces. */
#ifndef SYNSTILE_USER_HOST_H
#define SYNSTILE_USER_HOST_H

#include "netlink.h"
#include "ports.h"
#include "state.h"

struct host_listener {
	struct addr addr;
	__be16 port;
	u16 window; /* bytes that its SYN-ACKs offer */
	u32 backlog;
	bool any;    /* all addresses of `v6`'s family */
	bool v6;     /* an IPv6 socket */
	bool v6only; /* takes no IPv4 */
	bool mptcp;
};

struct host_iface {
	u32 ifindex;
	char name[IF_NAMESIZE];
};

struct host {
	struct host_listener *listeners, *before;
	size_t n, n_before, room, room_before;
	struct addr *addresses; /* without loopback */
	size_t n_addresses, room_addresses;
	bool addresses_known;
	struct host_iface ifaces[MAX_IFACES]; /* attached */
	size_t n_ifaces;
	u32 syn_timeout_ms; /* of the kernel: see sysctls.h */
};

/* Reads it again: 1 if anything is different, 0 if not, or -errno. `moved`: addresses or links may
 * have changed. Listeners at loopback addresses do not count, nor those at ports not `allowed`. */
int host_read(struct host *h, const struct ports *allowed, bool moved);
/* The interfaces that synstile is attached to. True if they are others than before. */
bool host_set_ifaces(struct host *h, const struct state *st);
/* Does this listener take connections to this address of the host? */
bool host_listens_at(const struct host_listener *l, const struct addr *a);
void host_free(struct host *h);

#endif
