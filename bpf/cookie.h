/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Our own SYN cookies (RFC 4987 3.6). Pure.
 *
 * A cookie is the initial sequence number of the SYN-ACK, and proves that the
 * client received it. What the client offered travels with it:
 *
 *  client without timestamps: in the ISN
 *
 *	 31                                      6   5   4       0
 *	+-----------------------------------------+---+-----------+
 *	|                 MAC (26)                 | c | code (5)  |
 *	+-----------------------------------------+---+-----------+
 *	c: low bit of the count; code: one of 32 rows of COOKIE_CODES
 *
 *  client with timestamps: in the low bits of the SYN-ACK's TSval, which come back in TSecr
 *
 *	 31                                               1   0
 *	+--------------------------------------------------+---+
 *	|                     MAC (31)                      | c |   ISN
 *	+--------------------------------------------------+---+
 *	 31                        9     8   6    5     4    3       0
 *	+---------------------------+---------+-----+------+----------+
 *	|         clock (23)         | MSS (3) | ECN | SACK | wscale   |   TSval
 *	+---------------------------+---------+-----+------+----------+
 *	wscale: 15 is "none"
 *
 * MAC: SipHash-2-4 of both addresses (all 128 bits of IPv6), both ports, the
 * client's ISN, the count, and the code or the low 9 bits of TSval.
 *
 * Count: time in units of 64 s (COOKIE_COUNT_*). The present count and the one before
 * are accepted, the bit c says which of the two is meant. So a cookie lives at
 * least 64 s and less than 128 s.
 *
 * Odds that a blind ACK is accepted. For one tuple and client ISN:
 *	without timestamps: 32 codes * 2 counts are valid of 2^32 ISNs: 2^-26
 *	with timestamps: an attacker may choose TSecr, which fixes the code; then
 *	2 counts are valid of 2^32 ISNs: 2^-31
 * A key change does not add to that: the count says which key signs it
 * (struct cookie_key; user/keys.h tells how one is replaced).
 */
#ifndef SYNSTILE_COOKIE_H
#define SYNSTILE_COOKIE_H

#include "siphash.h"
#include "synstile/flow.h"
#include "synstile/settings.h"
#include "tcp_options.h"

enum {
	COOKIE_CODE_BITS = 5,
	COOKIE_COUNT_BIT = 5,         /* bit number of c without timestamps */
	COOKIE_TS_SACK_SHIFT = 4 - 1, /* from TCP_SACK, bit 1, to bit 4 */
	COOKIE_TS_ECN_SHIFT = 5 - 3,  /* from TCP_ECN, bit 3, to bit 5 */
	COOKIE_TS_MSS_SHIFT = 6,
	COOKIE_TS_BITS = 9,
	COOKIE_NO_WSCALE = 15,
};

#define COOKIE_TS_MASK ((1u << COOKIE_TS_BITS) - 1)

/* 64 s, to 11 millionths, without a division: 2^22 / 4398 units of 2^26 ns. */
#define COOKIE_COUNT_SHIFT1 26
#define COOKIE_COUNT_FACTOR 4398
#define COOKIE_COUNT_SHIFT2 22

/* MSS values, smallest first: 8 with timestamps; the four at COOKIE_MSS_FEW without.
 * IPv4: the least that the kernel takes; links of the smallest IPv6 MTU (1280, as some
 * VPNs have: 1240 or, for both families, 1220); mobile networks; WireGuard (1420); tunnels; PPPoE;
 * Ethernet; jumbo frames. IPv6: the same links, 20 bytes less; the kernel takes no less than 1220.
 */
#define COOKIE_MSS4                                                                                \
	{                                                                                          \
		536, 1220, 1340, 1380, 1440, 1452, 1460, 8960                                      \
	}
#define COOKIE_MSS6                                                                                \
	{                                                                                          \
		1220, 1280, 1320, 1360, 1420, 1432, 1440, 8940                                     \
	}
#define COOKIE_MSS_FEW                                                                             \
	{                                                                                          \
		0, 1, 3, 6                                                                         \
	}

/* What a client offered, as far as a cookie can carry it. */
struct cookie_offer {
	u32 tsval; /* SYN-ACK: to be sent. Reading: what came back, TSecr. Host order */
	u16 mss;
	u8 wscale;   /* COOKIE_NO_WSCALE if TCP_WSCALE is not among the features */
	u8 features; /* enum tcp_feature */
};

/*
 * The 32 combinations that fit without timestamps: X(MSS index, wscale, SACK, ECN).
 *
 * 26 bits of MAC leave no room for every combination, so these are the ones seen:
 * Windows (wscale 8, or 2), Linux with timestamps off (7, or 10 with large buffers),
 * clients without any option; and each mixture of the three options at least once.
 * Others get the best row that promises nothing more than the client offered
 * (a smaller wscale only understates the client's window).
 */
