// SPDX-License-Identifier: GPL-2.0-only
/*
 * Detection, over simulated traffic: mixtures of crowds, spoofed floods and bots, with round trips
 * of 0 to 300 ms, looked at as the agent does (four times a second, and more often in the first
 * half second of an attack).
 */
#include "unit.h"
#include "judge.h"

#define T0   (1000 * NS_PER_SEC)
#define STEP NS_PER_MS
#define END  15000 /* ms */

static const struct detect_bounds bounds = {20, 100, 2500, true};

/* Clients of one kind; ms after T0. */
struct crowd {
	u64 rate, begin, end; /* 0: never ends */
	u32 rtt_min, rtt_max; /* of those who complete */
	u32 complete;         /* percent */
	u32 addresses;        /* 0: everybody has one of his own */
};

struct world {
	struct crowd crowds[3];
	u64 clock_phase, look_phase; /* ms */
	bool answers;                /* cookies, once it is an attack */
	/* how it went */
	struct traffic traffic;
	struct traffic_look now;
	u64 ready[END + 2000]; /* completions by the time that they come */
	u64 arrived[3], fraction[3];
	u64 since; /* the attack; 0: none */
	u64 seed;
	u64 window, half_open;
	u64 from, by_crowd[3]; /* SYNs in this epoch of the sketch */
	u64 samples[3];        /* ... and since it is an attack */
	struct circumstances c;
	struct sampled sampled;
};

static void arrive(struct world *w, u32 i, u64 ms)
{
	const struct crowd *c = &w->crowds[i];
	u64 n, end = c->end ? c->end : END;

	if (ms < c->begin || ms >= end)
		return;
	w->fraction[i] += c->rate;
	n = w->fraction[i] / 1000;
	w->fraction[i] %= 1000;
	w->now.syns += n;
	w->by_crowd[i] += n;
	w->samples[i] += w->since ? n : 0;
	w->window += n;
	w->half_open += n;
	if (w->answers && w->since)
		w->now.cookies += n;
	for (; n; n--)
		if (random_below(&w->seed, 100) < c->complete)
			w->ready[ms + c->rtt_min +
				 random_below(&w->seed, c->rtt_max - c->rtt_min + 1)]++;
}

/* Different ones of `n` draws out of `of`, about. */
static u64 different(u64 n, u64 of)
{
	double left = of;
	u64 i;

	if (!of)
		return n;
	for (i = 0; i < n && left > 0.5; i++)
		left -= left / of;
	return of - (u64)left;
}

static void count_sources(struct world *w, u64 now)
{
	struct source_count sum = {.from = w->from, .to = now};
	u64 all = 0, few = 0, full = 0, n;
	u32 i;

	for (i = 0; i < 3; i++) {
		const struct crowd *c = &w->crowds[i];

		sum.n += different(w->by_crowd[i], c->addresses);
		n = w->samples[i];
		all += n;
		few += c->addresses && c->addresses <= 16 ? n
		       : c->addresses                     ? n * 16 / c->addresses
							  : 0;
		full += c->addresses == 254 ? n : 0;
	}
	w->c.running = sum;
	w->sampled = (struct sampled){.worth = all < 400 ? all : 400};
	w->sampled.few = all ? (double)few / all : 0;
	w->sampled.fullest = all ? (double)full / all : 0;
}

/* As bpf/pressure.h does, with its usual bounds. */
static void press(struct world *w, u64 ms)
{
	bool over = w->half_open >= 256;

	if (ms % 100 == 0) {
		over |= w->window >= 500;
		w->window = 0;
	}
	if (over && !w->since)
		w->since = w->now.at;
}

static void look(struct world *w)
{
	traffic_add(&w->traffic, &w->now);
	count_sources(w, w->now.at);
	w->c.traffic = &w->traffic;
	w->c.now = w->now.at;
}

