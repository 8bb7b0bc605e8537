// SPDX-License-Identifier: GPL-2.0-only
/*
 * TC: what XDP cannot do.
 *
 * Ingress hands proven clients to their listener. It has nothing to do, and does
 * nothing, unless XDP saw a proof within the last second.
 *
 * Egress sees what the host sends: its side of every connection, and the connections that
 * it opens itself.
 */
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "decide.h"
#include "finish.bpf.h"

enum {
	COOKIES_OWN,
	COOKIES_KERNEL
};

const volatile u32 cookie_backend = COOKIES_OWN;

/* Are the kfuncs of nf_conntrack, often a module, there? Else the verifier must see
 * that they are not called. */
const volatile bool has_conntrack = false;

enum {
	GO_ON = -1 /* TC_ACT_UNSPEC and TCX_NEXT: other programs have their say */,
	SHOT = 2
};

#define PROVEN_RECENT_NS 1000000000ULL
#define HEADERS_LINEAR   128 /* bytes: Ethernet, two tags, IPv6, TCP with all options */

/* A libbpf constant: the verifier drops what this kernel cannot do. */
extern int LINUX_KERNEL_VERSION __kconfig;

extern void *bpf_cast_to_kern_ctx(void *skb) __ksym __weak;

/*
 * Is the link header missing? TC steps back by skb->mac_len, which generic XDP
 * loses when it has to copy the packet (seen on 6.18: __copy_skb_header() leaves it
 * out). Then data begins at the IP header.
 */
static __always_inline bool tc_lacks_mac(struct __sk_buff *skb)
{
	if (LINUX_KERNEL_VERSION < KERNEL_VERSION(6, 2, 0))
		return false;
	return !((struct sk_buff *)bpf_cast_to_kern_ctx(skb))->mac_len;
}

static __always_inline enum synstile_verdict tc_parse_linear(struct __sk_buff *skb,
							     struct packet *pkt, bool lacks_mac)
{
	void *data = (void *)(long)skb->data, *data_end = (void *)(long)skb->data_end;

	if (lacks_mac)
		return parse_network(pkt, data, data_end, 0, bpf_ntohs(skb->protocol));
	return parse_packet(pkt, data, data_end);
}

/* The headers lie in fragments: pull them out. Global: rarely needed, verified once. */
__noinline int tc_parse_pulled(struct __sk_buff *skb, struct packet *pkt, bool lacks_mac)
{
	u32 len = skb->len < HEADERS_LINEAR ? skb->len : HEADERS_LINEAR;

	if (!pkt || bpf_skb_pull_data(skb, len))
		return V_OTHER;
	return tc_parse_linear(skb, pkt, lacks_mac);
}

/* True for a TCP segment; then all of *pkt is set. */
static __always_inline bool tc_parse(struct __sk_buff *skb, struct packet *pkt, bool lacks_mac)
{
	enum synstile_verdict v = tc_parse_linear(skb, pkt, lacks_mac);

	/* Only what seems cut off: to pull beforehand would copy payload of each large packet. */
	if (v == V_ETH_TRUNCATED || v == V_IPV4_MALFORMED || v == V_IPV6_MALFORMED ||
	    v == V_TCP_MALFORMED)
		v = tc_parse_pulled(skb, pkt, lacks_mac);
	return v == V_GO_ON;
}

static __always_inline bool is_service_port(__be16 port)
{
	struct port_entry *p = map_at(&ports, bpf_ntohs(port));

	return p && p->flags & PORT_ANY;
}

/* This segment's options: a global function for XDP's reasons does not take a
 * struct __sk_buff, so TC has its own. */
__noinline int tc_options_walk(struct __sk_buff *skb, struct tcp_options *o, u32 off, u32 len)
{
	void *data = (void *)(long)skb->data, *data_end = (void *)(long)skb->data_end;

	if (!o)
		return 0;
	return tcp_options_walk(o, data + (off & L4_OFFSET_MAX), data_end, len);
}

static __always_inline enum synstile_verdict finish(struct __sk_buff *skb, const struct packet *pkt,
						    struct flow *f, const struct tcp_options *o,
						    bool conntrack)
{
	enum synstile_verdict v = V_GO_ON; /* the stack has it already */
	struct bpf_sock_tuple tuple;
	struct bpf_sock *sk;
	u32 size = sock_tuple(&tuple, pkt);

	if (has_conntrack && conntrack && !f->handed)
		finish_conntrack(skb, &tuple, size);
	sk = finish_lookup(skb, &tuple, pkt->ipv4);
	if (!sk)
		return V_FINISH_NO_LISTENER;
	if (sk->state == SK_LISTEN && cookie_backend == COOKIES_OWN) {
		v = finish_assign(skb, sk, f, o);
	} else if (sk->state == SK_LISTEN) {
		finish_mark_listener(sk, pkt->ipv4);
		v = V_FINISHED; /* the stack checks and takes the cookie itself */
	}
	if (v == V_FINISHED && finish_queue_full(sk))
		v = V_FINISH_QUEUE_FULL;
	bpf_sk_release(sk);
	return v;
}

