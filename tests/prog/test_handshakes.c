// SPDX-License-Identifier: GPL-2.0-only
/* How long handshakes took: each is counted once, in the right bucket, with how it ended. */
#include "check.h"
#include "histogram.h"

#define NEXT_LOCAL  (ISN_LOCAL + 1)
#define NEXT_REMOTE (ISN_REMOTE + 1)
#define MS          1000000ULL

static struct frame frame;
static struct run result;
static struct handshakes seen;

static void look(void)
{
	assert_int_equal(maps_handshakes(prog_maps(), SERVICE, &seen), 0);
}

static u64 half_opens(u32 outcome)
{
	u64 n = 0;

	for (u32 i = 0; i < HALF_OPEN_BUCKETS; i++)
		n += seen.half_open[outcome].n[i];
	return n;
}

static u64 rtts(void)
{
	u64 n = 0;

	for (u32 i = 0; i < RTT_BUCKETS; i++)
		n += seen.rtt.n[i];
	return n;
}

/* This many ended, all of them so. */
static void expect_ended(u32 outcome, u64 n)
{
	look();
	for (u32 i = 0; i < OUTCOMES; i++)
		assert_int_equal(half_opens(i), i == outcome ? n : 0);
}

static void sends(const struct spec *s, u32 side, u8 flags, u32 seq, u32 ack, u16 payload)
{
	prog_sends(&result, s, side, flags, seq, ack, payload);
}

/* Before 6.9 there is no TC program for own cookies. */
static void need_tc(void)
{
	if (!prog_has_tc())
		skip();
}

/* A handshake that has waited for the client's ACK for so long, of all its time. */
static void put_half_open(const struct spec *s, u64 age, u64 waited)
{
	u64 now = prog_now();
	struct flow f;

	prog_make_flow(&f, FLOW_HALF_OPEN);
	f.opened = now - age;
	f.side[LOCAL].entered = now - waited;
	prog_put_flow(s, &f);
}

static void completes(const struct spec *s)
{
	sends(s, REMOTE, ACK, NEXT_REMOTE, NEXT_LOCAL, 0);
	expect(&result, V_HANDSHAKE, XDP_PASS);
}

/* A whole connection, its data and its end: one handshake. */
static void test_connection(void **state)
{
	(void)state;
	need_tc();
	for (u32 n = 0; n < 2; n++) {
		const struct spec s = {.ipv6 = n};

		prog_reset(MODE_AUTO);
		look();
		expect_ended(OUTCOME_COMPLETED, 0);
		sends(&s, REMOTE, SYN, ISN_REMOTE, 0, 0);
		sends(&s, LOCAL, SYN | ACK, ISN_LOCAL, NEXT_REMOTE, 0);
		expect_ended(OUTCOME_COMPLETED, 0);
		completes(&s);
		sends(&s, REMOTE, PSH | ACK, NEXT_REMOTE, NEXT_LOCAL, 10);
		sends(&s, LOCAL, FIN | ACK, NEXT_LOCAL, NEXT_REMOTE + 10, 0);
		sends(&s, REMOTE, FIN | ACK, NEXT_REMOTE + 10, NEXT_LOCAL + 1, 0);
		sends(&s, LOCAL, ACK, NEXT_LOCAL + 1, NEXT_REMOTE + 11, 0);
		expect_ended(OUTCOME_COMPLETED, 1);
		assert_int_equal(rtts(), 1);
		assert_int_equal(prog_load(LOAD_COMPLETED), 1);
		assert_in_range(seen.rtt.sum_us, 1, 1000000);
	}
}

/* The bucket is that of the time it took, and the sum has it too. */
static void test_buckets(void **state)
{
	static const struct {
		u64 age, waited;
		u32 half_open, rtt;
	} rows[] = {
		{11 * MS, 11 * MS, HALF_OPEN_BELOW_30000, RTT_BELOW_25000},
		{110 * MS, 55 * MS, HALF_OPEN_BELOW_250000, RTT_BELOW_100000},
		{600 * MS, 260 * MS, HALF_OPEN_BELOW_1000000, RTT_BELOW_500000},
		{40000 * MS, 5000 * MS, HALF_OPEN_BELOW_64000000, RTT_BELOW_10000000},
		{100000 * MS, 11000 * MS, HALF_OPEN_ABOVE, RTT_ABOVE},
	};
	const struct spec s = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (prog_now() < rows[i].age + 1000 * MS)
			continue; /* the machine is not up for so long */
		prog_reset(MODE_AUTO);
		put_half_open(&s, rows[i].age, rows[i].waited);
		completes(&s);
		expect_ended(OUTCOME_COMPLETED, 1);
		assert_int_equal(seen.half_open[OUTCOME_COMPLETED].n[rows[i].half_open], 1);
		assert_in_range(seen.half_open[OUTCOME_COMPLETED].sum_us, rows[i].age / 1000,
				rows[i].age / 1000 + 500000);
		assert_int_equal(seen.rtt.n[rows[i].rtt], 1);
		assert_in_range(seen.rtt.sum_us, rows[i].waited / 1000,
				rows[i].waited / 1000 + 500000);
	}
}

