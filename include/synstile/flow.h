/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The flow table: one record for each TCP connection, half-open ones included,
 * to a protected service or opened by the host itself. A SYN that is answered with a cookie is
 * in no table.
 *
 * Key and value are shared by XDP (ingress), TC (both directions), the sweep
 * and user space. Times are CLOCK_MONOTONIC nanoseconds, sequence numbers in host order.
 */
#ifndef SYNSTILE_FLOW_H
#define SYNSTILE_FLOW_H

#include "types.h"

/* The same key serves both directions: "remote" is the far end of the wire. */
struct flow_key {
	struct addr remote;
	struct addr local;
	__be16 remote_port;
	__be16 local_port;
};

/* The states of RFC 9293 3.3.2, of one end. X(ID, name) */
// clang-format off
#define SYNSTILE_TCP_STATES(X)                                              \
	X(UNKNOWN, "UNKNOWN") /* met in mid-stream, not heard since */      \
	X(CLOSED, "CLOSED")                                                 \
	X(LISTEN, "LISTEN")                                                 \
	X(SYN_SENT, "SYN-SENT")                                             \
	X(SYN_RECEIVED, "SYN-RECEIVED")                                     \
	X(ESTABLISHED, "ESTABLISHED")                                       \
	X(FIN_WAIT_1, "FIN-WAIT-1")                                         \
	X(FIN_WAIT_2, "FIN-WAIT-2")                                         \
	X(CLOSE_WAIT, "CLOSE-WAIT")                                         \
	X(CLOSING, "CLOSING")                                               \
	X(LAST_ACK, "LAST-ACK")                                             \
	X(TIME_WAIT, "TIME-WAIT")

/* Why a connection is over. X(ID, name) */
#define SYNSTILE_ENDS(X)                                                                \
	X(NONE, "none")               /* it is not */                                   \
	X(FIN, "fin")                 /* both sides closed, and TIME-WAIT is over */    \
	X(RST_CLIENT, "rst_client")                                                     \
	X(RST_SERVER, "rst_server")                                                     \
	X(SYN_TIMEOUT, "syn_timeout") /* the handshake was never completed */           \
	X(CLOSE_TIMEOUT, "close_timeout") /* both sent FIN, and not all was acknowledged */ \
	X(IDLE, "idle")               /* nothing was heard for FLOW_IDLE_NS */          \
	X(DEAD_PEER, "dead_peer")     /* keepalives were not answered */                \
	X(FORGOTTEN, "forgotten")         /* the host's stack has it no more, and sent no word */  \
	X(REUSED, "reused")           /* a new connection with the same addresses and ports */
// clang-format on

enum tcp_state {
#define X(id, name) ST_##id,
	SYNSTILE_TCP_STATES(X)
#undef X
	ST_COUNT
};

enum flow_end {
#define X(id, name) END_##id,
	SYNSTILE_ENDS(X)
#undef X
	END_COUNT
};

/* What the defence makes of the two ends' states. */
enum flow_phase {
	FLOW_HALF_OPEN = 1, /* a SYN went to the stack; its handshake is not complete */
	FLOW_PROVEN,        /* a cookie was proven; the stack has not answered yet */
	FLOW_OPEN,          /* the stack has the connection */
	FLOW_CLOSING,       /* one side sent FIN */
	FLOW_CLOSED,        /* both sides sent FIN, or one sent RST: perhaps TIME-WAIT */
};

/* How the connection was let in. X(ID, name) */
#define SYNSTILE_ADMISSIONS(X)                                                                     \
	X(UNKNOWN, "unknown")                                                                      \
	X(CALM, "calm")         /* its SYN passed to the stack */                                  \
	X(COOKIE, "cookie")     /* it proved a cookie */                                           \
	X(ADOPTED, "adopted")   /* the stack had it before synstile saw it */                      \
	X(HOST, "host")         /* the host opened it */                                           \
	X(ALLOWED, "allowed")   /* its SYN passed: its source is on the allow list */              \
	X(VERIFIED, "verified") /* its SYN passed: its source had proved a cookie before */

enum flow_admission {
#define X(id, name) ADMIT_##id,
	SYNSTILE_ADMISSIONS(X)
#undef X
	ADMIT_COUNT
};

enum flow_flags {
	/* bits 0 to 3: enum tcp_feature, what was negotiated (before the SYN-ACK: offered) */
	FLOW_OPENED_LOCAL = 1 << 4, /* the host is the client */
	FLOW_JOINED = 1 << 5,       /* met in mid-stream: its beginning is not known */
	FLOW_HELD = 1 << 6,         /* FLOW_PROVEN: its listener had no room, and dropped it */
};

/* Index of struct flow.side. */
enum {
	REMOTE,
	LOCAL,
	SIDES
};

