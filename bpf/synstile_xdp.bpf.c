// SPDX-License-Identifier: GPL-2.0-only
/*
 * XDP, ingress: every packet that enters the interface.
 *
 *	parse -> classify -> decide -> act -> account
 */
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "decide.h"
#include "sources.bpf.h"
#include "synack.bpf.h"

/* verdict.h's actions, in a namespace of their own */
enum action {
	ACTION_PASS,
	ACTION_DROP,
	ACTION_REPLY
};

static const u8 verdict_action[V_COUNT] = {
#define X(id, action, name, help) [V_##id] = ACTION_##action,
	SYNSTILE_VERDICTS(X)
#undef X
};

/* Which service is this packet for? False: for none. */
static __always_inline bool classify_service(struct scene *s)
{
	const struct flow_key *k = &s->seg.pkt.key;
	struct listen_entry *l = &s->port->quick;

	if (!s->seg.pkt.ipv4 || k->local.w[3] != s->port->addr4) {
		struct listener_key key = {.addr = k->local, .port = k->local_port};

		if (s->port->flags & PORT_BY_INTERFACE)
			key.ifindex = ((struct xdp_md *)s->ctx)->ingress_ifindex;
		l = bpf_map_lookup_elem(&listeners, &key);
		if (!l)
			return false;
	}
	s->seg.service = l->service[s->seg.slot % POLICY_SLOTS];
	if (!s->seg.service)
		return false;
	s->seg.window = l->window;
	s->service = service_at(s->seg.service, s->seg.slot);
	s->pressure = map_at(&pressure, s->seg.service);
	return s->service && s->pressure;
}

/* The service of a flow that is in the table, also when its listener is gone. */
static __always_inline bool classify_flow(struct scene *s, const struct flow *f)
{
	s->seg.service = f->service;
	s->service = service_at(s->seg.service, s->seg.slot);
	s->pressure = map_at(&pressure, s->seg.service);
	return s->service && s->pressure;
}

/* How a SYN with this verdict is let in, if it goes to the stack: also in mode observe, which
 * changes no packet's way. ADMIT_UNKNOWN: no connection comes of it. */
static __always_inline u32 syn_admission(const struct service *s, enum synstile_verdict v)
{
	if (v == V_SYN_CALM)
		return ADMIT_CALM;
	if (v == V_SYN_ALLOWED)
		return ADMIT_ALLOWED;
	if (v == V_SYN_VERIFIED)
		return ADMIT_VERIFIED;
	if (s->mode != MODE_OBSERVE || v == V_SYN_FRAGMENT || v == V_SYN_SOURCE)
		return ADMIT_UNKNOWN;
	return ADMIT_CALM;
}

static __always_inline enum synstile_verdict new_syn(struct xdp_md *ctx, struct scene *s)
{
	bool pressed = s->set->flags & SET_READY && under_pressure(s->service, s->pressure);
	bool room = has_room(s->service, s->pressure);
	u32 source = source_syn(&s->seg, pressed), admission;
	enum synstile_verdict v;

	if ((pressed || source_filtered(source)) && flows_incomplete(s->shared, s->seg.now) &&
	    sock_state(ctx, &s->seg.pkt))
		return V_SYN_KNOWN;
	v = decide_syn(&s->seg.pkt, s->service, room, pressed, source);
	if (v == V_SYN_COOKIE && s->service->mode != MODE_OBSERVE)
		return options_read(ctx, &s->seg) ? synack_cookie(ctx, &s->seg) : V_TCP_OPTIONS;
	if (v == V_SYN_VERIFIED)
		count_load(s->seg.service, LOAD_VERIFIED);
	admission = syn_admission(s->service, v);
	if (admission != ADMIT_UNKNOWN)
		flow_half_open(ctx, s, admission);
	return v;
}

static __always_inline enum synstile_verdict handle_syn(struct xdp_md *ctx, struct scene *s)
{
	struct flow *f = flow_find(&s->seg.pkt.key);
	u8 end;

	if (f && classify_flow(s, f)) {
		end = flow_expired(f, s->service, s->pressure, s->set, s->seg.now);
		if (end == END_NONE) {
			flow_syn_again(ctx, f, &s->seg);
			return V_SYN_KNOWN;
		}
		flow_close(f, &s->seg.pkt.key, end, ctx->ingress_ifindex);
		flow_remove(&s->seg.pkt.key);
	}
	if (!classify_service(s))
		return V_NOT_SERVICE;
	return new_syn(ctx, s);
}

