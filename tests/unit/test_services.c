// SPDX-License-Identifier: GPL-2.0-only
/* From a policy to the records of services and the rules of sources. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "limit.h"
#include "policy_address.h"
#include "rules.h"
#include "services.h"
#include "unit.h"

#define KERNEL_MS 63000

/* ---- a service's record ---- */

static struct value values[SV_COUNT];

static int forget_values(void **state)
{
	struct policy *p = policy_built_in();

	(void)state;
	assert_non_null(p);
	memcpy(values, p->defaults, sizeof(values));
	policy_free(p);
	return 0;
}

static void choose(enum service_value which, u64 n)
{
	values[which] = (struct value){.n = n, .origin = {.from = ORIGIN_FILE}};
}

/* With listeners of these backlogs; 0: no more. */
static struct service make(u32 first, u32 second)
{
	struct service s;

	service_begin(&s, "web", htons(80), values, KERNEL_MS);
	if (first)
		service_listens(&s, values, first);
	if (second)
		service_listens(&s, values, second);
	return s;
}

static void test_built_in(void **state)
{
	struct service s = make(511, 0);

	(void)state;
	assert_int_equal(s.mode, MODE_AUTO);
	assert_int_equal(s.half_open_attack_above, 255);
	assert_int_equal(s.half_open_calm_below, 63);
	assert_int_equal(s.rate_attack_above, 5000);
	assert_int_equal(s.rate_calm_below, 1000);
	assert_int_equal(s.hold_ms, 10000);
	assert_int_equal(s.syn_calm_ms, 63000);
	assert_int_equal(s.syn_attack_ms, 3000);
	assert_int_equal(s.mss, 0);
	assert_int_equal(s.wscale, SERVICE_NO_WSCALE);
	assert_int_equal(s.features, TCP_FEATURES);
	assert_int_equal(s.port, htons(80));
	assert_string_equal(s.name, "web");
	assert_true(s.used);
	assert_int_equal(s.held, HELD_NOT);
	assert_int_equal(s.backlog, 511);
}

static void test_bounds_follow_the_roomiest_listener(void **state)
{
	static const struct {
		u32 first, second, above, below;
	} cases[] = {{1, 0, 2, 1},      {8, 0, 4, 1},       {128, 16, 64, 16},
		     {16, 128, 64, 16}, {4096, 0, 256, 64}, {0, 0, 256, 64}};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct service s = make(cases[i].first, cases[i].second);

		assert_int_equal(s.half_open_attack_above, cases[i].above);
		assert_int_equal(s.half_open_calm_below, cases[i].below);
	}
}

static void test_chosen_bounds_stand(void **state)
{
	struct service s;

	(void)state;
	choose(SV_HALF_OPEN_ATTACK, 4000);
	s = make(16, 0);
	assert_int_equal(s.half_open_attack_above, 4000);
	assert_int_equal(s.half_open_calm_below, 1000);
	choose(SV_HALF_OPEN_ATTACK, 1);
	s = make(16, 0);
	assert_int_equal(s.half_open_attack_above, 1);
	assert_int_equal(s.half_open_calm_below, 1);
	choose(SV_HALF_OPEN_ATTACK, 100);
	choose(SV_HALF_OPEN_CALM, 7);
	s = make(16, 0);
	assert_int_equal(s.half_open_calm_below, 7);
}

/* A lower bound that is chosen for roomy listeners must not lie above that of a small one. */
static void test_lower_bound_stays_below(void **state)
{
	struct service s;

	(void)state;
	choose(SV_HALF_OPEN_CALM, 200);
	s = make(20, 0);
	assert_int_equal(s.half_open_attack_above, 10);
	assert_int_equal(s.half_open_calm_below, 10);
}

static void test_timeouts_never_beyond_the_kernel(void **state)
{
	struct service s;

	(void)state;
	choose(SV_SYN_CALM, 120000);
	s = make(511, 0);
	assert_int_equal(s.syn_calm_ms, KERNEL_MS);
	choose(SV_SYN_CALM, 20000);
	s = make(511, 0);
	assert_int_equal(s.syn_calm_ms, 20000);
	service_begin(&s, "web", 0, values, 1000);
	assert_int_equal(s.syn_calm_ms, 1000);
	assert_int_equal(s.syn_attack_ms, 1000);
}

