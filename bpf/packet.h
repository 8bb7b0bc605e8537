/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From a frame to a TCP segment: Ethernet, up to two VLAN tags, IPv4 with
 * options, IPv6 with extension headers, TCP. Pure: works on [data, data_end).
 *
 * Only headers must lie in that range: payload may be elsewhere (fragments of a
 * multi-buffer frame). Lengths follow the IP header, so link padding is not
 * taken for payload.
 */
#ifndef SYNSTILE_PACKET_H
#define SYNSTILE_PACKET_H

#include "bytes.h"
#include "synstile/flow.h"
#include "synstile/verdict.h"

/* parse_packet() and the stages after it: no verdict yet, go on. */
#define V_GO_ON V_COUNT

#define IPV6_MAX_EXT 8

/* A TCP header further into the frame than this is not looked for. A mask, too: the
 * verifier forgets what it knew of an offset once that was in memory ("invalid
 * access to packet ... R1 offset is outside of the packet"); see tcp_at(). */
#define L4_OFFSET_MAX 0xfff
#define L3_OFFSET_MAX 0x1f /* 22: Ethernet and two tags */
#define VLAN_MAX      2

enum tcp_flag {
	TCP_FIN = 1 << 0,
	TCP_SYN = 1 << 1,
	TCP_RST = 1 << 2,
	TCP_PSH = 1 << 3,
	TCP_ACK = 1 << 4,
	TCP_URG = 1 << 5,
	TCP_ECE = 1 << 6,
	TCP_CWR = 1 << 7,
};

struct packet {
	struct flow_key key; /* remote is the source (see packet_flip) */
	u32 seq;             /* host order, as all below */
	u32 ack;
	u16 l3;      /* offset of the IP header from the frame's start, bytes */
	u16 l4;      /* of the TCP header */
	u16 payload; /* TCP payload, bytes */
	u8 tcp_len;  /* TCP header, bytes */
	u8 flags;    /* enum tcp_flag */
	u16 window;  /* as in the header */
	u8 ect;      /* ECN field of the IP header (RFC 3168) */
	bool ipv4;
	bool fragment; /* a first fragment: the segment goes on in others */
	u8 pad[3];     /* set, since the verifier wants every byte of an argument written */
};

struct eth_header {
	u8 dst[6];
	u8 src[6];
	__be16 proto;
} __attribute__((packed));

struct vlan_tag {
	__be16 tci;
	__be16 proto;
} __attribute__((packed));

struct ipv4_header {
	u8 version_ihl;
	u8 tos;
	__be16 len;
	__be16 id;
	__be16 frag;
	u8 ttl;
	u8 proto;
	u16 csum;
	__be32 src;
	__be32 dst;
};

struct ipv6_header {
	__be32 version_class_label;
	__be16 payload_len;
	u8 next;
	u8 hop_limit;
	struct {
		__be32 w[4];
	} src, dst;
};

struct ipv6_ext {
	u8 next;
	u8 len;      /* in 8 bytes, not counting the first 8 */
	__be16 frag; /* of a fragment header */
};

struct tcp_header {
	__be16 src;
	__be16 dst;
	__be32 seq;
	__be32 ack;
	u8 doff; /* header length in 4-byte words, in the high nibble */
	u8 flags;
	__be16 window;
	u16 csum;
	__be16 urgent;
};

_Static_assert(sizeof(struct eth_header) == 14, "wire format");
_Static_assert(sizeof(struct ipv4_header) == 20, "wire format");
_Static_assert(sizeof(struct ipv6_header) == 40, "wire format");
_Static_assert(sizeof(struct tcp_header) == 20, "wire format");

enum {
	PROTO_IPV4 = 0x0800,
	PROTO_IPV6 = 0x86dd,
	PROTO_8021Q = 0x8100,
	PROTO_8021AD = 0x88a8,
	IPPROTO_TCP_ = 6,
	EXT_HOP_BY_HOP = 0,
	EXT_ROUTING = 43,
	EXT_FRAGMENT = 44,
	EXT_DESTINATION = 60,
	IPV4_MORE_FRAGMENTS = 0x2000,
	IPV4_FRAGMENT_OFFSET = 0x1fff,
	IPV6_MORE_FRAGMENTS = 0x0001,
	IPV6_FRAGMENT_OFFSET = 0xfff8,
};

