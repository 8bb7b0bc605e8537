/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sources: what is known of those who send SYNs, and what is allowed to them.
 * A source is an IPv4 address, or the first rules.ipv6_prefix bits of an IPv6 one.
 */
#ifndef SYNSTILE_SOURCE_H
#define SYNSTILE_SOURCE_H

#include "service.h"

enum rules_flags {
	RULES_PREFIXES = 1 << 0, /* there are prefix lists: ask `prefixes` */
	RULES_LIMIT = 1 << 1,    /* there is a limit per source */
	RULES_VERIFIED = 1 << 2, /* sources that proved a cookie pass without one for a time */
};

/* Map `rules`, indexed by slot: what a policy says of sources. Written by user space. */
struct rules {
	u32 flags;       /* enum rules_flags */
	u32 ipv6_prefix; /* bits, 1 to 128 */
	u32 limit_rate;  /* SYN/s per source */
	u32 limit_burst; /* SYNs */
	u32 verified_ms;
	u32 verified_rate; /* SYN/s per verified source; the burst is as many */
};

/*
 * Map `prefixes`, indexed by slot: a trie each, which user space makes, fills and then puts there.
 * Key of the trie: the prefix of an IPv6 address, or of an IPv4 one as ::ffff:a.b.c.d (96 bits more).
 * The longest match decides; allow goes first because user space enters a denied prefix inside an
 * allowed one as allowed.
 */
struct prefix_key {
	u32 bits; /* host order, as BPF_MAP_TYPE_LPM_TRIE wants it */
	struct addr addr;
};

enum prefix_action {
	PREFIX_NONE,
	PREFIX_ALLOW,
	PREFIX_DENY
};

#define PREFIXES_MAX (1 << 20)

/* Map `verified`: sources that have proved a cookie. Least recently used ones are forgotten. */
struct verified {
	u64 until; /* ns */
	u64 tat;   /* see bpf/limit.h: no SYN of this source passes so before this time */
};

/*
 * Map `limit`: a sketch (see bpf/limit.h). LIMIT_ROWS rows of LIMIT_COLUMNS cells; each source has
 * one cell in each row, by independent hashes.
 */
#define LIMIT_ROWS    2
#define LIMIT_COLUMNS 131072

/* Map `distinct`, indexed by service: HyperLogLog registers (see bpf/distinct.h). */
#define DISTINCT_REGISTERS 1024
#define DISTINCT_BANKS     2

struct distinct {
	u16 at[DISTINCT_BANKS][DISTINCT_REGISTERS]; /* epoch << 8 | rank */
};

/* Map `samples`, per CPU: SYNs picked evenly over time, the newest SAMPLES of them. */
#define SAMPLES 512

struct sample {
	struct addr addr;
	u16 service;
	u16 pad;
	u32 moment; /* flow_moment() */
};

struct samples {
	u32 n; /* how many there ever were: the next one is at[n % SAMPLES] */
	u32 pad;
	struct sample at[SAMPLES];
};

_Static_assert(sizeof(struct rules) == 24, "map value");
_Static_assert(sizeof(struct prefix_key) == 20, "key of a trie");
_Static_assert(sizeof(struct verified) == 16, "map value");
_Static_assert(sizeof(struct sample) == 24, "part of a map value");

#endif
