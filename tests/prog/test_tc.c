// SPDX-License-Identifier: GPL-2.0-only
/*
 * TC: what it learns from what the host sends, what it holds back, and what it does
 * with proven clients. The kernel takes a request socket only at a real ingress hook,
 * so that `finished` with own cookies is shown in tests/net; here it must be refused.
 */
#include <unistd.h>

#include "check.h"

#define ISN_LOCAL  5000
#define ISN_REMOTE 900
#define NS_PER_MS_ 1000000ULL

static struct frame frame;
static struct run result;

static void put_flow(const struct spec *s, u8 state, u8 flags, u64 handed)
{
	const struct flow f = {.state = state,
			       .flags = flags | FLOW_ISN_LOCAL,
			       .since = prog_now(),
			       .seen = prog_now(),
			       .handed = handed,
			       .service = SERVICE,
			       .mss = 1460,
			       .isn_local = ISN_LOCAL,
			       .isn_remote = ISN_REMOTE + 1};

	prog_put_flow(s, &f);
}

static void proven_just_now(void)
{
	const struct shared sh = {.proven = prog_now()};

	prog_put_shared(&sh);
}

static u8 state_of(const struct spec *s)
{
	struct flow f;

	return prog_flow(&f, s) ? f.state : 0;
}

/* The host sends this on the flow of *s. */
static void egress(const struct spec *s, u8 flags, u32 seq, u16 payload)
{
	struct spec out = *s;

	out.from_server = true;
	out.flags = flags;
	out.seq = seq;
	out.payload = payload;
	frame_build(&frame, &out);
	prog_tc_egress(&result, frame.bytes, frame.len);
}

static void ingress(const struct spec *s, u8 flags, u32 ack)
{
	struct spec in = *s;

	in.flags = flags;
	in.seq = ISN_REMOTE + 1;
	in.ack = ack;
	frame_build(&frame, &in);
	prog_tc_ingress(&result, &frame);
	assert_int_equal(result.action, TC_GO_ON);
}

static void quiet(int action)
{
	assert_int_equal(result.verdict, V_COUNT);
	assert_int_equal(result.action, action);
}

/* Before 6.9 there is no TC program for own cookies. (Not in a setup function: there cmocka
 * takes a skip for an error.) */
static void need_tc(void)
{
	if (!prog_has_tc())
		skip();
}

/* Every family and depth of tags. */
static void each(void (*test)(struct spec *s))
{
	need_tc();
	for (u32 n = 0; n < 6; n++) {
		struct spec s = {.ipv6 = n & 1, .vlans = n / 2};

		prog_reset(MODE_ALWAYS);
		test(&s);
	}
}

static void learns_isn(struct spec *s)
{
	struct spec syn = *s;
	struct flow f;

	prog_reset(MODE_AUTO);
	syn.flags = SYN;
	syn.seq = ISN_REMOTE;
	run_spec(&result, &frame, &syn);
	expect(&result, V_SYN_CALM, XDP_PASS);
	egress(s, SYN | ACK, 0xfffffffe, 0);
	quiet(TC_GO_ON);
	assert_true(prog_flow(&f, s));
	assert_true(f.flags & FLOW_ISN_LOCAL);
	assert_int_equal(f.isn_local, 0xfffffffe);
	syn.flags = ACK;
	syn.seq++;
	syn.ack = 0xfffffffe;
	run_spec(&result, &frame, &syn);
	expect(&result, V_HALF_OPEN, XDP_PASS);
	syn.ack = 0xffffffff;
	run_spec(&result, &frame, &syn);
	expect(&result, V_HANDSHAKE, XDP_PASS);
	run_spec(&result, &frame, &syn);
	expect(&result, V_KNOWN, XDP_PASS);
}

