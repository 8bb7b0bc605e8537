// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes one frame per run and redirects it to a device. Run by BPF_PROG_TEST_RUN in live-frame
 * mode (kernel 5.18), whose recycled pages keep what the receiver wrote: frames are made in our
 * own memory and stored whole.
 *
 * Frame n depends on the seed and n alone, so a seed names a sequence of frames.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include "flood.h"

#define GAMMA           0x9e3779b97f4a7c15ULL
#define DRAWS_PER_FRAME 256

const volatile struct flood_conf conf;

/*
 * What garbage draws from. Volatile, since clang 14 puts plain constants of 16 bytes into a section
 * of their own and still lists them in .rodata's BTF ("Invalid offset").
 */
const volatile __u8 doffs[16] = {5, 6, 7, 8, 9, 10, 10, 10, 11, 12, 13, 14, 15, 4, 1, 0};
const volatile __u8 protos[8] = {6, 6, 6, 6, 6, 17, 1, 4};
const volatile __u8 nexts[16] = {6, 6, 6, 6, 6, 6, 6, 6, 0, 43, 44, 60, 51, 59, 17, 58};

struct flood_frame frames[FLOOD_KINDS]; /* laid out by user space */
struct flood_frame noise;
__u64 made; /* frames so far; user space reads it */

struct rng {
	__u64 state;
};

