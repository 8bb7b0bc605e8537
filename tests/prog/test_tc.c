// SPDX-License-Identifier: GPL-2.0-only
/*
 * TC: what it learns from what the host sends, what it holds back, and what it does
 * with proven clients. The kernel takes a request socket only at a real ingress hook,
 * so that `finished` with own cookies is shown in tests/net; here it must be refused.
 */
#include <unistd.h>

#include "check.h"

#define NS_PER_MS_ 1000000ULL

static struct frame frame;
static struct run result;

static void put_flow(const struct spec *s, u8 phase)
{
	struct flow f;

	prog_make_flow(&f, phase);
	prog_put_flow(s, &f);
}

/* A proven client that was handed over this long ago. */
static void put_handed(const struct spec *s, u64 ms_ago)
{
	struct flow f;

	prog_make_flow(&f, FLOW_PROVEN);
	f.flags |= TCP_TSTAMP | TCP_SACK;
	f.handed = flow_moment(prog_now() - ms_ago * NS_PER_MS_);
	prog_put_flow(s, &f);
}

static void proven_just_now(void)
{
	const struct shared sh = {.proven = prog_now()};

	prog_put_shared(&sh);
}

static u8 state_of(const struct spec *s, u32 side)
{
	struct flow f;

	assert_true(prog_flow(&f, s));
	return flow_state(f.word, side);
}

/* The host sends this on the flow of *s. */
static void egress(const struct spec *s, u8 flags, u32 seq, u32 ack, u16 payload)
{
	struct spec out = *s;

	out.from_server = true;
	out.flags = flags;
	out.seq = seq;
	out.ack = ack;
	out.payload = payload;
	frame_build(&frame, &out);
	prog_tc_egress(&result, frame.bytes, frame.len);
}

/* The host's next segment, and the far side's. */
#define NEXT_LOCAL  (ISN_LOCAL + 1)
#define NEXT_REMOTE (ISN_REMOTE + 1)

static void ingress(const struct spec *s, u8 flags, u32 ack)
{
	struct spec in = *s;

	in.flags = flags;
	in.seq = NEXT_REMOTE;
	in.ack = ack;
	frame_build(&frame, &in);
	prog_tc_ingress(&result, &frame);
	assert_int_equal(result.action, TC_GO_ON);
}

/* The far side sends, and XDP sees it. */
static void far_sends(const struct spec *s, u8 flags, u32 seq, u32 ack, u16 payload)
{
	struct spec in = *s;

	in.flags = flags;
	in.seq = seq;
	in.ack = ack;
	in.payload = payload;
	run_spec(&result, &frame, &in);
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
	struct flow f;

	prog_reset(MODE_AUTO);
	far_sends(s, SYN, ISN_REMOTE, 0, 0);
	expect(&result, V_SYN_CALM, XDP_PASS);
	egress(s, SYN | ACK, 0xfffffffe, NEXT_REMOTE, 0);
	quiet(TC_GO_ON);
	assert_true(prog_flow(&f, s));
	assert_true(f.side[LOCAL].flags & SIDE_SYN);
	assert_int_equal(f.side[LOCAL].isn, 0xfffffffe);
	far_sends(s, ACK, NEXT_REMOTE, 0xfffffffe, 0);
	expect(&result, V_HALF_OPEN, XDP_PASS);
	far_sends(s, ACK, NEXT_REMOTE, 0xffffffff, 0);
	expect(&result, V_HANDSHAKE, XDP_PASS);
	far_sends(s, ACK, NEXT_REMOTE, 0xffffffff, 0);
	expect(&result, V_KNOWN, XDP_PASS);
}