/* A segment without SYN, or a SYN-ACK, of no connection in the table. */
static __always_inline enum synstile_verdict handle_stray(struct xdp_md *ctx, struct scene *s)
{
	const u8 control = s->seg.pkt.flags & (TCP_SYN | TCP_RST | TCP_ACK);
	enum synstile_verdict v = V_GO_ON;
	u32 state;

	if (s->seg.pkt.fragment)
		return V_FRAGMENT;
	if (!classify_service(s))
		return V_NOT_SERVICE;
	if (control == TCP_ACK && cookies_out(s->pressure, s->set, s->seg.now))
		v = synack_answered(ctx, s);
	if (v != V_GO_ON)
		return v;
	state = sock_state(ctx, &s->seg.pkt);
	if (state)
		return flow_adopt(s, state);
	/* Without SYNs nothing else notices that an attack is over. */
	if (s->pressure->state == PRESSURE_ATTACK &&
	    elapsed(s->seg.now, s->pressure->above) > s->service->hold_ms * NS_PER_MS)
		event_pressure(s->seg.service,
			       pressure_update(s->pressure, s->service, s->seg.now));
	return decide_stray(&s->seg.pkt, under_pressure(s->service, s->pressure),
			    s->set->flags & SET_READY);
}

/* Not to a service: perhaps of a connection that the host opened. */
static __always_inline enum synstile_verdict handle_elsewhere(struct scene *s)
{
	struct flow *f;

	if (tcp_flags_impossible(s->seg.pkt.flags))
		return V_NOT_SERVICE;
	f = flow_find(&s->seg.pkt.key);
	if (!f)
		return V_NOT_SERVICE;
	s->seg.now = bpf_ktime_get_coarse_ns();
	return flow_segment(s, f);
}

static __always_inline enum synstile_verdict handle_packet(struct xdp_md *ctx, struct scene *s)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	enum synstile_verdict v = parse_packet(&s->seg.pkt, data, data_end);
	struct flow *f;

	if (v != V_GO_ON)
		return v;
	s->port = map_at(&ports, bpf_ntohs(s->seg.pkt.key.local_port));
	if (!s->port || !(s->port->flags & PORT_ANY))
		return handle_elsewhere(s);
	if (tcp_flags_impossible(s->seg.pkt.flags))
		return V_TCP_FLAGS;
	s->shared = map_at(&shared, 0);
	if (!s->shared)
		return V_OTHER;
	s->seg.now = bpf_ktime_get_coarse_ns();
	if ((s->seg.pkt.flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
		return handle_syn(ctx, s);
	f = bpf_map_lookup_elem(&flows, &s->seg.pkt.key);
	if (f)
		return flow_segment(s, f);
	return handle_stray(ctx, s);
}

/* Tell of a dropped packet. It is read once more: what has been read so far depends on why it
 * is dropped. Global: rare, and verified once. */
__noinline int event_drop(struct xdp_md *ctx, u32 v)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	struct packet pkt = {};
	struct event *e;

	if (!event_allowed(EVENT_VERDICT))
		return 0;
	parse_packet(&pkt, data, data_end);
	e = event_reserve();
	if (!e) {
		event_lost(EVENT_VERDICT, LOST_RING);
		return 0;
	}
	event_head(e, EVENT_VERDICT, ctx->ingress_ifindex);
	e->key = pkt.key;
	e->verdict = v;
	e->verdict_of.seq = pkt.seq;
	e->verdict_of.ack = pkt.ack;
	e->verdict_of.tcp_flags = pkt.flags;
	event_submit(e);
	return 0;
}

/* Is this verdict only to be counted? */
static __always_inline bool observing(const struct scene *s)
{
	if (!(s->set->flags & SET_READY))
		return true;
	return s->service ? s->service->mode == MODE_OBSERVE : s->set->flags & SET_OBSERVE;
}

static __always_inline int act(struct xdp_md *ctx, const struct scene *s, enum synstile_verdict v)
{
	u8 action = v < V_COUNT ? verdict_action[v] : ACTION_PASS;

	if (action != ACTION_PASS && observing(s)) {
		count_verdict(v, BANK_OBSERVED);
		return XDP_PASS;
	}
	count_verdict(v, BANK_DONE);
	if (action == ACTION_DROP) {
		if (s->service)
			count_load(s->seg.service, LOAD_DROPPED);
		event_drop(ctx, v);
	}
	return action == ACTION_PASS ? XDP_PASS : action == ACTION_DROP ? XDP_DROP : XDP_TX;
}

SEC("xdp.frags")
int synstile_xdp(struct xdp_md *ctx)
{
	struct scene s; /* not cleared, which would cost as much as a look-up: each stage sets its
			   part */

	s.ctx = ctx;
	s.service = NULL;
	s.set = map_at(&settings, 0);
	if (!s.set)
		return XDP_PASS;
	s.seg.slot = policy_slot(s.set->generation);
	return act(ctx, &s, handle_packet(ctx, &s));
}

char _license[] SEC("license") = "GPL";
