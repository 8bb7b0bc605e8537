// SPDX-License-Identifier: GPL-2.0-only
/*
 * TC: what XDP cannot do.
 *
 * Ingress hands proven clients to their listener. It has nothing to do, and does
 * nothing, unless XDP saw a proof within the last second.
 *
 * Egress sees what the host answers: the ISN of its SYN-ACKs, FIN and RST.
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

	return p && p->any;
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
	bpf_sk_release(sk);
	return v;
}

/*
 * The flow table is full, so XDP could not leave us what the client proved: have it
 * proven again. Global: verified once, like tc_options_walk().
 */
__noinline int finish_unfollowed(struct packet *pkt, struct tcp_options *o, struct flow *f)
{
	struct settings *set = map_at(&settings, 0);
	struct cookie_offer offer = {};

	if (!pkt || !o || !f || !set)
		return false;
	if (cookie_backend == COOKIES_OWN &&
	    !cookie_check(set, pkt, pkt->seq - 1, o, bpf_ktime_get_coarse_ns(), &offer))
		return false;
	flow_of_cookie(f, pkt, set, &offer);
	return true;
}

/* Is this a segment of a proven client that has to be handed over now? */
static __always_inline bool finish_due(const struct packet *pkt, const struct flow *f, u64 now)
{
	return f->state == FLOW_PROVEN && pkt->ack == f->isn_local + 1 &&
	       !(f->handed && elapsed(now, f->handed) < HANDED_NS);
}

SEC("tc")
int synstile_tc_ingress(struct __sk_buff *skb)
{
	struct settings *set = map_at(&settings, 0);
	struct shared *sh = map_at(&shared, 0);
	u64 now = bpf_ktime_get_coarse_ns();
	struct flow *f, unfollowed = {};
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
	if (!f && !finish_unfollowed(&pkt, &o, &unfollowed))
		return GO_ON;
	f = f ? f : &unfollowed;
	v = finish(skb, &pkt, f, &o, set->flags & SET_CT_ENTRY);
	f->handed = now;
	if (v == V_GO_ON)
		flow_taken(f, now);
	else
		count_verdict(v, BANK_DONE);
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
	return (pkt->flags & (TCP_RST | TCP_ACK)) == TCP_RST && f->handed &&
	       elapsed(now, f->handed) < RST_HELD_NS && pkt->seq == f->isn_local + 1;
}

/* A segment of the host's, of a connection in the table. False: it must not leave. */
static __always_inline bool flow_answer(const struct packet *pkt, struct flow *f, u64 now)
{
	if (f->state == FLOW_HALF_OPEN) {
		if ((pkt->flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK)) {
			f->isn_local = pkt->seq;
			f->flags |= FLOW_ISN_LOCAL;
		}
		return true;
	}
	if (f->state == FLOW_PROVEN) {
		if (flow_rst_held(f, pkt, now))
			return false;
		flow_taken(f, now);
	}
	if (pkt->flags & TCP_FIN)
		flow_fin(f, FLOW_FIN_LOCAL, now);
	return true;
}

SEC("tc")
int synstile_tc_egress(struct __sk_buff *skb)
{
	struct packet pkt = {};
	struct flow *f;

	/* Data and ACKs tell nothing that the other direction does not. */
	if (!tc_parse(skb, &pkt, false) || !(pkt.flags & (TCP_SYN | TCP_FIN | TCP_RST)) ||
	    !is_service_port(pkt.key.remote_port))
		return GO_ON;
	packet_flip(&pkt);
	f = bpf_map_lookup_elem(&flows, &pkt.key);
	if (!f)
		return GO_ON;
	if (!flow_answer(&pkt, f, bpf_ktime_get_coarse_ns())) {
		count_verdict(V_RST_HELD, BANK_DONE);
		return SHOT;
	}
	if (pkt.flags & TCP_RST && f->state != FLOW_HALF_OPEN)
		flow_remove(&pkt.key);
	return GO_ON;
}

char _license[] SEC("license") = "GPL";
