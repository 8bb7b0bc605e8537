/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The flow table: entering connections, and moving them on as segments come.
 *
 * One table holds half-open and open connections, so that a segment costs one
 * look-up. A flood cannot push connections out of it: entries are never evicted,
 * half-open ones are bounded by their service's attack bound, and a SYN that gets a cookie
 * enters nothing. A table that is full loses knowledge, not connections: what
 * it lacks is asked of the stack (sock.bpf.h).
 *
 * What a segment means for the states of both ends is in tcp_state.h.
 */
#ifndef SYNSTILE_FLOW_BPF_H
#define SYNSTILE_FLOW_BPF_H

#include <bpf/bpf_endian.h>
#include "account.bpf.h"
#include "clock.h"
#include "cookie.h"
#include "expiry.h"
#include "handshake.bpf.h"
#include "options.bpf.h"
#include "packet.h"
#include "sock.bpf.h"
#include "tcp_state.h"

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

/* ---- in and out of the table ---- */

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

/* The record, asking the filter first: for packets that mostly belong to none. */
static __always_inline struct flow *flow_find(const struct flow_key *key)
{
	u32 *n = flow_counter(key);

	return n && *n ? bpf_map_lookup_elem(&flows, key) : NULL;
}

/* All removals go this way. (Before 6.2 the key of a map may not be what a global function got
 * as its argument: "R2 type=mem expected=fp", hence the copy.) */
static __always_inline void flow_remove(const struct flow_key *key)
{
	struct flow_key mine = *key;

	if (!bpf_map_delete_elem(&flows, &mine))
		flow_count(key, -1);
}

/* Is the table known to lack connections that the stack may have? */
static __always_inline bool flows_incomplete(const struct shared *sh, u64 now)
{
	return sh->table_full && elapsed(now, sh->table_full) < 2 * FLOW_CLOSED_NS;
}

static __always_inline bool flow_insert(const struct flow_key *key, const struct flow *f)
{
	struct shared *sh = map_at(&shared, 0);
	struct flow_key mine = *key; /* see flow_remove() */

	flow_count(key, 1);
	if (!bpf_map_update_elem(&flows, &mine, f, BPF_NOEXIST))
		return true;
	flow_count(key, -1);
	/* -E2BIG: full. -EEXIST: another CPU was first, and knows the same. */
	if (!bpf_map_lookup_elem(&flows, &mine) && sh) {
		sh->table_full = bpf_ktime_get_coarse_ns();
		count_oddity(ODD_UNFOLLOWED);
	}
	return false;
}

/* A new record, not in the table yet. NULL never. */
static __always_inline struct flow *flow_new(u16 service, u8 admission, u64 now)
{
	struct flow *f = map_at(&scratch, 0);

	if (!f)
		return NULL;
	__builtin_memset(f, 0, sizeof(*f));
	f->opened = now;
	f->side[REMOTE].entered = f->side[LOCAL].entered = now;
	f->service = service;
	f->admission = admission;
	return f;
}

/* ---- changes of state ---- */

/* Half-open connections to a service count as its pressure. One that was half-open when
 * synstile came was never counted. */
static __always_inline void flow_press(const struct flow *f, u32 old, u32 new, u64 now)
{
	bool was = flow_phase(old) == FLOW_HALF_OPEN, is = flow_phase(new) == FLOW_HALF_OPEN;
	struct pressure *p = map_at(&pressure, f->service);
	struct service *s = service_now(f->service);

	if (was == is || f->flags & FLOW_JOINED || !f->service || !p || !s)
		return;
	if (was) {
		pressure_half_open_done(p);
		handshake_ended(f->service, handshake_outcome(flow_phase(new), f->end),
				elapsed(now, f->opened) / 1000);
		if (flow_phase(new) != FLOW_CLOSED)
			count_load(f->service, LOAD_COMPLETED);
		return;
	}
	event_pressure(f->service, pressure_half_open(p, s, now));
}