/* What was agreed upon: options of the SYN that the SYN-ACK has, too. */
static void learns_options(struct spec *s)
{
	static const u8 scales[] = {0, 7, 14};
	struct spec syn, synack;
	struct flow f;

	for (u32 n = 0; n < 16 * 16 * 3; n++) {
		u8 offered = n % 16, taken = n / 16 % 16, both = offered & taken;

		prog_reset(MODE_AUTO);
		syn = synack = *s;
		syn.flags = SYN;
		syn.seq = ISN_REMOTE;
		offer_options(&syn, offered & ~TCP_ECN, 1234, 5);
		syn.flags |= offered & TCP_ECN ? ECE | CWR : 0;
		run_spec(&result, &frame, &syn);
		synack.from_server = true;
		synack.flags = SYN | ACK;
		synack.seq = ISN_LOCAL;
		synack.ack = NEXT_REMOTE;
		offer_options(&synack, taken & ~TCP_ECN, 999, scales[n / 256]);
		frame_build(&frame, &synack);
		prog_tc_egress(&result, frame.bytes, frame.len);
		assert_true(prog_flow(&f, s));
		assert_int_equal(f.flags & (TCP_TSTAMP | TCP_SACK | TCP_WSCALE), both & ~TCP_ECN);
		assert_int_equal(f.mss[REMOTE], 1234);
		assert_int_equal(f.mss[LOCAL], 999);
		assert_int_equal(f.side[REMOTE].wscale, both & TCP_WSCALE ? 5 : 0);
		assert_int_equal(f.side[LOCAL].wscale, both & TCP_WSCALE ? scales[n / 256] : 0);
	}
}

static void first_sign_of_life(struct spec *s)
{
	/* whatever the host sends, it sends from a socket */
	put_handed(s, 0);
	proven_just_now();
	egress(s, ACK, NEXT_LOCAL, NEXT_REMOTE, 0);
	quiet(TC_GO_ON);
	assert_int_equal(prog_phase(s), FLOW_OPEN);
	/* the far side acknowledges what the host said first */
	put_handed(s, 0);
	egress(s, PSH | ACK, NEXT_LOCAL, NEXT_REMOTE, 20);
	far_sends(s, ACK, NEXT_REMOTE, NEXT_LOCAL + 20, 0);
	expect(&result, V_KNOWN, XDP_PASS);
	assert_int_equal(prog_phase(s), FLOW_OPEN);
	/* ... which nobody said: a blind one (the host has no socket that could have) */
	put_handed(s, 0);
	far_sends(s, ACK, NEXT_REMOTE, NEXT_LOCAL + 20, 0);
	expect(&result, V_KNOWN, XDP_PASS);
	assert_int_equal(prog_phase(s), FLOW_PROVEN);
	/* the host speaks first, by closing */
	put_handed(s, 0);
	egress(s, FIN | ACK, NEXT_LOCAL, NEXT_REMOTE, 0);
	assert_int_equal(prog_phase(s), FLOW_CLOSING);
	assert_int_equal(state_of(s, LOCAL), ST_FIN_WAIT_1);
	/* a FIN came before the host answered */
	put_handed(s, 0);
	far_sends(s, FIN | ACK, NEXT_REMOTE, NEXT_LOCAL, 0);
	expect(&result, V_COOKIE_AGAIN, XDP_PASS);
	egress(s, FIN | ACK, NEXT_LOCAL, NEXT_REMOTE + 1, 0);
	assert_int_equal(prog_phase(s), FLOW_CLOSED);
	assert_int_equal(state_of(s, REMOTE), ST_FIN_WAIT_2);
	assert_int_equal(state_of(s, LOCAL), ST_LAST_ACK);
}

/* What the host sends is counted, with and without the slow way through. */
static void counts_data(struct spec *s)
{
	struct flow f;

	put_flow(s, FLOW_OPEN);
	for (u32 n = 0; n < 10; n++) {
		egress(s, PSH | ACK, NEXT_LOCAL + 500 * n, NEXT_REMOTE, 500);
		quiet(TC_GO_ON);
		far_sends(s, PSH | ACK, NEXT_REMOTE + 7 * n, NEXT_LOCAL + 500 * (n + 1), 7);
		expect(&result, V_KNOWN, XDP_PASS);
	}
	assert_true(prog_flow(&f, s));
	assert_int_equal(f.side[LOCAL].bytes, 5000);
	assert_int_equal(f.side[LOCAL].segments, 1 + 10);
	assert_int_equal(f.side[LOCAL].nxt, NEXT_LOCAL + 5000);
	assert_int_equal(f.side[REMOTE].bytes, 70);
	assert_int_equal(f.side[REMOTE].segments, 1 + 10);
	assert_int_equal(f.side[REMOTE].acked, NEXT_LOCAL + 5000);
	assert_int_equal(f.side[LOCAL].rtx + f.side[REMOTE].rtx, 0);
	egress(s, PSH | ACK, NEXT_LOCAL, NEXT_REMOTE + 70, 500);
	far_sends(s, PSH | ACK, NEXT_REMOTE, NEXT_LOCAL + 5000, 7);
	assert_true(prog_flow(&f, s));
	assert_int_equal(f.side[LOCAL].rtx, 1);
	assert_int_equal(f.side[REMOTE].rtx, 1);
	assert_int_equal(prog_phase(s), FLOW_OPEN);
}

