// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the programs tell user space: for each connection exactly its changes of state, in
 * order; samples of what else happens; and of all that is not told, how much it was.
 */
#include <sched.h>
#include <time.h>

#include "check.h"

#define NEXT_LOCAL  (ISN_LOCAL + 1)
#define NEXT_REMOTE (ISN_REMOTE + 1)
#define MANY        1024

static struct frame frame;
static struct run result;
static struct event events[MANY];

/* One side of *s sends, and the programs see it. */
static void sends(const struct spec *s, u32 side, u8 flags, u32 seq, u32 ack, u16 payload)
{
	prog_sends(&result, s, side, flags, seq, ack, payload);
}

static u32 told(void)
{
	u32 n = prog_events(events, MANY);

	assert_in_range(n, 0, MANY);
	return n;
}

static void expect_event(const struct event *e, enum event_type type, const struct spec *s)
{
	struct flow_key key;

	prog_key(&key, s);
	assert_int_equal(e->type, type);
	assert_memory_equal(&e->key, &key, sizeof(key));
	assert_int_equal(e->service, SERVICE);
	assert_in_range(e->time, prog_now() - NS_PER_S, prog_now() + NS_PER_S);
}

static void expect_states(const struct event *e, u8 old_remote, u8 remote, u8 old_local, u8 local)
{
	assert_int_equal(e->state.old[REMOTE], old_remote);
	assert_int_equal(e->state.new[REMOTE], remote);
	assert_int_equal(e->state.old[LOCAL], old_local);
	assert_int_equal(e->state.new[LOCAL], local);
}

/* Before 6.9 there is no TC program for own cookies. */
static void need_tc(void)
{
	if (!prog_has_tc())
		skip();
}

static void put_flow(const struct spec *s, u8 phase)
{
	struct flow f;

	prog_make_flow(&f, phase);
	prog_put_flow(s, &f);
}

/* ---- changes of state ---- */

struct step {
	u8 side, flags;
	u32 seq, ack;
	u16 payload;
	u8 remote, local; /* states after it; UNKNOWN: no change, no event */
};

// clang-format off
/* what a row does not say is nothing */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
static const struct step calm[] = {
	{REMOTE, SYN,       ISN_REMOTE,      0,               0, ST_SYN_SENT,    ST_LISTEN},
	{LOCAL,  SYN | ACK, ISN_LOCAL,       NEXT_REMOTE,     0, ST_SYN_SENT,    ST_SYN_RECEIVED},
	{REMOTE, ACK,       NEXT_REMOTE,     NEXT_LOCAL,      0, ST_ESTABLISHED, ST_ESTABLISHED},
	{REMOTE, PSH | ACK, NEXT_REMOTE,     NEXT_LOCAL,     10},
	{LOCAL,  PSH | ACK, NEXT_LOCAL,      NEXT_REMOTE+10, 20},
	{REMOTE, ACK,       NEXT_REMOTE+10,  NEXT_LOCAL+20,   0},
	{REMOTE, FIN | ACK, NEXT_REMOTE+10,  NEXT_LOCAL+20,   0, ST_FIN_WAIT_1,  ST_ESTABLISHED},
	{LOCAL,  ACK,       NEXT_LOCAL+20,   NEXT_REMOTE+11,  0, ST_FIN_WAIT_2,  ST_CLOSE_WAIT},
	{LOCAL,  PSH | ACK, NEXT_LOCAL+20,   NEXT_REMOTE+11, 30},
	{REMOTE, ACK,       NEXT_REMOTE+11,  NEXT_LOCAL+50,   0},
	{LOCAL,  FIN | ACK, NEXT_LOCAL+50,   NEXT_REMOTE+11,  0, ST_FIN_WAIT_2,  ST_LAST_ACK},
	{REMOTE, ACK,       NEXT_REMOTE+11,  NEXT_LOCAL+51,   0, ST_TIME_WAIT,   ST_CLOSED},
};
// clang-format on

#define CALM_EVENTS 7

