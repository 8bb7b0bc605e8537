// SPDX-License-Identifier: GPL-2.0-only
/*
 * The policy: who is under pressure, which sources cannot be answered, and what
 * becomes of SYNs and of segments of no connection.
 */
#include <arpa/inet.h>

#include "unit.h"
#include "decide.h"

static void test_under_pressure(void **state)
{
	static const struct {
		u32 mode, pressure;
		bool expected;
	} rows[] = {
		{MODE_OBSERVE, PRESSURE_CALM, false}, {MODE_OBSERVE, PRESSURE_ATTACK, true},
		{MODE_AUTO, PRESSURE_CALM, false},    {MODE_AUTO, PRESSURE_ATTACK, true},
		{MODE_ALWAYS, PRESSURE_CALM, true},   {MODE_ALWAYS, PRESSURE_ATTACK, true},
	};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		struct service s = {.mode = rows[i].mode};
		struct pressure p = {.state = rows[i].pressure};

		assert_int_equal(under_pressure(&s, &p), rows[i].expected);
	}
}

static void test_cookies_out(void **state)
{
	const u64 sent = 1000 * NS_PER_SEC;
	struct settings set = {0};
	struct pressure p = {0};

	(void)state;
	assert_false(cookies_out(&p, &set, 1));
	p.cookie_sent = sent;
	assert_true(cookies_out(&p, &set, sent));
	assert_true(cookies_out(&p, &set, sent - NS_PER_MS)); /* a CPU that is a tick behind */
	assert_true(cookies_out(&p, &set, sent + COOKIE_LIFE_NS - 1));
	assert_false(cookies_out(&p, &set, sent + COOKIE_LIFE_NS));
}

/* With another policy, the cookies of one service may come back to another. */
static void test_cookies_out_after_a_switch(void **state)
{
	const u64 then = 1ULL << 40, tick = 10 * NS_PER_MS;
	const struct settings set = {.switched = settings_moment(then)};
	const struct pressure p = {0};

	(void)state;
	assert_true(cookies_out(&p, &set, then - tick));
	assert_true(cookies_out(&p, &set, then));
	assert_true(cookies_out(&p, &set, then + COOKIE_LIFE_NS));
	assert_false(cookies_out(&p, &set, then + COOKIE_LIFE_NS + 3 * NS_PER_SEC));
}

static struct packet from(const char *remote, u16 port)
{
	struct packet pkt = {.ipv4 = !strchr(remote, ':'), .flags = TCP_SYN};

	pkt.key.remote_port = htons(port);
	pkt.key.local_port = htons(80);
	if (pkt.ipv4) {
		pkt.key.remote.w[2] = pkt.key.local.w[2] = htonl(0xffff);
		assert_int_equal(inet_pton(AF_INET, remote, &pkt.key.remote.w[3]), 1);
		inet_pton(AF_INET, "192.0.2.1", &pkt.key.local.w[3]);
	} else {
		assert_int_equal(inet_pton(AF_INET6, remote, &pkt.key.remote), 1);
		inet_pton(AF_INET6, "2001:db8::1", &pkt.key.local);
	}
	return pkt;
}

static void test_sources(void **state)
{
	static const struct {
		const char *remote;
		u16 port;
		bool impossible;
	} rows[] = {
		{"198.51.100.7", 40000, false},
		{"198.51.100.7", 0, true},
		{"192.0.2.1", 40000, true}, /* ourselves: a LAND packet */
		{"192.0.2.2", 80, false},
		{"0.0.0.0", 1, true},
		{"0.1.2.3", 1, true},
		{"1.0.0.0", 1, false},
		{"126.255.255.255", 1, false},
		{"127.0.0.1", 1, true},
		{"127.255.255.255", 1, true},
		{"128.0.0.0", 1, false},
		{"223.255.255.255", 1, false},
		{"224.0.0.1", 1, true},
		{"239.1.1.1", 1, true},
		{"240.0.0.1", 1, true},
		{"255.255.255.255", 1, true},
		{"10.0.0.1", 1, false},
		{"2001:db8:1::7", 1, false},
		{"2001:db8:1::7", 0, true},
		{"2001:db8::1", 1, true},
		{"::", 1, true},
		{"::1", 1, true},
		{"::2", 1, false},
		{"1::1", 1, false},
		{"ff02::1", 1, true},
		{"fe80::1", 1, false},
		{"fd00::1", 1, false},
	};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		struct packet pkt = from(rows[i].remote, rows[i].port);

		if (source_impossible(&pkt) != rows[i].impossible)
			fail_msg("%s port %u: expected %d", rows[i].remote, rows[i].port,
				 rows[i].impossible);
	}
}

