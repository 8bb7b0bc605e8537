/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's own cookies, for kernels that cannot take ours (before 6.9).
 *
 * The ISN comes from and is checked by the kernel; the listener checks it once
 * more when the ACK arrives (net.ipv4.tcp_syncookies = 2). Options travel in the
 * low bits of the timestamp as net/ipv4/syncookies.c lays them out, which works
 * only without the kernel's per-pair timestamp offset (net.ipv4.tcp_timestamps = 2).
 * A client without timestamps loses SACK and window scaling, as it does with the
 * kernel's cookies.
 */
#ifndef SYNSTILE_KERNEL_COOKIE_BPF_H
#define SYNSTILE_KERNEL_COOKIE_BPF_H

#include "cookie.h"
#include "flow.bpf.h"

enum {
	KCOOKIE_TS_BITS = 6,
};

#define NS_PER_TS_TICK 1000000ULL /* TCP_TS_HZ is 1000 */

/* A TCP header with just an MSS option: all that the generator looks at. */
struct kcookie_tcp {
	struct tcp_header tcp;
	u32 mss;
};

static __always_inline u32 kcookie_tsval(const struct cookie_offer *offer, u64 now)
{
	u32 tick = now / NS_PER_TS_TICK, ts;

	/* wscale, SACK and ECN lie as in our own cookies (TS_OPT_* in syncookies.c) */
	ts = (tick & ~((1u << KCOOKIE_TS_BITS) - 1)) | (offer->wscale & 15) |
	     (offer->features & TCP_SACK) << COOKIE_TS_SACK_SHIFT |
	     (offer->features & TCP_ECN) << COOKIE_TS_ECN_SHIFT;
	/* never ahead of the kernel's clock: PAWS would drop what follows */
	return ts > tick ? ts - (1u << KCOOKIE_TS_BITS) : ts;
}

/* An IP header with just the addresses. */
union kcookie_ip {
	struct ipv4_header v4;
	struct ipv6_header v6;
};

static __always_inline void kcookie_addresses(const struct packet *pkt, union kcookie_ip *ip)
{
	if (pkt->ipv4) {
		ip->v4.src = pkt->key.remote.w[3];
		ip->v4.dst = pkt->key.local.w[3];
	} else {
		__builtin_memcpy(&ip->v6.src, &pkt->key.remote, sizeof(ip->v6.src));
		__builtin_memcpy(&ip->v6.dst, &pkt->key.local, sizeof(ip->v6.dst));
	}
}

/* The counterpart of cookie_make(); false if the kernel refuses. */
static __always_inline bool kcookie_make(const struct packet *pkt, struct cookie_offer *offer,
					 u64 now, u32 *isn)
{
	union kcookie_ip ip = {};
	struct kcookie_tcp h = {};
	s64 cookie;

	kcookie_addresses(pkt, &ip);
	h.tcp.src = pkt->key.remote_port;
	h.tcp.dst = pkt->key.local_port;
	h.tcp.seq = bpf_htonl(pkt->seq);
	h.tcp.doff = sizeof(h) / 4 << 4;
	h.mss = bpf_htonl(OPT_MSS << 24 | OPTLEN_MSS << 16 | offer->mss);
	if (pkt->ipv4)
		cookie = bpf_tcp_raw_gen_syncookie_ipv4((void *)&ip.v4, (void *)&h, sizeof(h));
	else
		cookie = bpf_tcp_raw_gen_syncookie_ipv6((void *)&ip.v6, (void *)&h, sizeof(h));
	if (cookie < 0)
		return false;
	*isn = cookie;
	if (offer->features & TCP_TSTAMP) {
		offer->tsval = kcookie_tsval(offer, now);
	} else {
		offer->wscale = COOKIE_NO_WSCALE;
		offer->features = 0;
	}
	return true;
}

/* The counterpart of cookie_check(), without the options: the kernel reads them itself. */
static __always_inline bool kcookie_check(const struct packet *pkt, u32 isn)
{
	union kcookie_ip ip = {};
	struct tcp_header tcp = {};

	kcookie_addresses(pkt, &ip);
	tcp.src = pkt->key.remote_port;
	tcp.dst = pkt->key.local_port;
	tcp.seq = bpf_htonl(isn + 1);
	tcp.ack = bpf_htonl(pkt->ack);
	tcp.doff = sizeof(tcp) / 4 << 4;
	if (pkt->ipv4)
		return !bpf_tcp_raw_check_syncookie_ipv4((void *)&ip.v4, (void *)&tcp);
	return !bpf_tcp_raw_check_syncookie_ipv6((void *)&ip.v6, (void *)&tcp);
}

#endif
