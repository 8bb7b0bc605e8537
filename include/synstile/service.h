/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Services: what is protected, how, and how hard pressed it is.
 *
 * `listeners` maps each local address and port to a service index; `ports` is a
 * quick answer in front of it. `services` is written by user space alone,
 * `pressure` by the datapath alone, both indexed by service (0 is no service).
 */
#ifndef SYNSTILE_SERVICE_H
#define SYNSTILE_SERVICE_H

#include "types.h"

#define SYNSTILE_MAX_SERVICES  1024
#define SYNSTILE_MAX_LISTENERS 65536

enum service_mode {
	MODE_OBSERVE, /* count what would be done, touch nothing */
	MODE_AUTO,    /* cookies while under pressure */
	MODE_ALWAYS,  /* cookies for every new SYN */
};

/*
 * A policy is in one of two slots. What depends on it is kept for both, so that a new one is
 * written beside the one in force, and one change of settings.generation puts it in force: a
 * packet reads that once, and all that it meets comes from the same policy.
 */
#define POLICY_SLOTS 2

static inline __attribute__((always_inline)) u32 policy_slot(u32 generation)
{
	return generation % POLICY_SLOTS;
}

/* Key of `listeners`. User space enters every (local address, port) pair, so
 * that one exact look-up tells a SYN for this host's listener from any other. */
struct listener_key {
	struct addr addr;
	__be16 port;
	u16 pad;
	u32 ifindex; /* 0, unless the port has PORT_BY_INTERFACE */
};

struct listen_entry {
	u16 service[POLICY_SLOTS]; /* by slot; 0: none */
	u16 window; /* bytes, unscaled, that a SYN-ACK may offer: what the listener's receive buffer
		       takes */
	u16 pad;
};

enum port_flags {
	PORT_ANY = 1 << 0,          /* some service has this port */
	PORT_BY_INTERFACE = 1 << 1, /* which one depends on the interface */
};

/* Value of `ports`, index: port in host order. A look-up in an array is all that most
 * packets need: those to no service, and those to the host's first IPv4 address. */
struct port_entry {
	u32 flags;                 /* enum port_flags */
	__be32 addr4;              /* the first IPv4 address that listens at it, or 0 */
	struct listen_entry quick; /* what `listeners` has for that address */
};

/* Why a service is only observed although its policy wants it protected: cookies would break it. */
enum service_held {
	HELD_NOT,
	HELD_MPTCP,     /* own cookies cannot serve a listener that speaks Multipath TCP */
	HELD_NAT,       /* nor survive address translation (user/nat.h) */
	HELD_BRIDGE,    /* nor a bridge on the way to the stack (user/bridged.h) */
	HELD_PUBLISHED, /* the port leads to a container, whose stack did not make the cookie */
};

#define SERVICE_NO_WSCALE 255
#define SERVICE_NAME_SIZE 32 /* with the zero at its end: letters, digits, '-', '_', '.' */

/* Map `services`: slot * SYNSTILE_MAX_SERVICES + index. */
struct service {
	u32 mode;                   /* enum service_mode */
	u32 half_open_attack_above; /* connections: the budget */
	u32 half_open_calm_below;
	u32 rate_attack_above; /* SYN/s */
	u32 rate_calm_below;
	u32 hold_ms;     /* calm again only after this long below both lower bounds */
	u32 syn_calm_ms; /* a handshake that takes longer is given up; see bpf/syn_timeout.h */
	u32 syn_attack_ms;
	__be16 port; /* for people; 0 if several */
	u16 mss;     /* the largest that cookies may announce; 0: the interface's */
	u8 features; /* enum tcp_feature that cookies may agree to */
	u8 wscale;   /* window shift that own cookies offer, or SERVICE_NO_WSCALE: the host's */
	u8 used;     /* not 0: this index belongs to a service */
	u8 held;     /* enum service_held */
	u32 backlog; /* of listen(): of the roomiest of its listeners */
	u32 pad2;
	char name[SERVICE_NAME_SIZE];
};

