/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * SipHash-2-4 (Aumasson, Bernstein 2012), for messages of whole 64-bit words and
 * a tail of up to 7 bytes. Pure: unit-tested against the reference vectors.
 */
#ifndef SYNSTILE_SIPHASH_H
#define SYNSTILE_SIPHASH_H

#include "synstile/types.h"

struct siphash {
	u64 v0, v1, v2, v3;
};

static inline __attribute__((always_inline)) u64 rotl64(u64 x, int n)
{
	return x << n | x >> (64 - n);
}

static inline __attribute__((always_inline)) void sip_round(struct siphash *s)
{
	s->v0 += s->v1;
	s->v1 = rotl64(s->v1, 13) ^ s->v0;
	s->v0 = rotl64(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = rotl64(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = rotl64(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = rotl64(s->v1, 17) ^ s->v2;
	s->v2 = rotl64(s->v2, 32);
}

static inline __attribute__((always_inline)) void siphash_init(struct siphash *s, const u64 k[2])
{
	s->v0 = 0x736f6d6570736575ULL ^ k[0];
	s->v1 = 0x646f72616e646f6dULL ^ k[1];
	s->v2 = 0x6c7967656e657261ULL ^ k[0];
	s->v3 = 0x7465646279746573ULL ^ k[1];
}

/* One 8-byte word of the message, read as little endian. */
static inline __attribute__((always_inline)) void siphash_word(struct siphash *s, u64 m)
{
	s->v3 ^= m;
	sip_round(s);
	sip_round(s);
	s->v0 ^= m;
}

/* The last 0 to 7 bytes of a message of `len` bytes, in the low bytes of `tail`. */
static inline __attribute__((always_inline)) u64 siphash_final(struct siphash *s, u64 tail, u64 len)
{
	siphash_word(s, tail | len << 56);
	s->v2 ^= 0xff;
	sip_round(s);
	sip_round(s);
	sip_round(s);
	sip_round(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

#endif
