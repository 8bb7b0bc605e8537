/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Turning a received segment into the answer to it, in place.
 *
 * The answer is written from scratch over the old headers: plain IPv4 or IPv6
 * header (IP options and extension headers of the SYN are not echoed), then TCP.
 * It is never longer than what came, so the frame is never resized: resizing
 * helpers make libxdp's dispatcher refuse the program (xdp-tools issue 503). What
 * is left of a longer packet becomes zeroes behind the datagram, as link padding.
 */
#ifndef SYNSTILE_REPLY_BPF_H
#define SYNSTILE_REPLY_BPF_H

#include "csum.h"
#include "flow.bpf.h"
#include "tcp_options.h"

#define OPTION_WORDS_MAX (TCP_OPTIONS_MAX / 4)
#define LINUX_WORDS      5
#define NOP_WORD         0x01010101

struct reply {
	u32 seq; /* host order */
	u32 ack;
	u16 window;
	u8 flags;
	u32 options[OPTION_WORDS_MAX]; /* network order; as many as the segment had */
};

/* Fill options[from] to options[to - 1]. */
static __always_inline void reply_options_pad(struct reply *r, u32 from, u32 to)
{
	/* in this form because of the shorter one clang makes a call to memset() */
	for (u32 i = 0; i < OPTION_WORDS_MAX; i++)
		if (i >= from && i < to)
			r->options[i] = NOP_WORD;
}

static const u8 zeroes[1024] = {};

static __always_inline u64 reply_ipv4(struct ipv4_header *ip, const struct packet *pkt,
				      const struct settings *set)
{
	const struct flow_key *k = &pkt->key;
	u32 len = sizeof(*ip) + pkt->tcp_len;

	ip->version_ihl = 0x45;
	ip->tos = 0; /* RFC 3168 6.1.1: a SYN-ACK is not ECN-capable */
	ip->len = bpf_htons(len);
	ip->id = 0; /* RFC 6864: atomic (DF), so it means nothing */
	ip->frag = bpf_htons(0x4000);
	ip->ttl = set->ttl;
	ip->proto = IPPROTO_TCP_;
	ip->src = k->local.w[3];
	ip->dst = k->remote.w[3];
	ip->csum = csum_fold((u64)bpf_htons(0x4500) + bpf_htons(len) + bpf_htons(0x4000) +
			     bpf_htons(set->ttl << 8 | IPPROTO_TCP_) + ip->src + ip->dst);
	return (u64)ip->src + ip->dst;
}

static __always_inline u64 reply_ipv6(struct ipv6_header *ip, const struct packet *pkt,
				      const struct settings *set)
{
	const struct flow_key *k = &pkt->key;

	ip->version_class_label = bpf_htonl(6u << 28);
	ip->payload_len = bpf_htons(pkt->tcp_len);
	ip->next = IPPROTO_TCP_;
	ip->hop_limit = set->hop_limit;
	__builtin_memcpy(&ip->src, &k->local, sizeof(ip->src));
	__builtin_memcpy(&ip->dst, &k->remote, sizeof(ip->dst));
	return csum_addr(&k->local, false) + csum_addr(&k->remote, false);
}

/* The TCP header and options; sum: that of the pseudo-header's addresses. */
static __always_inline bool reply_tcp(struct tcp_header *tcp, void *data_end,
				      const struct packet *pkt, const struct reply *r, u64 sum)
{
	u32 *option = (void *)(tcp + 1), *w = (void *)tcp;
	u32 words = (pkt->tcp_len - sizeof(*tcp)) / 4;

	if ((void *)(tcp + 1) > data_end)
		return false;
	w[0] = (u32)pkt->key.remote_port << 16 | pkt->key.local_port;
	w[1] = bpf_htonl(r->seq);
	w[2] = bpf_htonl(r->ack);
	w[3] = bpf_htonl((u32)pkt->tcp_len << 26 | (u32)r->flags << 16 | r->window);
	sum += bpf_htons(IPPROTO_TCP_) + bpf_htons(pkt->tcp_len);
	sum += (u64)w[0] + w[1] + w[2] + w[3];
	if (words == LINUX_WORDS && (void *)(option + LINUX_WORDS) <= data_end) {
		/* as below, with one comparison for all: what Linux sends */
		for (int i = 0; i < LINUX_WORDS; i++) {
			option[i] = r->options[i];
			sum += r->options[i];
		}
		words = 0;
	}
	for (u32 i = 0; i < OPTION_WORDS_MAX && i < words; i++) {
		if ((void *)(option + 1) > data_end)
			return false;
		*option++ = r->options[i];
		sum += r->options[i];
	}
	w[4] = csum_fold(sum); /* and no urgent pointer */
	return true;
}

/* Overwrite [from, to) of the frame with zeroes. Global: verified once. */
__noinline int reply_blank(struct xdp_md *ctx, u32 from, u32 to)
{
	for (int i = 0; i < 16 && from < to; i++) {
		/* 1 to 1024: what is over whole blocks first; never 0, as the helper wants */
		u32 n = ((to - from - 1) & (sizeof(zeroes) - 1)) + 1;

		if (bpf_xdp_store_bytes(ctx, from, (void *)zeroes, n))
			return false;
		from += n;
	}
	return from >= to;
}

static __always_inline void reply_ethernet(struct eth_header *eth)
{
	u8 mac[6];

	__builtin_memcpy(mac, eth->dst, sizeof(mac));
	__builtin_memcpy(eth->dst, eth->src, sizeof(mac));
	__builtin_memcpy(eth->src, mac, sizeof(mac));
}

/* False if the frame is shorter than its IP header says, or a helper fails. */
static __always_inline bool reply_write(struct xdp_md *ctx, const struct packet *pkt,
					const struct settings *set, const struct reply *r)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	u32 end = pkt->l4 + pkt->tcp_len + pkt->payload, l3 = pkt->l3 & L3_OFFSET_MAX, l4;
	struct eth_header *eth = data;
	u64 sum;

	if ((void *)(eth + 1) > data_end ||
	    (data + end > data_end && end > bpf_xdp_get_buff_len(ctx)))
		return false;
	if (pkt->ipv4) {
		struct ipv4_header *ip = data + l3;

		if ((void *)(ip + 1) > data_end)
			return false;
		sum = reply_ipv4(ip, pkt, set);
		l4 = l3 + sizeof(*ip);
	} else {
		struct ipv6_header *ip = data + l3;

		if ((void *)(ip + 1) > data_end)
			return false;
		sum = reply_ipv6(ip, pkt, set);
		l4 = l3 + sizeof(*ip);
	}
	reply_ethernet(eth);
	if (!reply_tcp(data + l4, data_end, pkt, r, sum))
		return false;
	if (l4 + pkt->tcp_len < end)
		return reply_blank(ctx, l4 + pkt->tcp_len, end);
	return true;
}

#endif
