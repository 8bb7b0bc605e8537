// SPDX-License-Identifier: GPL-2.0-only
/*
 * Connections that the host's stack had before anyone looked: what is shown of them
 * at first, and how that is completed by what passes. Nothing is made up on the way.
 */
#include "row.h"

/* include/net/tcp_states.h */
enum {
	TCP_ESTABLISHED = 1,
	TCP_SYN_SENT,
	TCP_SYN_RECV,
	TCP_FIN_WAIT1,
	TCP_FIN_WAIT2,
	TCP_TIME_WAIT,
	TCP_CLOSE,
	TCP_CLOSE_WAIT,
	TCP_LAST_ACK,
	TCP_LISTEN,
	TCP_CLOSING,
	TCP_NEW_SYN_RECV
};

#define UNKNOWN ST_UNKNOWN

static void test_adopted(void **state)
{
	static const struct {
		u8 kernel, local, remote, phase;
	} rows[] = {
		{TCP_ESTABLISHED, ESTABLISHED, UNKNOWN, FLOW_OPEN},
		{TCP_SYN_RECV, SYN_RECEIVED, SYN_SENT, FLOW_HALF_OPEN},
		{TCP_NEW_SYN_RECV, SYN_RECEIVED, SYN_SENT, FLOW_HALF_OPEN},
		{TCP_FIN_WAIT1, FIN_WAIT_1, UNKNOWN, FLOW_CLOSING},
		{TCP_FIN_WAIT2, FIN_WAIT_2, CLOSE_WAIT, FLOW_CLOSING},
		{TCP_TIME_WAIT, TIME_WAIT, CLOSED, FLOW_CLOSED},
		{TCP_CLOSE_WAIT, CLOSE_WAIT, FIN_WAIT_2, FLOW_CLOSING},
		{TCP_LAST_ACK, LAST_ACK, FIN_WAIT_2, FLOW_CLOSED},
		{TCP_CLOSING, CLOSING, FIN_WAIT_2, FLOW_CLOSED},
		/* nothing that could be told of these */
		{TCP_SYN_SENT, UNKNOWN, UNKNOWN, FLOW_OPEN},
		{TCP_CLOSE, UNKNOWN, UNKNOWN, FLOW_OPEN},
		{TCP_LISTEN, UNKNOWN, UNKNOWN, FLOW_OPEN},
		{0, UNKNOWN, UNKNOWN, FLOW_OPEN},
		{99, UNKNOWN, UNKNOWN, FLOW_OPEN},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct flow f = {0};

		tcp_adopt(&f, rows[i].kernel);
		assert_int_equal(f.admission, ADMIT_ADOPTED);
		assert_int_equal(f.flags, FLOW_JOINED);
		if (flow_state(f.word, LOCAL) != rows[i].local ||
		    flow_state(f.word, REMOTE) != rows[i].remote ||
		    flow_phase(f.word) != rows[i].phase)
			fail_msg("kernel's state %u: %s %s, phase %u", rows[i].kernel,
				 state_name(flow_state(f.word, LOCAL)),
				 state_name(flow_state(f.word, REMOTE)), flow_phase(f.word));
	}
}

/*
 * How they go on. Here numbers count from where each side was when we came, and a
 * row's states are those of the host and of the far side.
 */
enum {
	HOST = 1,
	FAR
};

struct after {
	const char *name;
	u8 kernel;
	struct row rows[12];
};