/* Who only observes does as the kernel does. */
static void test_observing(void **state)
{
	struct service s;

	(void)state;
	choose(SV_SYN_CALM, 20000);
	choose(SV_MODE, MODE_OBSERVE);
	s = make(511, 0);
	assert_int_equal(s.mode, MODE_OBSERVE);
	assert_int_equal(s.syn_calm_ms, KERNEL_MS);
	assert_int_equal(s.syn_attack_ms, KERNEL_MS);
	service_hold(&s, HELD_NAT, KERNEL_MS);
	assert_int_equal(s.held, HELD_NOT); /* it was chosen */
	choose(SV_MODE, MODE_ALWAYS);
	s = make(511, 0);
	service_hold(&s, HELD_PUBLISHED, KERNEL_MS);
	assert_int_equal(s.mode, MODE_OBSERVE);
	assert_int_equal(s.held, HELD_PUBLISHED);
	assert_int_equal(s.syn_calm_ms, KERNEL_MS);
}

static void test_overrides(void **state)
{
	struct service s;

	(void)state;
	choose(SV_MSS, 1300);
	choose(SV_WSCALE, 0);
	choose(SV_ECN, 0);
	s = make(511, 0);
	assert_int_equal(s.mss, 1300);
	assert_int_equal(s.wscale, 0);
	assert_int_equal(s.features, TCP_FEATURES & ~TCP_ECN);
}

static void test_protects(void **state)
{
	struct policy *p = policy_built_in();
	struct policy_service web = {.name = "web"};

	(void)state;
	assert_true(policy_protects(p));
	policy_set_option(p, SV_MODE, MODE_OBSERVE);
	assert_false(policy_protects(p));
	memcpy(web.v, p->defaults, sizeof(web.v));
	p->services = &web;
	p->n_services = 1;
	assert_false(policy_protects(p));
	web.v[SV_MODE].n = MODE_AUTO;
	assert_true(policy_protects(p));
	p->services = NULL;
	p->n_services = 0;
	policy_free(p);
}

/* ---- indices ---- */

#define SECOND 1000000000ULL

static struct service_index x;

static int forget_index(void **state)
{
	(void)state;
	memset(&x, 0, sizeof(x));
	return 0;
}

static u16 take(const char *name, u64 now)
{
	bool reused;

	return service_index_take(&x, name, now, &reused);
}

static void fill(u64 now)
{
	char name[SERVICE_NAME_SIZE];
	int i;

	for (i = 1; i < SYNSTILE_MAX_SERVICES; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		assert_int_equal(take(name, now), i);
	}
}

static void test_index_is_the_name_s(void **state)
{
	(void)state;
	assert_int_equal(service_index_find(&x, "web"), 0);
	assert_int_equal(take("web", SECOND), 1);
	assert_int_equal(take("80", SECOND), 2);
	assert_int_equal(take("web", SECOND), 1);
	service_index_unwant(&x);
	assert_int_equal(take("ssh", SECOND), 3); /* those two are only not wanted */
	assert_int_equal(take("80", SECOND), 2);
	assert_int_equal(service_index_find(&x, "web"), 1);
	assert_int_equal(service_index_find(&x, "we"), 0);
}

static void test_too_many(void **state)
{
	(void)state;
	fill(SECOND);
	assert_int_equal(take("more", SECOND), 0);
	assert_int_equal(take("s7", SECOND), 7);
}

static void test_reuse_after_a_rest(void **state)
{
	bool reused;
	u64 now = SECOND;

	(void)state;
	fill(now);
	service_index_unwant(&x);
	assert_int_equal(take("s1", now), 1);
	assert_int_equal(take("more", now), 0); /* nobody knows yet whether they are idle */
	service_index_seen(&x, 1, false, now);
	service_index_seen(&x, 9, false, now);
	service_index_seen(&x, 8, false, now + SECOND);
	service_index_seen(&x, 10, false, now);
	now += INDEX_REST_NS - 1;
	service_index_seen(&x, 10, true, now); /* a connection again */
	assert_int_equal(take("more", now), 0);
	now += 1;
	assert_int_equal(service_index_take(&x, "more", now, &reused), 9);
	assert_true(reused);
	assert_int_equal(service_index_find(&x, "s9"), 0);
	assert_int_equal(take("again", now), 0); /* 8 has not rested long enough */
	assert_int_equal(service_index_take(&x, "again", now + SECOND, &reused), 8);
	assert_int_equal(take("more", now), 9);
	assert_int_equal(take("another", now + SECOND), 0);
}