// clang-format off
#define COOKIE_CODES(X) \
	X(0, 15, 0, 0) X(1, 15, 0, 0) X(2, 15, 0, 0) X(3, 15, 0, 0) \
	X(0, 15, 1, 0) X(1, 15, 1, 0) X(2, 15, 1, 0) X(3, 15, 1, 0) \
	X(0,  2, 1, 0) X(1,  2, 1, 0) X(2,  2, 1, 0) X(3,  2, 1, 0) \
	X(0,  7, 1, 0) X(1,  7, 1, 0) X(2,  7, 1, 0) X(3,  7, 1, 0) \
	X(0,  8, 1, 0) X(1,  8, 1, 0) X(2,  8, 1, 0) X(3,  8, 1, 0) \
	X(0, 10, 1, 0) X(1, 10, 1, 0) X(2, 10, 1, 0) X(3, 10, 1, 0) \
	X(2,  7, 1, 1) X(3,  7, 1, 1) X(3,  8, 1, 1) X(3, 10, 1, 1) \
	X(2, 15, 0, 1) X(2, 15, 1, 1) X(2,  7, 0, 0) X(2,  7, 0, 1)
// clang-format on

struct cookie_row {
	u8 mss;
	u8 wscale;
	u8 features; /* enum tcp_feature */
};

static const struct cookie_row cookie_rows[1 << COOKIE_CODE_BITS] = {
#define X(mss, wscale, sack, ecn)                                                                  \
	{mss, wscale,                                                                              \
	 (sack)*TCP_SACK | (ecn)*TCP_ECN | ((wscale) != COOKIE_NO_WSCALE) * TCP_WSCALE},
	COOKIE_CODES(X)
#undef X
};
/* One object: of constants with 4, 8 or 16 bytes clang 14 makes sections of their own, and BTF
 * that the kernel refuses. */
static const struct {
	u16 mss4[8], mss6[8];
	u8 few[4];
} cookie_sizes = {COOKIE_MSS4, COOKIE_MSS6, COOKIE_MSS_FEW};

/* Index of the largest value of the table that is not above mss; 0 if all are. */
static inline __attribute__((always_inline)) u32 cookie_mss_index(u32 mss, bool ipv4)
{
	const u16 *table = ipv4 ? cookie_sizes.mss4 : cookie_sizes.mss6;
	u32 index = 7;

	/* from the top: most clients are on Ethernet */
	while (index && mss < table[index])
		index--;
	return index;
}

static inline __attribute__((always_inline)) u16 cookie_mss(u32 index, bool ipv4)
{
	return ipv4 ? cookie_sizes.mss4[index & 7] : cookie_sizes.mss6[index & 7];
}

/* The same among the four values that are carried without timestamps. */
static inline __attribute__((always_inline)) u32 cookie_mss_few(u32 index)
{
	return (index >= cookie_sizes.few[1]) + (index >= cookie_sizes.few[2]) +
	       (index >= cookie_sizes.few[3]);
}

/* Index into settings.cookie_codes. */
static inline __attribute__((always_inline)) u8 cookie_request(u32 few, u8 wscale, u8 features)
{
	return few << 6 | (wscale & 15) << 2 | (features & TCP_SACK) | (features & TCP_ECN) >> 3;
}

static inline __attribute__((always_inline)) u32 cookie_count(u64 now_ns)
{
	return (now_ns >> COOKIE_COUNT_SHIFT1) * COOKIE_COUNT_FACTOR >> COOKIE_COUNT_SHIFT2;
}

/* Milliseconds, nearly (2^20 ns): RFC 7323 5.4 asks for a tick of 1 ms to 1 s. */
static inline __attribute__((always_inline)) u32 cookie_tsval(u64 now_ns, u32 ts_offset, u32 bits)
{
	return (((u32)(now_ns >> 20) + ts_offset) & ~COOKIE_TS_MASK) | bits;
}

static inline __attribute__((always_inline)) u32
cookie_mac(const struct settings *set, const struct packet *pkt, u32 isn, u32 count, u32 carried)
{
	/* Counts wrap; a key is old once its successor's first count has come. */
	bool current = (s32)(count - set->key.from) >= 0;
	const struct cookie_key *key = current ? &set->key : &set->previous;
	const struct flow_key *f = &pkt->key;
	struct siphash s;
	u64 len;

	siphash_init(&s, key->k);
	if (pkt->ipv4) {
		siphash_word(&s, (u64)f->remote.w[3] << 32 | f->local.w[3]);
		len = 23;
	} else {
		siphash_word(&s, (u64)f->remote.w[1] << 32 | f->remote.w[0]);
		siphash_word(&s, (u64)f->remote.w[3] << 32 | f->remote.w[2]);
		siphash_word(&s, (u64)f->local.w[1] << 32 | f->local.w[0]);
		siphash_word(&s, (u64)f->local.w[3] << 32 | f->local.w[2]);
		len = 47;
	}
	siphash_word(&s, (u64)f->remote_port << 48 | (u64)f->local_port << 32 | isn);
	/* 7 bytes: the count, 16 bits of what the cookie carries, and a zero */
	return siphash_final(&s, (u64)carried << 32 | count, len) >> 32;
}