/* The whole stream of one connection, whose steps begin with a SYN. */
static void check_stream(const struct spec *s, const struct step *steps, u32 n_steps, u32 n)
{
	u8 remote = ST_CLOSED, local = ST_LISTEN;
	const struct event *e = events;
	struct flow f;

	assert_true(prog_flow(&f, s));
	for (u32 i = 0; i < n_steps; i++) {
		if (!steps[i].remote)
			continue;
		assert_true(e < events + n);
		expect_event(e, EVENT_TCP_STATE, s);
		expect_states(e, remote, steps[i].remote, local, steps[i].local);
		remote = steps[i].remote;
		local = steps[i].local;
		assert_int_equal(e->state.n, e - events + 1);
		assert_int_equal(e->opened, f.opened);
		assert_int_equal(e->admission, ADMIT_CALM);
		assert_int_equal(e->end, END_NONE);
		assert_int_equal(e->ifindex, 1);
		assert_int_equal(e->state.isn[REMOTE], ISN_REMOTE);
		assert_int_equal(e->state.isn[LOCAL], i ? ISN_LOCAL : 0);
		assert_int_equal(e->state.syns[REMOTE], 1);
		assert_int_equal(e->state.syns[LOCAL], i ? 1 : 0);
		assert_int_equal(!!e->state.rtt_us, i >= 2);
		assert_true(e == events || e->time > e[-1].time);
		e++;
	}
	assert_int_equal(e - events, n);
	assert_int_equal(flow_changes(f.word), n);
	assert_int_equal(flow_state(f.word, REMOTE), remote);
	assert_int_equal(flow_state(f.word, LOCAL), local);
}

static void test_calm_connection(void **state)
{
	(void)state;
	need_tc();
	for (u32 n = 0; n < 6; n++) {
		const struct spec s = {.ipv6 = n & 1, .vlans = n / 2};

		prog_reset(MODE_AUTO);
		for (size_t i = 0; i < ARRAY_SIZE(calm); i++)
			sends(&s, calm[i].side, calm[i].flags, calm[i].seq, calm[i].ack,
			      calm[i].payload);
		check_stream(&s, calm, ARRAY_SIZE(calm), told());
		assert_int_equal(prog_lost(EVENT_TCP_STATE, LOST_RING), 0);
		for (int i = 0; i < ODD_COUNT; i++)
			assert_int_equal(prog_odd(i), 0);
	}
}

/* A connection that came by cookie begins, as far as anyone is told, when the host has it. */
static void test_cookie_connection(void **state)
{
	struct spec syn = {.flags = SYN, .seq = ISN_REMOTE};
	struct answer a;

	(void)state;
	need_tc();
	prog_reset(MODE_ALWAYS);
	prove_cookie(&a, &syn, &result, &frame);
	assert_int_equal(told(), 0);
	sends(&syn, LOCAL, PSH | ACK, a.seq + 1, NEXT_REMOTE, 100);
	assert_int_equal(told(), 1);
	expect_event(&events[0], EVENT_TCP_STATE, &syn);
	expect_states(&events[0], ST_SYN_SENT, ST_ESTABLISHED, ST_SYN_RECEIVED, ST_ESTABLISHED);
	assert_int_equal(events[0].state.n, 1);
	assert_int_equal(events[0].admission, ADMIT_COOKIE);
	assert_int_equal(events[0].state.isn[LOCAL], a.seq);
}

