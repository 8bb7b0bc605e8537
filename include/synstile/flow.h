/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The flow table: one entry for each TCP connection to a protected service,
 * half-open ones included. A SYN that is answered with a cookie is in no table.
 *
 * Key and value are shared by XDP (ingress), TC (both directions), the sweep
 * and user space. Times are CLOCK_MONOTONIC nanoseconds unless said otherwise.
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

enum flow_state {
	FLOW_HALF_OPEN = 1, /* a SYN went to the stack; its handshake is not complete */
	FLOW_PROVEN,        /* a cookie was proven; the stack has not answered yet */
	FLOW_OPEN,          /* the stack has the connection */
	FLOW_CLOSING,       /* one side sent FIN */
	FLOW_CLOSED,        /* both sides sent FIN, or one sent RST: perhaps TIME-WAIT */
};

/* How the connection was let in. */
enum flow_admission {
	ADMIT_CALM = 1, /* its SYN passed to the stack */
	ADMIT_COOKIE,   /* it proved a cookie */
	ADMIT_ADOPTED,  /* the stack had it before synstile saw it */
};

enum flow_flags {
	/* bits 0 to 3: enum tcp_feature, what was negotiated */
	FLOW_FIN_LOCAL = 1 << 4,  /* our side sent FIN */
	FLOW_FIN_REMOTE = 1 << 5, /* the far side sent FIN */
	FLOW_ISN_LOCAL = 1 << 6,  /* isn_local is known */
};

struct flow {
	u64 since;      /* when the present state began */
	u64 seen;       /* last segment, to within FLOW_SEEN_NS */
	u64 handed;     /* FLOW_PROVEN: when TC last handed it to the listener; 0: not yet */
	u32 isn_remote; /* host order */
	u32 isn_local;  /* host order; see FLOW_ISN_LOCAL */
	u16 service;    /* index into the services map */
	u16 mss;        /* FLOW_PROVEN: what the client announced (as the cookie kept it) */
	u8 state;       /* enum flow_state */
	u8 admission;   /* enum flow_admission */
	u8 flags;       /* enum flow_flags */
	u8 snd_wscale;  /* the client's window shift */
	u8 rcv_wscale;  /* the window shift that the SYN-ACK announced */
	u8 pad[7];
};

/* `seen` is written at most once in this time, so that a data segment writes nothing. */
#define FLOW_SEEN_NS 1000000000ULL

/* How long entries live when nothing more is seen (see bpf/synstile_sweep.bpf.c). */
#define FLOW_HALF_OPEN_NS (63 * 1000000000ULL)   /* Linux: 1+2+4+8+16+32 s */
#define FLOW_CLOSED_NS    (60 * 1000000000ULL)   /* Linux: TCP_TIMEWAIT_LEN */
#define FLOW_IDLE_NS      (7860 * 1000000000ULL) /* 2 h 11 min: keepalive time plus probes */

_Static_assert(sizeof(struct flow_key) == 36, "no padding: the key is hashed as bytes");
_Static_assert(sizeof(struct flow) == 48, "value layout is ABI between programs and user space");

#endif
