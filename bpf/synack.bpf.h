/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Answering SYNs with cookies, and recognising the cookies that come back.
 */
#ifndef SYNSTILE_SYNACK_BPF_H
#define SYNSTILE_SYNACK_BPF_H

#include "cookie.h"
#include "kernel_cookie.bpf.h"
#include "reply.bpf.h"
#include "sources.bpf.h"

enum {
	COOKIES_OWN,
	COOKIES_KERNEL
};

/* Set before load, so that the verifier drops the other back end's code. */
const volatile u32 cookie_backend = COOKIES_OWN;

#define MSS_DEFAULT_IPV4 536 /* RFC 9293 3.7.1: when the SYN announces none */
#define MSS_DEFAULT_IPV6 1220

/* What the client offers and this host allows (the kernel refuses the rest). */
static __always_inline void synack_offer(const struct packet *pkt, const struct settings *set,
					 const struct service *s, const struct tcp_options *o,
					 struct cookie_offer *offer)
{
	const u8 ecn = TCP_ECE | TCP_CWR;
	u8 features = o->features;

	/* RFC 3168 6.1.1: an ECN-setup SYN has both flags, and is not itself ECT */
	if ((pkt->flags & ecn) == ecn && !pkt->ect)
		features |= TCP_ECN;
	offer->features = features & set->flags & s->features & TCP_FEATURES;
	offer->wscale = offer->features & TCP_WSCALE ? o->wscale : COOKIE_NO_WSCALE;
	offer->mss = o->mss ? o->mss : pkt->ipv4 ? MSS_DEFAULT_IPV4 : MSS_DEFAULT_IPV6;
}

/* The receive window as the kernel will find it when it takes the connection
 * (tcp_select_initial_window): whole segments of what the listener's buffer holds. */
static __always_inline u16 synack_window(u32 window, const struct cookie_offer *offer)
{
	u32 mss = offer->mss - (offer->features & TCP_TSTAMP ? 12 : 0);

	return mss && window > mss ? window - window % mss : window;
}

/*
 * A cookie of the kernel's for a SYN; false if it refuses. Global, like options_walk(), and so
 * that its variables are not on the stack (512 bytes in all) of those who use our own.
 */
__noinline int synack_kernel(struct packet *pkt, struct cookie_offer *offer, u64 now, u32 *isn)
{
	return pkt && offer && isn && kcookie_make(pkt, offer, now, isn);
}

static __always_inline void synack_reply(const struct segment *seg, const struct settings *set,
					 const struct service *s, const struct iface *dev,
					 const struct cookie_offer *offer, struct reply *r)
{
	const struct packet *pkt = &seg->pkt;
	u32 n, words;
	struct synack_options out = {
		.tsval = offer->tsval,
		.tsecr = seg->options.tsval,
		.mss = pkt->ipv4 ? dev->mss4 : dev->mss6,
		.wscale = service_wscale(set, s),
		.features = offer->features,
	};

	if (s->mss && s->mss < out.mss)
		out.mss = s->mss;
	words = (pkt->tcp_len - sizeof(struct tcp_header)) / 4;
	n = synack_options_write(r->options, &out, words);
	reply_options_pad(r, n, words);
	r->ack = pkt->seq + 1;
	r->window = synack_window(seg->window, offer);
	r->flags = TCP_SYN | TCP_ACK | (offer->features & TCP_ECN ? TCP_ECE : 0);
}

/* Global, for its 60 bytes of stack. */
__noinline int synack_ipv4_options_ok(struct xdp_md *ctx, u32 l3, u32 words)
{
	u32 header[15] = {};

	if (words < 5 || words > 15 ||
	    bpf_xdp_load_bytes(ctx, l3 & L3_OFFSET_MAX, header, words * sizeof(*header)))
		return false;
	return csum_ipv4_ok(header, 15); /* the rest is zero and adds nothing */
}

/* The stack would drop a SYN whose IPv4 header is damaged; so must who answers in its place.
 * (The TCP checksum may still be partial here, on veth and virtio, and tells nothing.) */
static __always_inline bool synack_ipv4_ok(struct xdp_md *ctx, const struct packet *pkt)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	struct ipv4_header *ip = data + (pkt->l3 & L3_OFFSET_MAX);
	u32 words = (u32)(pkt->l4 - pkt->l3) / 4;

	if ((void *)(ip + 1) > data_end)
		return false;
	return words == 5 ? csum_ipv4_ok((void *)ip, 5)
			  : synack_ipv4_options_ok(ctx, pkt->l3, words);
}

/*
 * A SYN under pressure: turn it into a SYN-ACK that carries a cookie. Global: verified once,
 * for any packet. Pointers into maps do not survive such a call, so they are looked up
 * again (arrays: inlined).
 */
