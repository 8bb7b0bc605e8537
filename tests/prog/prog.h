/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The programs under test: loaded and given their maps, run on frames, and asked what
 * they counted. Failures end the test (cmocka).
 */
#ifndef SYNSTILE_TEST_PROG_H
#define SYNSTILE_TEST_PROG_H

#include <linux/bpf.h>

#include "unit.h"
#include "frame.h"
#include "cookie.h"
#include "maps.h"
#include "synstile/event.h"
#include "synstile/oddity.h"
#include "synstile/service.h"
#include "synstile/verdict.h"

#define PORT       80
#define SERVICE    1 /* index */
#define WINDOW     65535
#define TTL        61
#define HOP_LIMIT  62
#define MSS4       1460
#define MSS6       1440
#define RCV_WSCALE 7
#define NS_PER_S   1000000000ULL

/* Of the connections that tests put into the table: see prog_make_flow() */
#define ISN_REMOTE 900
#define ISN_LOCAL  5000

#define TC_GO_ON (-1)
#define TC_SHOT  2

enum {
	OWN_COOKIES,
	KERNEL_COOKIES
};

/* What the last run gave. */
struct run {
	int action;
	enum synstile_verdict verdict; /* V_COUNT: nothing was counted */
	enum synstile_bank bank;
	u8 out[FRAME_MAX];
	u32 out_len;
};

/* In a network namespace of this process's own. TC may be missing (before 6.9). */
void prog_open(u32 backend, u32 max_flows);
void prog_close(void);
bool prog_has_tc(void);

/* No flows, no pressure, one service on PORT with this mode and high bounds. Fails if
 * the filter in front of the flow table does not count the flows that were there. */
void prog_reset(enum service_mode mode);

/* From the next reset on: is the IPv4 address in the table of ports (the short way)? */
void prog_quick(bool yes);

/* Run once. Fails if not exactly one counter moved, by one (TC: or none). */
void prog_xdp(struct run *r, const u8 *frame, u32 len);
void prog_tc_egress(struct run *r, const u8 *frame, u32 len);
/* One side of *s sends, and XDP or TC egress sees it. */
void prog_sends(struct run *r, const struct spec *s, u32 side, u8 flags, u32 seq, u32 ack,
		u16 payload);

/*
 * TC ingress, of a frame without VLAN tags. test_run leaves skb->mac_len 0, which the
 * program takes for a packet without link header (kernels from 6.2 on). So it gets the IP
 * packet alone, whose first 14 bytes test_run takes for the Ethernet header: make it with
 * spec.disguised, so that they say the right type.
 */
void prog_tc_ingress(struct run *r, const struct frame *f);

/* What the agent runs: once a second; and when it has found an attack (false: no such service). */
void prog_sweep(void);
bool prog_alarm(u32 service, u32 reasons);

/* Has any run since the start given this verdict, done and not just observed? */
bool prog_seen(enum synstile_verdict v);

const char *verdict_name(enum synstile_verdict v);

u64 prog_now(void); /* the clock of the programs, ns */

/* What the maps hold; the pointers are to copies, prog_put_* writes them back. */
struct settings *prog_settings(void);
void prog_put_settings(void);
void prog_get_service(struct service *s);
void prog_put_service(const struct service *s);
void prog_get_pressure(struct pressure *p);
void prog_put_pressure(const struct pressure *p);
void prog_get_shared(struct shared *s);
void prog_put_shared(const struct shared *s);
void prog_cookies_out(void); /* as if a cookie had just been sent */
void prog_attack(void);      /* the service is under attack */

/* User space's own access to the maps under test. prog_reset() leaves no rules there, no prefixes
 * and nobody verified; prog_rules() is maps_set_rules(). */
const struct maps *prog_maps(void);
void prog_rules(u32 slot, const struct rules *r);
void prog_prefixes(u32 slot, const struct prefix_key *keys, const u32 *actions, u32 n);
bool prog_verified(struct verified *v, const struct addr *source);
void prog_put_verified(const struct addr *source, const struct verified *v);
u32 prog_n_verified(void);
void prog_max_verified(u32 n);      /* from the next prog_open() on */
u64 prog_load(enum load_kind kind); /* since the last reset */
void prog_put_listener(const struct listener_key *key, const struct listen_entry *l);
void prog_put_port(u16 port, const struct port_entry *p);

/*
 * A record of a connection, opened by the far side and just now, in this phase: the numbers that
 * come next are ISN_REMOTE + 1 and ISN_LOCAL + 1. FLOW_CLOSING: the far side sent FIN, and the host
 * acknowledged it; FLOW_CLOSED: the host did too, so that the far side is in TIME-WAIT.
 */
void prog_make_flow(struct flow *f, u8 phase);

void prog_key(struct flow_key *key, const struct spec *s);
bool prog_flow(struct flow *f, const struct spec *s);
u8 prog_phase(const struct spec *s); /* enum flow_phase; 0: no record */
void prog_put_flow(const struct spec *s, const struct flow *f);
u32 prog_flows(void);
void prog_unlisten(const struct spec *s);

/* The events since the last call or reset, but for those that did not fit; how many there were. */
u32 prog_events(struct event *out, u32 max);
void prog_ring(u32 bytes); /* the size of their buffer, from the next prog_open() on */

/* What was lost and what was odd, since the last reset. */
u64 prog_lost(enum event_type type, enum lost_stage stage);
u64 prog_odd(enum oddity which);

/* Bring up lo with the addresses of client and server, so that sockets can have them. */
void prog_addresses(void);

/* A listening socket on PORT of every address; close it. */
int prog_listen(bool ipv6);

#endif
