// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random exchanges between two endpoints that do as RFC 9293 says, seen from next to
 * one of them:
 *
 *	far endpoint ==(slow, loses)==> observer --(may lose)--> host
 *	             <==(slow, loses)== observer <-(at once)---- host
 *
 * Each segment is one random step, and after each step what is observed is compared with
 * what the endpoints know to be true. What an observer in that place cannot know is
 * said here, case by case, and everything else must be right:
 *
 * - What a side did shows when a segment that says so passes. Until then (it is on its way,
 *   or was lost on its way to us) the state that is shown is behind.
 * - That an acknowledgement of a SYN or FIN has arrived, the receiver does not say. It
 *   counts as received when it passes: the state that is shown is ahead while it is on its way,
 *   and for as long as it takes to repeat it if it was lost behind us.
 * - hidden: a FIN that was sent before the other side's FIN came, but was lost and then repeated
 *   with the acknowledgement of that in it. It looks like an answer: LAST-ACK for CLOSING.
 * - crossed: a SYN-ACK that was repeated while its ACK was on its way. It looks as if that
 *   were lost, until the receiver's next segment: SYN-RECEIVED for ESTABLISHED.
 */
#include "endpoint.h"

#define RUNS  40000
#define STEPS 150
#define QUEUE 256

struct traveller {
	struct segment s;
	bool odd;  /* the observer did not believe it */
	bool lost; /* it never arrives */
};

struct queue {
	struct traveller t[QUEUE];
	u32 head, tail;
};

enum hop {
	IN,  /* from the far endpoint to the observer */
	UP,  /* from there to the host */
	OUT, /* from the observer to the far endpoint */
	HOPS
};

/* What has passed the observer, of one side: its newest numbers. */
struct passed {
	u32 end, ack;
	bool syn, fin;
	bool got_syn, got_fin; /* it acknowledged that */
	u32 syns;
	u64 segments, bytes;
	u32 rtx, probes;
	bool hidden, crossed;
};

static struct run {
	u64 seed;
	u32 number;
	struct endpoint end[SIDES];
	struct queue queue[HOPS];
	u32 loss[SIDES]; /* in front of the observer, and behind it, to the far side: of 100 */
	u32 loss_up;     /* between observer and host */
	struct flow flow;
	bool seen; /* there is a record */
	bool reset;
	bool reset_lost; /* or the question whether it was meant (RFC 5961 3.2) */
	struct passed passed[SIDES];
	u32 sent_end[SIDES], sent_ack[SIDES]; /* the newest that each has sent, */
	u32 got_end[SIDES], got_ack[SIDES];   /* ... and that the other one has received */
} run;

/* How often each of these was seen: a test of nothing is no test. */
static u32 pairs_seen[ST_COUNT][ST_COUNT], moves_seen[ST_COUNT][ST_COUNT];
static u32 equal_seen, hidden_seen, crossed_seen, ahead_seen, behind_seen, odd_seen, reset_seen;

#define complain(...)                                                                              \
	do {                                                                                       \
		print_error("run %u: far %s, shown as %s; host %s, shown as %s\n", run.number,     \
			    state_name(run.end[REMOTE].state), state_name(shown(REMOTE)),          \
			    state_name(run.end[LOCAL].state), state_name(shown(LOCAL)));           \
		fail_msg(__VA_ARGS__);                                                             \
	} while (0)

static u8 shown(u32 side)
{
	return flow_state(run.flow.word, side);
}

static bool chance(u32 percent)
{
	return random_below(&run.seed, 100) < percent;
}

/* ---- which pairs there can be ---- */

/*
 * Of two ends, each of which shows what it has received by its ACK, these can be seen at one
 * time (either may be the host). An ACK says at once that its sender got the FIN, and that the
 * FIN's sender knows; so CLOSE-WAIT never meets FIN-WAIT-1, nor CLOSING another CLOSING.
 */