/* Round-trip time of the handshake, if it can be told: nothing was sent twice. */
static __always_inline void flow_measure(struct flow *f, u32 old, u32 new, u64 now)
{
	struct flow_side *server = &f->side[f->flags & FLOW_OPENED_LOCAL ? REMOTE : LOCAL];
	u64 ns;

	if (f->rtt_us || f->flags & FLOW_JOINED || f->admission == ADMIT_COOKIE ||
	    f->side[REMOTE].syns != 1 || f->side[LOCAL].syns != 1)
		return;
	if (f->flags & FLOW_OPENED_LOCAL) {
		if (flow_state(new, REMOTE) != ST_SYN_RECEIVED ||
		    flow_state(old, REMOTE) != ST_LISTEN)
			return;
		ns = elapsed(now, f->opened);
	} else {
		if (flow_state(old, LOCAL) != ST_SYN_RECEIVED ||
		    flow_state(new, LOCAL) < ST_ESTABLISHED)
			return;
		ns = elapsed(now, server->entered);
	}
	f->rtt_us = ns / 1000 + !(ns / 1000);
	if (f->service)
		handshake_measured(f->service, f->rtt_us);
}

/*
 * From states `old` to `new`, unless another CPU changed them meanwhile: then false.
 * The event gets its place in the ring before the change is made, so that events
 * of a connection stand there in the order of its changes.
 */
static __always_inline bool flow_step(struct flow *f, const struct flow_key *key, u32 old, u32 new,
				      u32 type, u32 ifindex)
{
	bool remote = flow_state(old, REMOTE) != flow_state(new, REMOTE);
	bool local = flow_state(old, LOCAL) != flow_state(new, LOCAL);
	struct event *e = remote || local ? event_reserve() : NULL;
	u64 now = bpf_ktime_get_ns();

	if (__sync_val_compare_and_swap(&f->word, old, new) != old) {
		if (e)
			bpf_ringbuf_discard(e, BPF_RB_NO_WAKEUP);
		return false;
	}
	flow_measure(f, old, new, now);
	if (e) {
		event_head(e, type, ifindex);
		event_flow(e, f, key, REMOTE);
		event_states(e, f, old, new);
		event_submit(e);
	} else if (remote || local) {
		event_lost(type, LOST_RING);
	}
	if (remote)
		f->side[REMOTE].entered = now;
	if (local)
		f->side[LOCAL].entered = now;
	flow_press(f, old, new, now);
	return true;
}

/* tcp_word(), verified once: it has thousands of ways through. */
__noinline u32 flow_states(struct flow *f, u32 old)
{
	return f ? tcp_word(f, old) : old;
}

enum settle {
	SETTLE,
	SETTLE_TAKEN /* the stack has the socket of a proven client */
};

/*
 * Bring the states up to the facts. Global, as all below that is not done for each packet: the
 * verifier checks it once, and not for each way that leads here.
 */
__noinline int flow_settle(struct flow *f, struct flow_key *key, u32 ifindex, u32 how)
{
	u32 old, new;

	if (!f || !key)
		return 0;
	for (int i = 0; i < 4; i++) {
		old = f->word;
		/* without its phase it is no longer a proven client */
		new = flow_states(f, how == SETTLE_TAKEN ? old & ~flow_word(0, 0, 0xff, 0) : old);
		if (new == old || flow_step(f, key, old, new, EVENT_TCP_STATE, ifindex))
			break;
	}
	return 0;
}

/* Both sides are closed; `end` says why. The caller removes the record. */
__noinline int flow_close(struct flow *f, struct flow_key *key, u32 end, u32 ifindex)
{
	u32 type = end == END_SYN_TIMEOUT ? EVENT_HALF_OPEN_TIMEOUT : EVENT_TCP_STATE, old;

	if (!f || !key)
		return 0;
	for (int i = 0; i < 4; i++) {
		old = f->word;
		if (flow_state(old, REMOTE) == ST_CLOSED && flow_state(old, LOCAL) == ST_CLOSED)
			break;
		f->end = end;
		if (flow_step(f, key, old,
			      flow_word(ST_CLOSED, ST_CLOSED, FLOW_CLOSED, flow_changes(old) + 1),
			      type, ifindex))
			break;
	}
	return 0;
}