/* From `ms` until `to`; or, with to 0, until the attack is to be judged. False: there was none. */
static bool run(struct world *w, u64 *ms, u64 to)
{
	u64 i;

	for (; *ms < (to ? to : END); ++*ms) {
		w->now.at = T0 + *ms * STEP;
		for (i = 0; i < 3; i++)
			arrive(w, i, *ms);
		w->now.completed += w->ready[*ms];
		w->half_open -= w->ready[*ms];
		press(w, *ms);
		if ((*ms + w->clock_phase) % 1074 == 0) {
			count_sources(w, w->now.at);
			w->c.whole = w->c.running;
			w->from = w->now.at;
			memset(w->by_crowd, 0, sizeof(w->by_crowd));
		}
		if ((*ms + w->look_phase) % 250 == 0 ||
		    (w->since && w->now.at - w->since < JUDGE_AFTER && *ms % 50 == 0))
			look(w);
		if (!to && w->since && w->now.at - w->since >= JUDGE_AFTER)
			break;
	}
	look(w);
	return w->since;
}

static struct world world_of(const struct crowd *crowds, u32 n, u64 phase)
{
	struct world w = {.seed = 7 + phase,
			  .clock_phase = phase * 331 % 1074,
			  .look_phase = phase * 53 % 250,
			  .answers = true};

	memcpy(w.crowds, crowds, n * sizeof(*crowds));
	return w;
}

#define PHASES 8

static const char *const answers[SPOOFED_ANSWERS] = {"null", "no", "yes"};

static void check_judgement(const char *what, const struct world *w, enum spoofed must, u64 ms)
{
	struct judgement j = judge_spoofed(&w->c, &w->sampled, w->since);

	if (j.spoofed != must)
		fail_msg("%s, %d ms after it began: %s (%s, %d SYNs), must be %s", what,
			 (int)(ms - (w->since - T0) / STEP), answers[j.spoofed], j.why, (int)j.syns,
			 answers[must]);
}

/* When it is first told of, and two and five seconds later. */
static void check_mixture(const char *what, const struct crowd *crowds, u32 n, enum spoofed first,
			  enum spoofed then)
{
	for (u64 phase = 0; phase < PHASES; phase++) {
		struct world w = world_of(crowds, n, phase);
		u64 ms = 0;

		if (!run(&w, &ms, 0))
			fail_msg("%s: not noticed", what);
		check_judgement(what, &w, first, ms);
		run(&w, &ms, ms + 2000);
		check_judgement(what, &w, then, ms);
		run(&w, &ms, ms + 3000);
		check_judgement(what, &w, then, ms);
	}
}

#define NOBODY .complete = 0, .rtt_max = 0
/* clients who complete, as usual; from long before */
#define USUAL(n)                                                                                   \
	{                                                                                          \
		.rate = (n), .complete = 100, .rtt_min = 10, .rtt_max = 80                         \
	}

static void test_spoofed_flood(void **state)
{
	static const u64 rates[] = {200, 1000, 10000, 300000};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(rates); i++) {
		const struct crowd crowds[] = {
			{.rate = rates[i], .begin = 4000, NOBODY, .addresses = 65536}, USUAL(20)};

		check_mixture("flood from a /16", crowds, 2, SPOOFED_YES, SPOOFED_YES);
	}
}

/* The SYNs that are judged lie a second back, the sources that are counted do not: what comes after
 * a flood must not be taken for it. */
static void test_spoofed_flood_is_over(void **state)
{
	const struct crowd crowds[] = {{.rate = 20000, .begin = 4000, .end = 8000, NOBODY},
				       {.rate = 5, .complete = 100, .addresses = 1}};

	(void)state;
	for (u64 phase = 0; phase < PHASES; phase++) {
		struct world w = world_of(crowds, 2, phase);
		u64 ms = 0;

		assert_true(run(&w, &ms, 0));
		while (ms < 12000) {
			run(&w, &ms, ms + 50);
			if (judge_spoofed(&w.c, &w.sampled, w.since).spoofed == SPOOFED_NO)
				fail_msg("real, %d ms after the flood", (int)ms - 8000);
		}
	}
}

static void test_spoofed_beside_clients(void **state)
{
	const struct crowd busy[] = {{.rate = 10000, .begin = 4000, NOBODY}, USUAL(2000)};
	const struct crowd large[] = {
		{.rate = 100000, .begin = 4000, NOBODY},
		{.rate = 10000, .begin = 4000, .complete = 95, .rtt_min = 20, .rtt_max = 300}};
	/* ten proxies with very many connections */
	const struct crowd proxies[] = {
		{.rate = 20000, .begin = 4000, NOBODY},
		{.rate = 3000, .complete = 100, .rtt_max = 30, .addresses = 10}};

	(void)state;
	check_mixture("flood beside clients", busy, 2, SPOOFED_YES, SPOOFED_YES);
	check_mixture("flood and a crowd", large, 2, SPOOFED_YES, SPOOFED_YES);
	check_mixture("flood beside proxies", proxies, 2, SPOOFED_YES, SPOOFED_YES);
}