static void test_resets(void **state)
{
	static const struct {
		u8 phase, side, flags;
		u32 seq, ack;
		u8 end, remote, local; /* states before */
	} rows[] = {
		{FLOW_OPEN, REMOTE, RST, NEXT_REMOTE, 0, END_RST_CLIENT, ST_ESTABLISHED,
		 ST_ESTABLISHED},
		{FLOW_OPEN, LOCAL, RST | ACK, NEXT_LOCAL, NEXT_REMOTE, END_RST_SERVER,
		 ST_ESTABLISHED, ST_ESTABLISHED},
		{FLOW_HALF_OPEN, REMOTE, RST, NEXT_REMOTE, 0, END_RST_CLIENT, ST_SYN_SENT,
		 ST_SYN_RECEIVED},
		{FLOW_HALF_OPEN, LOCAL, RST | ACK, NEXT_LOCAL, NEXT_REMOTE, END_RST_SERVER,
		 ST_SYN_SENT, ST_SYN_RECEIVED},
		{FLOW_CLOSING, LOCAL, RST, NEXT_LOCAL, 0, END_RST_SERVER, ST_FIN_WAIT_2,
		 ST_CLOSE_WAIT},
	};

	(void)state;
	need_tc();
	for (u32 n = 0; n < 2 * ARRAY_SIZE(rows); n++) {
		const struct spec s = {.ipv6 = n & 1};

		prog_reset(MODE_AUTO);
		put_flow(&s, rows[n / 2].phase);
		sends(&s, rows[n / 2].side, rows[n / 2].flags, rows[n / 2].seq, rows[n / 2].ack, 0);
		/* once more: the connection is over already */
		sends(&s, rows[n / 2].side, rows[n / 2].flags, rows[n / 2].seq, rows[n / 2].ack, 0);
		assert_int_equal(told(), 1);
		expect_event(&events[0], EVENT_TCP_STATE, &s);
		expect_states(&events[0], rows[n / 2].remote, ST_CLOSED, rows[n / 2].local,
			      ST_CLOSED);
		assert_int_equal(events[0].end, rows[n / 2].end);
	}
}

/* Two probes without an answer, and then the host gives up: not the server's whim. */
static void test_dead_peer(void **state)
{
	const struct spec s = {0};

	(void)state;
	need_tc();
	prog_reset(MODE_AUTO);
	put_flow(&s, FLOW_OPEN);
	for (u32 n = 1; n <= 2; n++) {
		sends(&s, LOCAL, ACK, NEXT_LOCAL - 1, NEXT_REMOTE, 0);
		assert_int_equal(told(), 1);
		expect_event(&events[0], EVENT_KEEPALIVE, &s);
		assert_int_equal(events[0].side, LOCAL);
		assert_int_equal(events[0].keepalive.unanswered, n);
		assert_int_equal(events[0].keepalive.total, n);
	}
	sends(&s, LOCAL, RST | ACK, NEXT_LOCAL, NEXT_REMOTE, 0);
	assert_int_equal(told(), 1);
	assert_int_equal(events[0].end, END_DEAD_PEER);
}

/* The host's SYN-ACK shows that it took up a new SYN in TIME-WAIT: one ends, another begins. */
static void test_reuse(void **state)
{
	const struct spec s = {0};
	u64 first;

	(void)state;
	need_tc();
	prog_reset(MODE_AUTO);
	put_flow(&s, FLOW_OPEN);
	sends(&s, LOCAL, FIN | ACK, NEXT_LOCAL, NEXT_REMOTE, 0);
	sends(&s, REMOTE, FIN | ACK, NEXT_REMOTE, NEXT_LOCAL + 1, 0);
	sends(&s, LOCAL, ACK, NEXT_LOCAL + 1, NEXT_REMOTE + 1, 0);
	assert_int_equal(told(), 3);
	first = events[0].opened;
	sends(&s, REMOTE, SYN, 70000, 0, 0);
	assert_int_equal(told(), 0);
	sends(&s, LOCAL, SYN | ACK, 80000, 70001, 0);
	sends(&s, REMOTE, ACK, 70001, 80001, 0);
	assert_int_equal(told(), 4);
	expect_states(&events[0], ST_CLOSED, ST_CLOSED, ST_TIME_WAIT, ST_CLOSED);
	assert_int_equal(events[0].end, END_REUSED);
	assert_int_equal(events[0].opened, first);
	expect_states(&events[1], ST_CLOSED, ST_SYN_SENT, ST_LISTEN, ST_LISTEN);
	assert_int_equal(events[1].end, END_NONE);
	assert_int_not_equal(events[1].opened, first);
	assert_int_equal(events[1].state.n, 1);
	expect_states(&events[2], ST_SYN_SENT, ST_SYN_SENT, ST_LISTEN, ST_SYN_RECEIVED);
	expect_states(&events[3], ST_SYN_SENT, ST_ESTABLISHED, ST_SYN_RECEIVED, ST_ESTABLISHED);
	assert_int_equal(events[3].state.n, 3);
}