/* The service that this segment is for, NULL if there is none. */
static __always_inline struct service *unfollowed_service(const struct packet *pkt,
							  const struct settings *set, u32 ifindex)
{
	struct listener_key key = {.addr = pkt->key.local, .port = pkt->key.local_port};
	struct port_entry *port = map_at(&ports, bpf_ntohs(pkt->key.local_port));
	u32 slot = policy_slot(set->generation);
	struct listen_entry *l;

	if (port && port->flags & PORT_BY_INTERFACE)
		key.ifindex = ifindex;
	l = bpf_map_lookup_elem(&listeners, &key);
	return l ? service_at(l->service[slot % POLICY_SLOTS], slot) : NULL;
}

/*
 * The flow table is full, so XDP could not leave us what the client proved: have it
 * proven again. Global: verified once, like tc_options_walk().
 */
__noinline int finish_unfollowed(struct packet *pkt, struct tcp_options *o, struct flow *f,
				 u32 ifindex)
{
	struct settings *set = map_at(&settings, 0);
	struct cookie_offer offer = {};
	struct service *s;

	if (!pkt || !o || !f || !set)
		return false;
	s = unfollowed_service(pkt, set, ifindex);
	if (!s)
		return false;
	if (cookie_backend == COOKIES_OWN &&
	    !cookie_check(set, pkt, pkt->seq - 1, o, bpf_ktime_get_coarse_ns(), &offer))
		return false;
	flow_of_cookie(f, pkt, service_wscale(set, s), &offer);
	return true;
}

/* Was it handed to the listener within the last `ns`? */
static __always_inline bool flow_handed_since(const struct flow *f, u64 now, u64 ns)
{
	/* signed: another CPU may have stored a later tick */
	return f->handed && (s32)(flow_moment(now) - f->handed) < (s32)(ns >> 20);
}

/* Is this a segment of a proven client that has to be handed over now? */
static __always_inline bool finish_due(const struct packet *pkt, const struct flow *f, u64 now)
{
	return flow_phase(f->word) == FLOW_PROVEN && pkt->ack == f->side[LOCAL].isn + 1 &&
	       !flow_handed_since(f, now, HANDED_NS);
}

/* The client was handed to its listener, or (V_GO_ON) had been already. */
static __always_inline void flow_handed(struct flow *f, struct flow_key *key,
					enum synstile_verdict v, u32 ifindex, u64 now)
{
	f->handed = flow_moment(now);
	if (v == V_FINISHED || v == V_GO_ON)
		f->flags &= ~FLOW_HELD;
	else
		f->flags |= FLOW_HELD;
	flow_settle(f, key, ifindex, v == V_GO_ON ? SETTLE_TAKEN : SETTLE);
}

SEC("tc")
int synstile_tc_ingress(struct __sk_buff *skb)
{
	struct settings *set = map_at(&settings, 0);
	struct shared *sh = map_at(&shared, 0);
	u64 now = bpf_ktime_get_coarse_ns();
	struct flow *f, *unfollowed = NULL;
	struct tcp_options o = {};
	struct packet pkt = {};
	enum synstile_verdict v;

	if (!sh || !set || elapsed(now, sh->proven) > PROVEN_RECENT_NS)
		return GO_ON;
	if (!tc_parse(skb, &pkt, tc_lacks_mac(skb)) || !is_service_port(pkt.key.local_port))
		return GO_ON;
	if ((pkt.flags & (TCP_SYN | TCP_RST | TCP_ACK)) != TCP_ACK)
		return GO_ON;
	f = bpf_map_lookup_elem(&flows, &pkt.key);
	if (f ? !finish_due(&pkt, f, now) : !flows_incomplete(sh, now))
		return GO_ON;
	tc_options_walk(skb, &o, pkt.l4 + sizeof(struct tcp_header),
			pkt.tcp_len - sizeof(struct tcp_header));
	if (!f) {
		unfollowed = flow_new(0, ADMIT_COOKIE, now);
		if (!unfollowed || !finish_unfollowed(&pkt, &o, unfollowed, skb->ingress_ifindex))
			return GO_ON;
	}
	v = finish(skb, &pkt, f ? f : unfollowed, &o, set->flags & SET_CT_ENTRY);
	if (v != V_GO_ON)
		count_verdict(v, BANK_DONE);
	if (f)
		flow_handed(f, &pkt.key, v, skb->ifindex, now);
	return GO_ON;
}

/*
 * A listener whose accept queue is full drops what is handed to it, and answers the
 * segments right behind with a RST, since it knows no such connection. Without
 * us it would have kept a request socket and stayed silent; so that RST is
 * dropped, and the client's next try is handed over again.
 */
static __always_inline bool flow_rst_held(const struct flow *f, const struct packet *pkt, u64 now)
{
	return (pkt->flags & (TCP_RST | TCP_ACK)) == TCP_RST &&
	       flow_handed_since(f, now, RST_HELD_NS) && pkt->seq == f->side[LOCAL].isn + 1;
}