/* What was sent twice may have answered either: no round-trip time can be told. */
static void test_repeated(void **state)
{
	const struct spec s = {0};
	struct flow f;

	(void)state;
	prog_reset(MODE_AUTO);
	prog_make_flow(&f, FLOW_HALF_OPEN);
	f.side[LOCAL].syns = 2;
	prog_put_flow(&s, &f);
	completes(&s);
	expect_ended(OUTCOME_COMPLETED, 1);
	assert_int_equal(rtts(), 0);
}

static void test_reset_by_client(void **state)
{
	const struct spec s = {0};

	(void)state;
	prog_reset(MODE_AUTO);
	put_half_open(&s, 110 * MS, 20 * MS);
	sends(&s, REMOTE, RST, NEXT_REMOTE, 0, 0);
	expect_ended(OUTCOME_RESET, 1);
	assert_int_equal(seen.half_open[OUTCOME_RESET].n[HALF_OPEN_BELOW_250000], 1);
	assert_int_equal(rtts(), 0);
	/* the reset of an open connection ends no handshake */
	prog_reset(MODE_AUTO);
	completes((put_half_open(&s, MS, MS), &s));
	sends(&s, REMOTE, RST, NEXT_REMOTE, 0, 0);
	expect_ended(OUTCOME_COMPLETED, 1);
}

/* By the sweep, and by a SYN that finds a record that is too old. */
static void test_expired(void **state)
{
	const struct spec s = {.flags = SYN, .seq = ISN_REMOTE};
	struct service service;

	(void)state;
	for (u32 n = 0; n < 2; n++) {
		prog_reset(MODE_AUTO);
		prog_get_service(&service);
		service.syn_calm_ms = 3000;
		prog_put_service(&service);
		put_half_open(&s, 2000 * MS, 0);
		prog_sweep();
		expect_ended(OUTCOME_EXPIRED, 0);
		put_half_open(&s, 3100 * MS, 0);
		if (n)
			prog_sweep();
		else
			run_spec(&result, &frame, &s);
		expect_ended(OUTCOME_EXPIRED, 1);
		assert_int_equal(seen.half_open[OUTCOME_EXPIRED].n[HALF_OPEN_BELOW_4000000], 1);
		prog_sweep();
		expect_ended(OUTCOME_EXPIRED, 1);
	}
}

/* Met in mid-stream, or opened by the host: their beginning is not known, or nobody asks. */
static void test_not_counted(void **state)
{
	const struct spec s = {0};
	struct flow f;

	(void)state;
	prog_reset(MODE_AUTO);
	prog_make_flow(&f, FLOW_HALF_OPEN);
	f.flags |= FLOW_JOINED;
	prog_put_flow(&s, &f);
	completes(&s);
	expect_ended(OUTCOME_COMPLETED, 0);
	assert_int_equal(rtts(), 0);
}

/* Nothing was kept of its SYN. */
static void test_cookie(void **state)
{
	struct spec syn = {.flags = SYN, .seq = ISN_REMOTE};
	struct answer a;

	(void)state;
	need_tc();
	prog_reset(MODE_ALWAYS);
	prove_cookie(&a, &syn, &result, &frame);
	sends(&syn, LOCAL, PSH | ACK, a.seq + 1, NEXT_REMOTE, 100);
	expect_ended(OUTCOME_COMPLETED, 0);
	assert_int_equal(rtts(), 0);
	assert_int_equal(prog_load(LOAD_COMPLETED), 1);
}

/* Those that have no entry of their own share one; what an index counted is forgotten when another
 * service gets it. */
static void test_entries(void **state)
{
	const struct spec s = {0};
	struct flow f;
	u64 before;

	(void)state;
	prog_reset(MODE_AUTO);
	assert_int_equal(maps_handshakes(prog_maps(), HANDSHAKE_OTHERS, &seen), 0);
	before = half_opens(OUTCOME_COMPLETED);
	prog_make_flow(&f, FLOW_HALF_OPEN);
	f.service = HANDSHAKE_SERVICES;
	prog_put_flow(&s, &f);
	completes(&s);
	expect_ended(OUTCOME_COMPLETED, 0);
	assert_int_equal(maps_handshakes(prog_maps(), HANDSHAKE_OTHERS, &seen), 0);
	assert_int_equal(half_opens(OUTCOME_COMPLETED), before + 1);
	assert_int_equal(maps_forget_counts(prog_maps(), HANDSHAKE_SERVICES), 0);
	assert_int_equal(maps_handshakes(prog_maps(), HANDSHAKE_OTHERS, &seen), 0);
	assert_int_equal(half_opens(OUTCOME_COMPLETED), before + 1);
	prog_reset(MODE_AUTO);
	put_half_open(&s, MS, MS);
	completes(&s);
	expect_ended(OUTCOME_COMPLETED, 1);
	assert_int_equal(maps_forget_counts(prog_maps(), SERVICE), 0);
	expect_ended(OUTCOME_COMPLETED, 0);
	assert_int_equal(prog_load(LOAD_COMPLETED), 0);
}

static int begin(void **state)
{
	(void)state;
	prog_open(OWN_COOKIES, 1024);
	return 0;
}

static int end(void **state)
{
	(void)state;
	prog_close();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connection), cmocka_unit_test(test_buckets),
		cmocka_unit_test(test_repeated),   cmocka_unit_test(test_reset_by_client),
		cmocka_unit_test(test_expired),    cmocka_unit_test(test_not_counted),
		cmocka_unit_test(test_cookie),     cmocka_unit_test(test_entries),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
