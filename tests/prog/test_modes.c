// SPDX-License-Identifier: GPL-2.0-only
/*
 * Modes and pressure: observe touches nothing, auto goes to attack and back, a host
 * whose tables are not filled yet lets everything pass, and a full flow table
 * loses knowledge but no client.
 */
#include <time.h>

#include "check.h"

#define TABLE 8 /* flows */

static struct frame frame;
static struct run result;

static void observed(enum synstile_verdict v)
{
	if (result.verdict != v || result.bank != BANK_OBSERVED || result.action != XDP_PASS)
		fail_msg("expected %s to be observed, got %s in bank %d and action %d",
			 verdict_name(v), verdict_name(result.verdict), result.bank, result.action);
}

struct row {
	struct spec spec;
	enum synstile_verdict v;
};

/* What would be dropped or answered is counted so, and passes untouched (prog_xdp() looks). */
static void test_observe(void **state)
{
	static const struct row rows[] = {
		{{.flags = SYN}, V_SYN_COOKIE},
		{{.flags = ACK}, V_COOKIE_INVALID},
		{{.flags = RST}, V_RST_STRAY},
		{{.flags = SYN | ACK}, V_SYNACK_STRAY},
		{{.flags = SYN, .frag = 1}, V_SYN_FRAGMENT},
		{{.flags = SYN | FIN}, V_TCP_FLAGS},
		{{.flags = 0}, V_TCP_FLAGS},
		{{.exts = 9, .ext = {60, 60, 60, 60, 60, 60, 60, 60, 60}}, V_IPV6_EXT_CHAIN},
	};

	(void)state;
	for (u32 n = 0; n < 2 * ARRAY_SIZE(rows); n++) {
		struct spec s = rows[n / 2].spec;

		s.ipv6 = n & 1;
		if (!s.ipv6 && rows[n / 2].v == V_IPV6_EXT_CHAIN)
			continue;
		s.frag = s.frag && !s.ipv6 ? 0x2000 : s.frag;
		prog_reset(MODE_OBSERVE);
		prog_settings()->flags |= SET_OBSERVE;
		prog_put_settings();
		prog_attack();
		prog_cookies_out();
		run_spec(&result, &frame, &s);
		observed(rows[n / 2].v);
	}
}

/* In observe, SYNs go to the stack and are followed, also those that "got a cookie". */
static void test_observe_follows(void **state)
{
	const struct spec syn = {.flags = SYN};

	(void)state;
	prog_reset(MODE_OBSERVE);
	run_spec(&result, &frame, &syn);
	expect(&result, V_SYN_CALM, XDP_PASS);
	prog_reset(MODE_OBSERVE);
	prog_attack();
	run_spec(&result, &frame, &syn);
	observed(V_SYN_COOKIE);
	assert_int_equal(prog_phase(&syn), FLOW_HALF_OPEN);
}

/* In observe a flood fills no table: half-open flows stop at the bound. */
static void test_observe_is_bounded(void **state)
{
	struct service s;
	u32 n;

	(void)state;
	prog_reset(MODE_OBSERVE);
	prog_get_service(&s);
	s.half_open_attack_above = 3;
	s.half_open_calm_below = 1;
	prog_put_service(&s);
	for (n = 0; n < 50; n++) {
		const struct spec syn = {.flags = SYN, .client = n};

		run_spec(&result, &frame, &syn);
		assert_int_equal(result.action, XDP_PASS);
		assert_true(result.bank == BANK_OBSERVED || n < 3);
	}
	assert_in_range(prog_flows(), 3, 4);
}

/* Malformed packets belong to no service: the instance's own mode is for them. */
static void test_malformed_follow_the_instance(void **state)
{
	const struct spec s = {.flags = 0};

	(void)state;
	prog_reset(MODE_ALWAYS);
	run_spec(&result, &frame, &s);
	expect(&result, V_TCP_FLAGS, XDP_DROP);
	prog_settings()->flags |= SET_OBSERVE;
	prog_put_settings();
	run_spec(&result, &frame, &s);
	observed(V_TCP_FLAGS);
}