/* splitmix64 (Steele, Lea, Flood 2014) */
static __always_inline __u64 draw(struct rng *rng)
{
	__u64 z = rng->state += GAMMA;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static __always_inline struct rng rng_of_frame(__u64 n)
{
	struct rng rng = {conf.seed + n * (GAMMA * DRAWS_PER_FRAME)};

	return rng;
}

/* 0 ... n - 1 out of 32 random bits */
static __always_inline __u32 below(__u32 random, __u32 n)
{
	return (__u64)random * n >> 32;
}

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static __always_inline __u16 pick_dport(__u32 random)
{
	__u32 i = conf.ndports > 1 ? below(random, conf.ndports) : 0;

	/* The mask is for the verifier: ndports is at most FLOOD_MAXPORT. */
	return conf.dports[i & (FLOOD_MAXPORT - 1)];
}

/* Returns the sum of the addresses' changing part, that is the source. */
static __always_inline __u64 put_source4(struct iphdr *ip, struct rng *rng, __u32 ip_sum)
{
	__u64 random = draw(rng);

	ip->saddr = conf.src[0] | ((__u32)random & conf.src_random[0]);
	ip->id = random >> 32;
	ip->check = ~fold((__u64)ip_sum + ip->saddr + ip->id);
	return ip->saddr;
}

static __always_inline __u64 put_source6(struct ipv6hdr *ip6, struct rng *rng)
{
	__u32 *s = ip6->saddr.in6_u.u6_addr32;
	__u64 high = draw(rng), low = draw(rng);

	s[0] = conf.src[0] | ((__u32)high & conf.src_random[0]);
	s[1] = conf.src[1] | ((__u32)(high >> 32) & conf.src_random[1]);
	s[2] = conf.src[2] | ((__u32)low & conf.src_random[2]);
	s[3] = conf.src[3] | ((__u32)(low >> 32) & conf.src_random[3]);
	return (__u64)s[0] + s[1] + s[2] + s[3];
}

static __always_inline __u64 put_timestamps(struct flood_frame *f, struct rng *rng)
{
	__u32 off = f->ts_off;
	__u64 random = draw(rng);
	__u32 *ts;

	if (off < FLOOD_PAD || off > FLOOD_BUF - 8)
		return 0;
	ts = (__u32 *)(f->buf + off);
	ts[0] = random;
	ts[1] = f->has_ack ? random >> 32 : 0;
	return (__u64)ts[0] + ts[1];
}

static __always_inline struct flood_frame *make_segment(__u64 n)
{
	struct rng rng = rng_of_frame(n);
	__u64 which = draw(&rng), numbers, ports, sum;
	__u32 kind = conf.kind == FLOOD_MIXED ? below(which, FLOOD_KINDS) : conf.kind;
	struct flood_frame *f;
	struct tcphdr *tcp;

	/* clang drops the check as always true for a drawn kind, but Linux 6.1 takes 7 for its
	 * maximum. */
	barrier_var(kind);
	if (kind >= FLOOD_KINDS || conf.l3 > 64 || conf.l4 > 128)
		return NULL;
	if (conf.fixed) /* only kind and destination port go on changing */
		rng = rng_of_frame(0);
	f = &frames[kind];
	tcp = (struct tcphdr *)(f->buf + conf.l4);
	if (conf.v6)
		sum = put_source6((struct ipv6hdr *)(f->buf + conf.l3), &rng);
	else
		sum = put_source4((struct iphdr *)(f->buf + conf.l3), &rng, f->ip_sum);

	numbers = draw(&rng);
	ports = draw(&rng);
	tcp->source = bpf_htons(conf.sport_lo + below(ports, conf.sport_n));
	tcp->dest = pick_dport(which >> 32);
	tcp->seq = numbers;
	tcp->ack_seq = f->has_ack ? numbers >> 32 : 0;
	sum += (__u64)f->tcp_sum + tcp->source + tcp->dest + tcp->seq + tcp->ack_seq;
	if (f->ts_off)
		sum += put_timestamps(f, &rng);
	tcp->check = ~fold(sum);
	return f;
}

/*
 * Garbage: an Ethernet header, up to three tags, then IPv4, IPv6 or something else over random
 * bytes, made so that a good part of it gets past each stage of a parser: lengths, versions,
 * protocols and data offsets are right more often than not, and wrong often enough. Where an IP
 * header is, its addresses stay inside the test ranges.
 */
static __always_inline void put_random(struct flood_frame *f, struct rng *rng, __u32 len)
{
	__u64 *p = (__u64 *)f->buf;

	/* Headers are written whole even where the frame ends sooner: nothing old may show through.
	 */
	if (len < 160)
		len = 160;
	/* The first two words hold the padding and the MAC addresses. */
	for (int i = 2; i < FLOOD_BUF / 8; i++) {
		if (i * 8 >= (int)(FLOOD_PAD + len))
			break;
		p[i] = draw(rng);
	}
}

static __always_inline void garbage_tcp(struct flood_frame *f, __u32 l4, __u64 random)
{
	struct tcphdr *tcp;
	__u8 *opt;

	if (l4 > 128)
		return;
	tcp = (struct tcphdr *)(f->buf + l4);
	opt = (__u8 *)(tcp + 1);
	if (random & 7) {
		tcp->dest = pick_dport(random >> 32);
		tcp->doff = doffs[(random >> 8) & 15];
	}
	if (random & 16) { /* plausible flags: SYN, ACK, SYN|ACK, FIN|ACK, ... */
		tcp->cwr = tcp->ece = tcp->urg = tcp->psh = 0;
		tcp->fin = tcp->rst = 0;
	}
	if (random & 32) /* kinds and lengths small enough to lead somewhere */
		for (int i = 0; i < 40; i++)
			opt[i] &= 15;
}

static __always_inline void garbage_ipv4(struct flood_frame *f, __u32 l3, __u32 iplen,
					 struct rng *rng)
{
	__u64 random = draw(rng), addr = draw(rng);
	struct iphdr *ip;
	__u64 sum = 0;

	if (l3 > 64)
		return;
	ip = (struct iphdr *)(f->buf + l3);
	ip->version = random & 15 ? 4 : random >> 4;
	ip->ihl = random & 0x700 ? 5 : random >> 12;
	if (random & 0x70000)
		ip->tot_len = bpf_htons(iplen);
	if (random & 0x700000)
		ip->frag_off = bpf_htons(0x4000);
	ip->protocol = protos[(random >> 24) & 7];
	garbage_tcp(f, l3 + ip->ihl * 4, draw(rng));
	/* Last: with a header length under 5 the TCP header lies over the addresses. */
	ip->saddr = bpf_htonl(0xc6120000 | ((__u32)addr & 0x1ffff)); /* 198.18.0.0/15 */
	ip->daddr = conf.garbage_dst4;
	ip->check = random & 0x70000000 ? 0 : random >> 32;
	if (ip->check)
		return;
	/* A right sum (of 20 bytes) most of the time, else nobody would look further. */
	for (int i = 0; i < 5; i++)
		sum += ((__u32 *)ip)[i];
	ip->check = ~fold(sum);
}

static __always_inline void garbage_ipv6(struct flood_frame *f, __u32 l3, __u32 iplen,
					 struct rng *rng)
{
	__u64 random = draw(rng);
	struct ipv6hdr *ip6;
	__u32 l4;

	if (l3 > 64)
		return;
	ip6 = (struct ipv6hdr *)(f->buf + l3);
	ip6->version = random & 15 ? 6 : random >> 4;
	if (random & 0x700)
		ip6->payload_len = bpf_htons(iplen - 40);
	ip6->nexthdr = nexts[(random >> 16) & 15];
	ip6->saddr.in6_u.u6_addr32[0] = bpf_htonl(0x20010db8);
	for (int i = 0; i < 4; i++)
		ip6->daddr.in6_u.u6_addr32[i] = conf.garbage_dst6[i];
	l4 = l3 + sizeof(*ip6);
	if (ip6->nexthdr != 6 &&
	    (random & 0x300000)) { /* an extension header of 8 bytes, then TCP */
		f->buf[l4] = 6;
		f->buf[l4 + 1] = 0;
		l4 += 8;
	}
	garbage_tcp(f, l4, draw(rng));
}

static __always_inline struct flood_frame *make_garbage(__u64 n)
{
	struct rng rng = rng_of_frame(n);
	struct flood_frame *f = &noise;
	__u64 random = draw(&rng);
	__u32 tags = random & 8 ? 0 : random & 3, l3 = FLOOD_PAD + 14 + 4 * tags;
	__u32 room = random & 0x70 ? 128 : FLOOD_MAXLEN, iplen;
	__u16 *type = (__u16 *)(f->buf + FLOOD_PAD + 12);

	f->len = 14 + below(random >> 32, room - 14 + 1);
	put_random(f, &rng, f->len);
	for (__u32 i = 0; i < 3 && i < tags; i++, type += 2)
		*type = (random >> (8 + i)) & 1 ? bpf_htons(0x8100) : bpf_htons(0x88a8);

	/* Truncated frames announce more than there is. */
	iplen = f->len + FLOOD_PAD - l3 + (random & 0x1800 ? 0 : 40);
	switch ((random >> 13) & 7) {
	case 0: /* any type; the bytes behind it stay random, so keep it from naming IP */
		*type = (__u16)(random >> 48) | bpf_htons(0x8001);
		if (*type == bpf_htons(0x86dd))
			*type = bpf_htons(0x0806);
		break;
	case 1:
	case 2:
	case 3:
		*type = bpf_htons(0x86dd);
		garbage_ipv6(f, l3, iplen, &rng);
		break;
	default:
		*type = bpf_htons(0x0800);
		garbage_ipv4(f, l3, iplen, &rng);
	}
	return f;
}

SEC("xdp")
int flood(struct xdp_md *ctx)
{
	struct flood_frame *f;
	__u64 n = made;
	__u32 len;

	if (conf.kind == FLOOD_GARBAGE)
		f = make_garbage(n);
	else
		f = make_segment(n);
	if (!f)
		return XDP_ABORTED;

	len = f->len;
	if (len < 14 || len > FLOOD_MAXLEN)
		return XDP_ABORTED;
	if (bpf_xdp_store_bytes(ctx, 0, f->buf + FLOOD_PAD, len))
		return XDP_ABORTED;
	/* Live frames get their full size back before the next run. */
	if (len != conf.size && bpf_xdp_adjust_tail(ctx, (int)len - (int)conf.size))
		return XDP_ABORTED;
	made = n + 1;
	return bpf_redirect(conf.ifindex, 0);
}

char LICENSE[] SEC("license") = "GPL";
