// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packet loss to order, for the lab: a share of the packets that pass, or just those of one
 * connection with certain flags. It takes the place of netem, and can be told by connection.
 *
 * Attached at up to three places which share these maps; tests/net/dropper.py knows where and
 * writes the rules. What is lost here is lost on the wire: the sender's stack is told
 * that it was sent.
 */
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define ETH_P_IP   0x0800
#define ETH_P_IPV6 0x86dd

enum place {
	XDP_IN,
	TC_IN,
	TC_OUT,
};

struct rule_key {
	__u16 place; /* enum place */
	__u16 port;  /* host order, of either end; 0: any TCP packet */
};

struct rule {
	__u32 share; /* of 2^32 packets */
	__u32 left;  /* how many more to lose; ~0: no end */
	__u32 seed;  /* which ones */
	__u32 seen;  /* packets that matched */
	__u32 lost;  /* of these; those of a GSO packet count once */
	__u8 set;    /* TCP flags that must all be set */
	__u8 clear;  /* TCP flags that must all be clear */
	__u16 size;  /* bytes of payload at least */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct rule_key);
	__type(value, struct rule);
} rules SEC(".maps");

/* What of a packet the rules look at. */
struct seen {
	__u16 sport, dport; /* host order */
	__u16 size;
	__u8 flags;
};

/* The same packets for the same seed: a mixer in place of a generator's state (murmur3's). */
static __always_inline __u32 dice(__u32 seed, __u32 n)
{
	__u32 h = seed * 0x9e3779b9 + n;

	h = (h ^ h >> 16) * 0x85ebca6b;
	h = (h ^ h >> 13) * 0xc2b2ae35;
	return h ^ h >> 16;
}

/* IP without options: all that the lab's hosts send. Returns the length of the IP header, 0 if this
 * is not TCP; *bytes: of TCP header and payload. */
static __always_inline __u32 look_ip4(const struct iphdr *ip, __u32 *bytes)
{
	*bytes = bpf_ntohs(ip->tot_len) - sizeof(*ip);
	return ip->protocol == IPPROTO_TCP && ip->ihl == 5 ? sizeof(*ip) : 0;
}

static __always_inline __u32 look_ip6(const struct ipv6hdr *ip, __u32 *bytes)
{
	*bytes = bpf_ntohs(ip->payload_len);
	return ip->nexthdr == IPPROTO_TCP ? sizeof(*ip) : 0;
}

static __always_inline void look_tcp(struct seen *s, const struct tcphdr *tcp, __u32 bytes)
{
	s->sport = bpf_ntohs(tcp->source);
	s->dport = bpf_ntohs(tcp->dest);
	s->flags = ((const __u8 *)tcp)[13];
	s->size = bytes - tcp->doff * 4;
}

static __always_inline bool look_frame(struct seen *s, void *data, void *data_end)
{
	struct ethhdr *eth = data;
	void *ip = eth + 1;
	struct tcphdr *tcp;
	__u32 n = 0, bytes;

	if (ip + sizeof(struct ipv6hdr) > data_end)
		return false;
	if (eth->h_proto == bpf_htons(ETH_P_IP))
		n = look_ip4(ip, &bytes);
	else if (eth->h_proto == bpf_htons(ETH_P_IPV6))
		n = look_ip6(ip, &bytes);
	tcp = ip + n;
	if (!n || (void *)(tcp + 1) > data_end)
		return false;
	look_tcp(s, tcp, bytes);
	return true;
}

/* Behind generic XDP the link header may be missing: so from the network header on. */
static __always_inline bool look_skb(struct seen *s, struct __sk_buff *skb)
{
	struct ipv6hdr ip6;
	struct iphdr ip4;
	struct tcphdr tcp;
	__u32 n = 0, bytes, protocol = skb->protocol;

	barrier_var(
		protocol); /* or clang reads it twice, the second time as the verifier forbids */
	if (protocol == bpf_htons(ETH_P_IP) &&
	    !bpf_skb_load_bytes_relative(skb, 0, &ip4, sizeof(ip4), BPF_HDR_START_NET))
		n = look_ip4(&ip4, &bytes);
	else if (protocol == bpf_htons(ETH_P_IPV6) &&
		 !bpf_skb_load_bytes_relative(skb, 0, &ip6, sizeof(ip6), BPF_HDR_START_NET))
		n = look_ip6(&ip6, &bytes);
	if (!n || bpf_skb_load_bytes_relative(skb, n, &tcp, sizeof(tcp), BPF_HDR_START_NET))
		return false;
	look_tcp(s, &tcp, bytes);
	return true;
}

static __always_inline bool applies(struct rule *r, const struct seen *s)
{
	__u32 n;

	if ((s->flags & r->set) != r->set || s->flags & r->clear || s->size < r->size || !r->left)
		return false;
	n = __sync_fetch_and_add(&r->seen, 1);
	if (r->share != ~0U && dice(r->seed, n) >= r->share)
		return false;
	if (r->left != ~0U)
		__sync_fetch_and_add(&r->left, -1);
	__sync_fetch_and_add(&r->lost, 1);
	return true;
}

static __always_inline bool lose_by(__u16 place, __u16 port, const struct seen *s)
{
	struct rule_key key = {place, port};
	struct rule *r = bpf_map_lookup_elem(&rules, &key);

	return r && applies(r, s);
}

static __always_inline bool lose(__u16 place, const struct seen *s)
{
	return lose_by(place, s->sport, s) || lose_by(place, s->dport, s) || lose_by(place, 0, s);
}

SEC("xdp.frags")
int dropper_xdp(struct xdp_md *ctx)
{
	struct seen s;

	if (!look_frame(&s, (void *)(long)ctx->data, (void *)(long)ctx->data_end))
		return XDP_PASS;
	return lose(XDP_IN, &s) ? XDP_DROP : XDP_PASS;
}

static __always_inline int lose_skb(struct __sk_buff *skb, __u16 place)
{
	struct seen s;

	/* TC_ACT_STOLEN: the sender's stack takes a SHOT for a queue that overflows */
	return look_skb(&s, skb) && lose(place, &s) ? 4 /* TC_ACT_STOLEN */ : -1 /* go on */;
}

SEC("tc")
int dropper_in(struct __sk_buff *skb)
{
	return lose_skb(skb, TC_IN);
}

SEC("tc")
int dropper_out(struct __sk_buff *skb)
{
	return lose_skb(skb, TC_OUT);
}

char LICENSE[] SEC("license") = "GPL";
