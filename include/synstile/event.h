/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Events: what the datapath tells, through the ring buffer `events`, and which of
 * it was lost. synstile-events(5) says what they look like outside.
 *
 * What cannot be told is counted, by type and stage: limited (more came than the
 * datapath tells of: see EVENT_LIMIT), ring (the buffer was full), subscriber (a reader
 * of the agent's was too slow; counted there).
 */
#ifndef SYNSTILE_EVENT_H
#define SYNSTILE_EVENT_H

#include "flow.h"
#include "service.h"

/* X(ID, name, help) */
// clang-format off
#define SYNSTILE_EVENTS(X)                                                                   \
	X(TCP_STATE, "tcp_state", "the state of one or both ends of a connection changed")   \
	X(HALF_OPEN_TIMEOUT, "half_open_timeout", "a handshake was not completed in time")   \
	X(RETRANSMISSION, "retransmission", "a side sent again what it had sent before")     \
	X(KEEPALIVE, "keepalive", "a side asks whether the other one is still there")        \
	X(ATTACK_START, "attack_start", "a service came under pressure")                     \
	X(ATTACK_PROGRESS, "attack_progress", "once a second while it is")                   \
	X(ATTACK_END, "attack_end", "the service is calm again")                             \
	X(VERDICT, "verdict", "a packet was dropped (a sample)")                             \
	X(STATS, "stats", "counters, once a second; only for those who ask for this type")   \
	X(LOST, "lost", "events that could not be told, by type and stage")
// clang-format on

enum event_type {
#define X(id, name, help) EVENT_##id,
	SYNSTILE_EVENTS(X)
#undef X
	EVENT_COUNT
};

enum lost_stage {
	LOST_LIMITED,    /* not told by the datapath, to spare everyone */
	LOST_RING,       /* the ring buffer was full */
	LOST_SUBSCRIBER, /* this reader was too slow */
	LOST_STAGES
};

/* Retransmissions, keepalives and verdicts: events per CPU and second at most. */
#define EVENT_LIMIT 250

#define EVENT_RING_BYTES (8 << 20) /* user space may set another size, a power of 2 */

struct event {
	u64 time;            /* CLOCK_MONOTONIC, ns */
	u64 opened;          /* of the connection: with the key, says which one */
	struct flow_key key; /* VERDICT: remote is the sender */
	u32 ifindex;         /* 0: no packet (a timeout) */
	u8 type;             /* enum event_type */
	u8 side;             /* who sent the segment: REMOTE or LOCAL */
	u8 flags;            /* enum flow_flags */
	u8 admission;        /* enum flow_admission */
	u16 service;         /* index; 0: none */
	u8 verdict;          /* enum synstile_verdict; VERDICT only */
	u8 end;              /* enum flow_end */
	union {
		struct {               /* TCP_STATE, HALF_OPEN_TIMEOUT */
			u8 old[SIDES]; /* enum tcp_state, by REMOTE and LOCAL */
			u8 new[SIDES];
			u8 n;           /* numbers the changes of a connection; wraps */
			u8 syns[SIDES]; /* SYNs and SYN-ACKs sent so far */
			u8 pad;
			u32 isn[SIDES];
			u32 rtt_us; /* 0: unknown */
			u32 pad2;
			u64 age; /* ns since the old states began */
		} state;
		struct { /* RETRANSMISSION */
			u32 seq;
			u32 len;      /* payload, bytes */
			u32 segments; /* in this packet (GSO) */
			u32 total;    /* retransmitted segments of this side so far */
			u8 syn;       /* a SYN or SYN-ACK; `total` does not count these */
			u8 syns;      /* sent so far */
			u8 pad[2];
		} rtx;
		struct { /* KEEPALIVE */
			u32 unanswered;
			u32 total;
		} keepalive;
		struct { /* ATTACK_*; times are ns, rates per second */
			u64 rate;
			u64 since; /* START, PROGRESS: when it began; END: how long it lasted */
			u64 attacks;
			u32 half_open;
			u32 half_open_bound;
			u32 rate_bound;
			u8 reasons; /* enum attack_reason */
			u8 pad[3];
		} attack;
		struct { /* VERDICT */
			u32 seq;
			u32 ack;
			u8 tcp_flags;
			u8 pad[3];
		} verdict_of;
	};
};

_Static_assert(sizeof(struct event) == 104, "what user space reads");

#endif