/* ---- segments ---- */

/* What a reset of this side's means. */
static __always_inline u32 flow_reset_by(const struct flow *f, u32 side)
{
	/* the stack gives up a connection whose keepalives are not answered with a reset */
	if (f->side[(side ^ 1) & 1].probed > 1)
		return END_DEAD_PEER;
	return side == flow_client(f->flags) ? END_RST_CLIENT : END_RST_SERVER;
}

static __always_inline void flow_seen_now(struct flow_side *side, u64 now)
{
	if (elapsed(now, side->seen) > FLOW_SEEN_NS)
		side->seen = now;
}

/*
 * A reset. The record stays for a while: a late segment is still of this connection, and no
 * stranger that is asked for a cookie (which it may know), or adopted. Not that of a handshake:
 * the sources of a flood may be hosts that reset what they did not ask for.
 */
static __always_inline void flow_take_reset(struct flow *f, struct flow_key *key, u32 side,
					    u32 ifindex)
{
	bool half_open = flow_phase(f->word) == FLOW_HALF_OPEN;

	flow_close(f, key, flow_reset_by(f, side), ifindex);
	if (half_open)
		flow_remove(key);
}

/* A segment of `side`, of a connection in the table. Returns enum tcp_note; after NOTE_RESET the
 * record may be gone. */
__noinline int flow_take(struct flow *f, struct flow_key *key, struct tcp_segment *t, u32 side,
			 u32 ifindex)
{
	u32 notes, odd = 0;

	if (!f || !key || !t)
		return 0;
	side = side == LOCAL;
	if (side == LOCAL)
		notes = tcp_take_segment(&f->side[LOCAL], &f->side[REMOTE], t);
	else
		notes = tcp_take_segment(&f->side[REMOTE], &f->side[LOCAL], t);
	if (notes & NOTE_ODD) {
		for (int i = 0; i < ODD_COUNT; i++)
			if (notes & 1 << i)
				odd = i;
		count_oddity(odd);
	}
	if (notes & NOTE_RETRANSMISSION)
		event_retransmission(f, key, t, side, ifindex);
	if (notes & NOTE_KEEPALIVE)
		event_keepalive(f, key, side, ifindex);
	if (notes & NOTE_RESET) {
		flow_take_reset(f, key, side, ifindex);
	} else if (!f->end && (flow_phase(f->word) != FLOW_PROVEN || f->handed)) {
		/* a proven client's not before TC has found its listener */
		flow_settle(f, key, ifindex, SETTLE);
	}
	return notes;
}

static __always_inline void flow_segment_of(struct tcp_segment *t, const struct packet *pkt)
{
	t->seq = pkt->seq;
	t->ack = pkt->ack;
	t->len = pkt->payload;
	t->segments = 1;
	t->window = pkt->window;
	t->flags = pkt->flags;
	t->trusted = false;
}

/* ---- beginnings ---- */

/* What a side's own SYN or SYN-ACK says of it. */
static __always_inline void flow_side_syn(struct flow_side *side, const struct packet *pkt,
					  const struct tcp_options *o)
{
	side->flags |= SIDE_SYN | SIDE_NXT;
	side->isn = pkt->seq;
	side->nxt = pkt->seq + 1 + pkt->payload; /* RFC 7413: there may be some */
	side->bytes = pkt->payload;
	side->syns = 1;
	side->segments = 1;
	side->wscale = o->features & TCP_WSCALE ? o->wscale : 0;
}

