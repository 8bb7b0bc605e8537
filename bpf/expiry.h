/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * When a connection's record has outlived it, and why. Pure.
 */
#ifndef SYNSTILE_EXPIRY_H
#define SYNSTILE_EXPIRY_H

#include "clock.h"
#include "synstile/flow.h"
#include "synstile/service.h"
#include "synstile/settings.h"
#include "syn_timeout.h"

/* Linux gives up a connection that nobody owns any more, and whose FIN is not answered, in
 * less time than this (tcp_orphan_retries, 8: about 100 s). */
#define FLOW_ORPHAN_NS (127 * NS_PER_SEC)

static inline __attribute__((always_inline)) u64 later(u64 a, u64 b)
{
	return a > b ? a : b;
}

/* The last segment of either side. */
static inline __attribute__((always_inline)) u64 flow_seen(const struct flow *f)
{
	return later(f->opened, later(f->side[REMOTE].seen, f->side[LOCAL].seen));
}

/* How long this connection's handshake may take. */
static inline __attribute__((always_inline)) u64 flow_syn_ns(const struct flow *f,
							     const struct service *s,
							     const struct pressure *p,
							     const struct settings *set)
{
	u64 ms = f->flags & FLOW_OPENED_LOCAL ? set->syn_sent_ms : syn_timeout_ms(s, p);

	return ms ? ms * NS_PER_MS : FLOW_SYN_NS;
}

/* Does `side` ask in vain whether the other one is there? `seen` is the time of its last probe,
 * to within FLOW_SEEN_NS. */
static inline __attribute__((always_inline)) bool flow_dead(const struct flow *f, u32 side,
							    const struct settings *set, u64 now)
{
	u32 unanswered = f->side[side == REMOTE ? LOCAL : REMOTE].probed;

	return set->keepalive_probes && unanswered >= set->keepalive_probes &&
	       elapsed(now, f->side[side].seen) >
		       set->keepalive_intvl_ms * NS_PER_MS + 2 * FLOW_SEEN_NS;
}

/* Has `side` sent what the other one has not acknowledged? */
static inline __attribute__((always_inline)) bool flow_waits(const struct flow *f, u32 side)
{
	const struct flow_side *s = &f->side[side], *o = &f->side[side == REMOTE ? LOCAL : REMOTE];

	return s->flags & SIDE_NXT && (!(o->flags & SIDE_ACKED) || o->acked != s->nxt);
}

/*
 * A stack may drop a connection and say nothing: a process that connects is killed, a FIN or
 * data is not acknowledged for long, a closed process's FIN-WAIT-2 has lasted a minute. Whether it
 * did can be asked only of the host's; handshakes with services have their own comparison.
 */
static inline __attribute__((always_inline)) bool flow_doubtful(const struct flow *f, u64 now)
{
	if (elapsed(now, flow_seen(f)) < FLOW_DOUBT_NS)
		return false;
	switch (flow_phase(f->word)) {
	case FLOW_HALF_OPEN:
		return f->flags & FLOW_OPENED_LOCAL;
	case FLOW_OPEN:
		return flow_waits(f, LOCAL);
	case FLOW_CLOSING:
		return true;
	}
	return false;
}

/* enum flow_end; END_NONE: it lives. */
static inline __attribute__((always_inline)) u8 flow_expired(const struct flow *f,
							     const struct service *s,
							     const struct pressure *p,
							     const struct settings *set, u64 now)
{
	u64 changed = later(f->side[REMOTE].entered, f->side[LOCAL].entered);
	u64 silent = elapsed(now, flow_seen(f));
	u8 remote = flow_state(f->word, REMOTE), local = flow_state(f->word, LOCAL);

	switch (flow_phase(f->word)) {
	case FLOW_HALF_OPEN:
		return elapsed(now, f->opened) > flow_syn_ns(f, s, p, set) ? END_SYN_TIMEOUT
									   : END_NONE;
	case FLOW_PROVEN: /* the client may repeat itself as long as its cookie lives */
		return silent > 2 * FLOW_SYN_NS ? END_SYN_TIMEOUT : END_NONE;
	case FLOW_CLOSED:
		if (f->end)
			return elapsed(now, changed) > FLOW_RESET_NS ? f->end : END_NONE;
		if (elapsed(now, changed) <= FLOW_CLOSED_NS || silent <= FLOW_CLOSED_NS)
			return END_NONE;
		return (remote == ST_TIME_WAIT || remote == ST_CLOSED) &&
				       (local == ST_TIME_WAIT || local == ST_CLOSED)
			       ? END_FIN
			       : END_CLOSE_TIMEOUT;
	case FLOW_CLOSING:
		if (silent > FLOW_ORPHAN_NS && (remote == ST_FIN_WAIT_1 || local == ST_FIN_WAIT_1))
			return END_CLOSE_TIMEOUT;
	}
	if (flow_dead(f, LOCAL, set, now) || flow_dead(f, REMOTE, set, now))
		return END_DEAD_PEER;
	return silent > FLOW_IDLE_NS ? END_IDLE : END_NONE;
}

#endif