// clang-format off
static const struct after after_adoption[] = {
	{"the host speaks first", TCP_ESTABLISHED, {
		{HOST, ACK,       0, 0, 9, ESTABLISHED, UNKNOWN},
		{FAR,  ACK,       0, 9, 0, ESTABLISHED, ESTABLISHED},
		{FAR,  ACK,       0, 9, 5, ESTABLISHED, ESTABLISHED},
		{HOST, ACK,       9, 5, 0, ESTABLISHED, ESTABLISHED},
		{FAR,  FIN | ACK, 5, 9, 0, ESTABLISHED, FIN_WAIT_1},
		{HOST, FIN | ACK, 9, 6, 0, LAST_ACK,    FIN_WAIT_2},
		{FAR,  ACK,       6, 10, 0, CLOSED,     TIME_WAIT}}},
	{"the far side speaks first", TCP_ESTABLISHED, {
		{FAR,  ACK,       0, 0, 9, ESTABLISHED, ESTABLISHED},
		{HOST, ACK,       0, 9, 0, ESTABLISHED, ESTABLISHED},
		{HOST, FIN | ACK, 0, 9, 0, FIN_WAIT_1,  ESTABLISHED},
		{FAR,  ACK,       9, 1, 0, FIN_WAIT_2,  CLOSE_WAIT}}},
	{"the far side closes, and this is the first that is heard of it", TCP_ESTABLISHED, {
		{FAR,  FIN | ACK, 0, 0, 0, ESTABLISHED, FIN_WAIT_1},
		{HOST, ACK,       0, 1, 0, CLOSE_WAIT,  FIN_WAIT_2},
		{HOST, FIN | ACK, 0, 1, 0, LAST_ACK,    FIN_WAIT_2},
		{FAR,  ACK,       1, 1, 0, CLOSED,      TIME_WAIT}}},
	{"the host closes at once", TCP_ESTABLISHED, {
		{HOST, FIN | ACK, 0, 0, 0, FIN_WAIT_1,  UNKNOWN},
		{FAR,  ACK,       0, 2, 0, FIN_WAIT_1,  UNKNOWN, BAD_ACK},
		{FAR,  FIN | ACK, 0, 1, 0, FIN_WAIT_2,  LAST_ACK},
		{HOST, ACK,       1, 1, 0, TIME_WAIT,   CLOSED}}},
	{"the host asks whether the idle far side is there: nxt seems one lower", TCP_ESTABLISHED, {
		{HOST, ACK,      -1, 0, 0, ESTABLISHED, UNKNOWN},
		{FAR,  ACK,       0, 0, 0, ESTABLISHED, ESTABLISHED},
		{HOST, ACK,      -1, 0, 0, ESTABLISHED, ESTABLISHED, PROBE},
		{FAR,  ACK,       0, 0, 0, ESTABLISHED, ESTABLISHED},
		{FAR,  ACK,       0, 2, 0, ESTABLISHED, ESTABLISHED, BAD_ACK}}},
	{"the same, after the far side had spoken", TCP_ESTABLISHED, {
		{FAR,  ACK,       0, 0, 0, ESTABLISHED, ESTABLISHED},
		{HOST, ACK,      -1, 0, 0, ESTABLISHED, ESTABLISHED},
		{FAR,  ACK,       0, 0, 0, ESTABLISHED, ESTABLISHED},
		{HOST, ACK,      -1, 0, 0, ESTABLISHED, ESTABLISHED, PROBE}}},
	{"the far side asks", TCP_ESTABLISHED, {
		{FAR,  ACK,      -1, 0, 0, ESTABLISHED, ESTABLISHED},
		{HOST, ACK,       0, 0, 0, ESTABLISHED, ESTABLISHED},
		{FAR,  ACK,      -1, 0, 0, ESTABLISHED, ESTABLISHED, PROBE},
		{HOST, ACK,       0, 0, 0, ESTABLISHED, ESTABLISHED}}},
	{"a repetition of old data is the first that is seen of the far side", TCP_ESTABLISHED, {
		{HOST, ACK,       0, 0, 0, ESTABLISHED, UNKNOWN},
		{FAR,  ACK,    -100, 0, 50, ESTABLISHED, ESTABLISHED},
		{FAR,  ACK,     -50, 0, 50, ESTABLISHED, ESTABLISHED, AGAIN},
		{FAR,  RST,       0, 0, 0, CLOSED,      CLOSED, RESET}}},
	{"a SYN to it, before the far side was heard", TCP_ESTABLISHED, {
		{FAR,  SYN,      77, 0, 0, ESTABLISHED, UNKNOWN, BAD_SYN},
		{FAR,  SYN | ACK, 77, 0, 0, ESTABLISHED, UNKNOWN, BAD_SYN},
		{HOST, ACK,       0, 0, 0, ESTABLISHED, UNKNOWN},
		{FAR,  SYN,      77, 0, 0, ESTABLISHED, UNKNOWN, BAD_SYN},
		{HOST, SYN,      99, 0, 0, ESTABLISHED, UNKNOWN, NEW},
		{HOST, SYN | ACK, 99, 78, 0, ESTABLISHED, UNKNOWN, NEW}}},
	{"resets, as soon as they can be judged", TCP_ESTABLISHED, {
		{HOST, ACK,       0, 0, 9, ESTABLISHED, UNKNOWN},
		{FAR,  RST,      -1, 0, 0, ESTABLISHED, UNKNOWN, BAD_RST},
		{FAR,  RST,       1, 0, 0, ESTABLISHED, UNKNOWN, BAD_RST},
		{FAR,  RST,       0, 0, 0, CLOSED,      CLOSED, RESET}}},
	{"a reset by the far side after its first words", TCP_ESTABLISHED, {
		{FAR,  ACK,       0, 0, 9, ESTABLISHED, ESTABLISHED},
		{FAR,  RST,     500, 0, 0, ESTABLISHED, ESTABLISHED, BAD_RST},
		{FAR,  RST,       9, 0, 0, CLOSED,      CLOSED, RESET}}},
	{"a SYN to it while it closes", TCP_FIN_WAIT2, {
		{FAR,  SYN,      77, 0, 0, FIN_WAIT_2,  CLOSE_WAIT, BAD_SYN},
		{FAR,  FIN | ACK, 0, 0, 0, FIN_WAIT_2,  LAST_ACK},
		{HOST, ACK,       0, 1, 0, TIME_WAIT,   CLOSED}}},
	{"the host's FIN is repeated", TCP_FIN_WAIT1, {
		{HOST, FIN | ACK, -1, 0, 0, FIN_WAIT_1, UNKNOWN},
		{FAR,  ACK,       0, -1, 0, FIN_WAIT_1, ESTABLISHED},
		{FAR,  ACK,       0, 0, 0, FIN_WAIT_2,  CLOSE_WAIT}}},
	{"data before the host's FIN is repeated: where that is, is not known", TCP_FIN_WAIT1, {
		{HOST, ACK,    -101, 0, 50, FIN_WAIT_1, UNKNOWN, AGAIN},
		{FAR,  ACK,       0, 0, 0, FIN_WAIT_1,  ESTABLISHED},
		{FAR,  FIN | ACK, 0, 0, 0, FIN_WAIT_1,  FIN_WAIT_1},
		/* now it is: the FIN was acknowledged, but before which segment? */
		{HOST, ACK,       0, 1, 0, TIME_WAIT,   TIME_WAIT}}},
	{"the far side acknowledges the host's FIN, as the host's next ACK shows", TCP_FIN_WAIT1, {
		{FAR,  ACK,       0, 0, 9, FIN_WAIT_1,  ESTABLISHED},
		{HOST, ACK,       0, 9, 0, FIN_WAIT_2,  CLOSE_WAIT}}},
	{"data goes on after the far side's FIN was received", TCP_CLOSE_WAIT, {
		{HOST, ACK,       0, 0, 9, CLOSE_WAIT,  FIN_WAIT_2},
		{FAR,  ACK,       0, 9, 0, CLOSE_WAIT,  FIN_WAIT_2},
		{HOST, FIN | ACK, 9, 0, 0, LAST_ACK,    FIN_WAIT_2},
		{FAR,  ACK,       0, 10, 0, CLOSED,     TIME_WAIT}}},
	{"the far side repeats its FIN", TCP_CLOSE_WAIT, {
		{FAR,  FIN | ACK, -1, 0, 0, CLOSE_WAIT, FIN_WAIT_2},
		{HOST, FIN | ACK, 0, 0, 0, LAST_ACK,    FIN_WAIT_2},
		{FAR,  ACK,       0, 1, 0, CLOSED,      TIME_WAIT}}},
	{"the last FIN is repeated", TCP_LAST_ACK, {
		{HOST, FIN | ACK, -1, 0, 0, LAST_ACK,   FIN_WAIT_2},
		{FAR,  ACK,       0, 0, 0, CLOSED,      TIME_WAIT}}},
	{"the host repeats its FIN of a simultaneous close", TCP_CLOSING, {
		{HOST, FIN | ACK, -1, 0, 0, CLOSING,    FIN_WAIT_2},
		{FAR,  ACK,       0, 0, 0, TIME_WAIT,   TIME_WAIT}}},
	{"in TIME-WAIT", TCP_TIME_WAIT, {
		{FAR,  FIN | ACK, -1, 0, 0, TIME_WAIT,  CLOSED},
		{HOST, ACK,       0, 0, 0, TIME_WAIT,   CLOSED},
		{FAR,  SYN,      77, 0, 0, TIME_WAIT,   CLOSED, BAD_SYN},
		{HOST, SYN | ACK, 99, 78, 0, TIME_WAIT, CLOSED, NEW}}},
	{"half-open: the SYN-ACK is repeated, and so its ISN known", TCP_SYN_RECV, {
		{HOST, SYN | ACK, 0, 1, 0, SYN_RECEIVED, SYN_SENT},
		{HOST, SYN | ACK, 0, 1, 0, SYN_RECEIVED, SYN_SENT, AGAIN},
		{FAR,  ACK,       1, 2, 0, SYN_RECEIVED, SYN_SENT, BAD_ACK},
		{FAR,  ACK,       1, 1, 0, ESTABLISHED,  ESTABLISHED}}},
	{"half-open: the SYN is repeated", TCP_NEW_SYN_RECV, {
		{FAR,  SYN,       0, 0, 0, SYN_RECEIVED, SYN_SENT},
		{HOST, SYN | ACK, 0, 1, 0, SYN_RECEIVED, SYN_SENT},
		{FAR,  ACK,       1, 1, 0, ESTABLISHED,  ESTABLISHED}}},
	{"half-open: the ACK comes, and cannot be judged before the host has spoken", TCP_NEW_SYN_RECV, {
		{FAR,  ACK,       1, 1, 0, SYN_RECEIVED, ESTABLISHED},
		{HOST, ACK,       1, 1, 9, ESTABLISHED,  ESTABLISHED},
		{FAR,  ACK,       1, 10, 0, ESTABLISHED, ESTABLISHED}}},
	{"half-open: refused by the far side", TCP_NEW_SYN_RECV, {
		{HOST, SYN | ACK, 0, 1, 0, SYN_RECEIVED, SYN_SENT},
		{FAR,  RST,       2, 0, 0, SYN_RECEIVED, SYN_SENT, BAD_RST},
		{FAR,  RST,       1, 0, 0, CLOSED,       CLOSED, RESET}}},
	{"a state that says nothing", TCP_SYN_SENT, {
		{HOST, SYN,       0, 0, 0, SYN_SENT,    UNKNOWN},
		{FAR,  SYN | ACK, 0, 1, 0, SYN_SENT,    SYN_RECEIVED},
		{HOST, ACK,       1, 1, 0, ESTABLISHED, ESTABLISHED}}},
	{"nothing known at all, the far side first", 0, {
		{FAR,  ACK,       0, 0, 9, UNKNOWN,     ESTABLISHED},
		{FAR,  ACK,       9, 0, 9, UNKNOWN,     ESTABLISHED},
		{HOST, ACK,       0, 18, 0, ESTABLISHED, ESTABLISHED}}},
};
// clang-format on