static void first_sign_of_life(struct spec *s)
{
	struct spec acks_data = *s;

	acks_data.flags = ACK;
	acks_data.ack = ISN_LOCAL + 2; /* of the server's, so the stack has the connection */
	put_flow(s, FLOW_PROVEN, 0, prog_now());
	proven_just_now();
	egress(s, ACK, ISN_LOCAL + 1, 0);
	quiet(TC_GO_ON);
	assert_int_equal(state_of(s), FLOW_PROVEN);
	run_spec(&result, &frame, &acks_data);
	expect(&result, V_KNOWN, XDP_PASS);
	assert_int_equal(state_of(s), FLOW_OPEN);
	/* the server speaks first, by closing */
	put_flow(s, FLOW_PROVEN, 0, prog_now());
	egress(s, FIN | ACK, ISN_LOCAL + 1, 0);
	assert_int_equal(state_of(s), FLOW_CLOSING);
	/* a FIN came before the stack answered */
	put_flow(s, FLOW_PROVEN, FLOW_FIN_REMOTE, prog_now());
	run_spec(&result, &frame, &acks_data);
	assert_int_equal(state_of(s), FLOW_CLOSING);
	egress(s, FIN | ACK, ISN_LOCAL + 1, 0);
	assert_int_equal(state_of(s), FLOW_CLOSED);
}

/* Data of an old connection costs one comparison: nothing is looked up. */
static void idle_egress(struct spec *s)
{
	put_flow(s, FLOW_PROVEN, 0, 0);
	egress(s, PSH | ACK, ISN_LOCAL + 1, 500);
	quiet(TC_GO_ON);
	assert_int_equal(state_of(s), FLOW_PROVEN);
}

static void closes(struct spec *s)
{
	struct spec fin = *s;

	fin.flags = FIN | ACK;
	put_flow(s, FLOW_OPEN, 0, 0);
	egress(s, FIN | ACK, ISN_LOCAL + 1, 0);
	assert_int_equal(state_of(s), FLOW_CLOSING);
	run_spec(&result, &frame, &fin);
	expect(&result, V_KNOWN, XDP_PASS);
	assert_int_equal(state_of(s), FLOW_CLOSED);
	put_flow(s, FLOW_OPEN, 0, 0);
	run_spec(&result, &frame, &fin);
	assert_int_equal(state_of(s), FLOW_CLOSING);
	run_spec(&result, &frame, &fin); /* repeated: still one side only */
	assert_int_equal(state_of(s), FLOW_CLOSING);
	egress(s, FIN | ACK, ISN_LOCAL + 1, 0);
	quiet(TC_GO_ON);
	assert_int_equal(state_of(s), FLOW_CLOSED);
}

static void host_resets(struct spec *s)
{
	put_flow(s, FLOW_OPEN, 0, 0);
	egress(s, RST, ISN_LOCAL + 1, 0);
	quiet(TC_GO_ON);
	assert_int_equal(state_of(s), 0);
	put_flow(s, FLOW_HALF_OPEN, 0, 0); /* an old duplicate was refused, the SYN lives */
	egress(s, RST, ISN_LOCAL + 1, 0);
	quiet(TC_GO_ON);
	assert_int_equal(state_of(s), FLOW_HALF_OPEN);
}

static void rst_held(struct spec *s)
{
	static const struct {
		u8 flags;
		u32 seq;
		u64 ago; /* ms since it was handed over; 0: it was not */
		bool held;
	} rows[] = {{RST, ISN_LOCAL + 1, 1, true},        {RST, ISN_LOCAL + 1, 60, true},
		    {RST, ISN_LOCAL + 1, 150, false},     {RST, ISN_LOCAL + 2, 1, false},
		    {RST | ACK, ISN_LOCAL + 1, 1, false}, {RST, ISN_LOCAL + 1, 0, false}};

	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		proven_just_now();
		put_flow(s, FLOW_PROVEN, 0,
			 rows[i].ago ? prog_now() - rows[i].ago * NS_PER_MS_ : 0);
		egress(s, rows[i].flags, rows[i].seq, 0);
		if (rows[i].held)
			expect(&result, V_RST_HELD, TC_SHOT);
		else
			quiet(TC_GO_ON);
		assert_int_equal(state_of(s), rows[i].held ? FLOW_PROVEN : 0);
	}
}

static void egress_of_others(struct spec *s)
{
	proven_just_now();
	egress(s, FIN | ACK, 1, 0); /* no flow */
	quiet(TC_GO_ON);
	s->dport = 81;
	put_flow(s, FLOW_OPEN, 0, 0);
	egress(s, FIN | ACK, 1, 0); /* no service's port */
	quiet(TC_GO_ON);
	assert_int_equal(state_of(s), FLOW_OPEN);
}

