/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Asking the stack what it has for a 4-tuple.
 */
#ifndef SYNSTILE_SOCK_BPF_H
#define SYNSTILE_SOCK_BPF_H

#include "maps.bpf.h"
#include "packet.h"

/* From include/net/tcp_states.h, the numbers that struct bpf_sock.state has. */
enum {
	SK_ESTABLISHED = 1,
	SK_SYN_SENT = 2,
	SK_FIN_WAIT1 = 4,
	SK_TIME_WAIT = 6,
	SK_LISTEN = 10,
	SK_NEW_SYN_RECV = 12,
};

/* Fill a tuple for bpf_skc_lookup_tcp(); returns the size that says which family it is. */
static __always_inline u32 sock_tuple(struct bpf_sock_tuple *t, const struct packet *pkt)
{
	const struct flow_key *k = &pkt->key;

	if (pkt->ipv4) {
		t->ipv4.saddr = k->remote.w[3];
		t->ipv4.daddr = k->local.w[3];
		t->ipv4.sport = k->remote_port;
		t->ipv4.dport = k->local_port;
		return sizeof(t->ipv4);
	}
	__builtin_memcpy(t->ipv6.saddr, &k->remote, sizeof(k->remote));
	__builtin_memcpy(t->ipv6.daddr, &k->local, sizeof(k->local));
	t->ipv6.sport = k->remote_port;
	t->ipv6.dport = k->local_port;
	return sizeof(t->ipv6);
}

/* The state of the socket that exactly this 4-tuple has; 0 if it has none (a
 * listener that would take it does not count). Global, so that the tuple is not on the stack of
 * those who go on from there: 6.1 allows 512 bytes in all. */
__noinline u32 sock_state(struct xdp_md *ctx, struct packet *pkt)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *sk;
	u32 state, size;

	if (!pkt)
		return 0;
	size = sock_tuple(&tuple, pkt);
	/* two calls: the verifier wants each size to be a constant */
	if (size == sizeof(tuple.ipv4))
		sk = bpf_skc_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	else
		sk = bpf_skc_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return 0;
	state = sk->state;
	bpf_sk_release(sk);
	return state == SK_LISTEN ? 0 : state;
}

#endif
