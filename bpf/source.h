/* SPDX-License-Identifier: GPL-2.0-only */
/* What a source is: an IPv4 address, or a prefix of an IPv6 one. Pure. */
#ifndef SYNSTILE_BPF_SOURCE_H
#define SYNSTILE_BPF_SOURCE_H

#include "bytes.h"
#include "packet.h"
#include "siphash.h"
#include "synstile/source.h"

/* What is known of the source of a SYN. */
enum source_fact {
	SOURCE_ALLOWED = 1 << 0,  /* by the prefix lists */
	SOURCE_DENIED = 1 << 1,   /* likewise */
	SOURCE_OVER = 1 << 2,     /* it sends more than its limit */
	SOURCE_VERIFIED = 1 << 3, /* it has proved a cookie not long ago */
	SOURCE_WITHIN = 1 << 4,   /* ... and sends no more than may pass for that */
};

/* The source that a packet comes from; `bits` is rules.ipv6_prefix. */
static inline __attribute__((always_inline)) void source_of(struct addr *a,
							    const struct packet *pkt, u32 bits)
{
	*a = pkt->key.remote;
	if (pkt->ipv4)
		return;
	bits = bits ? bits : RULES_IPV6_PREFIX;
	for (u32 i = 0; i < 4; i++) {
		if (bits <= i * 32)
			a->w[i] = 0;
		else if (bits < (i + 1) * 32)
			a->w[i] &= host_to_be32(~0u << ((i + 1) * 32 - bits));
	}
}

/* SipHash-1-3, which the kernel's hash tables use too (hsiphash), of 16 bytes always: hence without
 * a length. */
static inline __attribute__((always_inline)) u64 source_hash(const struct addr *a, const u64 key[2])
{
	struct siphash s;
	u64 word;

	siphash_init(&s, key);
	for (int i = 0; i < 4; i += 2) {
		word = (u64)a->w[i + 1] << 32 | a->w[i];
		s.v3 ^= word;
		sip_round(&s);
		s.v0 ^= word;
	}
	s.v2 ^= 0xff;
	sip_round(&s);
	sip_round(&s);
	sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

/* Is its SYN to be dropped? One that has proved itself is asked to do so again instead: else
 * somebody could block it by sending in its name. */
static inline __attribute__((always_inline)) bool source_filtered(u32 facts)
{
	return facts & SOURCE_DENIED || (facts & (SOURCE_OVER | SOURCE_VERIFIED)) == SOURCE_OVER;
}

#endif