static const u8 possible[][2] = {
	/* opening */
	{ST_SYN_SENT, ST_LISTEN},
	{ST_SYN_SENT, ST_SYN_SENT},
	{ST_SYN_SENT, ST_SYN_RECEIVED},
	{ST_ESTABLISHED, ST_ESTABLISHED},
	/* the SYN-ACK is repeated since its ACK was lost; in a simultaneous open, both */
	{ST_ESTABLISHED, ST_SYN_RECEIVED},
	{ST_SYN_RECEIVED, ST_SYN_RECEIVED},
	/* one FIN; the other side may have the SYN-ACK, or its ACK, still to show */
	{ST_FIN_WAIT_1, ST_SYN_SENT},
	{ST_FIN_WAIT_1, ST_SYN_RECEIVED},
	{ST_FIN_WAIT_1, ST_ESTABLISHED},
	{ST_FIN_WAIT_2, ST_CLOSE_WAIT},
	/* two FINs: none acknowledged, one, both */
	{ST_FIN_WAIT_1, ST_FIN_WAIT_1},
	{ST_FIN_WAIT_2, ST_CLOSING},
	{ST_FIN_WAIT_2, ST_LAST_ACK},
	{ST_TIME_WAIT, ST_TIME_WAIT},
	{ST_TIME_WAIT, ST_CLOSED},
	/* a reset */
	{ST_CLOSED, ST_CLOSED},
};

static void check_pair(void)
{
	u8 r = shown(REMOTE), l = shown(LOCAL);

	pairs_seen[r][l]++;
	for (size_t i = 0; i < ARRAY_SIZE(possible); i++)
		if ((possible[i][0] == r && possible[i][1] == l) ||
		    (possible[i][0] == l && possible[i][1] == r))
			return;
	complain("an impossible pair");
}

/* ---- which ways a state can go ---- */

static const u8 moves[][2] = {
	/* the arrows of RFC 9293, figure 5 */
	{ST_LISTEN, ST_SYN_SENT},
	{ST_LISTEN, ST_SYN_RECEIVED},
	{ST_SYN_SENT, ST_SYN_RECEIVED},
	{ST_SYN_SENT, ST_ESTABLISHED},
	{ST_SYN_RECEIVED, ST_ESTABLISHED},
	{ST_SYN_RECEIVED, ST_FIN_WAIT_1},
	{ST_ESTABLISHED, ST_FIN_WAIT_1},
	{ST_ESTABLISHED, ST_CLOSE_WAIT},
	{ST_FIN_WAIT_1, ST_FIN_WAIT_2},
	{ST_FIN_WAIT_1, ST_CLOSING},
	{ST_FIN_WAIT_2, ST_TIME_WAIT},
	{ST_CLOSING, ST_TIME_WAIT},
	{ST_CLOSE_WAIT, ST_LAST_ACK},
	{ST_LAST_ACK, ST_CLOSED},
	/* the ACK of the SYN-ACK is not seen apart, but with the first FIN, or with the ACK of one
	 */
	{ST_SYN_SENT, ST_FIN_WAIT_1},
	{ST_SYN_SENT, ST_CLOSE_WAIT},
	{ST_SYN_SENT, ST_LAST_ACK},
	{ST_SYN_RECEIVED, ST_CLOSE_WAIT},
	{ST_SYN_RECEIVED, ST_LAST_ACK},
	/* the ACK of a FIN comes with a FIN */
	{ST_ESTABLISHED, ST_LAST_ACK},
	/* a step back: it shows that the ACK of its SYN-ACK was lost */
	{ST_ESTABLISHED, ST_SYN_RECEIVED},
};

static void check_move(u8 from, u8 to)
{
	if (from == to)
		return;
	moves_seen[from][to]++;
	if (run.reset && to == ST_CLOSED)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(moves); i++)
		if (moves[i][0] == from && moves[i][1] == to)
			return;
	complain("from %s to %s", state_name(from), state_name(to));
}

/* ---- the observer ---- */

static struct tcp_segment as_seen(u32 side, const struct segment *s)
{
	return (struct tcp_segment){.seq = s->seq,
				    .ack = s->ack,
				    .len = s->len,
				    .segments = 1,
				    .window = ENDPOINT_WINDOW,
				    .flags = s->flags,
				    .trusted = side == LOCAL};
}

static u32 end_of(const struct segment *s)
{
	return s->seq + s->len + !!(s->flags & (TCP_SYN | TCP_FIN));
}

