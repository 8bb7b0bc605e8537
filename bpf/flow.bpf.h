/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The flow table: entering connections, and moving them on as segments come.
 *
 * One table holds half-open and open connections, so that a segment costs one
 * look-up. A flood cannot push connections out of it: entries are never evicted,
 * half-open ones are bounded by their service's attack bound, and a SYN that gets a cookie
 * enters nothing. A table that is full loses knowledge, not connections: what
 * it lacks is asked of the stack (sock.bpf.h).
 */
#ifndef SYNSTILE_FLOW_BPF_H
#define SYNSTILE_FLOW_BPF_H

#include "account.bpf.h"
#include "clock.h"
#include "cookie.h"
#include "options.bpf.h"
#include "packet.h"
#include "sock.bpf.h"

/* What everything about one packet is decided from. The segment is apart because
 * pointers cannot be handed to global functions in memory. */
struct scene {
	struct segment seg;
	void *ctx;
	struct settings *set;
	struct shared *shared;
	struct service *service;
	struct pressure *pressure;
	struct port_entry *port;
};

static __always_inline bool flow_expired(const struct flow *f, u64 now)
{
	if (f->state == FLOW_HALF_OPEN)
		return elapsed(now, f->since) > FLOW_HALF_OPEN_NS;
	return f->state == FLOW_CLOSED && elapsed(now, f->since) > FLOW_CLOSED_NS;
}

static __always_inline void flow_enter_state(struct flow *f, u8 state, u64 now)
{
	f->state = state;
	f->since = now;
}

/* The counter of this tuple in the filter; NULL never. */
static __always_inline u32 *flow_counter(const struct flow_key *key)
{
	u32 hash = flow_filter_hash(key);
	struct flow_filter *line = map_at(&filter, hash / FLOW_FILTER_SLOTS);

	return line ? &line->n[hash % FLOW_FILTER_SLOTS] : NULL;
}

static __always_inline void flow_count(const struct flow_key *key, s32 by)
{
	u32 *n = flow_counter(key);

	if (n)
		__sync_fetch_and_add(n, by);
}

/* All removals go this way. True if it was there. */
static __always_inline bool flow_remove(const struct flow_key *key)
{
	if (bpf_map_delete_elem(&flows, key))
		return false;
	flow_count(key, -1);
	return true;
}

/* Is the table known to lack connections that the stack may have? */
static __always_inline bool flows_incomplete(const struct shared *sh, u64 now)
{
	return sh->table_full && elapsed(now, sh->table_full) < 2 * FLOW_CLOSED_NS;
}

static __always_inline bool flow_insert(struct scene *s, struct flow *f)
{
	f->since = f->seen = s->seg.now;
	f->service = s->seg.service;
	f->isn_remote = s->seg.pkt.seq;
	flow_count(&s->seg.pkt.key, 1);
	if (!bpf_map_update_elem(&flows, &s->seg.pkt.key, f, BPF_NOEXIST))
		return true;
	flow_count(&s->seg.pkt.key, -1);
	/* -E2BIG: full. -EEXIST: another CPU was first, and knows the same. */
	if (!bpf_map_lookup_elem(&flows, &s->seg.pkt.key))
		s->shared->table_full = s->seg.now;
	return false;
}

/* A client that has just proven a cookie. TC reads here what the stack must know. */
static __always_inline void flow_of_cookie(struct flow *f, const struct packet *pkt,
					   const struct settings *set,
					   const struct cookie_offer *offer)
{
	f->state = FLOW_PROVEN;
	f->admission = ADMIT_COOKIE;
	f->mss = offer->mss;
	f->isn_local = pkt->ack - 1;
	f->snd_wscale = offer->wscale;
	f->rcv_wscale = set->rcv_wscale;
	f->flags = FLOW_ISN_LOCAL | offer->features | (pkt->flags & TCP_FIN ? FLOW_FIN_REMOTE : 0);
}

/* A SYN goes to the stack. Beyond the bound (mode observe under attack) it is not followed. */
static __always_inline void flow_half_open(struct scene *s)
{
	struct flow f = {.state = FLOW_HALF_OPEN, .admission = ADMIT_CALM};

	if (s->pressure->half_open > (s32)s->service->half_open_attack_above)
		return;
	if (flow_insert(s, &f))
		pressure_half_open(s->pressure, s->service, s->seg.now);
}

