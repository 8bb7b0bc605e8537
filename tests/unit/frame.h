/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Frames for tests, written byte by byte and with a checksum of their own, so that
 * nothing here shares a mistake with the code under test.
 */
#ifndef SYNSTILE_TEST_FRAME_H
#define SYNSTILE_TEST_FRAME_H

#include "synstile/types.h"

#define FRAME_MAX 20000

enum {
	FIN = 1,
	SYN = 2,
	RST = 4,
	PSH = 8,
	ACK = 16,
	URG = 32,
	ECE = 64,
	CWR = 128
};

enum {
	HOP_BY_HOP = 0,
	ROUTING = 43,
	FRAGMENT = 44,
	DESTINATION = 60,
	NO_NEXT = 59
};

/* What a frame is to be. All zeroes: an IPv4 SYN-less segment of the default client. */
struct spec {
	bool ipv6;
	bool from_server; /* addresses, ports and MACs the other way round */
	bool disguised;   /* a client whose IP header reads as an Ethernet header: see test_tc.c */
	u8 vlans;         /* tags: 802.1Q; of two or more, the outermost is 802.1ad */
	u8 tos;           /* or traffic class */
	u8 ip_options;    /* bytes, a multiple of 4 */
	u16 frag;         /* IPv4: that field; IPv6: a fragment header with it, if not 0 */
	u8 ext[12];       /* IPv6 extension headers, in this order */
	u8 exts;
	u8 ext_words; /* length field of each but fragment headers */
	u32 client;   /* added to the address */
	u16 sport;    /* 0: 40000 */
	u16 dport;    /* 0: 80 */
	u32 seq, ack;
	u8 flags;
	u8 options_len; /* bytes, padded to 4 with zeroes */
	u8 options[40];
	u16 payload; /* bytes of 0xdd */
	u16 padding; /* bytes of 0xee behind the datagram */
};

struct frame {
	u8 bytes[FRAME_MAX];
	u32 len;
	u32 l3, l4, tcp_len;
	u32 end; /* of the datagram */
};

void frame_build(struct frame *f, const struct spec *s);
void frame_addresses(const struct spec *s, u8 client[16], u8 server[16]);

u16 get16(const u8 *p);
u32 get32(const u8 *p);
void put16(u8 *p, u16 x);
void put32(u8 *p, u32 x);

/* Sums as the wire has them: 0 if the checksum within is right. */
u16 inet_checksum(const u8 *p, u32 len);
u16 tcp_checksum(const u8 *ip, bool ipv6, const u8 *tcp, u32 len);

/* Fill in the checksums again after bytes were changed. */
void frame_checksums(struct frame *f, bool ipv6);
void frame_ip_checksum(struct frame *f); /* nothing if it is IPv6 */

#endif
