/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the host's nftables rules do to clients that come by cookie. Netfilter does not see their
 * SYN; the first that it sees of them is an ACK, which conntrack takes for a new connection (or
 * for an invalid one: see firewall_examine()).
 *
 * Rules are read as `nft -j list ruleset` shows them, those of iptables-nft among them. Two
 * packets, that SYN and that ACK, are led through the chains at netdev ingress, prerouting and
 * input: a match that is known to fail keeps a packet out of a rule, one that cannot be judged
 * (an address, a set) lets it in.
 */
#ifndef SYNSTILE_FIREWALL_H
#define SYNSTILE_FIREWALL_H

#include <jansson.h>

#include "ports.h"

enum firewall_kind {
	FIREWALL_SYN_LIMIT,  /* SYNs alone are limited or counted: the ACK is not */
	FIREWALL_SYN_DROP,   /* SYNs alone are dropped: the ACK is not */
	FIREWALL_SYN_ACCEPT, /* SYNs alone are accepted, and the rest is dropped */
	FIREWALL_ACK_DROP,   /* the ACK is dropped, where the SYN is not */
	FIREWALL_SYNPROXY,   /* the ACK is taken for an answer to netfilter's own cookies */
	FIREWALL_DNAT,       /* connections to `ports` go elsewhere */
	FIREWALL_NAT,        /* a table with rules that translate addresses, at any hook */
	FIREWALL_OPAQUE,     /* a table with extensions of iptables whose arguments are not shown */
};

struct firewall_finding {
	enum firewall_kind kind;
	const char *family, *table;
	const char *chain;   /* not NAT, not OPAQUE */
	int handle;          /* of the rule; not NAT, not OPAQUE */
	const char *does;    /* SYN_LIMIT: "limit", "ct count", "meter", "connlimit"...;
				DNAT: "dnat" or "redirect";
				OPAQUE: the extensions, "addrtype, conntrack" */
	bool sure;           /* SYN_ACCEPT: no other rule accepts the ACK either */
	bool xt;             /* the rule is of iptables */
	bool early;          /* the rule comes before conntrack: `ct state` tells nothing there */
	struct ports *ports; /* of the rule's clients (`all_ports`: every one) */
	bool all_ports;
};

typedef void (*firewall_fn)(const struct firewall_finding *f, void *arg);

/* Calls fn for what is found. `ack_invalid`: conntrack calls the ACK invalid:
 * nf_conntrack_tcp_loose is 0, and programs cannot make its entries. 0 or -ENOMEM. */
int firewall_examine(const json_t *ruleset, bool ack_invalid, firewall_fn fn, void *arg);

/* The text of a rule with `ct state new` in place of a match that wants a SYN: what it is meant to
 * say. False if it has no match that is understood. */
bool firewall_rewrite(const char *rule, char *buf, size_t size);

#endif
