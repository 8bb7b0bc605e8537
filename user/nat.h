/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SYNSTILE_NAT_H
#define SYNSTILE_NAT_H

#include <stdbool.h>

/*
 * Does netfilter translate addresses in this namespace (nftables, or iptables of either kind)?
 *
 * Then own cookies do not work: nf_nat_ipv4_local_in() and its IPv6 sister take the request socket
 * that bpf_sk_assign_tcp_reqsk() gave a packet for the wrong one, since that has no
 * ports yet, and drop it; the listener answers with a RST. One NAT chain of any rule is enough.
 */
bool nat_present(void);
/* Is there a nat table of iptables' own (not one that iptables-nft makes)? */
bool nat_legacy(bool v6);

#endif