/*
 * Make the cookie for a SYN. *offer holds what the SYN asked for and this host
 * allows, and is cut down to what the cookie carries: the SYN-ACK must promise
 * nothing else. Returns the ISN, host order.
 */
static inline __attribute__((always_inline)) u32 cookie_make(const struct settings *set,
							     const struct packet *pkt,
							     struct cookie_offer *offer, u64 now_ns)
{
	u32 count = cookie_count(now_ns), mss = cookie_mss_index(offer->mss, pkt->ipv4);

	if (offer->features & TCP_TSTAMP) {
		u32 bits = mss << COOKIE_TS_MSS_SHIFT |
			   (offer->features & TCP_ECN) << COOKIE_TS_ECN_SHIFT |
			   (offer->features & TCP_SACK) << COOKIE_TS_SACK_SHIFT |
			   (offer->wscale & 15);

		offer->tsval = cookie_tsval(now_ns, set->ts_offset, bits);
		return cookie_mac(set, pkt, pkt->seq, count, bits | 1 << COOKIE_TS_BITS) << 1 |
		       (count & 1);
	}

	u8 request = cookie_request(cookie_mss_few(mss), offer->wscale, offer->features);
	u8 code = set->cookie_codes[request] & 31;

	offer->wscale = cookie_rows[code].wscale;
	offer->features = cookie_rows[code].features;
	return cookie_mac(set, pkt, pkt->seq, count, code) << 6 | (count & 1) << COOKIE_COUNT_BIT |
	       code;
}

/*
 * Is *pkt, whose ack is cookie + 1, the answer to a cookie of ours to the client
 * ISN `isn`? If so, *offer is what the client offered. `o` holds the segment's own
 * options: a client that was sent timestamps echoes them in every segment.
 */
static inline __attribute__((always_inline)) bool
cookie_check(const struct settings *set, const struct packet *pkt, u32 isn,
	     const struct tcp_options *o, u64 now_ns, struct cookie_offer *offer)
{
	u32 cookie = pkt->ack - 1, count = cookie_count(now_ns), bits;

	if (o->features & TCP_TSTAMP) {
		count -= (count ^ cookie) & 1;
		bits = o->tsecr & COOKIE_TS_MASK;
		if (cookie_mac(set, pkt, isn, count, bits | 1 << COOKIE_TS_BITS) << 1 !=
		    (cookie & ~1u))
			return false;
		offer->tsval = o->tsecr;
		offer->mss = cookie_mss(bits >> COOKIE_TS_MSS_SHIFT, pkt->ipv4);
		offer->wscale = bits & 15;
		offer->features = TCP_TSTAMP | (bits >> COOKIE_TS_SACK_SHIFT & TCP_SACK) |
				  (bits >> COOKIE_TS_ECN_SHIFT & TCP_ECN) |
				  (offer->wscale == COOKIE_NO_WSCALE ? 0 : TCP_WSCALE);
		return true;
	}
	count -= (count ^ cookie >> COOKIE_COUNT_BIT) & 1;
	bits = cookie & 31;
	if (cookie_mac(set, pkt, isn, count, bits) << 6 != (cookie & ~63u))
		return false;
	offer->tsval = 0;
	offer->mss = cookie_mss(cookie_sizes.few[cookie_rows[bits].mss & 3], pkt->ipv4);
	offer->wscale = cookie_rows[bits].wscale;
	offer->features = cookie_rows[bits].features;
	return true;
}

#ifndef __bpf__
/* What is lost if `row` answers a request for these; negative if it promises too much. */
static inline int cookie_row_loss(const struct cookie_row *row, u32 few, u32 wscale, u8 features)
{
	static const int mss_loss[4][4] = {{0}, {20, 0}, {24, 4, 0}, {25, 5, 1, 0}};
	u8 lost = features & ~row->features;
	int loss;

	if (row->mss > few || row->features & ~features)
		return -1;
	if (row->features & TCP_WSCALE && row->wscale > wscale)
		return -1;
	loss = mss_loss[few][row->mss] + (lost & TCP_SACK ? 16 : 0) + (lost & TCP_ECN ? 3 : 0) +
	       (lost & TCP_WSCALE ? 12 : 0);
	return row->features & TCP_WSCALE ? loss + (int)(wscale - row->wscale) : loss;
}

/* Fill settings.cookie_codes: for each cookie_request() the best row of COOKIE_CODES. */
static inline void cookie_fill_codes(u8 codes[256])
{
	for (u32 request = 0; request < 256; request++) {
		u32 wscale = request >> 2 & 15;
		u8 features = (request & TCP_SACK) | (request & 1) * TCP_ECN |
			      (wscale != COOKIE_NO_WSCALE) * TCP_WSCALE;
		int least = -1;

		for (u32 code = 0; code < 1 << COOKIE_CODE_BITS; code++) {
			int loss =
				cookie_row_loss(&cookie_rows[code], request >> 6, wscale, features);

			if (loss >= 0 && (least < 0 || loss < least)) {
				least = loss;
				codes[request] = code;
			}
		}
	}
}
#endif

#endif