/* The host has all of it: it reads no acknowledgement there (RFC 9293 3.10.7.4). */
static bool is_unread(u32 side, const struct segment *s)
{
	return side == REMOTE && run.passed[LOCAL].got_syn && !(s->flags & TCP_SYN) &&
	       tcp_after(run.passed[LOCAL].ack, end_of(s));
}

static void note_passed_syn(u32 side, const struct segment *s)
{
	struct passed *p = &run.passed[side];

	if (p->syn && s->flags & TCP_ACK && p->got_syn)
		p->crossed = run.end[side].facts.syn_acked || run.passed[!side].got_syn;
	p->syn = true;
	p->syns++;
}

/* A segment that was believed passes: what does it say? Said in terms of numbers
 * alone, and not of the record. */
static void note_passed(u32 side, const struct segment *s)
{
	struct passed *p = &run.passed[side], *o = &run.passed[!side];
	bool acks = s->flags & TCP_ACK && !is_unread(side, s);

	p->segments++;
	p->bytes += s->len;
	p->probes += s->probe;
	if (s->flags & TCP_SYN)
		note_passed_syn(side, s);
	else if (!s->probe && end_of(s) != s->seq && tcp_after(p->end, s->seq))
		p->rtx++;
	if (acks && (!p->got_syn || tcp_after(s->ack, p->ack)))
		p->ack = s->ack;
	p->got_syn |= acks;
	p->got_fin |= acks && o->fin && at_or_after(s->ack, o->end);
	if (acks && !(s->flags & TCP_SYN))
		o->crossed = false;
	if (!p->fin && s->flags & TCP_FIN)
		p->hidden = p->got_fin && run.end[side].state != ST_LAST_ACK &&
			    run.end[side].state != ST_CLOSED;
	p->fin |= s->flags & TCP_FIN;
	if (p->syns + p->segments == 2 || tcp_after(end_of(s), p->end))
		p->end = end_of(s);
}

/* RUN=n in the environment: only that run, and each segment as it passes. */
static void trace(u32 side, const struct segment *s, u32 notes)
{
	if (getenv("RUN"))
		print_message(
			"%s %s%s%s%s seq %u ack %u len %u notes %x: far %s (%s), host %s (%s)\n",
			side == LOCAL ? "host" : "far ", s->flags & TCP_SYN ? "S" : "",
			s->flags & TCP_FIN ? "F" : "", s->flags & TCP_RST ? "R" : "",
			s->flags & TCP_ACK ? "." : "", s->seq - run.end[side].iss,
			s->flags & TCP_ACK ? s->ack - run.end[!side].iss : 0, s->len, notes,
			state_name(shown(REMOTE)), state_name(run.end[REMOTE].state),
			state_name(shown(LOCAL)), state_name(run.end[LOCAL].state));
}

/* It passes. Returns whether the observer believed it. */
static bool observe(u32 side, const struct segment *s)
{
	struct tcp_segment t = as_seen(side, s);
	u8 before[SIDES] = {shown(REMOTE), shown(LOCAL)};
	u32 notes = 0;

	if (run.reset)
		return true;
	if (!run.seen && s->flags != TCP_SYN)
		return false;
	if (!run.seen)
		follow_open(&run.flow, side, &t);
	else
		notes = follow(&run.flow, side, &t);
	trace(side, s, notes);
	if (notes & NOTE_NEW)
		complain("another connection?");
	if (notes & NOTE_ODD)
		return false;
	if (!run.seen)
		before[side] = shown(side), before[!side] = ST_LISTEN;
	run.seen = true;
	run.reset = notes & NOTE_RESET;
	if (s->probe != !!(notes & NOTE_KEEPALIVE) && s->len != 1)
		complain("a %s keepalive", s->probe ? "missed" : "false");
	check_move(before[REMOTE], shown(REMOTE));
	check_move(before[LOCAL], shown(LOCAL));
	if (!run.reset)
		note_passed(side, s);
	else if (run.end[side].state != ST_CLOSED)
		complain("a reset by a side that lives");
	return true;
}

/* ---- the network ---- */

