/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where SYNs come from: the prefixes that send most of them, found in sampled SYNs (map
 * `samples`), each with how many it stands for. Pure.
 *
 * With n samples of equal weight the share of a prefix is known to about 1/sqrt(n): one that sends
 * p of all is found with sqrt(p (1 - p) / n) of standard error (n = 400, p = 0.3: 2.3 %). Of
 * unequal weights w they are worth as much as (sum w)^2 / sum w^2 equal ones (Kish). What has fewer
 * than TOP_LEAST samples or TOP_PERCENT of the SYNs is there by chance: a flood from random sources
 * of a whole /16 has no top.
 */
#ifndef SYNSTILE_USER_TOP_SOURCES_H
#define SYNSTILE_USER_TOP_SOURCES_H

#include <stdio.h>

#include <synstile/source.h>

#define TOP_SOURCES     50
#define TOP_LEAST       8 /* samples */
#define TOP_PERCENT     3
#define TOP_BITS_IPV4   (96 + 24)
#define TOP_BITS_IPV6   64
#define TOP_FEW         16    /* addresses */
#define TOP_SAMPLES_MAX 65536 /* more are not looked at */

struct sample {
	struct addr addr;
	float syns; /* that it stands for */
};

/* Begin with {0}. */
struct sample_list {
	struct sample *at;
	size_t n, room;
};

struct top_prefix {
	struct addr prefix;
	u8 bits;      /* of 128: TOP_BITS_IPV4 or TOP_BITS_IPV6 */
	u32 n;        /* samples */
	double share; /* of all SYNs: 0 to 1 */
};

struct top_sources {
	u32 samples;
	u32 worth;                          /* samples of equal weight: see above */
	u32 n;                              /* of `top` */
	struct top_prefix top[TOP_SOURCES]; /* by share, most first */
	double fullest; /* share of the most frequent prefix, also if it is no top */
	double few; /* share of the TOP_FEW most frequent addresses (IPv6: /64) that came twice */
};

/* One more sample; without memory it is left out. */
void sample_list_add(struct sample_list *list, const struct addr *addr, float syns);
void sample_list_free(struct sample_list *list);

/* Sorts the list. */
void top_sources(struct sample_list *list, struct top_sources *top);

/* The prefix that it is counted for, of no samples: a /24, or a /64 of IPv6. */
struct top_prefix top_prefix_of(const struct addr *a);

#define PREFIX_TEXT_SIZE 50
/* "198.51.100.0/24", "2001:db8::/64". Returns buf. */
const char *top_prefix_text(const struct top_prefix *p, char buf[PREFIX_TEXT_SIZE]);

#endif