/* What is known of one side: facts, from which bpf/tcp_state.h derives both states. */
enum side_flags {
	SIDE_SYN = 1 << 0,       /* its SYN or SYN-ACK was seen: isn is known */
	SIDE_SYN_AGAIN = 1 << 1, /* it repeated that after it was acknowledged: the ACK was lost */
	SIDE_NXT = 1 << 2,       /* nxt is known */
	SIDE_ACKED = 1 << 3,     /* acked and edge are known */
	SIDE_OPEN = 1 << 4,      /* known by other means: its handshake is complete */
	SIDE_FIN = 1 << 5,       /* it sent FIN, at nxt - 1 */
	SIDE_PASSIVE = 1 << 6,   /* it had acknowledged the other's FIN before it sent its own */
	SIDE_ZERO_WINDOW = 1 << 7, /* its receive window is closed */
	SIDE_QUICK = 1 << 11,      /* nxt, acked and limit are known: see tcp_take_quickly() */
	SIDE_GAP = 1 << 12,        /* what is right below nxt was not seen: perhaps a FIN */
	/* known from the stack of a connection met in mid-stream: */
	SIDE_SAW_FIN = 1 << 8,  /* it has received the other's FIN */
	SIDE_FIN_DONE = 1 << 9, /* its FIN was acknowledged */
	SIDE_HALF = 1 << 10,    /* it has answered a SYN */
};

/*
 * One side of a connection. Segments that it sends write this and only this (but for what
 * is rare), so that the CPU that receives and the one that sends do not share a line.
 */
struct flow_side {
	u64 entered;    /* when its present state began */
	u64 seen;       /* its last segment, to within FLOW_SEEN_NS; 0: none */
	u64 bytes;      /* payload that it sent, repetitions included */
	u64 segments;   /* that it sent; those of a GSO packet count each */
	u32 isn;        /* see SIDE_SYN */
	u32 nxt;        /* the highest sequence number that it used, plus 1 */
	u32 acked;      /* the highest acknowledgement that it sent */
	u32 edge;       /* the end of the window that it offered: the highest seen */
	u32 limit;      /* the other's edge when this side last needed it; see SIDE_QUICK */
	u32 rtx;        /* segments with payload or FIN that began below nxt */
	u16 flags;      /* enum side_flags */
	u16 keepalives; /* probes that it sent */
	u8 probed;      /* probes of the other side since it last sent anything */
	u8 syns;        /* SYNs or SYN-ACKs that it sent; stops at 255 */
	u8 wscale;      /* shift of its windows: announced, then agreed; 14 if unknown */
	u8 pad;
};

struct flow {
	u32 word;     /* both states, the phase and a count of changes: see flow_word() */
	u16 service;  /* index into the services map; 0: the host is the client */
	u8 flags;     /* enum flow_flags */
	u8 admission; /* enum flow_admission */
	u64 opened;   /* when it was first seen */
	u32 rtt_us;   /* of the handshake; 0: unknown */
	u32 handed;   /* FLOW_PROVEN: when TC last handed it to the listener, flow_moment(); 0: not
			 yet */
	u16 mss[2];   /* that each side (REMOTE, LOCAL) announced; 0: unknown */
	u8 end;       /* enum flow_end */
	u8 pad[3];
	struct flow_side side[SIDES];
};

/*
 * The states are one word so that a change is one atomic step, made by one CPU: that
 * one reports it. `n` tells changes apart, and numbers the events of a connection (it wraps).
 */
static inline __attribute__((always_inline)) u32 flow_word(u8 remote, u8 local, u8 phase, u8 n)
{
	return remote | (u32)local << 8 | (u32)phase << 16 | (u32)n << 24;
}

/* enum tcp_state of a side. */
static inline __attribute__((always_inline)) u8 flow_state(u32 word, u32 side)
{
	return word >> (side == LOCAL ? 8 : 0);
}

/* enum flow_phase */
static inline __attribute__((always_inline)) u8 flow_phase(u32 word)
{
	return word >> 16;
}

static inline __attribute__((always_inline)) u8 flow_changes(u32 word)
{
	return word >> 24;
}

/* The side that sent the first SYN. */
static inline __attribute__((always_inline)) u32 flow_client(u8 flags)
{
	return flags & FLOW_OPENED_LOCAL ? LOCAL : REMOTE;
}

/* A time in units of 2^20 ns, about a millisecond; never 0. It wraps after 52 days. */
static inline __attribute__((always_inline)) u32 flow_moment(u64 ns)
{
	return (u32)(ns >> 20) | !(u32)(ns >> 20);
}

/* `seen` is written at most once in this time. */
#define FLOW_SEEN_NS 1000000000ULL

/* How long entries live when nothing more is seen (see bpf/synstile_sweep.bpf.c). */
#define FLOW_SYN_NS    (63 * 1000000000ULL)   /* Linux' servers: 1+2+4+8+16+32 s */
#define FLOW_CLOSED_NS (60 * 1000000000ULL)   /* 2 MSL; Linux: TCP_TIMEWAIT_LEN */
#define FLOW_RESET_NS  (10 * 1000000000ULL)   /* for late segments; see flow_take_reset() */
#define FLOW_IDLE_NS   (7860 * 1000000000ULL) /* 2 h 11 min: keepalive time plus probes */

/* A connection that waits for something, and has been silent for this long: does the stack still
 * have it? User space asks (user/doubts.c). */
#define FLOW_DOUBT_NS (5 * 1000000000ULL)

_Static_assert(sizeof(struct flow_key) == 36, "no padding: the key is hashed as bytes");
_Static_assert(sizeof(struct flow_side) == 64, "one cache line of a size");
/* With the table's own header and the key: 256 bytes, and each side a cache line. */
_Static_assert(sizeof(struct flow) == 160, "value layout is ABI between programs and user space");

#endif
