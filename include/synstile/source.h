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

#define RULES_IPV6_PREFIX 64 /* where no policy says otherwise */

/* A rate and a burst as bpf/limit.h wants them, so that no packet costs a division: limit_of(). */
struct limit_rate {
	u64 interval; /* ns from one SYN to the next */
	u64 burst;    /* ns that a source may be ahead of that */
};

/* Map `rules`, indexed by slot: what a policy says of sources. Written by user space. */
struct rules {
	u32 flags;       /* enum rules_flags */
	u32 ipv6_prefix; /* bits, 1 to 128; 0 is RULES_IPV6_PREFIX */
	struct limit_rate limit;
	struct limit_rate verified; /* of SYNs that pass because their source is verified */
	u64 verified_ns;            /* how long a source is, after each proof */
};

/*
 * Map `prefixes`, indexed by slot: a trie each, which user space makes, fills and then puts there.
 * Key of the trie: the prefix of an IPv6 address, or of an IPv4 one as ::ffff:a.b.c.d (96 bits
 * more). The longest match decides; allow goes first because user space leaves out what is
 * denied inside an allowed prefix. Value: u32, enum prefix_action; PREFIX_NONE fences IPv4 off from
 * IPv6 prefixes that cover ::ffff:0:0/96.
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

/* Map `verified`, by source (struct addr, bits behind the prefix 0): those that have proved a
 * cookie. Least recently used ones are forgotten. */
struct verified {
	u64 until; /* ns */
	u64 tat;   /* theoretical arrival time of its next SYN, see bpf/limit.h */
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
	u32 at[DISTINCT_BANKS]
	      [DISTINCT_REGISTERS]; /* epoch << HLL_RANK_BITS | rank (bpf/hyperloglog.h) */
};

/*
 * Map `samples`, per CPU: every so many SYNs one, the newest SAMPLES of them.
 *
 * Of each service a CPU keeps about SAMPLES_PER_SPAN in each span of 2^SAMPLE_SPAN_SHIFT ns (see
 * bpf/sampling.h), so a ring holds the last two seconds of a service that is flooded alone. A
 * sample stands for the SYNs from it to the next one of its service, the difference of their
 * numbers: so the few SYNs before a flood are not taken for a large part of it.
 *
 * Strides are odd: a sender who goes round 2^n addresses is not always met at the same ones.
 */
#define SAMPLES           1024
#define SAMPLES_PER_SPAN  8
#define SAMPLE_SPAN_SHIFT 24 /* 17 ms */
#define SAMPLE_STRIDE_MAX 0x7fff

struct syn_sample {
	struct addr addr;
	u16 service;
	u16 pad;
	u32 moment; /* flow_moment() */
	u32 number; /* LOAD_SYNS of this CPU and service before it */
};

struct samples {
	u32 n; /* how many there ever were: the next one is at[n % SAMPLES] */
	u32 pad;
	struct syn_sample at[SAMPLES];
};

_Static_assert(sizeof(struct rules) == 48, "map value");
_Static_assert(sizeof(struct prefix_key) == 20, "key of a trie");
_Static_assert(sizeof(struct verified) == 16, "map value");
_Static_assert(sizeof(struct syn_sample) == 28, "part of a map value");
_Static_assert(sizeof(struct samples) <= 32768, "the most that a value per CPU may be");

#endif