/* A service that goes on under another name keeps its index, unless somebody wants the old one. */
static void test_rename(void **state)
{
	(void)state;
	assert_int_equal(take("80", SECOND), 1);
	assert_int_equal(take("ssh", SECOND), 2);
	service_index_unwant(&x);
	assert_int_equal(take("ssh", SECOND), 2);
	assert_true(service_index_rename(&x, 1, "web"));
	assert_false(service_index_rename(&x, 1, "site")); /* the first one has it */
	assert_false(service_index_rename(&x, 2, "site"));
	assert_int_equal(service_index_find(&x, "web"), 1);
	assert_int_equal(service_index_find(&x, "80"), 0);
	assert_int_equal(take("80", SECOND), 3);
}

/* ---- sources ---- */

static struct policy_prefix prefix(const char *text)
{
	char why[ADDRESS_WHY_SIZE];
	struct policy_prefix p = {0};

	assert_int_equal(prefix_parse(text, &p, why), 0);
	return p;
}

static int order(const void *l, const void *r)
{
	const struct policy_prefix *a = l, *b = r;
	int d = memcmp(&a->addr, &b->addr, sizeof(a->addr));

	return d ? d : a->bits - b->bits;
}

/* `text`: words. */
static size_t prefixes(const char *text, struct policy_prefix *to)
{
	char copy[512], *word, *rest = copy;
	size_t n = 0;

	snprintf(copy, sizeof(copy), "%s", text);
	while ((word = strtok_r(rest, " ", &rest)))
		to[n++] = prefix(word);
	qsort(to, n, sizeof(*to), order);
	return n;
}

/* As the trie will answer. */
static u32 longest(const struct prefix_set *s, const char *text)
{
	const struct policy_prefix a = prefix(text);
	u32 action = PREFIX_NONE, best = 0, i, bit;

	for (i = 0; i < s->n; i++) {
		const u8 *p = (const u8 *)&s->keys[i].addr, *q = (const u8 *)&a.addr;

		for (bit = 0; bit < s->keys[i].bits; bit++)
			if ((p[bit / 8] ^ q[bit / 8]) >> (7 - bit % 8) & 1)
				break;
		if (bit < s->keys[i].bits || (s->keys[i].bits < best && best))
			continue;
		best = s->keys[i].bits;
		action = s->actions[i];
	}
	return action;
}

