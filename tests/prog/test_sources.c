// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sources: prefix lists, the limit, who is verified, and what is counted of them. User space's
 * half (user/maps.c, user/distinct.c) is used as it is.
 */
#include <arpa/inet.h>
#include <time.h>

#include "check.h"
#include "distinct.h"
#include "limit.h"

#define VERIFIED 1024 /* the size of that map, here */

static struct frame frame;
static struct run result;

static void parse_address(const char *text, struct addr *a)
{
	*a = (struct addr){.b = {[10] = 0xff, [11] = 0xff}};
	if (inet_pton(AF_INET, text, a->b + 12) != 1 && inet_pton(AF_INET6, text, a) != 1)
		fail_msg("no address: %s", text);
}

/* A SYN of this address. */
static void syn_from(const char *text, u16 sport)
{
	const bool ipv6 = strchr(text, ':');
	const struct spec s = {.ipv6 = ipv6, .flags = SYN, .sport = sport};
	struct addr a;

	parse_address(text, &a);
	frame_build(&frame, &s);
	memcpy(frame.bytes + frame.l3 + (ipv6 ? 8 : 12), a.b + (ipv6 ? 0 : 12), ipv6 ? 16 : 4);
	frame_checksums(&frame, ipv6);
	prog_xdp(&result, frame.bytes, frame.len);
}

static enum synstile_verdict syn(const struct spec *s)
{
	run_spec(&result, &frame, s);
	return result.verdict;
}

static void is(enum synstile_verdict v)
{
	if (result.verdict != v || result.bank != BANK_DONE)
		fail_msg("expected %s, got %s%s", verdict_name(v), verdict_name(result.verdict),
			 result.bank ? " (observed)" : "");
}

