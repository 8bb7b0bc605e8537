/* SPDX-License-Identifier: GPL-2.0-only */
/* Typed access to an instance's maps. All functions return 0 or -errno. */
#ifndef SYNSTILE_USER_MAPS_H
#define SYNSTILE_USER_MAPS_H

#include <synstile/event.h>
#include <synstile/flow_filter.h>
#include <synstile/oddity.h>
#include <synstile/service.h>
#include <synstile/settings.h>
#include <synstile/verdict.h>

/* Descriptors; see bpf/maps.bpf.h. datapath_maps() opens them. */
struct maps {
	int flows, filter, listeners, ports, services, pressure, settings, shared;
	int census, events, lost, oddities, doubts;
};

#define NO_MAPS                                                                                    \
	{                                                                                          \
		-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1                                 \
	}

void maps_close(struct maps *m);

/* With the keys: see keys_forget(). */
int maps_settings(const struct maps *m, struct settings *set);
int maps_set_settings(const struct maps *m, const struct settings *set);

/* As the policy in force has it. */
int maps_service(const struct maps *m, u32 index, struct service *s);
int maps_set_service(const struct maps *m, u32 slot, u32 index, const struct service *s);
/* settings.generation */
int maps_generation(const struct maps *m, u32 *generation);
/* `port` in host order. */
int maps_set_port(const struct maps *m, u16 port, const struct port_entry *value);
int maps_pressure(const struct maps *m, u32 index, struct pressure *p);
int maps_census(const struct maps *m, u32 service, struct census *c);

/* Calls fn for each listener; stops at the first non-zero result, and returns it. */
typedef int (*listener_fn)(const struct listener_key *key, const struct listen_entry *value,
			   void *arg);
int maps_listeners(const struct maps *m, listener_fn fn, void *arg);

/* Calls fn for each connection, in no order; stops at the first non-zero result, and returns
 * it. One that comes or goes meanwhile may be missed; none is seen twice. */
typedef int (*flow_fn)(const struct flow_key *key, const struct flow *f, void *arg);
int maps_each_flow(const struct maps *m, flow_fn fn, void *arg);

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