static void test_syn(void **state)
{
	struct packet good = from("198.51.100.7", 1), bad = from("224.0.0.1", 1);
	struct service s = {.mode = MODE_AUTO};

	(void)state;
	for (int n = 0; n < 4; n++) {
		bool pressure = n & 1, room = n & 2;

		assert_int_equal(decide_syn(&good, &s, room, pressure, 0),
				 pressure ? V_SYN_COOKIE : V_SYN_CALM);
		assert_int_equal(decide_syn(&bad, &s, room, pressure, 0),
				 pressure ? V_SYN_SOURCE : V_SYN_CALM);
		good.fragment = bad.fragment = true;
		assert_int_equal(decide_syn(&good, &s, room, pressure, 0), V_SYN_FRAGMENT);
		assert_int_equal(decide_syn(&bad, &s, room, pressure, 0), V_SYN_FRAGMENT);
		good.fragment = bad.fragment = false;
	}
}

/* What is known of its source: verdicts by pressure, room for half-open connections, and mode. */
static void test_syn_source(void **state)
{
	enum {
		A = SOURCE_ALLOWED,
		D = SOURCE_DENIED,
		O = SOURCE_OVER,
		V = SOURCE_VERIFIED,
		W = SOURCE_VERIFIED | SOURCE_WITHIN
	};
	static const struct {
		u32 source;
		enum synstile_verdict calm, pressed, full, always;
	} rows[] = {
		{A, V_SYN_ALLOWED, V_SYN_ALLOWED, V_SYN_COOKIE, V_SYN_COOKIE},
		{D, V_SYN_DENIED, V_SYN_DENIED, V_SYN_DENIED, V_SYN_DENIED},
		{O, V_SYN_LIMIT, V_SYN_LIMIT, V_SYN_LIMIT, V_SYN_LIMIT},
		{O | V, V_SYN_COOKIE, V_SYN_COOKIE, V_SYN_COOKIE, V_SYN_COOKIE},
		{V, V_SYN_CALM, V_SYN_COOKIE, V_SYN_COOKIE, V_SYN_COOKIE},
		{W, V_SYN_CALM, V_SYN_VERIFIED, V_SYN_COOKIE, V_SYN_VERIFIED},
	};
	struct packet pkt = from("198.51.100.7", 1);

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		struct service s = {.mode = MODE_AUTO};
		u32 source = rows[i].source;

		assert_int_equal(decide_syn(&pkt, &s, true, false, source), rows[i].calm);
		assert_int_equal(decide_syn(&pkt, &s, true, true, source), rows[i].pressed);
		assert_int_equal(decide_syn(&pkt, &s, false, true, source), rows[i].full);
		s.mode = MODE_ALWAYS; /* SOURCE_WITHIN is never asked for there */
		assert_int_equal(decide_syn(&pkt, &s, true, true, source), rows[i].always);
	}
	pkt.fragment = true; /* the deny list is for all of a source's packets */
	assert_int_equal(decide_syn(&pkt, &(struct service){0}, true, true, D), V_SYN_DENIED);
	assert_int_equal(decide_syn(&pkt, &(struct service){0}, true, true, A), V_SYN_FRAGMENT);
}

static void test_stray(void **state)
{
	struct packet pkt = from("198.51.100.7", 1);

	(void)state;
	for (unsigned int flags = 0; flags < 256; flags++) {
		enum synstile_verdict v = flags & TCP_SYN   ? V_SYNACK_STRAY
					  : flags & TCP_RST ? V_RST_STRAY
							    : V_COOKIE_INVALID;

		pkt.flags = flags;
		assert_int_equal(decide_stray(&pkt, true, true), v);
		assert_int_equal(decide_stray(&pkt, false, true), V_STRAY_CALM);
		assert_int_equal(decide_stray(&pkt, true, false), V_STRAY_CALM);
		assert_int_equal(decide_stray(&pkt, false, false), V_STRAY_CALM);
	}
}

/* Against the definition in words: none of SYN, ACK, RST; or SYN with FIN or RST. */
static void test_flags_impossible(void **state)
{
	unsigned int impossible = 0;

	(void)state;
	for (unsigned int flags = 0; flags < 256; flags++) {
		bool syn = flags & 0x02, fin = flags & 0x01, rst = flags & 0x04, ack = flags & 0x10;
		bool expected = (!syn && !ack && !rst) || (syn && fin) || (syn && rst);

		assert_int_equal(tcp_flags_impossible(flags), expected);
		impossible += expected;
	}
	/* 6 bits of 8 are free when S, A, R are none: 2^5; SYN with FIN or RST: 3/4 of 128 */
	assert_int_equal(impossible, 32 + 96);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_under_pressure),
		cmocka_unit_test(test_cookies_out),
		cmocka_unit_test(test_cookies_out_after_a_switch),
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_syn),
		cmocka_unit_test(test_syn_source),
		cmocka_unit_test(test_stray),
		cmocka_unit_test(test_flags_impossible),
	};

	return cmocka_run_group_tests_name("decide", tests, NULL, NULL);
}
