/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Independent checkers of answers: they know the RFCs and the frame that was sent, and
 * nothing of the code under test but struct tcp_feature's bits.
 */
#ifndef SYNSTILE_TEST_CHECK_H
#define SYNSTILE_TEST_CHECK_H

#include "prog.h"

/* What a SYN-ACK said. */
struct answer {
	u32 seq, ack;
	u16 window;
	u8 flags;
	u16 mss;     /* 0: none */
	u8 features; /* enum tcp_feature */
	u8 wscale;
	u32 tsval, tsecr;
};

/* Everything but the numbers that only a cookie knows: Ethernet, tags, IP, ports,
 * lengths, checksums, zeroes behind. Reads the rest into *a. */
void check_answer(struct answer *a, const struct frame *in, const struct spec *s,
		  const struct run *r);

/* And that it is the right SYN-ACK for the SYN *s, whose options offer `offered`. */
void check_synack(struct answer *a, const struct frame *in, const struct spec *s,
		  const struct run *r, u8 offered);

/* Options of the SYN that offers `features`, with this MSS (0: none) and window scale. */
void offer_options(struct spec *s, u8 features, u16 mss, u8 wscale);

/* The segment that follows SYN-ACK *a of SYN *syn: flags and payload as given, with the
 * timestamps that the client would send. */
struct spec next_segment(const struct spec *syn, const struct answer *a, u8 flags, u16 payload);

/* Build and run in one go. */
void run_spec(struct run *r, struct frame *f, const struct spec *s);
void expect(const struct run *r, enum synstile_verdict v, int action);

/* SYN *syn is answered with a cookie (mode always). */
void get_cookie(struct answer *a, const struct spec *syn);
/* ... and the ACK for it, which it returns, is found valid: *r and *f are its run and its frame. */
struct spec prove_cookie(struct answer *a, const struct spec *syn, struct run *r, struct frame *f);

#endif
