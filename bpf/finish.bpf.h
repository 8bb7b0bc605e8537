/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Handing a proven client to its listener: TC ingress, the only place where the
 * kernel takes a request socket from a BPF program.
 */
#ifndef SYNSTILE_FINISH_BPF_H
#define SYNSTILE_FINISH_BPF_H

#include "cookie.h"
#include "flow.bpf.h"

/*
 * An ACK and the data behind it often come in one NAPI batch, and TC sees both
 * before the stack has made the socket. Handing over the second one too would lose
 * it, so none is handed over again for this long; a client does not
 * repeat itself sooner (RFC 6298: Linux' least timeout is 200 ms).
 */
#define HANDED_NS (50 * 1000000ULL)

/* How long after that a bare RST by the stack is the listener's own: see flow_rst_held(). */
#define RST_HELD_NS (2 * HANDED_NS)

/* struct bpf_tcp_req_attrs and struct bpf_ct_opts, which BTF before 6.9 and
 * without nf_conntrack lacks. libbpf ignores what follows three underscores. */
struct bpf_tcp_req_attrs___local {
	u32 rcv_tsval;
	u32 rcv_tsecr;
	u16 mss;
	u8 rcv_wscale;
	u8 snd_wscale;
	u8 ecn_ok;
	u8 wscale_ok;
	u8 sack_ok;
	u8 tstamp_ok;
	u8 usec_ts_ok;
	u8 reserved[3];
};

struct bpf_ct_opts___local {
	s32 netns_id;
	s32 error;
	u8 l4proto;
	u8 dir;
	u8 reserved[2];
};

struct nf_conn___local {
	unsigned long status;
};

extern int bpf_sk_assign_tcp_reqsk(struct __sk_buff *skb, struct sock *sk,
				   struct bpf_tcp_req_attrs___local *attrs,
				   int attrs__sz) __ksym __weak;
extern struct nf_conn___local *bpf_skb_ct_lookup(struct __sk_buff *skb,
						 struct bpf_sock_tuple *tuple, u32 tuple__sz,
						 struct bpf_ct_opts___local *opts,
						 u32 opts__sz) __ksym __weak;
extern struct nf_conn___local *bpf_skb_ct_alloc(struct __sk_buff *skb, struct bpf_sock_tuple *tuple,
						u32 tuple__sz, struct bpf_ct_opts___local *opts,
						u32 opts__sz) __ksym __weak;
extern void bpf_ct_set_timeout(struct nf_conn___local *ct, u32 ms) __ksym __weak;
extern struct nf_conn___local *bpf_ct_insert_entry(struct nf_conn___local *ct) __ksym __weak;
extern void bpf_ct_release(struct nf_conn___local *ct) __ksym __weak;

static __always_inline void finish_attrs(struct bpf_tcp_req_attrs___local *a, const struct flow *f,
					 const struct tcp_options *o)
{
	a->mss = f->mss[REMOTE];
	if (f->flags & TCP_TSTAMP) {
		/* the stack's clock for this connection goes on from what the client echoed */
		a->rcv_tsval = o->tsval;
		a->rcv_tsecr = o->tsecr;
		a->tstamp_ok = 1;
	}
	a->sack_ok = !!(f->flags & TCP_SACK);
	a->ecn_ok = !!(f->flags & TCP_ECN);
	if (f->flags & TCP_WSCALE) {
		a->wscale_ok = 1;
		a->snd_wscale = f->side[REMOTE].wscale;
		a->rcv_wscale = f->side[LOCAL].wscale;
	}
}

/* The listener for this segment, or the socket that it already has. Release it. */
static __always_inline struct bpf_sock *finish_lookup(struct __sk_buff *skb,
						      struct bpf_sock_tuple *tuple, bool ipv4)
{
	if (ipv4)
		return bpf_skc_lookup_tcp(skb, tuple, sizeof(tuple->ipv4), BPF_F_CURRENT_NETNS, 0);
	return bpf_skc_lookup_tcp(skb, tuple, sizeof(tuple->ipv6), BPF_F_CURRENT_NETNS, 0);
}

static __always_inline enum synstile_verdict finish_assign(struct __sk_buff *skb,
							   struct bpf_sock *sk,
							   const struct flow *f,
							   const struct tcp_options *o)
{
	struct bpf_tcp_req_attrs___local attrs = {};
	struct sock *listener = (struct sock *)bpf_skc_to_tcp_sock(sk);

	/* the look at a field also keeps clang 14 from leaving `struct sock` undefined
	 * in our BTF ("func_proto incompatible with kernel") */
	if (!listener || listener->__sk_common.skc_state != SK_LISTEN)
		return V_FINISH_REFUSED;
	finish_attrs(&attrs, f, o);
	if (bpf_sk_assign_tcp_reqsk(skb, listener, &attrs, sizeof(attrs)))
		return V_FINISH_REFUSED;
	return V_FINISHED;
}

/* Has nobody called accept() for so long that the stack will drop what completes a handshake?
 * (sk_acceptq_is_full() in include/net/sock.h) */
static __always_inline bool finish_queue_full(struct bpf_sock *sk)
{
	struct sock *listener = (struct sock *)bpf_skc_to_tcp_sock(sk);

	return listener && listener->sk_ack_backlog > listener->sk_max_ack_backlog;
}

/*
 * A listener takes the kernel's cookies only if it made one itself within the last
 * 2 minutes (tcp_synq_no_recent_overflow()), which one that sees no SYN never does. So
 * have it make one, for nobody: that also leaves its mark.
 */
static __always_inline void finish_mark_listener(struct bpf_sock *sk, bool ipv4)
{
	struct tcphdr tcp = {.doff = sizeof(tcp) / 4, .syn = 1};
	struct iphdr ip4 = {.version = 4};
	struct ipv6hdr ip6 = {.version = 6};

	if (ipv4)
		bpf_tcp_gen_syncookie(sk, &ip4, sizeof(ip4), &tcp, sizeof(tcp));
	else
		bpf_tcp_gen_syncookie(sk, &ip6, sizeof(ip6), &tcp, sizeof(tcp));
}

/*
 * Netfilter has not seen the SYN. With nf_conntrack_tcp_loose = 0 it calls the ACK invalid,
 * so tell it of the connection. The entry is new, not established: the ruleset still
 * decides whether this port is open to this client.
 */
static __always_inline void finish_conntrack(struct __sk_buff *skb, struct bpf_sock_tuple *tuple,
					     u32 size)
{
	struct bpf_ct_opts___local opts = {.netns_id = BPF_F_CURRENT_NETNS, .l4proto = 6};
	struct nf_conn___local *ct;

	if (size == sizeof(tuple->ipv4))
		ct = bpf_skb_ct_alloc(skb, tuple, sizeof(tuple->ipv4), &opts, sizeof(opts));
	else
		ct = bpf_skb_ct_alloc(skb, tuple, sizeof(tuple->ipv6), &opts, sizeof(opts));
	if (!ct)
		return;
	bpf_ct_set_timeout(ct, 60000); /* ms; netfilter sets its own with the first packet */
	ct = bpf_ct_insert_entry(ct);
	if (ct)
		bpf_ct_release(ct);
}

#endif
