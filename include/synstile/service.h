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

/* Key of `listeners`. User space enters every (local address, port) pair, so
 * that one exact look-up tells a SYN for this host's listener from any other. */
struct listener_key {
	struct addr addr;
	__be16 port;
	u16 pad;
};

struct listen_entry {
	u16 service;
	u16 window; /* bytes, unscaled, that a SYN-ACK may offer: what the listener's receive buffer
		       takes */
};

/* Value of `ports`, index: port in host order. A look-up in an array is all that most
 * packets need: those to no service, and those to the host's first IPv4 address. */
struct port_entry {
	u32 any;                   /* not 0: some service has this port */
	__be32 addr4;              /* the first IPv4 address that listens at it, or 0 */
	struct listen_entry quick; /* what `listeners` has for that address */
	u32 pad;
};

struct service {
	u32 mode;                   /* enum service_mode */
	u32 half_open_attack_above; /* connections */
	u32 half_open_calm_below;
	u32 rate_attack_above; /* SYN/s */
	u32 rate_calm_below;
	u32 hold_ms; /* calm again only after this long below both lower bounds */
	__be16 port; /* for people; 0 if several */
	u16 pad;
	u32 syn_timeout_ms; /* a handshake that takes longer is given up */
};

enum pressure_state {
	PRESSURE_CALM,
	PRESSURE_ATTACK
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
};

/* Map `census`, indexed by service: what the last sweep counted. */
struct census {
	u32 unanswered;  /* half-open connections whose SYN the stack has not answered */
	u32 answered;    /* half-open connections whose server is in SYN-RECEIVED */
	u32 established; /* both sides */
	u32 other;
};

_Static_assert(sizeof(struct listener_key) == 20, "no padding: the key is hashed as bytes");
_Static_assert(sizeof(struct listen_entry) == 4, "map value");
_Static_assert(sizeof(struct port_entry) == 16, "map value");
_Static_assert(sizeof(struct service) == 32, "map value");
_Static_assert(sizeof(struct pressure) == 64, "one cache line");
_Static_assert(sizeof(struct census) == 16, "map value");

#endif