static void closes(struct spec *s)
{
	put_flow(s, FLOW_OPEN);
	egress(s, FIN | ACK, NEXT_LOCAL, NEXT_REMOTE, 0);
	assert_int_equal(prog_phase(s), FLOW_CLOSING);
	far_sends(s, FIN | ACK, NEXT_REMOTE, NEXT_LOCAL, 0);
	expect(&result, V_KNOWN, XDP_PASS);
	assert_int_equal(prog_phase(s), FLOW_CLOSED);
	put_flow(s, FLOW_OPEN);
	far_sends(s, FIN | ACK, NEXT_REMOTE, NEXT_LOCAL, 0);
	assert_int_equal(prog_phase(s), FLOW_CLOSING);
	far_sends(s, FIN | ACK, NEXT_REMOTE, NEXT_LOCAL, 0); /* repeated: still one side only */
	assert_int_equal(prog_phase(s), FLOW_CLOSING);
	egress(s, FIN | ACK, NEXT_LOCAL, NEXT_REMOTE + 1, 0);
	quiet(TC_GO_ON);
	assert_int_equal(prog_phase(s), FLOW_CLOSED);
}

static void host_resets(struct spec *s)
{
	struct flow f;

	put_flow(s, FLOW_OPEN);
	egress(s, RST, NEXT_LOCAL, 0, 0);
	quiet(TC_GO_ON);
	assert_true(prog_flow(&f, s));
	assert_int_equal(f.end, END_RST_SERVER);
	assert_int_equal(prog_phase(s), FLOW_CLOSED);
	assert_int_equal(state_of(s, REMOTE), ST_CLOSED);
	assert_int_equal(state_of(s, LOCAL), ST_CLOSED);
	put_flow(s, FLOW_HALF_OPEN); /* an old duplicate was refused, the SYN lives */
	egress(s, RST, NEXT_LOCAL + 77, 0, 0);
	quiet(TC_GO_ON);
	assert_int_equal(prog_phase(s), FLOW_HALF_OPEN);
	egress(s, RST | ACK, NEXT_LOCAL, NEXT_REMOTE, 0); /* now it was that */
	quiet(TC_GO_ON);
	assert_int_equal(prog_phase(s), 0);
}

static void rst_held(struct spec *s)
{
	static const struct {
		u8 flags;
		u32 seq;
		u64 ago; /* ms since it was handed over; 0: it was not */
		u8 phase;
		bool held;
	} rows[] = {{RST, NEXT_LOCAL, 1, FLOW_PROVEN, true},
		    {RST, NEXT_LOCAL, 60, FLOW_PROVEN, true},
		    {RST, NEXT_LOCAL, 150, FLOW_CLOSED, false},
		    {RST, NEXT_LOCAL + 1, 1, FLOW_OPEN, false},
		    {RST | ACK, NEXT_LOCAL, 1, FLOW_CLOSED, false},
		    {RST, NEXT_LOCAL, 0, FLOW_CLOSED, false}};

	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		proven_just_now();
		if (rows[i].ago)
			put_handed(s, rows[i].ago);
		else
			put_flow(s, FLOW_PROVEN);
		egress(s, rows[i].flags, rows[i].seq, NEXT_REMOTE, 0);
		if (rows[i].held)
			expect(&result, V_RST_HELD, TC_SHOT);
		else
			quiet(TC_GO_ON);
		assert_int_equal(prog_phase(s), rows[i].phase);
	}
}

