// SPDX-License-Identifier: GPL-2.0-only
#include "judge.h"

#define SAMPLES_MIN 20 /* fewer say nothing */

static u64 before(u64 now, u64 ns)
{
	return now > ns ? now - ns : 0;
}

static u64 later(u64 a, u64 b)
{
	return a > b ? a : b;
}

/* ---- is it an attack? ---- */

struct share {
	u64 syns, completed;
};

/* Of the SYNs that have had the time for it. */
static struct share completion(const struct traffic *t, u64 now)
{
	u64 to = before(now, JUDGE_LAG_NS), from = before(to, JUDGE_SPAN_NS);

	return (struct share){traffic_between(t, from, to).syns,
			      traffic_completions(t, from, to, JUDGE_LAG_NS)};
}

int judge_completion(const struct traffic *t, u64 now)
{
	struct share s = completion(t, now);

	return s.syns < JUDGE_SYNS_MIN ? -1 : (int)(s.completed * 100 / s.syns);
}

/* SYNs of real clients are lost, and their handshakes with them. */
static bool blind(const struct circumstances *c)
{
	struct traffic_sum s =
		traffic_between(c->traffic, before(c->now, JUDGE_SPAN_NS + JUDGE_LAG_NS), c->now);

	return c->server_slow && s.cookies * 2 < s.syns;
}

u32 judge_reasons(const struct circumstances *c, const struct detect_bounds *b)
{
	struct share s = completion(c->traffic, c->now);
	u64 sources = later(c->whole.n, c->running.n);
	u32 reasons = 0;

	if (c->overflowed && b->queue_overflow)
		reasons |= ATTACK_QUEUE;
	if (blind(c))
		return reasons;
	if (b->completion_below &&
	    s.syns >= (u64)b->completion_from * (JUDGE_SPAN_NS / NS_PER_SEC) &&
	    s.completed * 100 < s.syns * b->completion_below)
		reasons |= ATTACK_COMPLETION;
	if (b->sources_above && sources > b->sources_above && s.syns >= JUDGE_SYNS_MIN &&
	    s.completed * 2 < s.syns)
		reasons |= ATTACK_SOURCES;
	return reasons;
}

/* ---- are the sources spoofed? ---- */

struct span {
	u64 from, to;
};

/* From the beginning of the attack, but no more than a second. If that has too few SYNs, those
 * before it too: what made a service fill up slowly came before the bound was reached. */
static struct span choose_span(const struct circumstances *c, u64 since, u64 rtt)
{
	u64 to = before(c->now, rtt), least = before(to, JUDGE_SPAN_NS);
	struct span s = {later(since, before(to, NS_PER_SEC)), to};

	if (s.from > to)
		s.from = to;
	while (s.from > least && traffic_between(c->traffic, s.from, to).syns < JUDGE_SYNS)
		s.from = later(before(s.from, 50 * NS_PER_MS), least);
	return s;
}

/* How much of everything, 0 to 1. */
struct shares {
	double completed; /* at least */
	double perhaps;   /* at most */
	double open;      /* not completed */
	double few;       /* from the busiest addresses */
};

static double ratio(u64 part, u64 of)
{
	return !of ? 0 : part < of ? (double)part / (double)of : 1;
}

static const struct source_count *best_count(const struct circumstances *c)
{
	const struct traffic *t = c->traffic;
	u64 whole = traffic_between(t, c->whole.from, c->whole.to).syns;
	u64 running = traffic_between(t, c->running.from, c->running.to).syns;

	return running > whole ? &c->running : &c->whole;
}

/* SYNs whose sources were counted: after an attack these are only the last few, of others. */
static u64 counted_syns(const struct circumstances *c)
{
	const struct source_count *count = best_count(c);

	return traffic_between(c->traffic, count->from, count->to).syns;
}

/* Does what is not completed come from all over? Sources that complete are no more than the
 * connections that do: the others are at least `open_sources`. */
static bool is_spread(const struct circumstances *c, const struct sampled *s)
{
	const struct source_count *count = best_count(c);
	struct traffic_sum sum = traffic_between(c->traffic, count->from, count->to);
	u64 open_sources = before(count->n, sum.completed);
	u64 open_syns = before(sum.syns, sum.completed);

	if (count->n < SPREAD_MIN)
		return false;
	if (s->worth >= SAMPLES_MIN && s->fullest * (double)count->n >= SPREAD_FULL)
		return true;
	return open_sources >= SPREAD_MIN &&
	       (open_sources >= SPREAD_MANY || open_syns <= open_sources * SPREAD_RATE);
}

static double share_of_few(const struct circumstances *c, const struct sampled *s)
{
	if (best_count(c)->n <= 16)
		return 1;
	return s->worth >= SAMPLES_MIN ? s->few : 0;
}

static struct judgement say(enum spoofed spoofed, const char *why)
{
	return (struct judgement){.spoofed = spoofed, .why = why};
}

static struct judgement judge(const struct circumstances *c, const struct sampled *s,
			      const struct shares *h)
{
	double few_open = h->few < h->open ? h->few : h->open;

	if (h->completed >= 0.7)
		return say(SPOOFED_NO, "most clients complete their handshakes");
	/* even if all that is completed were theirs */
	if (h->few - h->completed >= h->open / 2)
		return say(SPOOFED_NO, "a few addresses send most of it");
	if (h->completed >= 0.5 || h->perhaps >= 0.75)
		return say(SPOOFED_UNKNOWN, "many clients complete their handshakes, many do not");
	if (blind(c))
		return say(SPOOFED_UNKNOWN,
			   "the server is too slow: SYNs of real clients are lost too");
	if (few_open > h->open / 2 || !is_spread(c, s))
		return say(SPOOFED_UNKNOWN, "few complete their handshakes, but not so many "
					    "addresses send much");
	return say(SPOOFED_YES, "very many addresses, and hardly any completes a handshake");
}

/* All that were completed since these SYNs began to come, but for what is usual here. */
static u64 completed_since(const struct circumstances *c, u64 since, const struct span *s, u64 rtt)
{
	u64 sum = traffic_between(c->traffic, s->from, s->to + rtt).completed;
	u64 usual = traffic_between(c->traffic, before(since, NS_PER_SEC), since).completed;

	return before(sum, usual * (rtt / NS_PER_MS) / 1000);
}

struct judgement judge_spoofed(const struct circumstances *c, const struct sampled *s, u64 since)
{
	bool late = elapsed(c->now, since) > 2 * NS_PER_SEC;
	u64 rtt = late ? JUDGE_RTT_LATER : JUDGE_RTT;
	struct span span = choose_span(c, since, rtt);
	u64 syns = traffic_between(c->traffic, span.from, span.to).syns;
	u64 completed = traffic_completions(c->traffic, span.from, span.to, rtt);
	u64 perhaps = late ? completed : completed_since(c, since, &span, rtt);
	struct judgement j = say(SPOOFED_UNKNOWN, "too few SYNs for a word");
	struct shares h = {
		.completed = ratio(completed, syns),
		.perhaps = ratio(perhaps, syns),
		.few = share_of_few(c, s),
	};

	h.open = 1 - h.completed;
	if (syns >= JUDGE_SYNS_MIN && counted_syns(c) >= JUDGE_SYNS_MIN)
		j = judge(c, s, &h);
	j.syns = syns;
	j.completion = syns >= JUDGE_SYNS_MIN ? (int)(completed * 100 / syns) : -1;
	return j;
}
