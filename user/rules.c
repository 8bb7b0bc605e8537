// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "limit.h"
#include "policy_address.h"
#include "rules.h"

#define IPV4_BITS 96 /* of ::ffff:0:0, which all of IPv4 lies in */

void rules_make(struct rules *r, const struct policy *p)
{
	const struct value *v = p->host;

	*r = (struct rules){.ipv6_prefix = v[HV_LIMIT_IPV6_PREFIX].n};
	if (p->allow.n || p->deny.n)
		r->flags |= RULES_PREFIXES;
	if (v[HV_LIMIT].n) {
		r->flags |= RULES_LIMIT;
		r->limit = limit_of(v[HV_LIMIT].n, v[HV_LIMIT_BURST].origin.from == ORIGIN_BUILT_IN
							   ? 2 * v[HV_LIMIT].n
							   : v[HV_LIMIT_BURST].n);
	}
	if (v[HV_VERIFIED_FOR].n) {
		r->flags |= RULES_VERIFIED;
		r->verified = limit_of(v[HV_VERIFIED_RATE].n, v[HV_VERIFIED_RATE].n);
		r->verified_ns = v[HV_VERIFIED_FOR].n * NS_PER_MS;
	}
}

/* By address, the shorter first; as the policy's lists are. */
static int order(const struct policy_prefix *a, const struct policy_prefix *b)
{
	int d = memcmp(&a->addr, &b->addr, sizeof(a->addr));

	return d ? d : (int)a->bits - (int)b->bits;
}

static bool covers(const struct policy_prefix *p, const struct addr *a)
{
	const u8 *x = (const u8 *)&p->addr, *y = (const u8 *)a;
	u32 whole = p->bits / 8, rest = p->bits % 8;

	return !memcmp(x, y, whole) && (!rest || !((x[whole] ^ y[whole]) >> (8 - rest)));
}

static void add(struct prefix_set *s, const struct addr *addr, u32 bits, enum prefix_action action)
{
	s->keys[s->n] = (struct prefix_key){.bits = bits, .addr = *addr};
	s->actions[s->n++] = action;
}

/* IPv4 is on its own: if an IPv6 prefix covers it, and no rule is for all of it, one that says
 * nothing ends there. */
static void fence_ipv4(struct prefix_set *s)
{
	const struct addr all = {.w = {0, 0, htonl(0xffff), 0}};
	bool needed = false;
	u32 i;

	for (i = 0; i < s->n; i++) {
		const struct policy_prefix p = {.addr = s->keys[i].addr, .bits = s->keys[i].bits};

		if (p.bits == IPV4_BITS && !memcmp(&p.addr, &all, sizeof(all)))
			return;
		needed |= p.bits < IPV4_BITS && covers(&p, &all);
	}
	if (needed)
		add(s, &all, IPV4_BITS, PREFIX_NONE);
}

int prefix_set_make(struct prefix_set *s, const struct policy *p)
{
	const struct policy_prefix *allow = p->allow.at, *deny = p->deny.at, *next;
	const struct policy_prefix *allow_end = allow + p->allow.n, *deny_end = deny + p->deny.n;
	const struct policy_prefix *outer[2] = {NULL, NULL}; /* the last allowed one, by family */
	size_t room = p->allow.n + p->deny.n + 1;

	*s = (struct prefix_set){.keys = calloc(room, sizeof(*s->keys)),
				 .actions = calloc(room, sizeof(*s->actions))};
	if (!s->keys || !s->actions) {
		prefix_set_free(s);
		return -ENOMEM;
	}
	while (allow < allow_end || deny < deny_end) {
		bool allowed = deny == deny_end || (allow < allow_end && order(allow, deny) <= 0);
		const struct policy_prefix **in;

		next = allowed ? allow++ : deny++;
		in = &outer[addr_is_ipv4(&next->addr) && next->bits >= IPV4_BITS];
		if (*in && covers(*in, &next->addr))
			continue;
		add(s, &next->addr, next->bits, allowed ? PREFIX_ALLOW : PREFIX_DENY);
		if (allowed)
			*in = next;
	}
	fence_ipv4(s);
	return 0;
}

void prefix_set_free(struct prefix_set *s)
{
	free(s->keys);
	free(s->actions);
	memset(s, 0, sizeof(*s));
}
