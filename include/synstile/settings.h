/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What user space tells the datapath about the host, and what the programs of
 * one instance (a network namespace) tell each other.
 */
#ifndef SYNSTILE_SETTINGS_H
#define SYNSTILE_SETTINGS_H

#include "types.h"

/* One SipHash key and the cookie count (see bpf/cookie.h) from which on it signs. */
struct cookie_key {
	u64 k[2];
	u32 from;
	u32 id;   /* 0: none that anybody should hear of */
	u64 made; /* monotonic, ns */
};

enum settings_flags {
	/* bits 0 to 3: what this host allows, and the kernel would refuse otherwise */
	SET_TSTAMP = TCP_TSTAMP, /* net.ipv4.tcp_timestamps */
	SET_SACK = TCP_SACK,     /* net.ipv4.tcp_sack */
	SET_WSCALE = TCP_WSCALE, /* net.ipv4.tcp_window_scaling */
	SET_ECN = TCP_ECN,       /* net.ipv4.tcp_ecn: accept it when asked */
	SET_READY = 1 << 4,      /* tables are filled: the datapath may answer and drop */
	SET_CT_ENTRY =
		1 << 5, /* make conntrack entries for proven clients (nf_conntrack_tcp_loose = 0) */
	SET_OBSERVE = 1 << 6, /* malformed packets: the instance's default mode is observe */
};

/* Map `settings`, one entry, written by user space. */
struct settings {
	u32 flags;     /* enum settings_flags */
	u8 rcv_wscale; /* window shift that the kernel would offer (tcp_rmem, rmem_max) */
	u8 ttl;        /* net.ipv4.ip_default_ttl */
	u8 hop_limit;  /* net.ipv6.conf.*.hop_limit */
	u8 pad;
	u32 generation;             /* of the policy: see policy_slot() */
	u32 switched;               /* when that last changed: settings_moment(); 0: never */
	struct cookie_key key;      /* signs and verifies */
	struct cookie_key previous; /* verifies cookies with a count before key.from */
	u32 ts_offset;              /* random: cookie timestamps do not tell the uptime */
	u32 syn_sent_ms;            /* how long the host tries to connect (tcp_syn_retries) */
	u32 keepalive_intvl_ms;
	u32 keepalive_probes;   /* unanswered, before a peer is dead */
	u8 cookie_codes[256];   /* see cookie_fill_codes() in bpf/cookie.h */
	struct cookie_key next; /* not for the datapath: it waits to become `key` (user/keys.h) */
	u64 source_key[2];      /* random, for good: nobody can choose sources that collide
				   (bpf/source.h) */
};

/* Monotonic ns, to within about a second. */
static inline __attribute__((always_inline)) u32 settings_moment(u64 ns)
{
	return ns >> 30;
}

/* Map `iface`, one entry, one map for each interface; written by user space. */
struct iface {
	u32 ifindex;
	u16 mss4; /* bytes: interface MTU - 40 */
	u16 mss6; /* bytes: interface MTU - 60 */
};

/* Map `shared`, one entry, written by the datapath. Times are ns. */
struct shared {
	u64 proven;     /* a cookie was last proven, or a proven segment seen again: TC has work */
	u64 table_full; /* a flow could not be entered: the table does not know every connection */
	u64 pad[6];
};

_Static_assert(sizeof(struct cookie_key) == 32, "part of a map value");
_Static_assert(sizeof(struct settings) == 16 + 3 * 32 + 16 + 256 + 16, "map value");
_Static_assert(sizeof(struct iface) == 8, "map value");
_Static_assert(sizeof(struct shared) == 64, "one cache line");

#endif