/* Between attach and the first look at the host's sockets nothing is dropped or answered. */
static void test_not_ready(void **state)
{
	u64 seed = 3;

	(void)state;
	prog_reset(MODE_ALWAYS);
	prog_settings()->flags &= ~SET_READY;
	prog_put_settings();
	prog_attack();
	prog_cookies_out();
	for (u32 n = 0; n < 20000; n++) {
		struct spec s = {.ipv6 = n & 1, .vlans = n % 3, .flags = n / 2};

		frame_build(&frame, &s);
		for (u32 i = random_below(&seed, 4); i; i--)
			frame.bytes[random_below(&seed, frame.len)] = random64(&seed) >> 56;
		prog_xdp(&result, frame.bytes, frame.len);
		assert_int_equal(result.action, XDP_PASS);
	}
}

/* The bound holds with the very SYN that crosses it; the flows made stay at the bound. */
static void test_half_open_bound(void **state)
{
	struct pressure p;
	struct service s;

	(void)state;
	prog_reset(MODE_AUTO);
	prog_get_service(&s);
	s.half_open_attack_above = 5;
	s.half_open_calm_below = 2;
	prog_put_service(&s);
	for (u32 n = 0; n < 20; n++) {
		const struct spec syn = {.ipv6 = n & 1, .flags = SYN, .client = n};

		run_spec(&result, &frame, &syn);
		if (n < 5)
			expect(&result, V_SYN_CALM, XDP_PASS);
		else
			expect(&result, V_SYN_COOKIE, XDP_TX);
	}
	prog_get_pressure(&p);
	assert_int_equal(p.state, PRESSURE_ATTACK);
	assert_int_equal(p.attacks, 1);
	assert_int_equal(p.half_open, 5);
	assert_int_equal(prog_flows(), 5);
}

static void sleep_ms(u32 ms)
{
	const struct timespec ts = {.tv_nsec = ms * 1000000L};

	nanosleep(&ts, NULL);
}

/* 20 SYNs each millisecond or two, each of another client. */
static void flood(u32 ms)
{
	static u32 client;

	for (u64 begin = prog_now(); prog_now() - begin < ms * 1000000ULL; sleep_ms(1)) {
		for (u32 n = 0; n < 20; n++) {
			const struct spec syn = {.flags = SYN, .client = client++};

			run_spec(&result, &frame, &syn);
		}
	}
}

/* calm -> attack by rate -> calm after hold_ms of quiet; and again. */
static void test_rate_and_back(void **state)
{
	struct pressure p;
	struct service s;
	u64 begin;

	(void)state;
	prog_reset(MODE_AUTO);
	prog_get_service(&s);
	s.rate_attack_above = 500;
	s.rate_calm_below = 100;
	s.hold_ms = 300;
	prog_put_service(&s);
	for (u32 attack = 1; attack <= 2; attack++) {
		flood(400);
		expect(&result, V_SYN_COOKIE, XDP_TX);
		prog_get_pressure(&p);
		assert_int_equal(p.attacks, attack);
		assert_true(p.rate >= 500);
		/* no SYN any more: strays alone must notice that it is over */
		begin = prog_now();
		do {
			sleep_ms(10);
			run_spec(&result, &frame, &(struct spec){.flags = ACK, .sport = 1});
		} while (result.verdict != V_STRAY_CALM && prog_now() - begin < 10 * NS_PER_S);
		expect(&result, V_STRAY_CALM, XDP_PASS);
	}
}

/* TC hands over every proven client, one that is not in the table too, and no other. */
static void hands_over(const struct spec *ack)
{
	struct spec forged = *ack;

	if (!prog_has_tc())
		return; /* before 6.9 */
	frame_build(&frame, ack);
	prog_tc_ingress(&result, &frame);
	expect(&result, V_FINISH_NO_LISTENER, TC_GO_ON);
	forged.ack ^= 1 << 16;
	frame_build(&frame, &forged);
	prog_tc_ingress(&result, &frame);
	assert_int_equal(result.verdict, V_COUNT);
}