static void sleep_ms(u32 ms)
{
	const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

/* ---- prefix lists ---- */

struct entry {
	const char *prefix;
	u32 bits;
	u32 action;
};

static void put_list(u32 slot, const struct entry *list, u32 n)
{
	const struct rules r = {.flags = RULES_PREFIXES};
	struct prefix_key keys[16];
	u32 actions[16];

	for (u32 i = 0; i < n; i++) {
		parse_address(list[i].prefix, &keys[i].addr);
		keys[i].bits = list[i].bits + (strchr(list[i].prefix, ':') ? 0 : 96);
		actions[i] = list[i].action;
	}
	prog_prefixes(slot, keys, actions, n);
	prog_rules(slot, &r);
}

static const struct entry list[] = {
	{"203.0.113.0", 24, PREFIX_DENY},           {"203.0.113.8", 29, PREFIX_ALLOW},
	{"203.0.113.9", 32, PREFIX_DENY},           {"100.64.0.0", 10, PREFIX_ALLOW},
	{"2001:db8:bad::", 48, PREFIX_DENY},        {"2001:db8:bad:600d::", 64, PREFIX_ALLOW},
	{"2001:db8:bad:600d::1", 128, PREFIX_DENY},
};

static const struct {
	const char *from;
	enum synstile_verdict calm;
} listed[] = {
	{"203.0.112.255", V_SYN_CALM},
	{"203.0.113.0", V_SYN_DENIED},
	{"203.0.113.7", V_SYN_DENIED},
	{"203.0.113.8", V_SYN_ALLOWED},
	{"203.0.113.9", V_SYN_DENIED},
	{"203.0.113.15", V_SYN_ALLOWED},
	{"203.0.113.16", V_SYN_DENIED},
	{"203.0.113.255", V_SYN_DENIED},
	{"203.0.114.0", V_SYN_CALM},
	{"100.63.255.255", V_SYN_CALM},
	{"100.64.0.0", V_SYN_ALLOWED},
	{"100.127.255.255", V_SYN_ALLOWED},
	{"100.128.0.0", V_SYN_CALM},
	{"2001:db8:bac:ffff::1", V_SYN_CALM},
	{"2001:db8:bad::1", V_SYN_DENIED},
	{"2001:db8:bad:600c:ffff::", V_SYN_DENIED},
	{"2001:db8:bad:600d::2", V_SYN_ALLOWED},
	{"2001:db8:bad:600d::1", V_SYN_DENIED},
	{"2001:db8:bad:600d:ffff:ffff:ffff:ffff", V_SYN_ALLOWED},
	{"2001:db8:bad:600e::", V_SYN_DENIED},
	{"2001:db8:bae::", V_SYN_CALM},
	/* bytes of an IPv4 prefix, in an IPv6 address */
	{"2001:db8::cb00:7107", V_SYN_CALM},
};

static void test_prefixes(void **state)
{
	(void)state;
	prog_reset(MODE_AUTO);
	put_list(0, list, ARRAY_SIZE(list));
	for (u32 i = 0; i < ARRAY_SIZE(listed); i++) {
		print_message("%s\n", listed[i].from);
		syn_from(listed[i].from, 1000 + i);
		is(listed[i].calm);
	}
	/* under attack: what is not listed gets a cookie; in mode always what is allowed does too
	 */
	prog_attack();
	for (u32 always = 0; always < 2; always++) {
		struct service s;

		prog_get_service(&s);
		s.mode = always ? MODE_ALWAYS : MODE_AUTO;
		prog_put_service(&s);
		for (u32 i = 0; i < ARRAY_SIZE(listed); i++) {
			enum synstile_verdict v = listed[i].calm;

			syn_from(listed[i].from, 2000 + 1000 * always + i);
			is(v == V_SYN_CALM || (v == V_SYN_ALLOWED && always) ? V_SYN_COOKIE : v);
		}
	}
}

/* "Everything" of one family is not the other's. */
static void test_whole_family(void **state)
{
	const struct entry six = {"::", 0, PREFIX_DENY}, four = {"0.0.0.0", 0, PREFIX_DENY};

	(void)state;
	prog_reset(MODE_AUTO);
	put_list(0, &six, 1);
	syn_from("2001:db8::7", 1);
	is(V_SYN_DENIED);
	syn_from("198.51.100.7", 1);
	is(V_SYN_CALM);
	put_list(0, &four, 1);
	syn_from("2001:db8::7", 2);
	is(V_SYN_CALM);
	syn_from("198.51.100.7", 2);
	is(V_SYN_DENIED);
}

/* A list may be there, or named in the rules, without the other. */
static void test_half_a_list(void **state)
{
	const struct rules r = {.flags = RULES_PREFIXES}, none = {0};

	(void)state;
	prog_reset(MODE_AUTO);
	prog_rules(0, &r);
	syn_from("203.0.113.1", 1);
	is(V_SYN_CALM);
	put_list(0, list, ARRAY_SIZE(list));
	prog_rules(0, &none);
	syn_from("203.0.113.1", 2);
	is(V_SYN_CALM);
}

/* The allow list is no way around the budget: its addresses can be forged too. */
static void test_allowed_within_budget(void **state)
{
	struct service s;

	(void)state;
	prog_reset(MODE_AUTO);
	put_list(0, list, ARRAY_SIZE(list));
	prog_get_service(&s);
	s.half_open_attack_above = 10;
	s.half_open_calm_below = 5;
	prog_put_service(&s);
	prog_attack();
	for (u32 i = 0; i < 20; i++) {
		syn_from("100.64.0.1", 1 + i);
		is(i < 10 ? V_SYN_ALLOWED : V_SYN_COOKIE);
	}
}

/* The lists are about who may open connections: to those that there are they mean nothing. */
static void test_connections_live_on(void **state)
{
	static const u8 phases[] = {FLOW_HALF_OPEN, FLOW_OPEN, FLOW_CLOSED};
	struct spec s = {.flags = SYN, .seq = ISN_REMOTE};
	const struct entry all = {"0.0.0.0", 0, PREFIX_DENY};
	struct flow f;

	(void)state;
	prog_reset(MODE_AUTO);
	put_list(0, &all, 1);
	for (u32 i = 0; i < ARRAY_SIZE(phases); i++) {
		prog_make_flow(&f, phases[i]);
		prog_put_flow(&s, &f);
		syn(&s);
		is(V_SYN_KNOWN);
	}
	prog_make_flow(&f, FLOW_OPEN);
	prog_put_flow(&s, &f);
	s.flags = ACK;
	s.seq = ISN_REMOTE + 1;
	s.ack = ISN_LOCAL + 1;
	syn(&s);
	is(V_KNOWN);
	s.dport = 81; /* and nothing to who is not protected */
	s.flags = SYN;
	syn(&s);
	is(V_NOT_SERVICE);
}

/* ---- the limit ---- */

static void put_limit(u32 rate, u32 burst)
{
	const struct rules r = {
		.flags = RULES_LIMIT, .ipv6_prefix = 112, .limit = limit_of(rate, burst)};

	prog_rules(0, &r);
}

/* A burst, then nothing, then what time has given back; somebody else is not touched. */
static void test_limit(void **state)
{
	(void)state;
	for (u32 n = 0; n < 4; n++) {
		struct spec s = {.ipv6 = n & 1, .flags = SYN}, other = s;
		u64 begin = prog_now();
		u32 passed = 0;

		other.client = 1 << 20;
		prog_reset(n & 2 ? MODE_ALWAYS : MODE_AUTO);
		put_limit(2, 8);
		for (s.sport = 1; s.sport <= 30; s.sport++)
			assert_int_equal(syn(&s), s.sport > 8 ? V_SYN_LIMIT
						  : n & 2     ? V_SYN_COOKIE
							      : V_SYN_CALM);
		assert_int_not_equal(syn(&other), V_SYN_LIMIT);
		s.sport = 1; /* a SYN sent again is no new one, if the stack has the first */
		assert_int_equal(syn(&s), n & 2 ? V_SYN_LIMIT : V_SYN_KNOWN);
		sleep_ms(1100); /* two SYNs' worth */
		for (s.sport = 101; s.sport <= 110; s.sport++)
			passed += syn(&s) != V_SYN_LIMIT;
		if (prog_now() - begin < NS_PER_S * 14 / 10)
			assert_int_equal(passed, 2);
		else
			assert_in_range(passed, 2,
					10); /* a busy machine: more time was given back */
	}
}

/* Exactly at its rate a source is never limited, not even one SYN at a time. */
static void test_limit_at_rate(void **state)
{
	struct spec s = {.flags = SYN, .sport = 1};

	(void)state;
	prog_reset(MODE_AUTO);
	put_limit(100, 1);
	for (; s.sport <= 100; s.sport++) {
		assert_int_equal(syn(&s), V_SYN_CALM);
		sleep_ms(10);
	}
}

/* All addresses of an IPv6 prefix are one source; the next prefix is another. */
static void test_limit_ipv6_prefix(void **state)
{
	struct spec s = {.ipv6 = true, .flags = SYN};

	(void)state;
	prog_reset(MODE_AUTO);
	put_limit(1, 10);
	for (s.client = 0; s.client < 30; s.client++)
		assert_int_equal(syn(&s), s.client < 10 ? V_SYN_CALM : V_SYN_LIMIT);
	s.client = 1 << 16;
	assert_int_equal(syn(&s), V_SYN_CALM);
}

static void test_limit_spares_allowed(void **state)
{
	struct rules r = {.flags = RULES_PREFIXES | RULES_LIMIT, .limit = limit_of(1, 1)};

	(void)state;
	prog_reset(MODE_AUTO);
	put_list(0, list, ARRAY_SIZE(list));
	prog_rules(0, &r);
	for (u32 i = 0; i < 20; i++) {
		syn_from("100.64.0.1", 1 + i);
		is(V_SYN_ALLOWED);
	}
}

/* 100,000 random sources, and ten that send all the time: nobody else is limited. */
static void test_limit_under_flood(void **state)
{
	u64 seed = 17, limited = 0;

	(void)state;
	prog_reset(MODE_ALWAYS);
	put_limit(1, 20);
	for (u32 n = 0; n < 100000; n++) {
		struct spec s = {
			.flags = SYN, .sport = n, .client = 1000 + random_below(&seed, 1 << 24)};

		if (n % 100 == 99)
			s.client = n / 100 % 10;
		syn(&s);
		if (s.client < 10)
			limited += result.verdict == V_SYN_LIMIT;
		else if (result.verdict == V_SYN_LIMIT)
			fail_msg("source %u was limited by others", s.client);
	}
	assert_in_range(limited, 50, 800);
}

/* ---- verified sources ---- */

static void put_verified_rules(u32 rate)
{
	const struct rules r = {.flags = RULES_VERIFIED,
				.ipv6_prefix = 112,
				.verified = limit_of(rate, rate),
				.verified_ns = 60 * NS_PER_S};

	prog_rules(0, &r);
}

static void source_key(const struct spec *s, struct addr *source)
{
	u8 server[16];

	frame_addresses(s, source->b, server);
	if (s->ipv6)
		source->b[14] = source->b[15] = 0;
}

/* The client takes a cookie and brings it back. */
static void prove(struct spec s)
{
	struct answer a;

	prove_cookie(&a, &s, &result, &frame);
}

static void test_verified(void **state)
{
	(void)state;
	for (u32 n = 0; n < 2; n++) {
		struct spec s = {.ipv6 = n, .flags = SYN, .sport = 1};
		struct addr source;
		struct verified v;
		struct flow f;

		prog_reset(MODE_AUTO);
		put_verified_rules(5);
		prog_attack();
		source_key(&s, &source);
		prove(s);
		assert_int_equal(prog_n_verified(), 1);
		assert_true(prog_verified(&v, &source));
		assert_in_range(v.until - prog_now(), 59 * NS_PER_S, 60 * NS_PER_S);
		if (s.ipv6)
			s.client = 77; /* another of its prefix */
		for (s.sport = 2; s.sport < 12; s.sport++) {
			assert_int_equal(syn(&s), s.sport < 7 ? V_SYN_VERIFIED : V_SYN_COOKIE);
			if (s.sport < 7) {
				assert_true(prog_flow(&f, &s));
				assert_int_equal(f.admission, ADMIT_VERIFIED);
			}
		}
		sleep_ms(230);
		assert_int_equal(syn(&s), V_SYN_VERIFIED);
		s.client = 1 << 16; /* a stranger */
		assert_int_equal(syn(&s), V_SYN_COOKIE);
		assert_int_equal(prog_n_verified(), 1);
	}
}

/* Another proof lasts longer, but gives nothing back of what was used up. */
static void test_verified_again(void **state)
{
	struct spec s = {.flags = SYN, .sport = 1};
	const u64 soon = prog_now() + NS_PER_S;
	struct verified v;
	struct addr source;

	(void)state;
	prog_reset(MODE_AUTO);
	put_verified_rules(5);
	prog_attack();
	source_key(&s, &source);
	prog_put_verified(&source,
			  &(struct verified){.until = soon, .tat = soon + 3600 * NS_PER_S});
	prove(s);
	assert_true(prog_verified(&v, &source));
	assert_true(v.until > soon + 50 * NS_PER_S);
	s.sport++;
	assert_int_equal(syn(&s), V_SYN_COOKIE);
}

/* What takes away the right to pass: time, the budget, the mode; and when calm it is not needed. */
static void test_verified_ends(void **state)
{
	struct spec s = {.flags = SYN, .sport = 1};
	struct verified v = {.until = prog_now() + 60 * NS_PER_S};
	struct pressure p;
	struct service service;
	struct addr source;

	(void)state;
	prog_reset(MODE_AUTO);
	put_verified_rules(1);
	source_key(&s, &source);
	prog_put_verified(&source, &v);
	for (; s.sport < 10; s.sport++)
		assert_int_equal(syn(&s), V_SYN_CALM); /* and this uses nothing up */
	prog_attack();
	assert_int_equal(syn(&s), V_SYN_VERIFIED);
	v.until = prog_now() - 1;
	prog_put_verified(&source, &v);
	s.sport++;
	assert_int_equal(syn(&s), V_SYN_COOKIE);
	v.until = prog_now() + 60 * NS_PER_S;
	prog_put_verified(&source, &v);
	prog_get_service(&service);
	service.mode = MODE_ALWAYS;
	prog_put_service(&service);
	assert_int_equal(syn(&s), V_SYN_COOKIE);
	service.mode = MODE_AUTO;
	prog_put_service(&service);
	prog_get_pressure(&p);
	p.half_open = service.half_open_attack_above;
	prog_put_pressure(&p);
	assert_int_equal(syn(&s), V_SYN_COOKIE);
	assert_true(prog_verified(&v, &source));
	assert_int_equal(v.tat, 0); /* which was not used up either */
	p.half_open--;
	prog_put_pressure(&p);
	assert_int_equal(syn(&s), V_SYN_VERIFIED);
}

/* Nobody becomes verified who has proved nothing, or where the policy does not say so. */
static void test_verified_needs_a_proof(void **state)
{
	struct spec s = {.flags = SYN};

	(void)state;
	prog_reset(MODE_ALWAYS);
	put_verified_rules(5);
	prog_cookies_out();
	for (s.client = 0; s.client < 3000; s.client++) {
		s.flags = s.client & 1 ? SYN : ACK;
		s.seq = s.ack = s.client * 0x9e3779b9;
		syn(&s);
		is(s.client & 1 ? V_SYN_COOKIE : V_COOKIE_INVALID);
	}
	assert_int_equal(prog_n_verified(), 0);
	prog_rules(0, &(struct rules){.verified_ns = NS_PER_S});
	s.flags = SYN;
	prove(s);
	assert_int_equal(prog_n_verified(), 0);
}

/* A full table forgets those that were not heard of for longest, and goes on. */
static void test_verified_full(void **state)
{
	struct spec s = {.flags = SYN, .sport = 1};
	struct service service;
	u32 known = 0;

	(void)state;
	prog_reset(MODE_ALWAYS);
	put_verified_rules(5);
	for (s.client = 0; s.client < 3 * VERIFIED; s.client++)
		prove(s);
	assert_in_range(prog_n_verified(), VERIFIED / 2, VERIFIED);
	prog_get_service(&service);
	service.mode = MODE_AUTO;
	prog_put_service(&service);
	prog_attack();
	s.sport = 2;
	for (s.client = 3 * VERIFIED - VERIFIED / 2; s.client < 3 * VERIFIED; s.client++)
		known += syn(&s) == V_SYN_VERIFIED;
	assert_true(known > VERIFIED / 4);
	s.client = 0;
	assert_int_equal(syn(&s), V_SYN_COOKIE);
}

/* Somebody sends in a verified client's name, beyond its limit: it can prove itself once more. */
static void test_verified_over_limit(void **state)
{
	(void)state;
	for (u32 n = 0; n < 2; n++) {
		struct spec s = {.flags = SYN, .sport = 1};
		struct verified v = {.until = prog_now() + 60 * NS_PER_S};
		struct rules r = {.flags = RULES_VERIFIED | RULES_LIMIT,
				  .limit = limit_of(1, 3),
				  .verified = limit_of(100, 100),
				  .verified_ns = 60 * NS_PER_S};
		struct addr source;

		prog_reset(MODE_AUTO);
		prog_rules(0, &r);
		if (n)
			prog_attack();
		source_key(&s, &source);
		prog_put_verified(&source, &v);
		for (; s.sport <= 20; s.sport++)
			assert_int_equal(syn(&s), s.sport > 3 ? V_SYN_COOKIE
						  : n         ? V_SYN_VERIFIED
							      : V_SYN_CALM);
		prove(s);
		s.client = 1;
		for (s.sport = 1; s.sport <= 20; s.sport++)
			syn(&s);
		is(V_SYN_LIMIT);
	}
}

/* ---- counting ---- */

static void test_load(void **state)
{
	struct spec s = {.flags = SYN, .sport = 1}, ack;
	struct service service;
	struct flow f;

	(void)state;
	prog_reset(MODE_AUTO);
	put_verified_rules(1);
	prog_attack();
	prove(s);
	s.sport = 2;
	assert_int_equal(syn(&s), V_SYN_VERIFIED);
	assert_int_equal(prog_load(LOAD_SYNS), 2);
	assert_int_equal(prog_load(LOAD_COOKIES), 1);
	assert_int_equal(prog_load(LOAD_VALIDATED), 1);
	assert_int_equal(prog_load(LOAD_COMPLETED), 1);
	assert_int_equal(prog_load(LOAD_VERIFIED), 1);
	assert_int_equal(prog_load(LOAD_DROPPED), 0);

	/* handshakes of the stack's: one is completed, one reset */
	prog_get_service(&service);
	for (u32 n = 0; n < 2; n++) {
		prog_make_flow(&f, FLOW_HALF_OPEN);
		s.sport = 10 + n;
		prog_put_flow(&s, &f);
		ack = s;
		ack.flags = n ? RST : ACK;
		ack.seq = ISN_REMOTE + 1;
		ack.ack = ISN_LOCAL + 1;
		for (u32 again = 0; again < (n ? 1 : 3); again++)
			syn(&ack);
		assert_int_equal(prog_load(LOAD_COMPLETED), 2);
	}
	assert_int_equal(prog_load(LOAD_SYNS), 2);

	ack.flags = ACK;
	ack.client = 5;
	assert_int_equal(syn(&ack), V_COOKIE_INVALID);
	assert_int_equal(prog_load(LOAD_DROPPED), 1);
}

static u32 sources_now(void)
{
	static struct distinct d;
	u32 epoch = hll_epoch(prog_now());

	assert_int_equal(maps_distinct(prog_maps(), SERVICE, &d), 0);
	return distinct_estimate(&d, epoch) + distinct_estimate(&d, epoch - 1);
}

static u32 n_samples, strange_samples, sampled_syns;

static void take_sample(const struct syn_sample *s, u32 syns, void *arg)
{
	const u32 *clients = arg;
	struct addr first;
	u8 server[16];

	frame_addresses(&(struct spec){0}, first.b, server);
	if (s->service != SERVICE || get32(s->addr.b + 12) - get32(first.b + 12) >= *clients)
		strange_samples++;
	n_samples++;
	sampled_syns += syns;
}

static u32 samples_since(u64 since, u32 clients)
{
	n_samples = strange_samples = sampled_syns = 0;
	assert_int_equal(maps_samples(prog_maps(), SERVICE, since, take_sample, &clients), 0);
	assert_int_equal(strange_samples, 0);
	return n_samples;
}

/* How many sources there were, and who some of them were; not those that a list keeps away. */
static void test_distinct_and_samples(void **state)
{
	const struct entry all = {"0.0.0.0", 0, PREFIX_DENY};
	struct spec s = {.flags = SYN};
	u64 begin;

	(void)state;
	prog_reset(MODE_ALWAYS);
	sleep_ms(2500); /* what others did is of another epoch */
	begin = prog_now();
	assert_int_equal(sources_now(), 0);
	assert_int_equal(samples_since(begin, 0), 0);
	for (u32 n = 0; n < 1200; n++) {
		s.client = n % 300; /* each comes four times */
		s.sport = 1 + n;
		syn(&s);
	}
	/* an epoch may have ended meanwhile: then it is up to twice as many */
	assert_in_range(sources_now(), 270, 660);
	assert_in_range(samples_since(begin, 300), SAMPLES_PER_SPAN, 1200);
	assert_int_equal(sampled_syns, 1200); /* all of them, by those that were kept */
	assert_int_equal(samples_since(prog_now() + NS_PER_S, 0), 0);

	prog_reset(MODE_ALWAYS);
	put_list(0, &all, 1);
	sleep_ms(2500);
	begin = prog_now();
	for (s.client = 0; s.client < 100; s.client++)
		assert_int_equal(syn(&s), V_SYN_DENIED);
	assert_int_equal(sources_now(), 0);
	assert_int_equal(samples_since(begin, 0), 0);
	assert_int_equal(prog_load(LOAD_SYNS), 0);
	assert_int_equal(prog_load(LOAD_DROPPED), 100);
}

/* A flood leaves a few samples of each moment, and does not fill the ring at once. */
static void test_samples_are_spread(void **state)
{
	struct spec s = {.flags = SYN};
	u64 begin, now, last = 0, spans = 0;

	(void)state;
	prog_reset(MODE_ALWAYS);
	sleep_ms(40);
	begin = prog_now();
	for (s.client = 0; (now = prog_now()) < begin + NS_PER_S / 4; s.client++) {
		spans += now >> SAMPLE_SPAN_SHIFT != last;
		last = now >> SAMPLE_SPAN_SHIFT;
		syn(&s);
	}
	/* test_run stays on one CPU, or nearly so */
	assert_in_range(samples_since(begin, s.client), spans * SAMPLES_PER_SPAN / 4,
			4 * spans * SAMPLES_PER_SPAN);
	assert_int_equal(sampled_syns, s.client);
}

/* In mode observe everything passes, is followed, and is counted as what it would have been. */
static void test_observe(void **state)
{
	struct spec s = {.flags = SYN, .sport = 1};
	const struct entry all = {"0.0.0.0", 0, PREFIX_DENY};

	(void)state;
	prog_reset(MODE_OBSERVE);
	put_list(0, &all, 1);
	assert_int_equal(syn(&s), V_SYN_DENIED);
	assert_int_equal(result.bank, BANK_OBSERVED);
	assert_int_equal(prog_phase(&s), FLOW_HALF_OPEN);
	prog_reset(MODE_OBSERVE);
	put_limit(1, 2);
	for (; s.sport <= 5; s.sport++) {
		assert_int_equal(syn(&s), s.sport > 2 ? V_SYN_LIMIT : V_SYN_CALM);
		assert_int_equal(result.bank, s.sport > 2 ? BANK_OBSERVED : BANK_DONE);
		assert_int_equal(prog_phase(&s), FLOW_HALF_OPEN);
	}
	assert_int_equal(prog_load(LOAD_SYNS), 5);
	assert_int_equal(prog_load(LOAD_DROPPED), 0);
}

/* Before the tables are filled, no list is looked at. */
static void test_not_ready(void **state)
{
	const struct entry all = {"0.0.0.0", 0, PREFIX_DENY};

	(void)state;
	prog_reset(MODE_AUTO);
	put_list(0, &all, 1);
	prog_settings()->flags &= ~SET_READY;
	prog_put_settings();
	syn_from("203.0.113.1", 1);
	is(V_SYN_CALM);
}

static int open_programs(void **state)
{
	(void)state;
	prog_max_verified(VERIFIED);
	prog_open(OWN_COOKIES, 65536);
	return 0;
}

static int close_programs(void **state)
{
	(void)state;
	prog_close();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_whole_family),
		cmocka_unit_test(test_half_a_list),
		cmocka_unit_test(test_allowed_within_budget),
		cmocka_unit_test(test_connections_live_on),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_limit_at_rate),
		cmocka_unit_test(test_limit_ipv6_prefix),
		cmocka_unit_test(test_limit_spares_allowed),
		cmocka_unit_test(test_limit_under_flood),
		cmocka_unit_test(test_verified),
		cmocka_unit_test(test_verified_again),
		cmocka_unit_test(test_verified_ends),
		cmocka_unit_test(test_verified_needs_a_proof),
		cmocka_unit_test(test_verified_full),
		cmocka_unit_test(test_verified_over_limit),
		cmocka_unit_test(test_load),
		cmocka_unit_test(test_distinct_and_samples),
		cmocka_unit_test(test_samples_are_spread),
		cmocka_unit_test(test_observe),
		cmocka_unit_test(test_not_ready),
	};

	return cmocka_run_group_tests_name("sources", tests, open_programs, close_programs);
}