/* A handshake that was not completed is told of when its record is found to be too old. */
static void test_half_open_timeout(void **state)
{
	const struct spec s = {.flags = SYN, .seq = ISN_REMOTE};
	struct service service;
	struct flow f;

	(void)state;
	prog_reset(MODE_AUTO);
	prog_get_service(&service);
	service.syn_calm_ms = 1000; /* the machine may be up for less than the usual 63 s */
	prog_put_service(&service);
	prog_make_flow(&f, FLOW_HALF_OPEN);
	f.opened = 1;
	f.side[REMOTE].syns = 3;
	f.side[LOCAL].syns = 6;
	prog_put_flow(&s, &f);
	run_spec(&result, &frame, &s);
	assert_int_equal(told(), 2);
	expect_event(&events[0], EVENT_HALF_OPEN_TIMEOUT, &s);
	expect_states(&events[0], ST_SYN_SENT, ST_CLOSED, ST_SYN_RECEIVED, ST_CLOSED);
	assert_int_equal(events[0].end, END_SYN_TIMEOUT);
	assert_int_equal(events[0].opened, 1);
	assert_int_equal(events[0].state.syns[REMOTE], 3);
	assert_int_equal(events[0].state.syns[LOCAL], 6);
	expect_states(&events[1], ST_CLOSED, ST_SYN_SENT, ST_LISTEN, ST_LISTEN);
}

/* ---- what is not believed ---- */

static void test_oddities(void **state)
{
	static const struct {
		enum oddity odd;
		u8 flags;
		u32 seq, ack;
		u16 payload;
	} rows[] = {
		{ODD_RST, RST, NEXT_REMOTE + 1, 0, 0},
		{ODD_RST, RST, NEXT_REMOTE - 1, 0, 0},
		{ODD_RST, RST | ACK, NEXT_REMOTE + 30000, NEXT_LOCAL, 0},
		{ODD_RST, RST, 0x80000000, 0, 0},
		{ODD_SYN, SYN, NEXT_REMOTE, 0, 0},
		{ODD_SYN, SYN, 99999, 0, 0},
		{ODD_SYN, SYN | ACK, 99999, NEXT_LOCAL, 0},
		{ODD_ACK, ACK, NEXT_REMOTE, NEXT_LOCAL + 1, 0},
		{ODD_ACK, FIN | ACK, NEXT_REMOTE, NEXT_LOCAL + 500, 0},
		{ODD_ACK, PSH | ACK, NEXT_REMOTE, NEXT_LOCAL - 65536, 10},
		{ODD_WINDOW, ACK, NEXT_REMOTE + WINDOW + 2, NEXT_LOCAL, 0},
		{ODD_WINDOW, FIN | ACK, NEXT_REMOTE + WINDOW, NEXT_LOCAL, 10},
		{ODD_WINDOW, PSH | ACK, NEXT_REMOTE - 70000, NEXT_LOCAL, 10},
		{ODD_FIN, FIN | ACK, NEXT_REMOTE - 5, NEXT_LOCAL, 0},
	};

	(void)state;
	for (u32 n = 0; n < 2 * ARRAY_SIZE(rows); n++) {
		const struct spec s = {.ipv6 = n & 1};
		struct flow before, after;

		prog_reset(MODE_AUTO);
		put_flow(&s, FLOW_OPEN);
		assert_true(prog_flow(&before, &s));
		sends(&s, REMOTE, rows[n / 2].flags, rows[n / 2].seq, rows[n / 2].ack,
		      rows[n / 2].payload);
		assert_int_equal(result.action, XDP_PASS); /* and the traffic is not harmed */
		assert_true(prog_flow(&after, &s));
		assert_memory_equal(&after, &before, sizeof(after));
		assert_int_equal(told(), 0);
		for (u32 i = 0; i < ODD_COUNT; i++)
			assert_int_equal(prog_odd(i), i == rows[n / 2].odd);
	}
}