/* A full table: new clients still get cookies and prove them; the instance knows. */
static void test_full_table(void **state)
{
	struct shared sh;
	struct answer a;
	u32 n;

	(void)state;
	prog_reset(MODE_ALWAYS);
	for (n = 0; n < 100; n++) {
		struct spec syn = {
			.ipv6 = n & 1, .flags = SYN, .client = n, .seq = n, .disguised = true};
		struct spec ack;

		if (n & 2)
			offer_options(&syn, TCP_TSTAMP | TCP_SACK, 1460, 0);
		ack = prove_cookie(&a, &syn, &result, &frame);
		hands_over(&ack);
	}
	/* a hash table may hold one batch of its free list more */
	assert_in_range(prog_flows(), TABLE, 2 * TABLE);
	prog_get_shared(&sh);
	assert_true(sh.table_full != 0);
	/* a connection that it lacks proves itself again with each segment */
	assert_true(prog_now() - sh.table_full < NS_PER_S);
}

/* ... and in mode auto, SYNs pass without being entered: nothing breaks. */
static void test_full_table_while_calm(void **state)
{
	struct pressure p;
	u32 n;

	(void)state;
	prog_reset(MODE_AUTO);
	for (n = 0; n < 100; n++) {
		const struct spec syn = {.flags = SYN, .client = n};

		run_spec(&result, &frame, &syn);
		expect(&result, V_SYN_CALM, XDP_PASS);
	}
	prog_get_pressure(&p);
	assert_int_equal(p.half_open, prog_flows());
}

/* The host has sent its SYN-ACK. */
static void answered(struct flow *f)
{
	struct flow half_open;

	prog_make_flow(&half_open, FLOW_HALF_OPEN);
	f->side[LOCAL] = half_open.side[LOCAL];
}

/* half_open counts entries: up with a SYN, down with handshake, refusal and expiry. */
static void test_half_open_is_exact(void **state)
{
	struct spec syn = {.flags = SYN, .seq = 900}, next = syn;
	struct pressure p;
	struct flow f;

	(void)state;
	prog_reset(MODE_AUTO);
	for (u32 n = 0; n < 3; n++) {
		run_spec(&result, &frame, &syn);
		run_spec(&result, &frame, &syn); /* repeated: the same one */
		prog_get_pressure(&p);
		assert_int_equal(p.half_open, 1);
		assert_true(prog_flow(&f, &syn));
		answered(&f);
		f.opened = n == 2 ? 1 : f.opened;
		prog_put_flow(&syn, &f);
		next.flags = n ? RST : ACK;
		next.seq = 901;
		next.ack = 5001;
		if (n < 2)
			run_spec(&result, &frame, &next);
		else
			run_spec(&result, &frame, &syn); /* expired, and a new one in its place */
		prog_get_pressure(&p);
		assert_int_equal(p.half_open, n == 2);
		next.flags = RST;
		run_spec(&result, &frame, &next);
	}
}

static int open_programs(void **state)
{
	(void)state;
	prog_open(OWN_COOKIES, 65536);
	return 0;
}

static int open_small(void **state)
{
	(void)state;
	prog_open(OWN_COOKIES, TABLE);
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
		cmocka_unit_test(test_observe),
		cmocka_unit_test(test_observe_follows),
		cmocka_unit_test(test_observe_is_bounded),
		cmocka_unit_test(test_malformed_follow_the_instance),
		cmocka_unit_test(test_not_ready),
		cmocka_unit_test(test_half_open_bound),
		cmocka_unit_test(test_half_open_is_exact),
		cmocka_unit_test(test_rate_and_back),
	};
	const struct CMUnitTest small[] = {
		cmocka_unit_test(test_full_table),
		cmocka_unit_test(test_full_table_while_calm),
	};
	int failed = cmocka_run_group_tests_name("modes", tests, open_programs, close_programs);

	return failed |
	       cmocka_run_group_tests_name("full table", small, open_small, close_programs);
}