/* Does the host open a connection with this SYN, or is it someone else's that it forwards? */
static __always_inline bool is_hosts_syn(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	return sk && sk->state == SK_SYN_SENT;
}

/* A SYN-ACK to a SYN that we did not take for the beginning of a connection: it was one. All that
 * is known of that SYN is what its answer says. */
static __always_inline void answer_reopens(struct flow *f, struct packet *pkt,
					   struct tcp_segment *t, u32 ifindex)
{
	struct tcp_options offered = {.features = 0};
	u32 seq = pkt->seq;

	pkt->seq = pkt->ack - 1;
	flow_reopen(f, pkt, &offered, REMOTE, ifindex);
	pkt->seq = seq;
	f->flags |= TCP_FEATURES; /* what the answer agrees to was offered */
	f->side[REMOTE].wscale = WSCALE_UNKNOWN;
	flow_take(f, &pkt->key, t, LOCAL, ifindex);
}

/* A SYN or SYN-ACK of the host's, of a connection in the table. */
static __always_inline void answer_syn(struct flow *f, struct packet *pkt, struct tcp_segment *t,
				       struct tcp_options *o, u32 ifindex)
{
	bool over = flow_phase(f->word) == FLOW_CLOSED, met = f->side[LOCAL].flags & SIDE_SYN;
	u32 notes = NOTE_NEW;

	if (!over)
		notes = flow_take(f, &pkt->key, t, LOCAL, ifindex);
	if (notes & NOTE_NEW) {
		met = false;
		if (t->flags & TCP_ACK)
			answer_reopens(f, pkt, t, ifindex);
		else
			flow_reopen(f, pkt, o, LOCAL, ifindex);
	}
	if (t->flags & TCP_ACK && !met)
		flow_agree(f, LOCAL, o);
}

/* Any segment of the host's but the usual one, of a connection in the table. False: it
 * must not leave. */
__noinline int flow_answer(struct __sk_buff *skb, struct flow *f, struct packet *pkt,
			   struct tcp_segment *t)
{
	u64 now = bpf_ktime_get_coarse_ns();
	struct tcp_options o = {};

	if (!f || !pkt || !t)
		return true;
	if (flow_phase(f->word) == FLOW_PROVEN) {
		if (flow_rst_held(f, pkt, now))
			return false;
		flow_settle(f, &pkt->key, skb->ifindex, SETTLE_TAKEN);
	}
	if (!(t->flags & TCP_SYN)) {
		flow_take(f, &pkt->key, t, LOCAL, skb->ifindex);
		return true;
	}
	tc_options_walk(skb, &o, pkt->l4 + sizeof(struct tcp_header),
			pkt->tcp_len - sizeof(struct tcp_header));
	answer_syn(f, pkt, t, &o, skb->ifindex);
	return true;
}

/* A segment of the host's, of no connection in the table. */
__noinline int flow_opened(struct __sk_buff *skb, struct packet *pkt)
{
	struct tcp_options o = {};

	if (!pkt)
		return 0;
	tc_options_walk(skb, &o, pkt->l4 + sizeof(struct tcp_header),
			pkt->tcp_len - sizeof(struct tcp_header));
	flow_enter(pkt, &o, 0, ADMIT_HOST, skb->ifindex);
	return 0;
}

static __always_inline void answer_segment(struct __sk_buff *skb, const struct packet *pkt,
					   struct tcp_segment *t)
{
	u32 headers = pkt->l4 + pkt->tcp_len;

	flow_segment_of(t, pkt);
	t->trusted = true;
	/* before segmentation: the IP header's 16 bits may not hold the length */
	t->len = skb->len > headers ? skb->len - headers : 0;
	t->segments = skb->gso_segs ? skb->gso_segs : 1;
}

SEC("tc")
int synstile_tc_egress(struct __sk_buff *skb)
{
	struct tcp_segment t = {};
	struct packet pkt = {};
	struct flow_side *local;
	struct flow *f;

	if (!tc_parse(skb, &pkt, false))
		return GO_ON;
	packet_flip(&pkt);
	/* nearly all that a host sends is followed: the filter would only cost */
	f = bpf_map_lookup_elem(&flows, &pkt.key);
	if (!f) {
		if ((pkt.flags & (TCP_SYN | TCP_ACK)) == TCP_SYN && is_hosts_syn(skb))
			flow_opened(skb, &pkt);
		return GO_ON;
	}
	local = &f->side[LOCAL];
	flow_seen_now(local, bpf_ktime_get_coarse_ns());
	answer_segment(skb, &pkt, &t);
	if (flow_phase(f->word) == FLOW_OPEN && tcp_take_quickly(local, &f->side[REMOTE], &t))
		return GO_ON;
	if (flow_answer(skb, f, &pkt, &t))
		return GO_ON;
	count_verdict(V_RST_HELD, BANK_DONE);
	return SHOT;
}

char _license[] SEC("license") = "GPL";