static void put(enum hop hop, const struct segment *s, bool odd, bool lost)
{
	struct queue *q = &run.queue[hop];

	if (q->tail - q->head == QUEUE)
		complain("too many segments on their way");
	q->t[q->tail++ % QUEUE] = (struct traveller){*s, odd, lost};
	if (lost && (s->flags & TCP_RST || run.reset))
		run.reset_lost = true;
}

static bool is_empty(enum hop hop)
{
	const struct queue *q = &run.queue[hop];

	return q->head == q->tail;
}

static void note_newest(u32 *end, u32 *ack, const struct segment *s)
{
	if (tcp_after(end_of(s), *end))
		*end = end_of(s);
	if (s->flags & TCP_ACK && tcp_after(s->ack, *ack))
		*ack = s->ack;
}

static void host_sends(struct endpoint *e, const struct segment *s)
{
	(void)e;
	note_newest(&run.sent_end[LOCAL], &run.sent_ack[LOCAL], s);
	put(OUT, s, !observe(LOCAL, s), chance(run.loss[LOCAL]));
}

static void far_sends(struct endpoint *e, const struct segment *s)
{
	(void)e;
	note_newest(&run.sent_end[REMOTE], &run.sent_ack[REMOTE], s);
	put(IN, s, false, chance(run.loss[REMOTE]));
}

static void arrives(u32 side, const struct traveller *t)
{
	struct endpoint *e = &run.end[side], before = *e;

	if (t->lost)
		return;
	/* of what is out of its window it reads nothing */
	if (e->state < ST_SYN_RECEIVED || endpoint_acceptable(e, &t->s))
		note_newest(&run.got_end[!side], &run.got_ack[!side], &t->s);
	endpoint_take(e, &t->s);
	if (!t->odd || side == REMOTE)
		return;
	/* What the observer did not believe, the host did not believe either. */
	odd_seen++;
	if (e->state != before.state || e->una != before.una || e->rcv_nxt != before.rcv_nxt)
		complain("the host takes what was not believed");
}

/* One segment goes one hop. */
static void travel(enum hop hop)
{
	struct queue *q = &run.queue[hop];
	struct traveller t = q->t[q->head++ % QUEUE];

	if (hop == OUT)
		arrives(REMOTE, &t);
	else if (hop == UP)
		arrives(LOCAL, &t);
	else if (!t.lost)
		put(UP, &t.s, !observe(REMOTE, &t.s), chance(run.loss_up));
}

/* ---- what must be true ---- */

/* What a state says. */
static struct facts facts_of(u8 state)
{
	static const struct facts table[ST_COUNT] = {
		[ST_SYN_SENT] = {.sent_syn = 1},
		[ST_SYN_RECEIVED] = {.sent_syn = 1, .got_syn = 1},
		[ST_ESTABLISHED] = {1, 1, 1, 0, 0, 0},
		[ST_FIN_WAIT_1] = {1, 1, 1, 1, 0, 0},
		[ST_FIN_WAIT_2] = {1, 1, 1, 1, 0, 1},
		[ST_CLOSE_WAIT] = {1, 1, 1, 0, 1, 0},
		[ST_CLOSING] = {1, 1, 1, 1, 1, 0},
		[ST_LAST_ACK] = {1, 1, 1, 1, 1, 0},
		[ST_TIME_WAIT] = {1, 1, 1, 1, 1, 1},
		[ST_CLOSED] = {1, 1, 1, 1, 1, 1},
	};

	return table[state];
}

/* What is shown of a side, against what has passed and what is true. */
static void check_side(u32 side)
{
	const struct facts f = facts_of(shown(side)), real = run.end[side].facts;
	const struct passed *p = &run.passed[side], *o = &run.passed[!side];

	/* shown as soon as it passes, and never before it is true */
	if (f.sent_syn != p->syn || f.sent_fin != p->fin || f.got_fin != p->got_fin)
		complain("side %u: what passed is not what is shown", side);
	if (!f.sent_fin && f.got_syn != p->got_syn)
		complain("side %u: what passed is not what is shown of the SYN", side);
	if (f.sent_syn > real.sent_syn || f.got_syn > real.got_syn || f.sent_fin > real.sent_fin ||
	    f.got_fin > real.got_fin)
		complain("side %u: shown before it was true", side);
	/* counts as received when it passes: not later than it is; the ACK in a SYN-ACK with that
	 */
	if (real.fin_acked > f.fin_acked ||
	    (p->got_syn && real.syn_acked > f.syn_acked && !p->crossed))
		complain("side %u: it knows more than is shown", side);
	if (f.fin_acked != o->got_fin || (f.syn_acked && !f.sent_fin && !o->got_syn))
		complain("side %u: shown, but never acknowledged", side);
	ahead_seen += f.fin_acked > real.fin_acked || f.syn_acked > real.syn_acked;
	behind_seen += f.sent_fin < real.sent_fin || f.got_fin < real.got_fin;
	crossed_seen += p->got_syn && real.syn_acked > f.syn_acked;
}

