// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bench yardstick: the least work that can answer a TCP packet. Swaps MAC addresses, IP addresses
 * and ports (no checksum changes by that) and sends the packet back. Untagged frames and IPv6
 * without extension headers only.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#define ETH_P_IP   0x0800
#define ETH_P_IPV6 0x86dd

#define swap_fields(a, b)                                                                          \
	do {                                                                                       \
		__typeof__(a) tmp_ = (a);                                                          \
		(a) = (b);                                                                         \
		(b) = tmp_;                                                                        \
	} while (0)

static __always_inline int swap_ports(struct tcphdr *tcp, void *end)
{
	if ((void *)(tcp + 1) > end)
		return -1;
	swap_fields(tcp->source, tcp->dest);
	return 0;
}

static __always_inline int swap_ipv4(struct iphdr *ip, void *end)
{
	if ((void *)(ip + 1) > end || ip->protocol != IPPROTO_TCP || ip->ihl < 5)
		return -1;
	if (ip->frag_off & bpf_htons(0x1fff)) /* a later fragment has no TCP header */
		return -1;
	if (swap_ports((void *)ip + ip->ihl * 4, end))
		return -1;
	swap_fields(ip->saddr, ip->daddr);
	return 0;
}

static __always_inline int swap_ipv6(struct ipv6hdr *ip6, void *end)
{
	__u32 *s = ip6->saddr.in6_u.u6_addr32, *d = ip6->daddr.in6_u.u6_addr32;

	if ((void *)(ip6 + 1) > end || ip6->nexthdr != IPPROTO_TCP)
		return -1;
	if (swap_ports((void *)(ip6 + 1), end))
		return -1;
	for (int i = 0; i < 4; i++)
		swap_fields(s[i], d[i]);
	return 0;
}

SEC("xdp.frags")
int xdp_swap(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	__u16 *mac = data;

	if ((void *)(eth + 1) > end)
		return XDP_PASS;
	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		if (swap_ipv4((void *)(eth + 1), end))
			return XDP_PASS;
	} else if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
		if (swap_ipv6((void *)(eth + 1), end))
			return XDP_PASS;
	} else {
		return XDP_PASS;
	}
	for (int i = 0; i < 3; i++)
		swap_fields(mac[i], mac[i + 3]);
	return XDP_TX;
}

char LICENSE[] SEC("license") = "GPL";