/* The event of a connection's beginning: the client was closed, the server listened. */
static __always_inline void flow_begun(struct flow *f, const struct flow_key *key, u32 ifindex)
{
	u32 first = f->flags & FLOW_OPENED_LOCAL ? flow_word(ST_LISTEN, ST_CLOSED, 0, 0)
						 : flow_word(ST_CLOSED, ST_LISTEN, 0, 0);
	struct event *e = event_reserve();

	if (!e) {
		event_lost(EVENT_TCP_STATE, LOST_RING);
		return;
	}
	event_head(e, EVENT_TCP_STATE, ifindex);
	e->time = f->opened;
	event_flow(e, f, key, flow_client(f->flags));
	event_states(e, f, first, f->word);
	event_submit(e);
}

/* A SYN of `side` opens a connection: fill the record *f, which is blank. */
static __always_inline void flow_open(struct flow *f, const struct packet *pkt,
				      const struct tcp_options *o, u32 side, u64 now)
{
	f->flags = o->features & TCP_FEATURES;
	f->mss[REMOTE] = f->mss[LOCAL] = 0;
	f->mss[side == LOCAL] = o->mss;
	if (side == LOCAL) {
		f->flags |= FLOW_OPENED_LOCAL;
		f->side[LOCAL].seen = now;
		flow_side_syn(&f->side[LOCAL], pkt, o);
		f->word = flow_word(ST_LISTEN, ST_SYN_SENT, FLOW_HALF_OPEN, 1);
	} else {
		f->side[REMOTE].seen = now;
		flow_side_syn(&f->side[REMOTE], pkt, o);
		f->word = flow_word(ST_SYN_SENT, ST_LISTEN, FLOW_HALF_OPEN, 1);
	}
}

/* A SYN opens a connection that is not in the table: ADMIT_HOST if it leaves the host. Returns
 * whether it is now. */
__noinline int flow_enter(struct packet *pkt, struct tcp_options *o, u32 service, u32 admission,
			  u32 ifindex)
{
	struct flow *f;

	if (!pkt || !o)
		return false;
	f = flow_new(service, admission, bpf_ktime_get_ns());
	if (!f)
		return false;
	flow_open(f, pkt, o, admission == ADMIT_HOST ? LOCAL : REMOTE, f->opened);
	if (!flow_insert(&pkt->key, f))
		return false;
	flow_press(f, 0, f->word, f->opened);
	flow_begun(f, &pkt->key, ifindex);
	return true;
}

/* The service that a SYN from outside goes to. The record's, unless that was opened by the host. */
static __always_inline u16 flow_service(const struct flow *f, const struct flow_key *key)
{
	struct port_entry *p = map_at(&ports, bpf_ntohs(key->local_port));
	struct settings *set = map_at(&settings, 0);

	if (f->service || !p || !set)
		return f->service;
	return p->quick.service[policy_slot(set->generation)];
}

/* A SYN opens another connection with the addresses and ports of one that is over. */
__noinline int flow_reopen(struct flow *f, struct packet *pkt, struct tcp_options *o, u32 side,
			   u32 ifindex)
{
	if (!f || !pkt || !o)
		return false;
	flow_close(f, &pkt->key, END_REUSED, ifindex);
	__builtin_memset(f->side, 0, sizeof(f->side));
	f->opened = bpf_ktime_get_ns();
	f->side[REMOTE].entered = f->side[LOCAL].entered = f->opened;
	f->handed = f->rtt_us = f->end = 0;
	f->admission = side == LOCAL ? ADMIT_HOST : ADMIT_CALM;
	f->service = side == LOCAL ? 0 : flow_service(f, &pkt->key);
	flow_open(f, pkt, o, side, f->opened);
	flow_press(f, 0, f->word, f->opened);
	flow_begun(f, &pkt->key, ifindex);
	return true;
}

/* The SYN-ACK says what was agreed upon. */
static __always_inline void flow_agree(struct flow *f, u32 side, const struct tcp_options *o)
{
	struct flow_side *server = &f->side[side], *client = &f->side[side ^ 1];

	f->mss[side] = o->mss;
	f->flags &= ~TCP_FEATURES | (o->features & TCP_FEATURES);
	if (f->flags & TCP_WSCALE && o->features & TCP_WSCALE)
		server->wscale = o->wscale;
	else
		client->wscale = server->wscale = 0;
}