/* A TCP header at offset `off`, in an IP payload that has `room` bytes from there. */
static inline __attribute__((always_inline)) enum synstile_verdict
parse_tcp(struct packet *pkt, void *data, void *data_end, u32 off, u32 room)
{
	struct tcp_header *tcp = data + off;

	if (room < sizeof(*tcp) || (void *)(tcp + 1) > data_end)
		return V_TCP_MALFORMED;
	pkt->l4 = off;
	pkt->tcp_len = (tcp->doff >> 4) * 4;
	pkt->flags = tcp->flags;
	pkt->key.remote_port = tcp->src;
	pkt->key.local_port = tcp->dst;
	pkt->seq = be32_to_host(tcp->seq);
	pkt->ack = be32_to_host(tcp->ack);
	pkt->window = be16_to_host(tcp->window);
	if (pkt->tcp_len < sizeof(*tcp) || pkt->tcp_len > room)
		return V_TCP_MALFORMED;
	pkt->payload = room - pkt->tcp_len;
	return V_GO_ON;
}

/* Flags that no stack sends, and that every stack discards. */
static inline __attribute__((always_inline)) bool tcp_flags_impossible(u8 flags)
{
	return !(flags & (TCP_SYN | TCP_ACK | TCP_RST)) ||
	       ((flags & TCP_SYN) && (flags & (TCP_FIN | TCP_RST)));
}

static inline __attribute__((always_inline)) enum synstile_verdict
parse_ipv4(struct packet *pkt, void *data, void *data_end)
{
	struct ipv4_header *ip = data + pkt->l3;
	u32 len, header, frag;

	if ((void *)(ip + 1) > data_end)
		return V_IPV4_MALFORMED;
	header = (ip->version_ihl & 0xf) * 4;
	len = be16_to_host(ip->len);
	frag = be16_to_host(ip->frag);
	if (ip->version_ihl >> 4 != 4 || header < sizeof(*ip) || len < header)
		return V_IPV4_MALFORMED;
	if (ip->proto != IPPROTO_TCP_)
		return V_OTHER;
	if (frag & IPV4_FRAGMENT_OFFSET)
		return V_FRAGMENT;
	pkt->fragment = frag & IPV4_MORE_FRAGMENTS;
	pkt->ipv4 = true;
	pkt->ect = ip->tos & 3;
	pkt->key.remote.w[0] = pkt->key.local.w[0] = 0;
	pkt->key.remote.w[1] = pkt->key.local.w[1] = 0;
	pkt->key.remote.w[2] = pkt->key.local.w[2] = host_to_be32(0xffff);
	pkt->key.remote.w[3] = ip->src;
	pkt->key.local.w[3] = ip->dst;
	return parse_tcp(pkt, data, data_end, pkt->l3 + header, len - header);
}

/* Step over one extension header: *off and *room move on, *next becomes what follows.
 * A chain that runs past the datagram ends in V_IPV6_MALFORMED. */
static inline __attribute__((always_inline)) enum synstile_verdict
parse_ipv6_ext(struct packet *pkt, void *data, void *data_end, u32 *off, u32 *room, u8 *next)
{
	struct ipv6_ext *ext = data + *off;
	u32 size;

	if (*room < 8 || (void *)ext + 8 > data_end)
		return V_IPV6_MALFORMED;
	size = (ext->len + 1) * 8;
	if (*next == EXT_FRAGMENT) {
		u32 frag = be16_to_host(ext->frag);

		/* here ext->len is reserved, and 0 from every stack: then size is right */
		if (ext->len)
			return V_IPV6_MALFORMED;
		if (frag & IPV6_FRAGMENT_OFFSET)
			return V_FRAGMENT;
		pkt->fragment |= frag & IPV6_MORE_FRAGMENTS;
	} else if (*next == EXT_ROUTING && ((u8 *)ext)[3]) {
		return V_ROUTED;
	}
	if (size > *room)
		return V_IPV6_MALFORMED;
	*next = ext->next;
	*off += size;
	*room -= size;
	return V_GO_ON;
}

/* The headers that may stand before TCP. Not AH: what it protects is none of ours, and
 * without an agreed key the stack drops it. */
