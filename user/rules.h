/* SPDX-License-Identifier: GPL-2.0-only */
/* What a policy says of sources, as the datapath wants it. Pure. */
#ifndef SYNSTILE_USER_RULES_H
#define SYNSTILE_USER_RULES_H

#include <synstile/source.h>

#include "policy.h"

void rules_make(struct rules *r, const struct policy *p);

/* For maps_new_trie(). */
struct prefix_set {
	struct prefix_key *keys;
	u32 *actions; /* enum prefix_action */
	u32 n;
};

/*
 * Of the allowed and the denied prefixes those that matter when the longest one decides: allowed
 * ones go first, so what lies inside one of them is left out. IPv6 prefixes do not hold for
 * IPv4, though IPv4's ::ffff:0:0/96 may lie inside them. 0 or -ENOMEM.
 */
int prefix_set_make(struct prefix_set *s, const struct policy *p);
void prefix_set_free(struct prefix_set *s);

#endif
