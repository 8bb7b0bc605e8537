/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * TCP options (RFC 9293 3.1, 7323, 2018): reading those of a segment, and
 * writing those of a SYN-ACK. Pure.
 */
#ifndef SYNSTILE_TCP_OPTIONS_H
#define SYNSTILE_TCP_OPTIONS_H

#include "bytes.h"
#include "packet.h"

enum {
	OPT_EOL = 0,
	OPT_NOP = 1,
	OPT_MSS = 2,
	OPT_WSCALE = 3,
	OPT_SACK_PERMITTED = 4,
	OPT_TSTAMP = 8,
	OPTLEN_MSS = 4,
	OPTLEN_WSCALE = 3,
	OPTLEN_SACK_PERMITTED = 2,
	OPTLEN_TSTAMP = 10,
};

#define TCP_OPTIONS_MAX 40 /* bytes: a 60-byte header less the fixed 20 */
#define TCP_MAX_WSCALE  14 /* RFC 7323 2.3 */

struct tcp_options {
	u32 tsval; /* host order */
	u32 tsecr;
	u16 mss; /* 0: not announced */
	u8 wscale;
	u8 features; /* enum tcp_feature: options that are present */
};

/* The layout that Linux puts in every SYN: one comparison instead of five options. */
static inline __attribute__((always_inline)) bool
tcp_options_linux_syn(struct tcp_options *o, const u8 *p, const void *data_end, u32 len)
{
	const u32 *w = (const void *)p;

	if (len != 20 || (const void *)(w + 5) > data_end)
		return false;
	if ((w[0] & host_to_be32(0xffff0000)) != host_to_be32(OPT_MSS << 24 | OPTLEN_MSS << 16) ||
	    w[1] != host_to_be32(OPT_SACK_PERMITTED << 24 | OPTLEN_SACK_PERMITTED << 16 |
				 OPT_TSTAMP << 8 | OPTLEN_TSTAMP) ||
	    (w[4] & host_to_be32(0xffffff00)) !=
		    host_to_be32(OPT_NOP << 24 | OPT_WSCALE << 16 | OPTLEN_WSCALE << 8))
		return false;
	o->mss = be32_to_host(w[0]);
	o->tsval = be32_to_host(w[2]);
	o->tsecr = be32_to_host(w[3]);
	o->wscale = be32_to_host(w[4]);
	if (o->wscale > TCP_MAX_WSCALE)
		return false; /* for the long way to mend */
	o->features = TCP_TSTAMP | TCP_SACK | TCP_WSCALE;
	return true;
}

/* The one option at p, of `size` bytes. Sizes that contradict the kind are ignored, as Linux does.
 */
static inline __attribute__((always_inline)) void
tcp_option_read(struct tcp_options *o, const u8 *p, const void *data_end, u8 size)
{
	if (p[0] == OPT_MSS && size == OPTLEN_MSS && (const void *)(p + OPTLEN_MSS) <= data_end) {
		o->mss = p[2] << 8 | p[3];
	} else if (p[0] == OPT_WSCALE && size == OPTLEN_WSCALE &&
		   (const void *)(p + OPTLEN_WSCALE) <= data_end) {
		o->wscale = p[2];
		o->features |= TCP_WSCALE;
	} else if (p[0] == OPT_SACK_PERMITTED && size == OPTLEN_SACK_PERMITTED) {
		o->features |= TCP_SACK;
	} else if (p[0] == OPT_TSTAMP && size == OPTLEN_TSTAMP &&
		   (const void *)(p + OPTLEN_TSTAMP) <= data_end) {
		o->tsval = (u32)p[2] << 24 | p[3] << 16 | p[4] << 8 | p[5];
		o->tsecr = (u32)p[6] << 24 | p[7] << 16 | p[8] << 8 | p[9];
		o->features |= TCP_TSTAMP;
	}
}

/*
 * Any layout: the `len` bytes from `options` on. See parse_tcp_options().
 *
 * Goes byte by byte and skips over what belongs to an option, instead of jumping
 * from option to option: each offset is then a constant to the verifier, which
 * otherwise loses itself in combinations of lengths.
 */
static inline __attribute__((always_inline)) bool
tcp_options_walk(struct tcp_options *o, const u8 *options, const void *data_end, u32 len)
{
	u32 skip = 0;

	for (u32 i = 0; i < TCP_OPTIONS_MAX && i < len; i++) {
		const u8 *p = options + i;

		if (skip) {
			skip--;
			continue;
		}
		if ((const void *)(p + 1) > data_end || p[0] == OPT_EOL)
			break;
		if (p[0] == OPT_NOP)
			continue;
		if ((const void *)(p + 2) > data_end || p[1] < 2 || p[1] > len - i)
			return false;
		tcp_option_read(o, p, data_end, p[1]);
		skip = p[1] - 1;
	}
	if (o->wscale > TCP_MAX_WSCALE)
		o->wscale = TCP_MAX_WSCALE; /* RFC 7323 2.3: must be used as 14 */
	return true;
}

#ifndef __bpf__
/*
 * Read the options of *pkt. False if one of them has a length below 2 or runs past
 * the header. BPF programs have their own in options.bpf.h.
 */
static inline bool parse_tcp_options(struct tcp_options *o, const struct packet *pkt, void *data,
				     void *data_end)
{
	u32 len = pkt->tcp_len - sizeof(struct tcp_header);
	const u8 *options = (void *)(tcp_at(pkt, data) + 1);

	__builtin_memset(o, 0, sizeof(*o));
	return tcp_options_linux_syn(o, options, data_end, len) ||
	       tcp_options_walk(o, options, data_end, len);
}
#endif

/* What a SYN-ACK carries. */
struct synack_options {
	u32 tsval; /* host order */
	u32 tsecr;
	u16 mss;
	u8 wscale;
	u8 features; /* enum tcp_feature */
};

/*
 * Lay out a SYN-ACK's options in w (network order), in no more than `room`
 * 32-bit words, the number that the SYN had, so that the answer fits where the
 * SYN was. Everything that the SYN offered fits; MSS does not if the SYN
 * announced none and left no room (the peer then assumes 536 or 1220, RFC 9293
 * 3.7.1). Returns the number of words used.
 */
static inline __attribute__((always_inline)) u32
synack_options_write(u32 w[5], const struct synack_options *o, u32 room)
{
	bool tstamp = o->features & TCP_TSTAMP, sack = o->features & TCP_SACK;
	bool wscale = o->features & TCP_WSCALE;
	u32 n = 0, need = (tstamp ? 3 : sack) + wscale;

	if (need < room)
		w[n++] = host_to_be32(OPT_MSS << 24 | OPTLEN_MSS << 16 | o->mss);
	if (tstamp) {
		u32 before = sack ? OPT_SACK_PERMITTED << 8 | OPTLEN_SACK_PERMITTED
				  : OPT_NOP << 8 | OPT_NOP;

		w[n++] = host_to_be32(before << 16 | OPT_TSTAMP << 8 | OPTLEN_TSTAMP);
		w[n++] = host_to_be32(o->tsval);
		w[n++] = host_to_be32(o->tsecr);
	} else if (sack) {
		w[n++] = host_to_be32(OPT_NOP << 24 | OPT_NOP << 16 | OPT_SACK_PERMITTED << 8 |
				      OPTLEN_SACK_PERMITTED);
	}
	if (wscale)
		w[n++] = host_to_be32(OPT_NOP << 24 | OPT_WSCALE << 16 | OPTLEN_WSCALE << 8 |
				      o->wscale);
	return n;
}

#endif