/* SYN and ACK in one go, before the host could answer: no handshake, whatever the ACK says. */
static void test_no_handshake_without_answer(void **state)
{
	(void)state;
	need_tc();
	for (u32 n = 0; n < 64; n++) {
		const struct spec s = {.client = n};
		struct pressure p;

		prog_reset(MODE_AUTO);
		sends(&s, REMOTE, SYN, ISN_REMOTE, 0, 0);
		sends(&s, REMOTE, n & 1 ? ACK : PSH | ACK, NEXT_REMOTE, n << 26, n & 1 ? 0 : 50);
		expect(&result, V_HALF_OPEN, XDP_PASS);
		sends(&s, LOCAL, SYN | ACK, ISN_LOCAL, NEXT_REMOTE, 0);
		assert_int_equal(prog_phase(&s), FLOW_HALF_OPEN);
		prog_get_pressure(&p);
		assert_int_equal(p.half_open, 1);
		assert_int_equal(prog_odd(ODD_ACK), 1);
	}
}

/* ---- samples ---- */

/* On one CPU, within one of its "seconds" of 2^30 ns: there the bounds are exact. */
static void stay_here(void)
{
	cpu_set_t one;
	struct timespec ts;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	while ((prog_now() & ((1 << 30) - 1)) > 1 << 27) {
		ts = (struct timespec){.tv_nsec = 5000000};
		nanosleep(&ts, NULL);
	}
}

static void test_retransmissions(void **state)
{
	const struct spec s = {0};

	(void)state;
	need_tc();
	prog_reset(MODE_AUTO);
	put_flow(&s, FLOW_OPEN);
	sends(&s, LOCAL, PSH | ACK, NEXT_LOCAL, NEXT_REMOTE, 300);
	assert_int_equal(told(), 0);
	sends(&s, LOCAL, PSH | ACK, NEXT_LOCAL + 100, NEXT_REMOTE, 50);
	sends(&s, REMOTE, PSH | ACK, NEXT_REMOTE, NEXT_LOCAL, 7);
	sends(&s, REMOTE, PSH | ACK, NEXT_REMOTE, NEXT_LOCAL, 7);
	assert_int_equal(told(), 2);
	expect_event(&events[0], EVENT_RETRANSMISSION, &s);
	assert_int_equal(events[0].side, LOCAL);
	assert_int_equal(events[0].rtx.seq, NEXT_LOCAL + 100);
	assert_int_equal(events[0].rtx.len, 50);
	assert_int_equal(events[0].rtx.segments, 1);
	assert_int_equal(events[0].rtx.total, 1);
	assert_int_equal(events[0].rtx.syn, 0);
	expect_event(&events[1], EVENT_RETRANSMISSION, &s);
	assert_int_equal(events[1].side, REMOTE);
	assert_int_equal(events[1].rtx.total, 1);
	prog_reset(MODE_AUTO);
	sends(&s, REMOTE, SYN, ISN_REMOTE, 0, 0);
	sends(&s, REMOTE, SYN, ISN_REMOTE, 0, 0);
	assert_int_equal(told(), 2);
	expect_event(&events[1], EVENT_RETRANSMISSION, &s);
	assert_int_equal(events[1].rtx.syn, 1);
	assert_int_equal(events[1].rtx.syns, 2);
	assert_int_equal(events[1].rtx.total, 0);
}

static void test_retransmissions_are_limited(void **state)
{
	const struct spec s = {0};
	struct flow f;

	(void)state;
	stay_here();
	prog_reset(MODE_AUTO);
	put_flow(&s, FLOW_OPEN);
	sends(&s, REMOTE, PSH | ACK, NEXT_REMOTE, NEXT_LOCAL, 7);
	for (u32 n = 0; n < EVENT_LIMIT + 70; n++)
		sends(&s, REMOTE, PSH | ACK, NEXT_REMOTE, NEXT_LOCAL, 7);
	assert_int_equal(told(), EVENT_LIMIT);
	assert_int_equal(events[EVENT_LIMIT - 1].rtx.total, EVENT_LIMIT);
	assert_int_equal(prog_lost(EVENT_RETRANSMISSION, LOST_LIMITED), 70);
	assert_int_equal(prog_lost(EVENT_RETRANSMISSION, LOST_RING), 0);
	assert_true(prog_flow(&f, &s));
	assert_int_equal(f.side[REMOTE].rtx, EVENT_LIMIT + 70);
	/* the other types have their own bounds */
	sends(&s, REMOTE, FIN | ACK, NEXT_REMOTE + 7, NEXT_LOCAL, 0);
	sends(&s, REMOTE, ACK, 5, 5, 0);
	assert_int_equal(told(), 1);
	assert_int_equal(events[0].type, EVENT_TCP_STATE);
}

