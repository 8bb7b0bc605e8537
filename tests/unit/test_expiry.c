// SPDX-License-Identifier: GPL-2.0-only
/*
 * When records expire, and why: a table of silent connections, looked at a second before
 * and a second after their time.
 */
#include "unit.h"
#include "expiry.h"

#define S   NS_PER_SEC
#define NOW (1000000 * S)

static const struct service service = {.syn_calm_ms = 3000};
static const struct pressure pressure;
static const struct settings settings = {
	.syn_sent_ms = 131000, .keepalive_intvl_ms = 75000, .keepalive_probes = 9};

/* A connection that has been as it is, and silent, since `then`. */
static struct flow made(u8 remote, u8 local, u8 phase, u64 then)
{
	struct flow f = {.word = flow_word(remote, local, phase, 5), .opened = then};

	for (int side = 0; side < SIDES; side++)
		f.side[side].entered = f.side[side].seen = then;
	return f;
}

static void check(const struct flow *f, u8 end)
{
	assert_int_equal(flow_expired(f, &service, &pressure, &settings, NOW), end);
}

static const struct {
	const char *what;
	u8 remote, local, phase, flags;
	u64 after; /* s */
	u8 end;
} table[] = {
	{"half-open: the service's timeout", ST_SYN_SENT, ST_SYN_RECEIVED, FLOW_HALF_OPEN, 0, 3,
	 END_SYN_TIMEOUT},
	{"the host's own attempt: tcp_syn_retries", ST_LISTEN, ST_SYN_SENT, FLOW_HALF_OPEN,
	 FLOW_OPENED_LOCAL, 131, END_SYN_TIMEOUT},
	{"proven, never taken", ST_SYN_SENT, ST_SYN_RECEIVED, FLOW_PROVEN, 0, 126, END_SYN_TIMEOUT},
	{"idle", ST_ESTABLISHED, ST_ESTABLISHED, FLOW_OPEN, 0, 7860, END_IDLE},
	{"a half-close may last", ST_FIN_WAIT_2, ST_CLOSE_WAIT, FLOW_CLOSING, 0, 7860, END_IDLE},
	{"a FIN that nobody answers", ST_FIN_WAIT_1, ST_ESTABLISHED, FLOW_CLOSING, 0, 127,
	 END_CLOSE_TIMEOUT},
	{"TIME-WAIT", ST_TIME_WAIT, ST_CLOSED, FLOW_CLOSED, 0, 60, END_FIN},
	{"TIME-WAIT of the host's", ST_CLOSED, ST_TIME_WAIT, FLOW_CLOSED, 0, 60, END_FIN},
	{"both in TIME-WAIT", ST_TIME_WAIT, ST_TIME_WAIT, FLOW_CLOSED, 0, 60, END_FIN},
	{"the last ACK never came", ST_FIN_WAIT_2, ST_LAST_ACK, FLOW_CLOSED, 0, 60,
	 END_CLOSE_TIMEOUT},
};

static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct flow f;

		print_message("%s\n", table[i].what);
		f = made(table[i].remote, table[i].local, table[i].phase,
			 NOW - (table[i].after - 1) * S);
		f.flags = table[i].flags;
		check(&f, END_NONE);
		f = made(table[i].remote, table[i].local, table[i].phase,
			 NOW - (table[i].after + 1) * S);
		f.flags = table[i].flags;
		check(&f, table[i].end);
	}
}

/* After a reset nothing counts but the time since then. */
static void test_reset(void **state)
{
	struct flow f = made(ST_CLOSED, ST_CLOSED, FLOW_CLOSED, NOW - 9 * S);

	(void)state;
	f.end = END_RST_CLIENT;
	check(&f, END_NONE);
	f = made(ST_CLOSED, ST_CLOSED, FLOW_CLOSED, NOW - 11 * S);
	f.end = END_RST_CLIENT;
	f.side[REMOTE].seen = NOW;
	check(&f, END_RST_CLIENT);
}

/* A connection is as young as its youngest segment, from either side; a handshake is not. */
static void test_a_segment_keeps_it(void **state)
{
	struct flow f;

	(void)state;
	for (int side = 0; side < SIDES; side++) {
		f = made(ST_ESTABLISHED, ST_ESTABLISHED, FLOW_OPEN, NOW - 8000 * S);
		f.side[side].seen = NOW - S;
		check(&f, END_NONE);
		f = made(ST_TIME_WAIT, ST_CLOSED, FLOW_CLOSED, NOW - 100 * S);
		f.side[side].seen = NOW - S; /* its FIN again: TIME-WAIT begins anew */
		check(&f, END_NONE);
		f = made(ST_SYN_SENT, ST_SYN_RECEIVED, FLOW_HALF_OPEN, NOW - 4 * S);
		f.side[side].seen = NOW; /* a repeated SYN does not buy time, as in the stack */
		check(&f, END_SYN_TIMEOUT);
	}
}

