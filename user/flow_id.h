/* SPDX-License-Identifier: GPL-2.0-only */
/* The number by which events and lists name a connection. */
#ifndef SYNSTILE_USER_FLOW_ID_H
#define SYNSTILE_USER_FLOW_ID_H

#include <string.h>

#include <synstile/flow.h>

/*
 * The same for all that is said of one connection; another one with the same addresses
 * and ports was opened at another time. Below 2^53, which JSON numbers hold exactly (RFC 8259 6);
 * two of a million connections have the same one with odds of 1 to 18,000.
 */
static inline u64 flow_id(const struct flow_key *key, u64 opened)
{
	const u64 golden = 0x9e3779b97f4a7c15ULL; /* 2^64 / golden ratio */
	u32 words[sizeof(*key) / 4];
	u64 x = opened * golden;
	size_t i;

	memcpy(words, key, sizeof(words));
	for (i = 0; i < sizeof(words) / sizeof(*words); i++)
		x = (x ^ x >> 32 ^ words[i]) * golden;
	return (x ^ x >> 32) * golden >> 11;
}

#endif