/* A SYN for a tuple that has an entry: the stack decides, we follow. */
static __always_inline void flow_syn_again(struct scene *s, struct flow *f)
{
	if (f->state == FLOW_CLOSED) {
		flow_enter_state(f, FLOW_HALF_OPEN, s->seg.now);
		f->flags = 0;
		f->admission = ADMIT_CALM;
		pressure_half_open(s->pressure, s->service, s->seg.now);
	}
	if (f->state == FLOW_HALF_OPEN)
		f->isn_remote = s->seg.pkt.seq;
}

static __always_inline void flow_delete(struct scene *s, struct flow *f, struct pressure *p)
{
	bool half_open = f->state == FLOW_HALF_OPEN;

	if (flow_remove(&s->seg.pkt.key) && half_open && p)
		pressure_half_open_done(p);
}

/* A FIN by one side (flag: which); the second one closes. */
static __always_inline void flow_fin(struct flow *f, u8 flag, u64 now)
{
	const u8 both = FLOW_FIN_LOCAL | FLOW_FIN_REMOTE;

	f->flags |= flag;
	if ((f->flags & both) == both) {
		if (f->state != FLOW_CLOSED)
			flow_enter_state(f, FLOW_CLOSED, now);
	} else if (f->state == FLOW_OPEN) {
		flow_enter_state(f, FLOW_CLOSING, now);
	}
}

/* The stack has made the socket of a proven client. */
static __always_inline void flow_taken(struct flow *f, u64 now)
{
	flow_enter_state(f, f->flags & FLOW_FIN_REMOTE ? FLOW_CLOSING : FLOW_OPEN, now);
}

static __always_inline enum synstile_verdict flow_half_open_segment(struct scene *s, struct flow *f)
{
	struct pressure *p = map_at(&pressure, f->service);
	const struct packet *pkt = &s->seg.pkt;
	bool done;

	if (pkt->flags & TCP_RST) {
		/* the client refuses our SYN-ACK: RFC 9293 3.10.7.4 wants its exact next number */
		if (pkt->seq == f->isn_remote + 1)
			flow_delete(s, f, p);
		return V_HALF_OPEN;
	}
	if (f->flags & FLOW_ISN_LOCAL)
		done = pkt->ack == f->isn_local + 1;
	else /* the SYN-ACK left another way: let the stack tell */
		done = sock_state(s->ctx, pkt) == SK_ESTABLISHED;
	if (!done)
		return V_HALF_OPEN;
	flow_enter_state(f, FLOW_OPEN, s->seg.now);
	if (p)
		pressure_half_open_done(p);
	return V_HANDSHAKE;
}

/* A segment without SYN from the far side, of a connection in the table. */
static __always_inline enum synstile_verdict flow_segment(struct scene *s, struct flow *f)
{
	if (elapsed(s->seg.now, f->seen) > FLOW_SEEN_NS)
		f->seen = s->seg.now;
	if (f->state == FLOW_HALF_OPEN)
		return flow_half_open_segment(s, f);
	if (f->state == FLOW_PROVEN) {
		if (s->seg.pkt.flags & TCP_FIN)
			f->flags |= FLOW_FIN_REMOTE;
		if (s->seg.pkt.ack == f->isn_local + 1) {
			s->shared->proven = s->seg.now; /* wakes TC */
			return V_COOKIE_AGAIN;
		}
		flow_taken(f, s->seg.now); /* the client has data of the server's */
	}
	if (s->seg.pkt.flags & TCP_RST)
		/* If it was a blind one the connection lives, and its next segment is adopted. */
		flow_delete(s, f, NULL);
	else if (s->seg.pkt.flags & TCP_FIN)
		flow_fin(f, FLOW_FIN_REMOTE, s->seg.now);
	return V_KNOWN;
}

/* The stack has a socket for this segment, in this state, but we have no entry. */
static __always_inline enum synstile_verdict flow_adopt(struct scene *s, u32 state)
{
	struct flow f = {.admission = ADMIT_ADOPTED};

	if (state == SK_NEW_SYN_RECV || state == SK_SYN_SENT)
		return V_HALF_OPEN;
	f.state = state == SK_TIME_WAIT   ? FLOW_CLOSED
		  : state >= SK_FIN_WAIT1 ? FLOW_CLOSING
					  : FLOW_OPEN;
	flow_insert(s, &f);
	return V_ADOPTED;
}

#endif
