/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Telling user space. What cannot be told is counted.
 */
#ifndef SYNSTILE_EVENT_BPF_H
#define SYNSTILE_EVENT_BPF_H

#include "clock.h"
#include "maps.bpf.h"
#include "packet.h"
#include "pressure.h"
#include "synstile/event.h"
#include "synstile/oddity.h"
#include "tcp_state.h"

static __always_inline void event_lost(u32 type, u32 stage)
{
	u64 *n = map_at(&lost, type * LOST_STAGES + stage);

	if (n) /* the sweep can be interrupted by packets on its CPU */
		__sync_fetch_and_add(n, 1);
}

static __always_inline void count_oddity(u32 which)
{
	u64 *n = map_at(&oddities, which);

	if (n)
		(*n)++; /* per CPU, and XDP and TC do not interrupt each other */
}

/* May this CPU tell of one more in this second? */
static __always_inline bool event_allowed(u32 type)
{
	u64 second = bpf_ktime_get_coarse_ns() >> 30; /* nearly: no division for this */
	struct event_limit *l = map_at(&limits, type);

	if (!l)
		return false;
	if (l->second != second) {
		l->second = second;
		l->n = 0;
	}
	if (l->n >= EVENT_LIMIT) {
		event_lost(type, LOST_LIMITED);
		return false;
	}
	l->n++;
	return true;
}

/* NULL: no room. All of it must then be written: the ring holds old events. */
static __always_inline struct event *event_reserve(void)
{
	return bpf_ringbuf_reserve(&events, sizeof(struct event), 0);
}

/* The reader looks by itself, so that events wake nobody up; unless it is late. */
static __always_inline void event_submit(struct event *e)
{
	u64 waiting = bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA);

	bpf_ringbuf_submit(e,
			   waiting > EVENT_RING_BYTES / 4 ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
}

/* Everything before the union; that is cleared. */
static __always_inline void event_head(struct event *e, u32 type, u32 ifindex)
{
	__builtin_memset(e, 0, sizeof(*e));
	e->time = bpf_ktime_get_ns();
	e->type = type;
	e->ifindex = ifindex;
}

static __always_inline void event_flow(struct event *e, const struct flow *f,
				       const struct flow_key *key, u32 side)
{
	e->key = *key;
	e->opened = f->opened;
	e->side = side;
	e->flags = f->flags;
	e->admission = f->admission;
	e->service = f->service;
	e->end = f->end;
}

static __always_inline void event_states(struct event *e, const struct flow *f, u32 old, u32 new)
{
	const struct flow_side *r = &f->side[REMOTE], *l = &f->side[LOCAL];

	e->state.old[REMOTE] = flow_state(old, REMOTE);
	e->state.old[LOCAL] = flow_state(old, LOCAL);
	e->state.new[REMOTE] = flow_state(new, REMOTE);
	e->state.new[LOCAL] = flow_state(new, LOCAL);
	e->state.n = flow_changes(new);
	e->state.syns[REMOTE] = r->syns;
	e->state.syns[LOCAL] = l->syns;
	e->state.isn[REMOTE] = r->isn;
	e->state.isn[LOCAL] = l->isn;
	e->state.rtt_us = f->rtt_us;
	e->state.age = elapsed(e->time, r->entered > l->entered ? r->entered : l->entered);
}

/* Global: these are rare, and verified once. */
__noinline int event_retransmission(struct flow *f, struct flow_key *key, struct tcp_segment *t,
				    u32 side, u32 ifindex)
{
	struct event *e;

	if (!f || !key || !t || side >= SIDES || !event_allowed(EVENT_RETRANSMISSION))
		return 0;
	e = event_reserve();
	if (!e) {
		event_lost(EVENT_RETRANSMISSION, LOST_RING);
		return 0;
	}
	event_head(e, EVENT_RETRANSMISSION, ifindex);
	event_flow(e, f, key, side);
	e->rtx.seq = t->seq;
	e->rtx.len = t->len;
	e->rtx.segments = t->segments;
	e->rtx.total = f->side[side & 1].rtx;
	e->rtx.syn = !!(t->flags & TCP_SYN);
	e->rtx.syns = f->side[side & 1].syns;
	event_submit(e);
	return 0;
}

__noinline int event_keepalive(struct flow *f, struct flow_key *key, u32 side, u32 ifindex)
{
	struct event *e;

	if (!f || !key || side >= SIDES || !event_allowed(EVENT_KEEPALIVE))
		return 0;
	e = event_reserve();
	if (!e) {
		event_lost(EVENT_KEEPALIVE, LOST_RING);
		return 0;
	}
	event_head(e, EVENT_KEEPALIVE, ifindex);
	event_flow(e, f, key, side);
	e->keepalive.unanswered = f->side[(side ^ 1) & 1].probed;
	e->keepalive.total = f->side[side & 1].keepalives;
	event_submit(e);
	return 0;
}

/* An attack on this service begins, goes on or ends. */
__noinline int event_attack(u32 service, u32 type)
{
	struct pressure *p = map_at(&pressure, service);
	struct service *s = service_now(service);
	struct event *e;

	if (!p || !s)
		return 0;
	e = event_reserve();
	if (!e) {
		event_lost(type & 15, LOST_RING);
		return 0;
	}
	event_head(e, type, 0);
	e->service = service;
	e->attack.rate = p->rate;
	e->attack.since = type == EVENT_ATTACK_END ? p->lasted_ms * NS_PER_MS : p->since;
	e->attack.attacks = p->attacks;
	e->attack.half_open = pressure_count(p);
	e->attack.half_open_bound = s->half_open_attack_above;
	e->attack.rate_bound = s->rate_attack_above;
	e->attack.reasons = type == EVENT_ATTACK_END ? p->reasons : pressure_reasons(p, s, e->time);
	event_submit(e);
	return 0;
}

static __always_inline void event_pressure(u32 service, u32 change)
{
	if (change != PRESSURE_SAME)
		event_attack(service,
			     change == PRESSURE_BEGAN ? EVENT_ATTACK_START : EVENT_ATTACK_END);
}

#endif