static void test_drops_are_sampled(void **state)
{
	struct flow_key key;

	(void)state;
	stay_here();
	prog_reset(MODE_ALWAYS);
	for (u32 n = 0; n < EVENT_LIMIT + 70; n++) {
		const struct spec s = {.ipv6 = n & 1, .client = n};

		sends(&s, REMOTE, PSH | ACK, n, 2 * n, 3);
		expect(&result, V_COOKIE_INVALID, XDP_DROP);
	}
	assert_int_equal(told(), EVENT_LIMIT);
	assert_int_equal(prog_lost(EVENT_VERDICT, LOST_LIMITED), 70);
	for (u32 n = 0; n < EVENT_LIMIT; n++) {
		const struct spec s = {.ipv6 = n & 1, .client = n};

		prog_key(&key, &s);
		assert_int_equal(events[n].type, EVENT_VERDICT);
		assert_int_equal(events[n].verdict, V_COOKIE_INVALID);
		assert_memory_equal(&events[n].key, &key, sizeof(key));
		assert_int_equal(events[n].verdict_of.seq, n);
		assert_int_equal(events[n].verdict_of.ack, 2 * n);
		assert_int_equal(events[n].verdict_of.tcp_flags, PSH | ACK);
	}
}

/* Only what was dropped: not what passed, was answered, or would have been dropped. */
static void test_other_verdicts_are_not_told(void **state)
{
	const struct spec s = {.flags = ACK}, syn = {.flags = SYN}, none = {.flags = 0};

	(void)state;
	prog_reset(MODE_ALWAYS);
	run_spec(&result, &frame, &syn);
	expect(&result, V_SYN_COOKIE, XDP_TX);
	assert_int_equal(told(), 0);
	prog_reset(MODE_AUTO);
	run_spec(&result, &frame, &s);
	expect(&result, V_STRAY_CALM, XDP_PASS);
	assert_int_equal(told(), 0);
	prog_reset(MODE_OBSERVE);
	prog_settings()->flags |= SET_OBSERVE;
	prog_put_settings();
	prog_attack();
	run_spec(&result, &frame, &s);
	run_spec(&result, &frame, &none);
	assert_int_equal(told(), 0);
	prog_reset(MODE_ALWAYS);
	run_spec(&result, &frame, &none);
	assert_int_equal(told(), 1);
	assert_int_equal(events[0].verdict, V_TCP_FLAGS);
}

/* ---- attacks ---- */

static void test_attack(void **state)
{
	const struct timespec pause = {.tv_nsec = 60000000};
	struct service service;
	u32 n;

	(void)state;
	prog_reset(MODE_AUTO);
	prog_get_service(&service);
	service.half_open_attack_above = 5;
	service.half_open_calm_below = 2;
	service.hold_ms = 20;
	prog_put_service(&service);
	for (n = 0; n < 5; n++) {
		const struct spec s = {.client = n};

		assert_int_equal(told(), n ? 1 : 0);
		sends(&s, REMOTE, SYN, ISN_REMOTE, 0, 0);
	}
	assert_int_equal(told(), 2);
	n = events[0].type == EVENT_ATTACK_START ? 0 : 1; /* either order */
	assert_int_equal(events[n].type, EVENT_ATTACK_START);
	assert_int_equal(events[n].service, SERVICE);
	assert_int_equal(events[n].attack.reasons, ATTACK_HALF_OPEN);
	assert_int_equal(events[n].attack.half_open, 5);
	assert_int_equal(events[n].attack.half_open_bound, 5);
	assert_int_equal(events[n].attack.attacks, 1);
	for (n = 0; n < 5; n++) {
		const struct spec s = {.client = n};

		sends(&s, REMOTE, RST, NEXT_REMOTE, 0, 0);
	}
	assert_int_equal(told(), 5);
	nanosleep(&pause, NULL);
	sends(&(struct spec){0}, REMOTE, ACK, 1, 1, 0); /* a stray notices that it is over */
	assert_int_equal(told(), 1);
	assert_int_equal(events[0].type, EVENT_ATTACK_END);
	assert_int_equal(events[0].attack.half_open, 0);
	assert_in_range(events[0].attack.since, 20000000, NS_PER_S); /* how long it lasted */
}