static void go_on(const struct after *a, u32 here, u32 there)
{
	struct flow f = {0};

	tcp_adopt(&f, a->kernel);
	for (u32 n = 0; a->rows[n].who; n++) {
		const struct row *r = &a->rows[n];
		bool local = r->who == HOST;
		const struct tcp_segment seg = {.seq = (local ? here : there) + r->seq,
						.ack = (local ? there : here) + r->ack,
						.len = r->len,
						.segments = 1,
						.window = WINDOW,
						.flags = r->flags,
						.trusted = local};
		u32 notes = follow(&f, local ? LOCAL : REMOTE, &seg);

		if (notes != r->notes || flow_state(f.word, LOCAL) != r->client ||
		    flow_state(f.word, REMOTE) != r->server)
			fail_msg("adopted, \"%s\", at %x and %x: after row %u %s %s, notes %x; "
				 "expected %s %s, notes %x",
				 a->name, here, there, n + 1, state_name(flow_state(f.word, LOCAL)),
				 state_name(flow_state(f.word, REMOTE)), notes,
				 state_name(r->client), state_name(r->server), r->notes);
	}
}

static void test_after_adoption(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(after_adoption); i++)
		for (u32 n = 0; n < ARRAY_SIZE(isns) * ARRAY_SIZE(isns); n++)
			go_on(&after_adoption[i], isns[n % ARRAY_SIZE(isns)],
			      isns[n / ARRAY_SIZE(isns)]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_adopted),
		cmocka_unit_test(test_after_adoption),
	};

	return cmocka_run_group_tests_name("tcp adoption", tests, NULL, NULL);
}