static inline __attribute__((always_inline)) bool is_ipv6_ext(u8 next)
{
	return next == EXT_HOP_BY_HOP || next == EXT_ROUTING || next == EXT_FRAGMENT ||
	       next == EXT_DESTINATION;
}

static inline __attribute__((always_inline)) bool is_ipv4_mapped(const __be32 w[4])
{
	return !w[0] && !w[1] && w[2] == host_to_be32(0xffff);
}

static inline __attribute__((always_inline)) enum synstile_verdict
parse_ipv6(struct packet *pkt, void *data, void *data_end)
{
	struct ipv6_header *ip = data + pkt->l3;
	u32 off = pkt->l3 + sizeof(*ip), room;
	u8 next;

	if ((void *)(ip + 1) > data_end)
		return V_IPV6_MALFORMED;
	if ((*(u8 *)ip) >> 4 != 6)
		return V_IPV6_MALFORMED;
	/* IPv4-mapped addresses have no place on the wire, and are our keys for IPv4. */
	if (is_ipv4_mapped(ip->src.w) || is_ipv4_mapped(ip->dst.w))
		return V_IPV6_MALFORMED;
	room = be16_to_host(ip->payload_len);
	next = ip->next;
	for (int i = 0; i < IPV6_MAX_EXT && is_ipv6_ext(next); i++) {
		enum synstile_verdict v = parse_ipv6_ext(pkt, data, data_end, &off, &room, &next);

		if (v != V_GO_ON)
			return v;
	}
	if (is_ipv6_ext(next) || off > L4_OFFSET_MAX)
		return V_IPV6_EXT_CHAIN;
	if (next != IPPROTO_TCP_)
		return V_OTHER;
	pkt->ipv4 = false;
	pkt->ect = be32_to_host(ip->version_class_label) >> 20 & 3;
	__builtin_memcpy(&pkt->key.remote, &ip->src, sizeof(ip->src));
	__builtin_memcpy(&pkt->key.local, &ip->dst, sizeof(ip->dst));
	return parse_tcp(pkt, data, data_end, off, room);
}

/* What follows the link header: `proto` (host order) at offset l3. */
static inline __attribute__((always_inline)) enum synstile_verdict
parse_network(struct packet *pkt, void *data, void *data_end, u32 l3, u16 proto)
{
	pkt->l3 = l3;
	pkt->fragment = false;
	pkt->pad[0] = pkt->pad[1] = pkt->pad[2] = 0;
	if (proto == PROTO_IPV4)
		return parse_ipv4(pkt, data, data_end);
	if (proto == PROTO_IPV6)
		return parse_ipv6(pkt, data, data_end);
	if (proto == PROTO_8021Q || proto == PROTO_8021AD)
		return V_VLAN_DEPTH;
	return V_OTHER;
}

/* Returns V_GO_ON for a TCP segment with a whole header, then all of *pkt is set;
 * else the verdict, which never asks for a reply. */
static inline __attribute__((always_inline)) enum synstile_verdict
parse_packet(struct packet *pkt, void *data, void *data_end)
{
	struct eth_header *eth = data;
	u32 off = sizeof(*eth);
	u16 proto;

	if ((void *)(eth + 1) > data_end)
		return V_ETH_TRUNCATED;
	proto = be16_to_host(eth->proto);
	for (int i = 0; i < VLAN_MAX; i++) {
		struct vlan_tag *tag = data + off;

		if (proto != PROTO_8021Q && proto != PROTO_8021AD)
			break;
		if ((void *)(tag + 1) > data_end)
			return V_ETH_TRUNCATED;
		proto = be16_to_host(tag->proto);
		off += sizeof(*tag);
	}
	return parse_network(pkt, data, data_end, off, proto);
}

/* The TCP header of a packet that parse_packet() took. */
static inline __attribute__((always_inline)) struct tcp_header *tcp_at(const struct packet *pkt,
								       void *data)
{
	return data + (pkt->l4 & L4_OFFSET_MAX);
}

/* Make *pkt of an outgoing segment speak of the same flow as incoming ones do. */
static inline __attribute__((always_inline)) void packet_flip(struct packet *pkt)
{
	struct addr a = pkt->key.remote;
	__be16 port = pkt->key.remote_port;

	pkt->key.remote = pkt->key.local;
	pkt->key.local = a;
	pkt->key.remote_port = pkt->key.local_port;
	pkt->key.local_port = port;
}

#endif