static void hands_over(struct spec *s)
{
	struct flow f;
	int fd;

	if (s->vlans)
		return; /* see prog_tc_ingress() */
	s->disguised = true;
	proven_just_now();
	put_flow(s, FLOW_PROVEN, TCP_TSTAMP | TCP_SACK, 0);
	ingress(s, ACK, ISN_LOCAL + 1);
	expect(&result, V_FINISH_NO_LISTENER, TC_GO_ON);
	assert_true(prog_flow(&f, s));
	assert_in_range(prog_now() - f.handed, 0, 30 * NS_PER_MS_);
	/* the segment right behind, in the same batch: not once more */
	ingress(s, PSH | ACK, ISN_LOCAL + 1);
	quiet(TC_GO_ON);
	fd = prog_listen(s->ipv6);
	put_flow(s, FLOW_PROVEN, TCP_TSTAMP | TCP_SACK, prog_now() - 60 * NS_PER_MS_);
	ingress(s, ACK, ISN_LOCAL + 1);
	expect(&result, V_FINISH_REFUSED, TC_GO_ON);
	close(fd);
}

static void ingress_of_others(struct spec *s)
{
	int fd;

	if (s->vlans)
		return;
	fd = prog_listen(s->ipv6);
	s->disguised = true;
	put_flow(s, FLOW_PROVEN, 0, 0);
	ingress(s, ACK, ISN_LOCAL + 1); /* nothing was proven for a second */
	quiet(TC_GO_ON);
	proven_just_now();
	ingress(s, ACK, ISN_LOCAL + 2); /* not what was proven */
	quiet(TC_GO_ON);
	ingress(s, RST | ACK, ISN_LOCAL + 1);
	quiet(TC_GO_ON);
	ingress(s, SYN | ACK, ISN_LOCAL + 1);
	quiet(TC_GO_ON);
	put_flow(s, FLOW_OPEN, 0, 0);
	ingress(s, ACK, ISN_LOCAL + 1);
	quiet(TC_GO_ON);
	close(fd);
}

#define EACH(name)                                                                                 \
	static void test_##name(void **state)                                                      \
	{                                                                                          \
		(void)state;                                                                       \
		each(name);                                                                        \
	}

EACH(learns_isn)
EACH(first_sign_of_life)
EACH(idle_egress)
EACH(closes)
EACH(host_resets)
EACH(rst_held)
EACH(egress_of_others)
EACH(hands_over)
EACH(ingress_of_others)

/* Frames cut anywhere, and noise: never dropped, never a verdict. */
static void test_bad_frames(void **state)
{
	u64 seed = 5;

	(void)state;
	need_tc();
	prog_reset(MODE_ALWAYS);
	proven_just_now();
	for (u32 n = 0; n < 20000; n++) {
		struct spec s = {.ipv6 = n & 1, .flags = n, .vlans = n % 3, .from_server = n & 2};
		u32 len;

		frame_build(&frame, &s);
		for (u32 i = random_below(&seed, 4); i; i--)
			frame.bytes[14 + random_below(&seed, frame.len - 14)] =
				random64(&seed) >> 56;
		len = n & 4 ? frame.len : 14 + random_below(&seed, frame.len - 14);
		/* test_run wants the whole IP header that the Ethernet type announces */
		frame.len = len = len < 14 + 40 ? 14 + 40 : len;
		prog_tc_egress(&result, frame.bytes, len);
		quiet(TC_GO_ON);
		prog_tc_ingress(&result, &frame);
		quiet(TC_GO_ON);
	}
}

static int open_programs(void **state)
{
	(void)state;
	prog_open(OWN_COOKIES, 1024);
	prog_addresses();
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
		cmocka_unit_test(test_learns_isn),        cmocka_unit_test(test_first_sign_of_life),
		cmocka_unit_test(test_idle_egress),       cmocka_unit_test(test_closes),
		cmocka_unit_test(test_host_resets),       cmocka_unit_test(test_rst_held),
		cmocka_unit_test(test_egress_of_others),  cmocka_unit_test(test_hands_over),
		cmocka_unit_test(test_ingress_of_others), cmocka_unit_test(test_bad_frames),
	};

	return cmocka_run_group_tests_name("tc", tests, open_programs, close_programs);
}
