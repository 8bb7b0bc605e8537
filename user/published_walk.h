/* SPDX-License-Identifier: GPL-2.0-only */
/* What the readers of rules have in common: published_nft.c, published_legacy.c. */
#ifndef SYNSTILE_USER_PUBLISHED_WALK_H
#define SYNSTILE_USER_PUBLISHED_WALK_H

#include <jansson.h>

#include <synstile/flow.h>

#include "ports.h"

#define WALK_DEPTH 16 /* jumps; the kernel's own bound (NFT_JUMP_STACK_SIZE) */
#define WALK_STEPS 1000000

struct walk {
	const struct addr *local; /* addresses of this host but loopback; IPv4 is ::ffff:a.b.c.d */
	size_t n_local;
	struct ports found;
	unsigned int steps; /* so far */
	bool by_address;    /* an address has decided something: another one may, tomorrow */
};

/* Does any local address lie in this one's prefix (`bits` of 128)? */
bool walk_local(struct walk *w, const struct addr *a, unsigned int bits);
/* One table as ruleset_read_table() gives it. */
int published_walk_table(struct walk *w, const json_t *ruleset, const char *family,
			 const char *table);
/* The nat table of legacy iptables or ip6tables, which must exist. -errno. */
int published_walk_legacy(struct walk *w, bool v6);

#endif