/* The window shift that cookies of this service offer. */
static __always_inline u8 service_wscale(const struct settings *set, const struct service *s)
{
	return s->wscale == SERVICE_NO_WSCALE ? set->rcv_wscale : s->wscale;
}

/* A client that has just proven a cookie, of a service that offers this window shift. TC reads here
 * what the stack must know. */
static __always_inline void flow_of_cookie(struct flow *f, const struct packet *pkt, u8 wscale,
					   const struct cookie_offer *offer)
{
	struct flow_side *r = &f->side[REMOTE], *l = &f->side[LOCAL];
	bool fin = pkt->flags & TCP_FIN;

	/* the handshake that nobody kept; it is told as one step when the stack has it */
	f->word = flow_word(ST_SYN_SENT, ST_SYN_RECEIVED, FLOW_PROVEN, 0);
	f->flags = offer->features;
	r->flags = SIDE_SYN | SIDE_NXT | SIDE_ACKED | (fin ? SIDE_FIN : 0);
	r->isn = pkt->seq - 1;
	r->nxt = pkt->seq + pkt->payload + fin;
	r->acked = pkt->ack;
	r->wscale = offer->features & TCP_WSCALE ? offer->wscale : 0;
	r->edge = pkt->ack + ((u32)pkt->window << (r->wscale & 15));
	f->mss[REMOTE] = offer->mss;
	r->syns = 1;
	r->segments = 2; /* the SYN is forgotten, but it was there */
	r->bytes = pkt->payload;
	l->flags = SIDE_SYN | SIDE_NXT | SIDE_ACKED;
	l->isn = pkt->ack - 1;
	l->nxt = pkt->ack;
	l->acked = pkt->seq;
	l->edge = pkt->seq + 65535;
	l->wscale = offer->features & TCP_WSCALE ? wscale : 0;
	l->syns = 1;
	l->segments = 1;
}

/* ---- XDP ---- */

/* A SYN goes to the stack. Beyond the bound (mode observe under attack) it is not followed. */
static __always_inline void flow_half_open(struct xdp_md *ctx, struct scene *s, u32 admission)
{
	if (s->pressure->half_open > (s32)s->service->half_open_attack_above)
		return;
	options_read(ctx, &s->seg); /* malformed ones: what could be read */
	flow_enter(&s->seg.pkt, &s->seg.options, s->seg.service, admission, ctx->ingress_ifindex);
}

/* A SYN for a tuple that has an entry: the stack decides, we follow. */
__noinline int flow_syn_again(struct xdp_md *ctx, struct flow *f, struct segment *seg)
{
	struct tcp_segment t = {};

	if (!f || !seg)
		return 0;
	flow_seen_now(&f->side[REMOTE], seg->now);
	if (flow_phase(f->word) == FLOW_CLOSED) {
		/* in TIME-WAIT the stack may refuse it: its SYN-ACK will show */
		if (flow_state(f->word, LOCAL) == ST_CLOSED && options_read(ctx, seg))
			flow_reopen(f, &seg->pkt, &seg->options, REMOTE, ctx->ingress_ifindex);
		return 0;
	}
	flow_segment_of(&t, &seg->pkt);
	flow_take(f, &seg->pkt.key, &t, REMOTE, ctx->ingress_ifindex);
	return 0;
}

/* The SYN-ACK left another way: has the stack completed this handshake? */
static __always_inline void flow_ask(struct xdp_md *ctx, struct flow *f, struct packet *pkt)
{
	const u16 known = SIDE_SYN | SIDE_OPEN;

	if (flow_phase(f->word) != FLOW_HALF_OPEN || f->side[LOCAL].flags & known ||
	    f->flags & FLOW_OPENED_LOCAL || sock_state(ctx, pkt) != SK_ESTABLISHED)
		return;
	f->side[LOCAL].flags |= SIDE_OPEN;
	f->side[REMOTE].flags |= SIDE_OPEN;
}