__noinline int synack_cookie(struct xdp_md *ctx, struct segment *seg)
{
	struct settings *set = map_at(&settings, 0);
	struct iface *dev = map_at(&iface, 0);
	struct cookie_offer offer = {};
	struct reply r = {};
	struct service *s;
	struct pressure *p;

	if (!seg || !set || !dev)
		return V_REPLY_FAILED;
	s = service_at(seg->service, seg->slot);
	if (!s)
		return V_REPLY_FAILED;
	if (seg->pkt.ipv4 && !synack_ipv4_ok(ctx, &seg->pkt))
		return V_IPV4_MALFORMED;
	synack_offer(&seg->pkt, set, s, &seg->options, &offer);
	if (cookie_backend == COOKIES_OWN)
		r.seq = cookie_make(set, &seg->pkt, &offer, seg->now);
	else if (!synack_kernel(&seg->pkt, &offer, seg->now, &r.seq))
		return V_REPLY_FAILED;
	synack_reply(seg, set, s, dev, &offer, &r);
	if (!reply_write(ctx, &seg->pkt, set, &r))
		return V_REPLY_FAILED;
	p = map_at(&pressure, seg->service);
	if (p && elapsed(seg->now, p->cookie_sent) > FLOW_SEEN_NS)
		p->cookie_sent = seg->now;
	count_load(seg->service, LOAD_COOKIES);
	return V_SYN_COOKIE;
}

/* Does this segment prove a cookie that was made for the client ISN `isn`? Global: asked twice. */
__noinline int cookie_proves(struct segment *seg, struct cookie_offer *offer, u32 isn)
{
	struct settings *set = map_at(&settings, 0);

	if (!seg || !set || !offer)
		return false;
	if (cookie_backend == COOKIES_KERNEL)
		return kcookie_check(&seg->pkt, isn);
	return cookie_check(set, &seg->pkt, isn, &seg->options, seg->now, offer);
}

/*
 * A keepalive or window probe may be the first that is heard of a client whose ACK
 * was lost. It lies one below the ISN that the cookie was made for. Accepting it
 * would give a forger a second try per segment, so it is answered by the like: a
 * segment below the client's window, which makes it send the ACK we want
 * (RFC 9293 3.10.7.4).
 */
__noinline int synack_probe(struct xdp_md *ctx, struct segment *seg)
{
	struct settings *set = map_at(&settings, 0);
	struct reply r = {.flags = TCP_ACK};
	struct service *s;

	if (!seg || !set)
		return V_REPLY_FAILED;
	s = service_at(seg->service, seg->slot);
	if (!s)
		return V_REPLY_FAILED;
	r.seq = seg->pkt.ack - 1;
	r.ack = seg->pkt.seq + 1;
	r.window = seg->window >> (service_wscale(set, s) & 15);
	reply_options_pad(&r, 0, OPTION_WORDS_MAX);
	if (seg->options.features & TCP_TSTAMP) { /* the segment had one, so there is room */
		r.options[0] =
			bpf_htonl(OPT_NOP << 24 | OPT_NOP << 16 | OPT_TSTAMP << 8 | OPTLEN_TSTAMP);
		r.options[1] = bpf_htonl(seg->options.tsecr);
		r.options[2] = bpf_htonl(seg->options.tsval);
	}
	return reply_write(ctx, &seg->pkt, set, &r) ? V_COOKIE_PROBE : V_REPLY_FAILED;
}

/* Might this be the keepalive of a client that has sent nothing yet? */
static __always_inline bool is_keepalive(const struct packet *pkt)
{
	return pkt->payload <= 1 && !(pkt->flags & TCP_FIN);
}

static __always_inline void synack_proven(struct scene *s, const struct cookie_offer *offer)
{
	struct flow *f = flow_new(s->seg.service, ADMIT_COOKIE, s->seg.now);

	s->shared->proven = s->seg.now;
	source_proven(&s->seg);
	count_load(s->seg.service, LOAD_VALIDATED);
	count_load(s->seg.service, LOAD_COMPLETED);
	if (!f)
		return;
	f->side[REMOTE].seen = s->seg.now;
	flow_of_cookie(f, &s->seg.pkt, service_wscale(s->set, s->service), offer);
	flow_insert(&s->seg.pkt.key, f);
}

/* A segment with ACK of no known connection, while cookies are out. V_GO_ON: it proves none. */
static __always_inline enum synstile_verdict synack_answered(struct xdp_md *ctx, struct scene *s)
{
	struct cookie_offer offer = {};

	if (!options_read(ctx, &s->seg))
		return V_GO_ON;
	if (cookie_proves(&s->seg, &offer, s->seg.pkt.seq - 1)) {
		synack_proven(s, &offer);
		return V_COOKIE_VALID;
	}
	if (is_keepalive(&s->seg.pkt) && cookie_proves(&s->seg, &offer, s->seg.pkt.seq))
		return synack_probe(ctx, &s->seg);
	return V_GO_ON;
}

#endif