static void test_spoofed_from_one_prefix(void **state)
{
	const struct crowd slow[] = {{.rate = 1000, .begin = 4000, NOBODY, .addresses = 254},
				     USUAL(20)};
	const struct crowd quick[] = {{.rate = 100000, .begin = 4000, NOBODY, .addresses = 254},
				      USUAL(20)};

	(void)state;
	check_mixture("flood from a /24", slow, 2, SPOOFED_YES, SPOOFED_YES);
	check_mixture("quick flood from a /24", quick, 2, SPOOFED_YES, SPOOFED_YES);
}

/* Many clients who all complete: never called spoofed, at no moment. */
static void test_flash_crowd(void **state)
{
	static const u32 rtts[][2] = {{0, 0},     {0, 30},  {100, 100},
				      {300, 300}, {0, 300}, {200, 300}};
	static const u64 rates[] = {1500, 10000, 50000};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(rtts); i++)
		for (u32 k = 0; k < ARRAY_SIZE(rates); k++)
			for (u64 phase = 0; phase < PHASES; phase++) {
				const struct crowd crowds[] = {{.rate = rates[k],
								.begin = 4000,
								.end = 6000,
								.complete = 97,
								.rtt_min = rtts[i][0],
								.rtt_max = rtts[i][1]},
							       USUAL(20)};
				struct world w = world_of(crowds, 2, phase);
				u64 ms = 0;

				if (!run(&w, &ms, 0))
					continue; /* no bound was reached */
				check_judgement("flash crowd", &w, SPOOFED_NO, ms);
				while (ms < 9000) {
					struct judgement j =
						judge_spoofed(&w.c, &w.sampled, w.since);

					assert_int_not_equal(j.spoofed, SPOOFED_YES);
					assert_int_equal(judge_reasons(&w.c, &bounds), 0);
					run(&w, &ms, ms + 250);
				}
			}
}

/* All of them within 50 ms. Not told apart at once, if they are at different distances. */
static void test_burst(void **state)
{
	(void)state;
	for (u64 phase = 0; phase < PHASES; phase++) {
		const struct crowd crowds[] = {{.rate = 100000,
						.begin = 4000,
						.end = 4050,
						.complete = 97,
						.rtt_max = 300},
					       USUAL(20)};
		struct world w = world_of(crowds, 2, phase);
		u64 ms = 0;

		assert_true(run(&w, &ms, 0));
		while (ms < 9000) {
			struct judgement j = judge_spoofed(&w.c, &w.sampled, w.since);

			assert_int_not_equal(j.spoofed, SPOOFED_YES);
			assert_int_equal(judge_reasons(&w.c, &bounds), 0);
			run(&w, &ms, ms + 250);
		}
	}
}

static void test_real_hosts(void **state)
{
	const struct crowd one[] = {{.rate = 10000, .begin = 4000, NOBODY, .addresses = 1},
				    USUAL(20)};
	const struct crowd ten[] = {{.rate = 400, .begin = 4000, NOBODY, .addresses = 10},
				    USUAL(20)};
	const struct crowd beside[] = {{.rate = 10000, .begin = 4000, NOBODY, .addresses = 1},
				       USUAL(2000)};
	const struct crowd bots[] = {{.rate = 20000,
				      .begin = 4000,
				      .complete = 100,
				      .rtt_min = 50,
				      .rtt_max = 250,
				      .addresses = 3000},
				     USUAL(20)};
	/* neither is clear */
	const struct crowd raw[] = {{.rate = 20000, .begin = 4000, NOBODY, .addresses = 100},
				    USUAL(20)};

	(void)state;
	check_mixture("one host", one, 2, SPOOFED_NO, SPOOFED_NO);
	check_mixture("ten hosts", ten, 2, SPOOFED_NO, SPOOFED_NO);
	check_mixture("one host beside clients", beside, 2, SPOOFED_NO, SPOOFED_NO);
	check_mixture("bots that complete", bots, 2, SPOOFED_NO, SPOOFED_NO);
	check_mixture("a hundred raw senders", raw, 2, SPOOFED_UNKNOWN, SPOOFED_UNKNOWN);
}