/* A segment of a proven client's. V_GO_ON: the stack has it, so it is as any other. */
static __always_inline enum synstile_verdict flow_proven_segment(struct xdp_md *ctx, struct flow *f,
								 struct segment *seg)
{
	struct shared *sh = map_at(&shared, 0);
	u32 state;

	if (seg->pkt.flags & TCP_RST)
		return V_GO_ON;
	if (seg->pkt.ack == f->side[LOCAL].isn + 1) {
		if (sh)
			sh->proven = seg->now; /* wakes TC */
		return V_COOKIE_AGAIN;
	}
	/* It says that it has data of the server's. Those would have shown on egress, which makes
	 * this a blind one, unless they left another way. */
	state = sock_state(ctx, &seg->pkt);
	if (state && state != SK_NEW_SYN_RECV)
		flow_settle(f, &seg->pkt.key, ctx->ingress_ifindex, SETTLE_TAKEN);
	return V_GO_ON;
}

/* Any segment from the far side but the usual one, of a connection in the table. */
__noinline int flow_follow(struct xdp_md *ctx, struct flow *f, struct segment *seg)
{
	enum synstile_verdict v = V_GO_ON;
	struct tcp_segment t = {};
	bool half_open, met;
	u32 notes;

	if (!f || !seg)
		return V_KNOWN;
	half_open = flow_phase(f->word) == FLOW_HALF_OPEN;
	met = f->side[REMOTE].flags & SIDE_SYN;
	if (flow_phase(f->word) == FLOW_PROVEN)
		v = flow_proven_segment(ctx, f, seg);
	flow_ask(ctx, f, &seg->pkt);
	flow_segment_of(&t, &seg->pkt);
	notes = flow_take(f, &seg->pkt.key, &t, REMOTE, ctx->ingress_ifindex);
	if (!notes && !met && t.flags & TCP_SYN && options_read(ctx, seg))
		flow_agree(f, REMOTE, &seg->options);
	if (v != V_GO_ON)
		return v;
	if (!half_open)
		return V_KNOWN;
	if (notes & NOTE_RESET)
		return V_HALF_OPEN;
	return flow_phase(f->word) == FLOW_HALF_OPEN ? V_HALF_OPEN : V_HANDSHAKE;
}

/* A segment from the far side, of a connection in the table; not a SYN to a service. */
static __always_inline enum synstile_verdict flow_segment(struct scene *s, struct flow *f)
{
	struct flow_side *remote = &f->side[REMOTE];
	struct tcp_segment t;

	flow_seen_now(remote, s->seg.now);
	flow_segment_of(&t, &s->seg.pkt);
	if (flow_phase(f->word) == FLOW_OPEN && tcp_take_quickly(remote, &f->side[LOCAL], &t))
		return V_KNOWN;
	return flow_follow(s->ctx, f, &s->seg);
}

/* Enter what the stack has a socket for, in this state, and the table has not. */
__noinline int flow_join(struct segment *seg, u32 state)
{
	struct flow *f;

	if (!seg)
		return false;
	f = flow_new(seg->service, ADMIT_ADOPTED, bpf_ktime_get_ns());
	if (!f)
		return false;
	f->side[REMOTE].seen = f->opened;
	tcp_adopt(f, state);
	return flow_insert(&seg->pkt.key, f);
}

/* The stack has a socket for this segment, in this state, but we have no entry. */
static __always_inline enum synstile_verdict flow_adopt(struct scene *s, u32 state)
{
	struct flow *f;

	if (state == SK_NEW_SYN_RECV || state == SK_SYN_SENT)
		return V_HALF_OPEN;
	if (s->seg.pkt.flags & TCP_RST || !flow_join(&s->seg, state))
		return V_ADOPTED;
	f = bpf_map_lookup_elem(&flows, &s->seg.pkt.key);
	if (f)
		flow_follow(s->ctx, f, &s->seg);
	return V_ADOPTED;
}

#endif