static void test_prefixes(void **state)
{
	static const struct {
		const char *allow, *deny, *address;
		enum prefix_action action;
	} cases[] = {
		{"", "", "192.0.2.1", PREFIX_NONE},
		{"", "192.0.2.0/24", "192.0.2.1", PREFIX_DENY},
		{"", "192.0.2.0/24", "192.0.3.1", PREFIX_NONE},
		{"192.0.2.0/24", "", "192.0.2.255", PREFIX_ALLOW},
		/* allowed goes first, whichever is longer */
		{"192.0.2.0/24", "192.0.2.7", "192.0.2.7", PREFIX_ALLOW},
		{"192.0.2.7", "192.0.2.0/24", "192.0.2.7", PREFIX_ALLOW},
		{"192.0.2.7", "192.0.2.0/24", "192.0.2.8", PREFIX_DENY},
		{"192.0.0.0/16", "192.0.0.0/8 192.0.2.0/24 192.0.2.9", "192.0.2.9", PREFIX_ALLOW},
		{"192.0.0.0/16", "192.0.0.0/8 192.1.2.0/24", "192.1.2.9", PREFIX_DENY},
		{"192.0.0.0/16", "192.1.2.0/24", "192.1.2.9", PREFIX_DENY},
		{"192.0.2.0/25", "192.0.2.0/24 192.0.2.128/26", "192.0.2.130", PREFIX_DENY},
		/* one that ends where another one ends, and its neighbour */
		{"10.0.0.0/9", "10.128.0.0/9", "10.127.255.255", PREFIX_ALLOW},
		{"10.0.0.0/9", "10.128.0.0/9", "10.128.0.0", PREFIX_DENY},
		/* both families */
		{"2001:db8::/32", "2001:db8:bad::/48", "2001:db8:bad::1", PREFIX_ALLOW},
		{"2001:db8:bad::1", "2001:db8:bad::/48", "2001:db8:bad::2", PREFIX_DENY},
		{"::/0", "192.0.2.0/24", "192.0.2.1", PREFIX_DENY},
		{"", "::/0", "192.0.2.1", PREFIX_NONE},
		{"", "::/0", "2001:db8::1", PREFIX_DENY},
		{"", "::/80", "192.0.2.1", PREFIX_NONE},
		{"::/0", "0.0.0.0/0", "192.0.2.1", PREFIX_DENY},
		{"0.0.0.0/0", "::/0", "192.0.2.1", PREFIX_ALLOW},
		{"0.0.0.0/0", "::/0", "2001:db8::1", PREFIX_DENY},
		{"0.0.0.0/0 ::/0", "2001:db8::1 192.0.2.1", "2001:db8::1", PREFIX_ALLOW},
		{"::/0", "192.0.2.0/24 2001:db8::/32", "2001:db8::1", PREFIX_ALLOW},
	};
	struct policy_prefix allow[8], deny[8];
	struct prefix_set s;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct policy p = {.allow.at = allow, .deny.at = deny};

		p.allow.n = prefixes(cases[i].allow, allow);
		p.deny.n = prefixes(cases[i].deny, deny);
		assert_int_equal(prefix_set_make(&s, &p), 0);
		if (longest(&s, cases[i].address) != cases[i].action)
			fail_msg("allow %s, deny %s: %s is %u", cases[i].allow, cases[i].deny,
				 cases[i].address, longest(&s, cases[i].address));
		prefix_set_free(&s);
	}
}

static void test_rules(void **state)
{
	struct policy *p = policy_built_in();
	struct rules r;

	(void)state;
	rules_make(&r, p);
	assert_int_equal(r.flags, 0);
	assert_int_equal(r.ipv6_prefix, 64);
	policy_set_host_option(p, HV_LIMIT, 200);
	policy_set_host_option(p, HV_VERIFIED_FOR, 300000);
	policy_set_host_option(p, HV_LIMIT_IPV6_PREFIX, 56);
	rules_make(&r, p);
	assert_int_equal(r.flags, RULES_LIMIT | RULES_VERIFIED);
	assert_int_equal(r.ipv6_prefix, 56);
	assert_int_equal(r.limit.interval, limit_of(200, 400).interval);
	assert_int_equal(r.limit.burst, limit_of(200, 400).burst);
	assert_int_equal(r.verified.interval, limit_of(20, 20).interval);
	assert_int_equal(r.verified_ns, 300000 * NS_PER_MS);
	policy_set_host_option(p, HV_LIMIT_BURST, 1000);
	p->deny.n = 1;
	rules_make(&r, p);
	assert_int_equal(r.limit.burst, limit_of(200, 1000).burst);
	assert_int_equal(r.flags, RULES_LIMIT | RULES_VERIFIED | RULES_PREFIXES);
	p->deny.n = 0;
	policy_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_built_in, forget_values),
		cmocka_unit_test_setup(test_bounds_follow_the_roomiest_listener, forget_values),
		cmocka_unit_test_setup(test_chosen_bounds_stand, forget_values),
		cmocka_unit_test_setup(test_lower_bound_stays_below, forget_values),
		cmocka_unit_test_setup(test_timeouts_never_beyond_the_kernel, forget_values),
		cmocka_unit_test_setup(test_observing, forget_values),
		cmocka_unit_test_setup(test_overrides, forget_values),
		cmocka_unit_test(test_protects),
		cmocka_unit_test_setup(test_index_is_the_name_s, forget_index),
		cmocka_unit_test_setup(test_too_many, forget_index),
		cmocka_unit_test_setup(test_reuse_after_a_rest, forget_index),
		cmocka_unit_test_setup(test_rename, forget_index),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