/* User space has found an attack: it is one at once, told with its reason, and over when the alarm
 * is not repeated. */
static void test_alarm(void **state)
{
	const struct spec s = {0};
	struct service service;
	struct pressure p;

	(void)state;
	prog_reset(MODE_AUTO);
	prog_get_service(&service);
	service.hold_ms = 20;
	prog_put_service(&service);
	assert_false(prog_alarm(SERVICE + 1, ATTACK_SOURCES)); /* not used */
	assert_false(prog_alarm(SYNSTILE_MAX_SERVICES, ATTACK_SOURCES));
	assert_int_equal(told(), 0);

	for (u32 n = 0; n < 2; n++) { /* the second one is the same attack */
		assert_true(prog_alarm(SERVICE, ATTACK_SOURCES | ATTACK_QUEUE));
		assert_int_equal(told(), !n);
	}
	assert_int_equal(events[0].type, EVENT_ATTACK_START);
	assert_int_equal(events[0].service, SERVICE);
	assert_int_equal(events[0].attack.reasons, ATTACK_SOURCES | ATTACK_QUEUE);
	sends(&s, REMOTE, SYN, 1, 0, 0);
	expect(&result, V_SYN_COOKIE, XDP_TX);
	prog_sweep();
	assert_int_equal(told(), 1);
	assert_int_equal(events[0].type, EVENT_ATTACK_PROGRESS);

	prog_get_pressure(&p);
	p.alarm -= 2 * NS_PER_S; /* that much later */
	p.above -= 2 * NS_PER_S;
	prog_put_pressure(&p);
	prog_sweep();
	assert_int_equal(told(), 1);
	assert_int_equal(events[0].type, EVENT_ATTACK_END);
	assert_int_equal(events[0].attack.reasons, ATTACK_SOURCES | ATTACK_QUEUE);
	sends(&s, REMOTE, SYN, 1, 0, 0);
	expect(&result, V_SYN_CALM, XDP_PASS);
}

/* ---- what could not be told ---- */

#define SMALL_RING 4096

/* Nobody reads: all goes on, what does not fit is counted, and nothing else. */
static void test_full_ring(void **state)
{
	u64 told_of, lost;
	struct flow f;

	(void)state;
	need_tc();
	prog_reset(MODE_AUTO);
	for (u32 n = 0; n < 50; n++) {
		const struct spec s = {.client = n};

		for (size_t i = 0; i < ARRAY_SIZE(calm); i++)
			sends(&s, calm[i].side, calm[i].flags, calm[i].seq, calm[i].ack,
			      calm[i].payload);
		assert_true(prog_flow(&f, &s));
		assert_int_equal(flow_changes(f.word), CALM_EVENTS);
		assert_int_equal(flow_state(f.word, LOCAL), ST_CLOSED);
	}
	told_of = told();
	lost = prog_lost(EVENT_TCP_STATE, LOST_RING);
	assert_in_range(told_of, SMALL_RING / sizeof(struct event) / 2,
			SMALL_RING / sizeof(struct event));
	assert_int_equal(told_of + lost, 50 * CALM_EVENTS);
	assert_int_equal(prog_lost(EVENT_TCP_STATE, LOST_LIMITED), 0);
	/* the first ones are there, without a gap */
	for (u32 n = 0; n < told_of; n++)
		assert_int_equal(events[n].state.n, n % CALM_EVENTS + 1);
	/* once it was read there is room again */
	sends(&(struct spec){.client = 99}, REMOTE, SYN, ISN_REMOTE, 0, 0);
	assert_int_equal(told(), 1);
	assert_int_equal(prog_lost(EVENT_TCP_STATE, LOST_RING), lost);
}

