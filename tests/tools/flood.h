/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shared by flood.c and flood.bpf.c: user space lays out one frame per segment kind and sums what
 * does not change; the XDP program fills in what does. Include after the fixed-width types.
 */
#ifndef FLOOD_H
#define FLOOD_H

/* A frame starts here in its buffer, so that IP and TCP headers are 4-byte aligned. */
#define FLOOD_PAD     2
#define FLOOD_BUF     1536
#define FLOOD_MAXLEN  1514
#define FLOOD_MAXPORT 16

enum flood_kind {
	FLOOD_SYN,
	FLOOD_ACK,
	FLOOD_SYNACK,
	FLOOD_RST,
	FLOOD_FIN,
	FLOOD_DATA,
	FLOOD_KINDS, /* the number of kinds of segment; "mixed" draws one of them */
	FLOOD_GARBAGE = FLOOD_KINDS,
	FLOOD_MIXED,
};

/* Offsets count from the start of buf; sums are 16-bit sums in memory order, not folded. */
struct flood_frame {
	__u32 len;     /* bytes on the wire */
	__u32 ts_off;  /* of the timestamp value, 0: no timestamps */
	__u32 has_ack; /* the acknowledgement number and echoed timestamp are drawn too */
	__u32 ip_sum;  /* IPv4 header without source and id */
	__u32 tcp_sum; /* pseudo-header and segment without what the program fills in */
	__u32 pad;
	__u8 buf[FLOOD_BUF];
};
_Static_assert(sizeof(struct flood_frame) == 24 + FLOOD_BUF, "flood_frame has holes");

/* Addresses and ports are in network order unless said otherwise. */
struct flood_conf {
	__u64 seed;
	__u32 ifindex;
	__u32 v6;
	__u32 l3; /* offset of the IP header in buf */
	__u32 l4; /* and of the TCP header */
	__u32 kind;
	__u32 fixed; /* source, source port and numbers never change */
	__u32 ndports;
	__u32 sport_lo, sport_n;     /* host order */
	__u32 src[4], src_random[4]; /* address, and its bits to be drawn; IPv4 in [0] */
	__u32 garbage_dst4;
	__u32 garbage_dst6[4];
	__u16 dports[FLOOD_MAXPORT];
	__u32 size; /* of the frames as they come, that is of the longest */
};
_Static_assert(sizeof(struct flood_conf) == 136, "flood_conf has holes");

#endif