/* An overloaded server drops SYNs of real clients: no word, unless we answer ourselves. */
static void test_slow_server(void **state)
{
	const struct crowd crowds[] = {
		{.rate = 10000, .begin = 4000, .complete = 10, .rtt_max = 50}, USUAL(20)};

	(void)state;
	for (int answers_itself = 0; answers_itself < 2; answers_itself++) {
		struct world w = world_of(crowds, 2, 0);
		u64 ms = 0;

		w.answers = answers_itself;
		w.c.server_slow = true;
		assert_true(run(&w, &ms, 0));
		run(&w, &ms, ms + 4000);
		check_judgement("slow server", &w, answers_itself ? SPOOFED_YES : SPOOFED_UNKNOWN,
				ms);
		assert_int_equal(judge_reasons(&w.c, &bounds),
				 answers_itself ? ATTACK_COMPLETION | ATTACK_SOURCES : 0);
	}
}

/* ---- findings ---- */

/* The first ms at which `reason` is found, before `to`; 0: not at all. */
static u64 found_at(struct world *w, u32 reason, u64 to)
{
	u64 ms = 0;

	while (ms < to) {
		run(w, &ms, ms + 250);
		if (judge_reasons(&w->c, &bounds) & reason)
			return ms;
	}
	return 0;
}

static void test_completion(void **state)
{
	const struct crowd slow[] = {{.rate = 200, .begin = 4000, NOBODY}, USUAL(10)};
	const struct crowd below[] = {{.rate = 80, .begin = 4000, NOBODY}};
	const struct crowd many[] = {{.rate = 200, .begin = 4000, NOBODY}, USUAL(100)};
	const struct crowd far[] = {
		{.rate = 3000, .begin = 4000, .complete = 90, .rtt_min = 900, .rtt_max = 980}};

	(void)state;
	for (u64 phase = 0; phase < PHASES; phase++) {
		struct world w = world_of(slow, 2, phase);

		/* 200 SYNs have to be a second old */
		assert_in_range(found_at(&w, ATTACK_COMPLETION, END), 5000, 6500);
		w = world_of(below, 1, phase);
		assert_int_equal(found_at(&w, ATTACK_COMPLETION, END), 0);
		w = world_of(many, 2, phase); /* a third completes */
		assert_int_equal(found_at(&w, ATTACK_COMPLETION, END), 0);
		w = world_of(far, 1, phase);
		assert_int_equal(found_at(&w, ATTACK_COMPLETION | ATTACK_SOURCES, END), 0);
	}
}

static void test_completion_is_counted(void **state)
{
	for (u32 percent = 0; percent <= 100; percent += 10) {
		const struct crowd crowds[] = {
			{.rate = 2000, .complete = percent, .rtt_min = 20, .rtt_max = 400}};
		struct world w = world_of(crowds, 1, percent);
		u64 ms = 0;
		int is;

		run(&w, &ms, 200);
		assert_int_equal(judge_completion(&w.traffic, w.now.at), -1);
		run(&w, &ms, 8000);
		is = judge_completion(&w.traffic, w.now.at);
		assert_in_range(is + 5, percent + 2, percent + 8);
		assert_in_range(traffic_rate(&w.traffic), 1980, 2020);
	}
	(void)state;
}

static void test_sources(void **state)
{
	const struct crowd flood[] = {{.rate = 4000, .begin = 4000, NOBODY}};
	const struct crowd fewer[] = {{.rate = 2000, .begin = 4000, NOBODY}};
	const struct crowd hosts[] = {{.rate = 4000, .begin = 4000, NOBODY, .addresses = 2000}};
	const struct crowd half[] = {{.rate = 4000, .begin = 4000, NOBODY},
				     {.rate = 5000, .complete = 100, .rtt_max = 300}};

	(void)state;
	for (u64 phase = 0; phase < PHASES; phase++) {
		struct world w = world_of(flood, 1, phase);

		assert_in_range(found_at(&w, ATTACK_SOURCES, END), 5000, 6500);
		w = world_of(fewer, 1, phase);
		assert_int_equal(found_at(&w, ATTACK_SOURCES, END), 0);
		w = world_of(hosts, 1, phase);
		assert_int_equal(found_at(&w, ATTACK_SOURCES, END), 0);
		w = world_of(half, 2, phase);
		assert_int_equal(found_at(&w, ATTACK_SOURCES, END), 0);
	}
}