/* ... each type by itself. */
static void test_full_ring_of_other_types(void **state)
{
	const struct spec s = {0};
	u32 told_of;

	(void)state;
	need_tc();
	stay_here();
	prog_reset(MODE_ALWAYS);
	put_flow(&s, FLOW_OPEN);
	for (u32 n = 0; n < 100; n++) {
		sends(&s, REMOTE, RST | ACK, 1, 1, 0); /* odd: no event */
		sends(&s, REMOTE, PSH | ACK, NEXT_REMOTE - 5, NEXT_LOCAL, 5);
		sends(&s, LOCAL, ACK, NEXT_LOCAL - 1, NEXT_REMOTE, 0);
		sends(&(struct spec){.client = 7}, REMOTE, ACK, 1, 1, 0);
	}
	told_of = told();
	assert_true(told_of > 0);
	assert_int_equal(told_of + prog_lost(EVENT_RETRANSMISSION, LOST_RING) +
				 prog_lost(EVENT_KEEPALIVE, LOST_RING) +
				 prog_lost(EVENT_VERDICT, LOST_RING),
			 300);
	assert_in_range(prog_lost(EVENT_VERDICT, LOST_RING), 80, 99);
	assert_int_equal(prog_lost(EVENT_RETRANSMISSION, LOST_LIMITED), 0);
}

/* A table that is full: what it lacks is counted, and nothing is told of it. */
static void test_full_table(void **state)
{
	u32 there;

	(void)state;
	prog_reset(MODE_AUTO);
	for (u32 n = 0; n < 100; n++) {
		const struct spec s = {.client = n};

		sends(&s, REMOTE, SYN, ISN_REMOTE, 0, 0);
		expect(&result, V_SYN_CALM, XDP_PASS);
	}
	there = prog_flows();
	assert_in_range(there, 8, 16);
	assert_int_equal(prog_odd(ODD_UNFOLLOWED), 100 - there);
	assert_int_equal(told(), there);
	assert_int_equal(prog_lost(EVENT_TCP_STATE, LOST_RING), 0);
}

static int open_programs(void **state)
{
	(void)state;
	prog_ring(EVENT_RING_BYTES);
	prog_open(OWN_COOKIES, 1024);
	return 0;
}

static int open_small_ring(void **state)
{
	(void)state;
	prog_ring(SMALL_RING);
	prog_open(OWN_COOKIES, 1024);
	return 0;
}

static int open_small_table(void **state)
{
	(void)state;
	prog_ring(EVENT_RING_BYTES);
	prog_open(OWN_COOKIES, 8);
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
		cmocka_unit_test(test_calm_connection),
		cmocka_unit_test(test_cookie_connection),
		cmocka_unit_test(test_resets),
		cmocka_unit_test(test_dead_peer),
		cmocka_unit_test(test_reuse),
		cmocka_unit_test(test_half_open_timeout),
		cmocka_unit_test(test_oddities),
		cmocka_unit_test(test_no_handshake_without_answer),
		cmocka_unit_test(test_retransmissions),
		cmocka_unit_test(test_retransmissions_are_limited),
		cmocka_unit_test(test_drops_are_sampled),
		cmocka_unit_test(test_other_verdicts_are_not_told),
		cmocka_unit_test(test_attack),
		cmocka_unit_test(test_alarm),
	};
	const struct CMUnitTest full_ring[] = {
		cmocka_unit_test(test_full_ring),
		cmocka_unit_test(test_full_ring_of_other_types),
	};
	const struct CMUnitTest full_table[] = {
		cmocka_unit_test(test_full_table),
	};
	int failed = cmocka_run_group_tests_name("events", tests, open_programs, close_programs);

	failed |= cmocka_run_group_tests_name("events, full ring", full_ring, open_small_ring,
					      close_programs);
	return failed | cmocka_run_group_tests_name("events, full table", full_table,
						    open_small_table, close_programs);
}