/* Nine questions and no answer, and the time for one more has passed. */
static void test_dead_peer(void **state)
{
	struct flow f;

	(void)state;
	for (int asks = 0; asks < SIDES; asks++) {
		f = made(ST_ESTABLISHED, ST_ESTABLISHED, FLOW_OPEN, NOW - 900 * S);
		f.side[asks].seen = NOW - 78 * S;
		f.side[asks ^ 1].probed = 8;
		check(&f, END_NONE);
		f.side[asks ^ 1].probed = 9;
		check(&f, END_DEAD_PEER);
		f.side[asks].seen = NOW - 74 * S;
		check(&f, END_NONE);
	}
}

/* Only what waits for something is asked about, and only after a while. */
static void test_doubt(void **state)
{
	const struct {
		u8 remote, local, phase, flags;
		bool doubtful;
	} rows[] = {
		{ST_ESTABLISHED, ST_ESTABLISHED, FLOW_OPEN, 0, false},
		{ST_SYN_SENT, ST_SYN_RECEIVED, FLOW_HALF_OPEN, 0, false},
		{ST_LISTEN, ST_SYN_SENT, FLOW_HALF_OPEN, FLOW_OPENED_LOCAL, true},
		{ST_CLOSE_WAIT, ST_FIN_WAIT_2, FLOW_CLOSING, 0, true},
		{ST_FIN_WAIT_2, ST_CLOSE_WAIT, FLOW_CLOSING, 0, true},
		{ST_CLOSED, ST_TIME_WAIT, FLOW_CLOSED, 0, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct flow f = made(rows[i].remote, rows[i].local, rows[i].phase, NOW - 6 * S);

		f.flags = rows[i].flags;
		assert_int_equal(flow_doubtful(&f, NOW), rows[i].doubtful);
		for (int side = 0; side < SIDES; side++) {
			f.side[side].seen = NOW - 4 * S;
			assert_false(flow_doubtful(&f, NOW));
			f.side[side].seen = 0;
		}
	}
}

/* Data of the host's that was not acknowledged. The far side's is its own affair. */
static void test_doubt_data(void **state)
{
	const u16 known = SIDE_NXT | SIDE_ACKED;
	struct flow f = made(ST_ESTABLISHED, ST_ESTABLISHED, FLOW_OPEN, NOW - 6 * S);

	(void)state;
	f.side[REMOTE].flags = f.side[LOCAL].flags = known;
	f.side[LOCAL].nxt = f.side[REMOTE].acked = 7;
	assert_false(flow_doubtful(&f, NOW));
	f.side[REMOTE].nxt = 1;
	assert_false(flow_doubtful(&f, NOW));
	f.side[LOCAL].nxt = 8;
	assert_true(flow_doubtful(&f, NOW));
	f.side[LOCAL].nxt = 7;
	f.side[REMOTE].flags = SIDE_NXT; /* has not acknowledged anything yet */
	assert_true(flow_doubtful(&f, NOW));
}

/* Before user space has set the bounds, Linux' own hold. */
static void test_defaults(void **state)
{
	const struct service no_service = {0};
	const struct settings no_settings = {0};
	struct flow f = made(ST_SYN_SENT, ST_LISTEN, FLOW_HALF_OPEN, NOW - 62 * S);

	(void)state;
	assert_int_equal(flow_expired(&f, &no_service, &pressure, &no_settings, NOW), END_NONE);
	assert_int_equal(flow_expired(&f, &no_service, &pressure, &no_settings, NOW + 2 * S),
			 END_SYN_TIMEOUT);
	f = made(ST_ESTABLISHED, ST_ESTABLISHED, FLOW_OPEN, NOW - 900 * S);
	f.side[REMOTE].probed = 255; /* no bound: nobody is called dead */
	assert_int_equal(flow_expired(&f, &no_service, &pressure, &no_settings, NOW), END_NONE);
}

/* A clock of another CPU may be ahead. */
static void test_from_the_future(void **state)
{
	struct flow f = made(ST_TIME_WAIT, ST_CLOSED, FLOW_CLOSED, NOW + S);

	(void)state;
	check(&f, END_NONE);
	f = made(ST_ESTABLISHED, ST_ESTABLISHED, FLOW_OPEN, NOW + S);
	check(&f, END_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_a_segment_keeps_it),
		cmocka_unit_test(test_dead_peer),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_from_the_future),
		cmocka_unit_test(test_doubt),
		cmocka_unit_test(test_doubt_data),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