static void test_queue_and_never(void **state)
{
	const struct crowd crowds[] = {{.rate = 10000, NOBODY}};
	struct world w = world_of(crowds, 1, 0);
	struct detect_bounds never = {0};
	u64 ms = 0;

	(void)state;
	run(&w, &ms, 6000);
	assert_int_equal(judge_reasons(&w.c, &bounds), ATTACK_COMPLETION | ATTACK_SOURCES);
	w.c.overflowed = true;
	assert_int_equal(judge_reasons(&w.c, &bounds),
			 ATTACK_COMPLETION | ATTACK_SOURCES | ATTACK_QUEUE);
	assert_int_equal(judge_reasons(&w.c, &never), 0);
	w.c.server_slow = true;
	w.traffic.n = 0;
	assert_int_equal(judge_reasons(&w.c, &bounds), ATTACK_QUEUE);
}

/* ---- the course of counters ---- */

static void test_traffic(void **state)
{
	struct traffic t = {0};
	struct traffic_look l = {.at = T0, .syns = 100, .completed = 50, .cookies = 7};

	(void)state;
	assert_int_equal(traffic_between(&t, 0, T0).syns, 0);
	assert_int_equal(traffic_rate(&t), 0);
	assert_true(traffic_add(&t, &l));
	assert_int_equal(traffic_between(&t, 0, 2 * T0).syns, 0);
	assert_false(traffic_add(&t, &l));
	l.at += 500 * NS_PER_MS;
	l.syns += 1000;
	l.completed += 10;
	assert_true(traffic_add(&t, &l));
	assert_int_equal(traffic_rate(&t), 2000);
	assert_int_equal(traffic_between(&t, T0, l.at).syns, 1000);
	assert_int_equal(traffic_between(&t, 0, 2 * T0).syns, 1000);
	assert_int_equal(traffic_between(&t, 0, 2 * T0).completed, 10);
	assert_int_equal(traffic_between(&t, T0 + 100 * NS_PER_MS, T0 + 200 * NS_PER_MS).syns, 200);
	assert_int_equal(traffic_between(&t, l.at, T0).syns, 0);
	/* another service: a course of its own */
	l = (struct traffic_look){.at = l.at + 10, .syns = 3};
	assert_true(traffic_add(&t, &l));
	assert_int_equal(traffic_begin(&t), traffic_end(&t));
	assert_int_equal(traffic_between(&t, 0, 2 * T0).syns, 0);
}

/* More looks than are kept: the oldest are forgotten, the rest is right. */
static void test_traffic_is_bounded(void **state)
{
	struct traffic t = {0};
	struct traffic_look l = {.at = T0};

	(void)state;
	for (int i = 0; i < 5 * TRAFFIC_LOOKS + 3; i++) {
		assert_true(traffic_add(&t, &l));
		if (i >= TRAFFIC_LOOKS) {
			assert_int_equal(traffic_end(&t) - traffic_begin(&t),
					 (TRAFFIC_LOOKS - 1) * TRAFFIC_LOOK_NS);
			assert_int_equal(traffic_rate(&t), 20000);
		}
		l.at += TRAFFIC_LOOK_NS;
		l.syns += 1000;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spoofed_flood),
		cmocka_unit_test(test_spoofed_flood_is_over),
		cmocka_unit_test(test_spoofed_beside_clients),
		cmocka_unit_test(test_spoofed_from_one_prefix),
		cmocka_unit_test(test_flash_crowd),
		cmocka_unit_test(test_burst),
		cmocka_unit_test(test_real_hosts),
		cmocka_unit_test(test_slow_server),
		cmocka_unit_test(test_completion),
		cmocka_unit_test(test_completion_is_counted),
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_queue_and_never),
		cmocka_unit_test(test_traffic),
		cmocka_unit_test(test_traffic_is_bounded),
	};

	return cmocka_run_group_tests_name("detection", tests, NULL, NULL);
}
