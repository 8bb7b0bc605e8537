/* SPDX-License-Identifier: GPL-2.0-only */
/* Typed access to an instance's maps. All functions return 0 or -errno. */
#ifndef SYNSTILE_USER_MAPS_H
#define SYNSTILE_USER_MAPS_H

#include <synstile/event.h>
#include <synstile/flow_filter.h>
#include <synstile/handshake.h>
#include <synstile/half_open.h>
#include <synstile/oddity.h>
#include <synstile/service.h>
#include <synstile/settings.h>
#include <synstile/source.h>
#include <synstile/verdict.h>

/* Descriptors; see bpf/maps.bpf.h. datapath_maps() opens them. */
struct maps {
	int flows, filter, listeners, ports, services, pressure, settings, shared;
	int census, events, lost, oddities, doubts;
	int load, rules, prefixes, verified, distinct, samples, listed, handshakes;
};

#define NO_MAPS                                                                                    \
	{                                                                                          \
		-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1 \
	}

void maps_close(struct maps *m);

/* With the keys: see keys_forget(). */
int maps_settings(const struct maps *m, struct settings *set);
int maps_set_settings(const struct maps *m, const struct settings *set);

/* As the policy in force has it. */
int maps_service(const struct maps *m, u32 index, struct service *s);
int maps_slot_service(const struct maps *m, u32 slot, u32 index, struct service *s);
/* All of them at once, which is much quicker. */
int maps_services(const struct maps *m, struct service all[SYNSTILE_MAX_SERVICES]);
int maps_set_service(const struct maps *m, u32 slot, u32 index, const struct service *s);
/* settings.generation */
int maps_generation(const struct maps *m, u32 *generation);
/* `port` in host order. */
int maps_set_port(const struct maps *m, u16 port, const struct port_entry *value);
int maps_port(const struct maps *m, u16 port, struct port_entry *value);
int maps_ports(const struct maps *m, struct port_entry all[65536]);
int maps_pressure(const struct maps *m, u32 index, struct pressure *p);
int maps_pressures(const struct maps *m, struct pressure all[SYNSTILE_MAX_SERVICES]);
/* The first `n`: of indices from 0 on. */
int maps_first_pressures(const struct maps *m, u32 n, struct pressure *first);
/* For an index to which nothing refers: what the datapath counts meanwhile would be lost. */
int maps_set_pressure(const struct maps *m, u32 index, const struct pressure *p);
int maps_census(const struct maps *m, u32 service, struct census *c);
int maps_censuses(const struct maps *m, struct census all[SYNSTILE_MAX_SERVICES]);
int maps_first_censuses(const struct maps *m, u32 n, struct census *first);

/* Sums over all CPUs; they only ever grow. */
int maps_load(const struct maps *m, u32 service, u64 sum[LOAD_KINDS]);
/* The same of the first `n` services, index 0 included. */
int maps_loads(const struct maps *m, u32 n, u64 (*sum)[LOAD_KINDS]);
/* `entry`: see handshake_entry(). */
int maps_handshakes(const struct maps *m, u32 entry, struct handshakes *sum);
/* For an index to which nothing refers: load and handshakes are counted from 0 again. */
int maps_forget_counts(const struct maps *m, u32 service);
int maps_distinct(const struct maps *m, u32 service, struct distinct *d);

/* Calls fn for each SYN to a service that was sampled at `since` or later (ns, monotonic), of all
 * CPUs, in no order. `syns`: how many it stands for. */
typedef void (*sample_fn)(const struct syn_sample *s, u32 syns, void *arg);
int maps_samples(const struct maps *m, u32 service, u64 since, sample_fn fn, void *arg);

int maps_rules(const struct maps *m, u32 slot, struct rules *r);
int maps_set_rules(const struct maps *m, u32 slot, const struct rules *r);

/* A trie for maps_set_prefixes(), which belongs to no instance yet: a descriptor, or -errno. Of
 * equal keys the last one counts. An IPv6 prefix that is shorter than ::ffff:0:0/96 (such as ::/0)
 * means no IPv4 address. The caller closes it, after maps_set_prefixes() too. */
int maps_new_trie(const struct prefix_key *keys, const u32 *actions, u32 n);
/* `trie` is -1: no lists in this slot. */
int maps_set_prefixes(const struct maps *m, u32 slot, int trie);

/* Calls fn for each listener; stops at the first non-zero result, and returns it. */
typedef int (*listener_fn)(const struct listener_key *key, const struct listen_entry *value,
			   void *arg);
int maps_listeners(const struct maps *m, listener_fn fn, void *arg);
/* -ENOENT: there is none. */
int maps_listener(const struct maps *m, const struct listener_key *key, struct listen_entry *value);

/* Calls fn for each connection, in no order; stops at the first non-zero result, and returns
 * it. One that comes or goes meanwhile may be missed; none is seen twice. */
typedef int (*flow_fn)(const struct flow_key *key, const struct flow *f, void *arg);
int maps_each_flow(const struct maps *m, flow_fn fn, void *arg);

/* -ENOENT: it is not known. */
int maps_flow(const struct maps *m, const struct flow_key *key, struct flow *f);

/* The next connection in doubt (bpf/expiry.h), which is then forgotten; -ENOENT: none. */
int maps_next_doubt(const struct maps *m, struct flow_key *key);

struct flow_counts {
	u64 total;
	u64 by_phase[FLOW_CLOSED + 1]; /* index: enum flow_phase */
};

int maps_count_flows(const struct maps *m, struct flow_counts *counts);
/* Enters a connection unless it is known. -E2BIG: the table is full. */
int maps_add_flow(const struct maps *m, const struct flow_key *key, const struct flow *f);

/* Adds the counters of one interface, all CPUs, to `sum`. */
int maps_add_counters(int fd, u64 sum[SYNSTILE_COUNTERS]);
/* Sums over all CPUs. */
int maps_lost(const struct maps *m, u64 n[EVENT_COUNT * LOST_STAGES]);
int maps_oddities(const struct maps *m, u64 n[ODD_COUNT]);
int maps_set_iface(int fd, const struct iface *iface);

/* Index: enum synstile_verdict. */
extern const char *const verdict_names[V_COUNT];
extern const char *const verdict_helps[V_COUNT];

#endif
