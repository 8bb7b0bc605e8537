/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The maps. All but `counters` and `iface` are shared by every program of an
 * instance (user space gives them one pin each); those two belong to one interface.
 */
#ifndef SYNSTILE_MAPS_BPF_H
#define SYNSTILE_MAPS_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "synstile/event.h"
#include "synstile/flow_filter.h"
#include "synstile/handshake.h"
#include "synstile/half_open.h"
#include "synstile/oddity.h"
#include "synstile/service.h"
#include "synstile/settings.h"
#include "synstile/source.h"
#include "synstile/verdict.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC); /* memory for the connections there are */
	__uint(max_entries, 262144);          /* user space sets it before load */
	__type(key, struct flow_key);
	__type(value, struct flow);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE); /* user space counts what it adopts */
	__uint(max_entries, FLOW_FILTER_LINES);
	__type(key, u32);
	__type(value, struct flow_filter);
} filter SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, SYNSTILE_MAX_LISTENERS);
	__type(key, struct listener_key);
	__type(value, struct listen_entry);
} listeners SEC(".maps");

/* Indexed by local port, host order. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 65536);
	__type(key, u32);
	__type(value, struct port_entry);
} ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, POLICY_SLOTS *SYNSTILE_MAX_SERVICES);
	__type(key, u32);
	__type(value, struct service);
} services SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SYNSTILE_MAX_SERVICES);
	__type(key, u32);
	__type(value, struct pressure);
} pressure SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SYNSTILE_MAX_SERVICES);
	__type(key, u32);
	__type(value, struct census);
} census SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE); /* user space reads it often */
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct half_open_listed);
} listed SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, EVENT_RING_BYTES);
} events SEC(".maps");

/* Index: enum event_type * LOST_STAGES + enum lost_stage. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, EVENT_COUNT *LOST_STAGES);
	__type(key, u32);
	__type(value, u64);
} lost SEC(".maps");

/* How many events of a type this CPU has told of, in this second. */
struct event_limit {
	u64 second;
	u64 n;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, EVENT_COUNT);
	__type(key, u32);
	__type(value, struct event_limit);
} limits SEC(".maps");

/* Index: enum oddity. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ODD_COUNT);
	__type(key, u32);
	__type(value, u64);
} oddities SEC(".maps");

/* Connections of which it is not sure that the host's stack still has them. (No queue: Linux 6.1
 * has "Sleepable programs can only use array, hash, and ringbuf maps", and the sweep is one.) */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, struct flow_key);
	__type(value, u32);
} doubts SEC(".maps");

/* A record in the making: too large for the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct flow);
} scratch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SYNSTILE_MAX_SERVICES);
	__type(key, u32);
	__type(value, struct load);
} load SEC(".maps");

/* Index: handshake_entry(). */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HANDSHAKE_SERVICES);
	__type(key, u32);
	__type(value, struct handshakes);
} handshakes SEC(".maps");

/* Indexed by slot. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, POLICY_SLOTS);
	__type(key, u32);
	__type(value, struct rules);
} rules SEC(".maps");

struct prefix_trie {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, PREFIXES_MAX); /* each has its own size */
	/* not __type: of a type behind two pointers clang tells the name alone ("can't determine
	 * key size for type [256]") */
	__uint(key_size, sizeof(struct prefix_key));
	__uint(value_size, sizeof(u32));
};

/* Indexed by slot; none there: no lists. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, POLICY_SLOTS);
	__type(key, u32);
	__array(values, struct prefix_trie);
} prefixes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536); /* user space sets it before load */
	__type(key, struct addr);
	__type(value, struct verified);
} verified SEC(".maps");

/* Index: see limit_cell(). */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LIMIT_ROWS *LIMIT_COLUMNS);
	__type(key, u32);
	__type(value, u64);
} limit SEC(".maps");

/* Indexed by service. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SYNSTILE_MAX_SERVICES);
	__type(key, u32);
	__type(value, struct distinct);
} distinct SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct samples);
} samples SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct settings);
} settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct shared);
} shared SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SYNSTILE_COUNTERS);
	__type(key, u32);
	__type(value, u64);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct iface);
} iface SEC(".maps");

static __always_inline void *map_at(void *map, u32 index)
{
	return bpf_map_lookup_elem(map, &index);
}

static __always_inline struct service *service_at(u32 index, u32 slot)
{
	return map_at(&services,
		      slot % POLICY_SLOTS * SYNSTILE_MAX_SERVICES + index % SYNSTILE_MAX_SERVICES);
}

/* As the policy in force has it. Not for what belongs to a packet, which has one policy from its
 * beginning to its end (struct segment.slot). */
static __always_inline struct service *service_now(u32 index)
{
	struct settings *set = map_at(&settings, 0);

	return set ? service_at(index, policy_slot(set->generation)) : NULL;
}

#endif
