/* SPDX-License-Identifier: GPL-2.0-only */
/* What this kernel and this driver can do, found by trying. */
#ifndef SYNSTILE_PROBE_H
#define SYNSTILE_PROBE_H

#include <synstile/types.h>

struct features {
	bool btf;          /* /sys/kernel/btf/vmlinux */
	bool raw_cookies;  /* bpf_tcp_raw_gen_syncookie_*: Linux 6.0 */
	bool assign_reqsk; /* bpf_sk_assign_tcp_reqsk: Linux 6.9 */
};

/* Can programs make conntrack entries? Only once nf_conntrack is loaded. */
bool probe_conntrack(void);

void probe_features(struct features *f);
/* Can programs replace functions of others (freplace)? libxdp's dispatcher needs it. */
bool probe_freplace(void);
/* The driver's name, or "" */
void probe_driver(const char *ifname, char driver[32]);
/* How a card's queues are; 0: the driver does not tell. */
struct queues {
	u32 rx, rx_max;     /* receive queues, as many as there may be */
	u32 ring, ring_max; /* frames that each of them holds */
};
void probe_queues(const char *ifname, struct queues *q);

/* 1 if an offload is on ("rx-lro", as `ethtool -k` with netlink off names it), 0 if not or not
 * known. `fixed`: the driver does not let it be changed. */
int probe_offload(const char *ifname, const char *feature, bool *fixed);
/* The card takes VLAN tags off before XDP sees the frame. */
bool probe_strips_vlan(const char *ifname);

#endif