/* All that a side has said has passed, and has arrived; also a FIN, which an ACK with the number
 * behind it does not tell of, and a reset. */
static bool is_told(u32 side)
{
	const struct passed *p = &run.passed[side];
	bool fin = run.end[side].facts.sent_fin;

	if (p->syn != run.end[side].facts.sent_syn || p->fin != fin ||
	    run.end[!side].facts.got_fin != fin || run.end[side].reset)
		return false;
	return !run.end[side].ack_due && p->end == run.sent_end[side] &&
	       (!p->got_syn || p->ack == run.sent_ack[side]) &&
	       run.got_end[side] == run.sent_end[side] && run.got_ack[side] == run.sent_ack[side];
}

static bool is_same(u32 side)
{
	u8 state = run.end[side].state, s = shown(side);

	if (run.passed[side].hidden && (s == ST_LAST_ACK || s == ST_CLOSED)) {
		hidden_seen++;
		return state == (s == ST_LAST_ACK ? ST_CLOSING : ST_TIME_WAIT);
	}
	if (run.passed[side].crossed && s == ST_SYN_RECEIVED)
		return state == ST_SYN_RECEIVED || state == ST_ESTABLISHED;
	return s == state;
}

static void check(void)
{
	if (!run.seen || run.reset)
		return;
	check_pair();
	check_side(REMOTE);
	check_side(LOCAL);
	if (!is_empty(IN) || !is_empty(UP) || !is_empty(OUT) || !is_told(REMOTE) || !is_told(LOCAL))
		return;
	equal_seen++;
	if (!is_same(REMOTE) || !is_same(LOCAL))
		complain("nothing is on its way, and the states differ");
}

static void check_counts(u32 side)
{
	const struct passed *p = &run.passed[side];
	const struct flow_side *s = &run.flow.side[side];

	if (run.reset)
		return;
	assert_int_equal(s->segments, p->segments);
	assert_int_equal(s->bytes, p->bytes);
	assert_int_equal(s->syns, p->syns < 255 ? p->syns : 255);
	/* one byte that is repeated, and acknowledged already, looks like a keepalive */
	assert_int_equal(s->rtx + s->keepalives, p->rtx + p->probes);
}

/* ---- one run ---- */

static u32 random_isn(void)
{
	static const u32 near[] = {0, 0x80000000};

	if (chance(50))
		return random64(&run.seed) >> 32;
	return near[random_below(&run.seed, 2)] - random_below(&run.seed, 1000);
}

static void begin(u32 number)
{
	static const u32 losses[] = {0, 0, 3, 15, 40};

	memset(&run, 0, sizeof(run));
	run.number = number;
	run.seed = number + 1;
	for (u32 i = 0; i < 8; i++)
		random64(&run.seed);
	for (u32 side = REMOTE; side < SIDES; side++) {
		struct endpoint *e = &run.end[side];

		e->iss = run.sent_end[side] = run.got_end[side] = random_isn();
		e->state = ST_LISTEN;
		e->to_send = chance(30) ? 0 : random_below(&run.seed, 600);
		e->linux_syn = chance(70);
		e->send = side == LOCAL ? host_sends : far_sends;
		run.loss[side] = losses[random_below(&run.seed, ARRAY_SIZE(losses))];
	}
	run.sent_ack[REMOTE] = run.got_ack[REMOTE] = run.end[LOCAL].iss;
	run.sent_ack[LOCAL] = run.got_ack[LOCAL] = run.end[REMOTE].iss;
	run.loss_up = chance(80) ? 0 : 15;
}

