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
/* The card takes VLAN tags off before XDP sees the frame. */
bool probe_strips_vlan(const char *ifname);

#endif
