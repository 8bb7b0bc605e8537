/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Is it an attack, and are its sources spoofed? Pure: numbers in, findings out. user/detect.h has
 * the numbers.
 *
 * Findings, beside what the datapath sees by itself (half-open connections, SYN rate):
 *
 * COMPLETION  Of the SYNs that came between three seconds and one second ago, at least
 *             `completion_from` a second, fewer than `completion_below` percent were completed
 *             (traffic.h says how that is counted). The last second is left out, so that a healthy
 *             crowd with round trips of up to a second does not look incomplete.
 * SOURCES     More than `sources_above` different sources within a second, and fewer than half of
 *             those SYNs completed. A crowd that completes is none, however large.
 * QUEUE       The kernel's request queue overflowed (TcpExtTCPReqQFullDrop, ...DoCookies). That the
 *             accept queue overflowed (TcpExtListenOverflows) is no attack but a slow server; the
 *             stack then drops SYNs of real clients, so that COMPLETION and SOURCES mean nothing
 *             unless synstile answers them itself.
 *
 * Spoofed means: addresses tell nothing, and to block them is of no use. That is judged from SYNs
 * that have had JUDGE_RTT to be completed, the latest JUDGE_SYNS of them, or all of the last
 * second.
 *
 *   no     most are completed, to which the client's address must be real: a crowd, or bots that
 *          behave like one. Or: most of what is not completed comes from TOP_FEW addresses at most.
 *   yes    most are not completed, and what is not comes from many addresses of which none sends
 *          much (SPREAD_RATE a second), or from very many (SPREAD_MANY), or from all over one /24.
 *   null   too few SYNs, or neither is clear: some hundred addresses that send much each may be
 *          bots with raw sockets; of a mixture, neither part may dominate.
 *
 * A crowd that comes all at once, with round trips of all lengths, is not complete yet when it is
 * first judged: then everything that was completed counts for it, except for as many as were
 * before the attack. What cannot be told apart from a spoofed flood: thousands of real hosts that
 * send SYNs and never complete one (raw sockets), and clients farther away than JUDGE_RTT in the
 * first half second of an attack (later ones are judged with JUDGE_RTT_LATER).
 */
#ifndef SYNSTILE_USER_JUDGE_H
#define SYNSTILE_USER_JUDGE_H

#include <synstile/service.h>

#include "clock.h"
#include "traffic.h"

#define JUDGE_SPAN_NS   (2 * NS_PER_SEC)   /* SYNs that COMPLETION and SOURCES look at */
#define JUDGE_LAG_NS    (1 * NS_PER_SEC)   /* a round trip that must not look like an attack */
#define JUDGE_RTT       (350 * NS_PER_MS)  /* the same for `spoofed`, which is asked soon */
#define JUDGE_RTT_LATER (1000 * NS_PER_MS) /* ... once the attack is older than two seconds */
#define JUDGE_AFTER     (500 * NS_PER_MS)  /* an attack is first judged when it is so old */
#define JUDGE_SYNS      200
#define JUDGE_SYNS_MIN  50

#define SPREAD_MIN  32   /* sources */
#define SPREAD_RATE 20   /* SYNs of one source, a second */
#define SPREAD_MANY 2048 /* sources */
#define SPREAD_FULL 128  /* sources in one /24 */

/* What a policy says. */
struct detect_bounds {
	u32 completion_below; /* percent; 0: never */
	u32 completion_from;  /* SYN/s */
	u32 sources_above;    /* a second; 0: never */
	bool queue_overflow;
};

/* Different sources, counted from one moment to another. */
struct source_count {
	u64 from, to;
	u64 n;
};

struct circumstances {
	const struct traffic *traffic;
	u64 now;
	struct source_count whole, running; /* the last second of the sketch, and the present one */
	bool overflowed;  /* the kernel's request queue did, lately, and it is this service's */
	bool server_slow; /* its accept queue did */
};

/* Of the SYNs that came between three seconds and one second ago. -1: too few for a word. */
int judge_completion(const struct traffic *t, u64 now);

/* enum attack_reason: ATTACK_COMPLETION and those below it. */
u32 judge_reasons(const struct circumstances *c, const struct detect_bounds *b);

enum spoofed {
	SPOOFED_UNKNOWN,
	SPOOFED_NO,
	SPOOFED_YES,
	SPOOFED_ANSWERS
};

/* Sampled SYNs: see top_sources.h. */
struct sampled {
	u32 worth;      /* samples of equal weight */
	double few;     /* share of the TOP_FEW busiest addresses: 0 to 1 */
	double fullest; /* share of the busiest /24 */
};

struct judgement {
	enum spoofed spoofed;
	const char *why; /* for people: "nobody completes, ..." */
	u64 syns;        /* that were looked at */
	int completion;  /* percent of them; -1: too few */
};

/* `since`: when the attack began. */
struct judgement judge_spoofed(const struct circumstances *c, const struct sampled *s, u64 since);

#endif