enum pressure_state {
	PRESSURE_CALM,
	PRESSURE_ATTACK
};

/* Why a service is under attack. */
enum attack_reason {
	ATTACK_HALF_OPEN = 1 << 0, /* half-open connections reached their bound */
	ATTACK_RATE = 1 << 1,      /* the rate of SYNs did */
	/* found by user space (user/detect.h), which sounds the alarm: */
	ATTACK_COMPLETION = 1 << 2, /* too few handshakes were completed */
	ATTACK_SOURCES = 1 << 3,    /* too many different sources, most of which do not complete */
	ATTACK_QUEUE = 1 << 4,      /* the kernel's own queues overflowed */
};

/* Written by every CPU; see bpf/pressure.h for the rules. Times are ns. */
struct pressure {
	u32 state;        /* enum pressure_state */
	s32 half_open;    /* entries in FLOW_HALF_OPEN */
	u64 window_start; /* of the SYN count below */
	u64 syns;         /* in this window, from CPUs that have reported */
	u64 rate;         /* SYN/s in the last whole window */
	u64 since;        /* when `state` began */
	u64 above;        /* when a lower bound was last exceeded */
	u64 cookie_sent;  /* when a cookie was last sent, to within a second; 0 never */
	u32 attacks;      /* times that calm turned into attack */
	u32 lasted_ms;    /* how long the last attack lasted */
	u64 alarm;        /* when user space last sounded the alarm; 0: never */
	u32 alarms;       /* ... and why: enum attack_reason */
	u32 reasons;      /* all that were met since `since` */
	u64 pad[6];
};

/* Map `load`, per CPU, indexed by service: what came, counted without end. X(ID, name) */
#define SYNSTILE_LOADS(X)                                                                          \
	X(SYNS, "syns")           /* new ones, not kept away by the rules for sources */           \
	X(COOKIES, "cookies")     /* answered with a cookie */                                     \
	X(VALIDATED, "validated") /* cookies that came back */                                     \
	X(COMPLETED, "completed") /* handshakes, those with cookies included */                    \
	X(VERIFIED, "verified")   /* SYNs passed because their source had proved itself */         \
	X(DROPPED, "dropped")     /* packets to this service */

enum load_kind {
#define X(id, name) LOAD_##id,
	SYNSTILE_LOADS(X)
#undef X
	LOAD_KINDS
};

#define LOAD_TICK_SHIFT 20 /* about a ms */

struct load {
	u32 tick;   /* coarse clock, 2^LOAD_TICK_SHIFT ns: the last report to `pressure` */
	u32 fresh;  /* SYNs since */
	u32 seen;   /* SYNs of this span, as of its last sample: see bpf/sampling.h */
	u16 left;   /* SYNs from now to the next sample */
	u16 stride; /* of how many SYNs one is a sample */
	u64 n[LOAD_KINDS];
};

/* Argument of the program synstile_sweep. */
struct sweep_order {
	u32 between; /* not 0: one more than one a second, which tells no attack's progress */
	u32 pad;
};

/* Argument of the program synstile_alarm. */
struct service_alarm {
	u32 service;
	u32 reasons; /* enum attack_reason: ATTACK_COMPLETION and those below it */
};

/* Map `census`, indexed by service: what the last sweep counted. */
struct census {
	u32 unanswered;  /* half-open connections whose SYN the stack has not answered */
	u32 answered;    /* half-open connections whose server is in SYN-RECEIVED */
	u32 established; /* both sides */
	u32 other;
};

_Static_assert(sizeof(struct listener_key) == 24, "no padding: the key is hashed as bytes");
_Static_assert(sizeof(struct listen_entry) == 8, "map value");
_Static_assert(sizeof(struct port_entry) == 16, "map value");
_Static_assert(sizeof(struct service) == 80, "map value");
_Static_assert(sizeof(struct pressure) == 128, "two cache lines");
_Static_assert(sizeof(struct load) == 64, "one cache line");
_Static_assert(sizeof(struct census) == 16, "map value");

#endif
