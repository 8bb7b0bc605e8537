/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The Internet checksum (RFC 1071). Sums are kept in 64 bits over 32-bit words
 * as they lie in memory: one's complement addition does not care about byte
 * order, so the folded result can be stored as it is. Pure.
 */
#ifndef SYNSTILE_CSUM_H
#define SYNSTILE_CSUM_H

#include "synstile/types.h"

/* Fold a sum of fewer than 2^16 words and complement it. */
static inline __attribute__((always_inline)) u16 csum_fold(u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* Is the checksum of an IPv4 header of `words` 32-bit words right? */
static inline __attribute__((always_inline)) bool csum_ipv4_ok(const u32 *w, u32 words)
{
	u64 sum = 0;

	for (u32 i = 0; i < 15 && i < words; i++)
		sum += w[i];
	return !csum_fold(sum);
}

/* The address part of a TCP pseudo-header. An IPv4 address in its mapped form
 * contributes its last word only. */
static inline __attribute__((always_inline)) u64 csum_addr(const struct addr *a, bool ipv4)
{
	if (ipv4)
		return a->w[3];
	return (u64)a->w[0] + a->w[1] + a->w[2] + a->w[3];
}

#endif