/* The client took up its port again while the host was in TIME-WAIT: the SYN-ACK shows it. */
static void reopens(struct spec *s)
{
	struct flow f;

	prog_make_flow(&f, FLOW_CLOSED);
	f.word = flow_word(ST_CLOSED, ST_TIME_WAIT, FLOW_CLOSED, 7);
	f.side[LOCAL].flags &= ~SIDE_PASSIVE;
	f.side[REMOTE].flags |= SIDE_PASSIVE;
	prog_put_flow(s, &f);
	far_sends(s, SYN, 70000, 0, 0);
	expect(&result, V_SYN_KNOWN, XDP_PASS);
	assert_int_equal(prog_phase(s), FLOW_CLOSED);
	egress(s, ACK, NEXT_LOCAL + 1, NEXT_REMOTE + 1, 0); /* "I am not done with the old one" */
	assert_int_equal(state_of(s, LOCAL), ST_TIME_WAIT);
	egress(s, SYN | ACK, 80000, 70001, 0);
	quiet(TC_GO_ON);
	assert_true(prog_flow(&f, s));
	assert_int_equal(flow_phase(f.word), FLOW_HALF_OPEN);
	assert_int_equal(flow_state(f.word, REMOTE), ST_SYN_SENT);
	assert_int_equal(flow_state(f.word, LOCAL), ST_SYN_RECEIVED);
	assert_int_equal(f.side[REMOTE].isn, 70000);
	assert_int_equal(f.side[LOCAL].isn, 80000);
	far_sends(s, ACK, 70001, 80001, 0);
	expect(&result, V_HANDSHAKE, XDP_PASS);
	assert_int_equal(prog_phase(s), FLOW_OPEN);
}

/* Connections to ports of no service are followed if they are in the table. (That a SYN of
 * the host's enters them needs a socket: see tests/net.) */
static void egress_of_others(struct spec *s)
{
	proven_just_now();
	egress(s, FIN | ACK, 1, 0, 0); /* no flow */
	quiet(TC_GO_ON);
	egress(s, SYN, 1, 0, 0); /* no socket of ours: forwarded */
	quiet(TC_GO_ON);
	assert_int_equal(prog_flows(), 0);
	s->dport = 41000;
	put_flow(s, FLOW_OPEN);
	egress(s, FIN | ACK, NEXT_LOCAL, NEXT_REMOTE, 0);
	quiet(TC_GO_ON);
	assert_int_equal(prog_phase(s), FLOW_CLOSING);
	far_sends(s, FIN | ACK, NEXT_REMOTE, NEXT_LOCAL + 1, 0);
	expect(&result, V_KNOWN, XDP_PASS);
	assert_int_equal(prog_phase(s), FLOW_CLOSED);
}

static void hands_over(struct spec *s)
{
	struct flow f;
	int fd;

	if (s->vlans)
		return; /* see prog_tc_ingress() */
	s->disguised = true;
	proven_just_now();
	put_flow(s, FLOW_PROVEN);
	ingress(s, ACK, NEXT_LOCAL);
	expect(&result, V_FINISH_NO_LISTENER, TC_GO_ON);
	assert_true(prog_flow(&f, s));
	assert_int_equal(flow_phase(f.word), FLOW_PROVEN);
	assert_in_range(flow_moment(prog_now()) - f.handed, 0, 30);
	/* the segment right behind, in the same batch: not once more */
	ingress(s, PSH | ACK, NEXT_LOCAL);
	quiet(TC_GO_ON);
	fd = prog_listen(s->ipv6);
	put_handed(s, 60);
	ingress(s, ACK, NEXT_LOCAL);
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
	put_flow(s, FLOW_PROVEN);
	ingress(s, ACK, NEXT_LOCAL); /* nothing was proven for a second */
	quiet(TC_GO_ON);
	proven_just_now();
	ingress(s, ACK, NEXT_LOCAL + 1); /* not what was proven */
	quiet(TC_GO_ON);
	ingress(s, RST | ACK, NEXT_LOCAL);
	quiet(TC_GO_ON);
	ingress(s, SYN | ACK, NEXT_LOCAL);
	quiet(TC_GO_ON);
	put_flow(s, FLOW_OPEN);
	ingress(s, ACK, NEXT_LOCAL);
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
EACH(learns_options)
EACH(first_sign_of_life)
EACH(counts_data)
EACH(closes)
EACH(host_resets)
EACH(rst_held)
EACH(reopens)
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
		cmocka_unit_test(test_learns_isn),
		cmocka_unit_test(test_learns_options),
		cmocka_unit_test(test_first_sign_of_life),
		cmocka_unit_test(test_counts_data),
		cmocka_unit_test(test_closes),
		cmocka_unit_test(test_reopens),
		cmocka_unit_test(test_host_resets),
		cmocka_unit_test(test_rst_held),
		cmocka_unit_test(test_egress_of_others),
		cmocka_unit_test(test_hands_over),
		cmocka_unit_test(test_ingress_of_others),
		cmocka_unit_test(test_bad_frames),
	};

	return cmocka_run_group_tests_name("tc", tests, open_programs, close_programs);
}