static void application(u32 side)
{
	struct endpoint *e = &run.end[side];
	u32 most = 1 + random_below(&run.seed, ENDPOINT_MSS);

	if (chance(4))
		e->closing = true;
	if (chance(50))
		endpoint_send(e, most, chance(50));
	else if (e->ack_due && e->state >= ST_SYN_RECEIVED)
		endpoint_ack(e);
	else if (chance(10))
		endpoint_probe(e, random_below(&run.seed, 2));
	else if (run.number % 8 == 0 && chance(1))
		endpoint_abort(e);
}

static void step(void)
{
	enum hop hop = random_below(&run.seed, HOPS);
	u32 side = random_below(&run.seed, SIDES);

	if (chance(60) && !is_empty(hop))
		travel(hop);
	else if (chance(80))
		application(side);
	else
		endpoint_repeat(&run.end[side], 1 + random_below(&run.seed, ENDPOINT_MSS));
}

static bool travel_all(void)
{
	bool any = false;

	for (enum hop hop = IN; hop < HOPS; hop++) {
		while (!is_empty(hop)) {
			travel(hop);
			check();
			any = true;
		}
	}
	return any;
}

/* What a side has left to do. */
static bool time_out(u32 side)
{
	struct endpoint *e = &run.end[side];

	if (e->ack_due && e->state >= ST_SYN_RECEIVED)
		endpoint_ack(e);
	else if (!endpoint_send(e, ENDPOINT_MSS, false) && !endpoint_repeat(e, ENDPOINT_MSS))
		return false;
	check();
	return true;
}

/* From now on nothing is lost, and the timers run until all is said. */
static void settle(void)
{
	run.loss[REMOTE] = run.loss[LOCAL] = run.loss_up = 0;
	for (u32 n = 0; n < 1000; n++)
		if (!travel_all() && !(time_out(REMOTE) | time_out(LOCAL)))
			return;
	complain("it does not come to an end");
}

static void check_end(void)
{
	if (!run.reset) {
		check_counts(REMOTE);
		check_counts(LOCAL);
		return;
	}
	reset_seen++;
	/* it counts as received when it passes; when all is over both are closed in truth */
	for (u32 side = REMOTE; side < SIDES; side++)
		if (run.end[side].state != ST_CLOSED && !run.reset_lost)
			complain("a reset that was none");
}

static void one_run(u32 number)
{
	begin(number);
	endpoint_open(&run.end[number & 1]);
	if (chance(15))
		endpoint_open(&run.end[!(number & 1)]);
	for (u32 n = 0; n < STEPS; n++) {
		step();
		check();
	}
	settle();
	check_end();
}

static void test_random_exchanges(void **state)
{
	const char *only = getenv("RUN");

	(void)state;
	if (only)
		one_run(strtoul(only, NULL, 10));
	else
		for (u32 n = 0; n < RUNS; n++)
			one_run(n);
}

/* The runs before came to everything that is listed here; then nothing is listed in vain. */
static void test_all_was_seen(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(possible); i++)
		if (!pairs_seen[possible[i][0]][possible[i][1]] &&
		    !pairs_seen[possible[i][1]][possible[i][0]] && possible[i][0] != ST_CLOSED)
			fail_msg("never seen: %s and %s", state_name(possible[i][0]),
				 state_name(possible[i][1]));
	for (size_t i = 0; i < ARRAY_SIZE(moves); i++)
		if (!moves_seen[moves[i][0]][moves[i][1]])
			fail_msg("never seen: from %s to %s", state_name(moves[i][0]),
				 state_name(moves[i][1]));
	print_message(
		"  states equal %u times, ahead %u, behind %u; hidden %u, crossed %u, odd %u, "
		"resets %u\n",
		equal_seen, ahead_seen, behind_seen, hidden_seen, crossed_seen, odd_seen,
		reset_seen);
	assert_true(equal_seen && ahead_seen && behind_seen && hidden_seen && crossed_seen &&
		    odd_seen && reset_seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_exchanges),
		cmocka_unit_test(test_all_was_seen),
	};

	return cmocka_run_group_tests_name("tcp model", tests, NULL, NULL);
}
