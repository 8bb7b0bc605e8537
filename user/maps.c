// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "log.h"
#include "maps.h"
#include "sample_weights.h"

#define BATCH 4096

const char *const verdict_names[V_COUNT] = {
#define X(id, action, name, help) [V_##id] = name,
	SYNSTILE_VERDICTS(X)
#undef X
};

const char *const verdict_helps[V_COUNT] = {
#define X(id, action, name, help) [V_##id] = help,
	SYNSTILE_VERDICTS(X)
#undef X
};

void maps_close(struct maps *m)
{
	int *fds[] = {&m->flows,     &m->filter,   &m->listeners, &m->ports,   &m->services,
		      &m->pressure,  &m->settings, &m->shared,    &m->census,  &m->events,
		      &m->lost,      &m->oddities, &m->doubts,    &m->load,    &m->rules,
		      &m->prefixes,  &m->verified, &m->distinct,  &m->samples, &m->listed,
		      &m->handshakes};
	size_t i;

	for (i = 0; i < sizeof(fds) / sizeof(*fds); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

static int get(int fd, u32 index, void *value)
{
	return bpf_map_lookup_elem(fd, &index, value) ? -errno : 0;
}

static int put(int fd, u32 index, const void *value)
{
	return bpf_map_update_elem(fd, &index, value, BPF_ANY) ? -errno : 0;
}

/* `n` entries of an array, from `first` on, with one call. */
static int get_many(int fd, u32 first, u32 n, void *values)
{
	u32 *keys = calloc(n, sizeof(*keys)), before = first - 1, position;
	int err = keys ? 0 : -ENOMEM;

	/* ENOENT: that was all */
	if (!err &&
	    bpf_map_lookup_batch(fd, first ? &before : NULL, &position, keys, values, &n, NULL) &&
	    errno != ENOENT)
		err = -errno;
	free(keys);
	return err;
}

int maps_settings(const struct maps *m, struct settings *set)
{
	return get(m->settings, 0, set);
}

int maps_set_settings(const struct maps *m, const struct settings *set)
{
	return put(m->settings, 0, set);
}

int maps_service(const struct maps *m, u32 index, struct service *s)
{
	u32 generation = 0;
	int err = maps_generation(m, &generation);

	return err ? err
		   : get(m->services, policy_slot(generation) * SYNSTILE_MAX_SERVICES + index, s);
}

int maps_services(const struct maps *m, struct service all[SYNSTILE_MAX_SERVICES])
{
	u32 generation = 0;
	int err = maps_generation(m, &generation);

	return err ? err
		   : get_many(m->services, policy_slot(generation) * SYNSTILE_MAX_SERVICES,
			      SYNSTILE_MAX_SERVICES, all);
}

int maps_slot_service(const struct maps *m, u32 slot, u32 index, struct service *s)
{
	return get(m->services, slot * SYNSTILE_MAX_SERVICES + index, s);
}

int maps_set_service(const struct maps *m, u32 slot, u32 index, const struct service *s)
{
	return put(m->services, slot * SYNSTILE_MAX_SERVICES + index, s);
}

int maps_generation(const struct maps *m, u32 *generation)
{
	struct settings set;
	int err = maps_settings(m, &set);

	*generation = set.generation;
	explicit_bzero(&set, sizeof(set));
	return err;
}

int maps_set_port(const struct maps *m, u16 port, const struct port_entry *value)
{
	return put(m->ports, port, value);
}

int maps_port(const struct maps *m, u16 port, struct port_entry *value)
{
	return get(m->ports, port, value);
}

int maps_ports(const struct maps *m, struct port_entry all[65536])
{
	return get_many(m->ports, 0, 65536, all);
}

int maps_pressure(const struct maps *m, u32 index, struct pressure *p)
{
	return get(m->pressure, index, p);
}

int maps_pressures(const struct maps *m, struct pressure all[SYNSTILE_MAX_SERVICES])
{
	return maps_first_pressures(m, SYNSTILE_MAX_SERVICES, all);
}

int maps_first_pressures(const struct maps *m, u32 n, struct pressure *first)
{
	return get_many(m->pressure, 0, n, first);
}

int maps_set_pressure(const struct maps *m, u32 index, const struct pressure *p)
{
	return put(m->pressure, index, p);
}

int maps_census(const struct maps *m, u32 service, struct census *c)
{
	return get(m->census, service, c);
}

int maps_censuses(const struct maps *m, struct census all[SYNSTILE_MAX_SERVICES])
{
	return maps_first_censuses(m, SYNSTILE_MAX_SERVICES, all);
}

int maps_first_censuses(const struct maps *m, u32 n, struct census *first)
{
	return get_many(m->census, 0, n, first);
}

int maps_listeners(const struct maps *m, listener_fn fn, void *arg)
{
	struct listener_key key, *previous = NULL;
	struct listen_entry value;
	u32 seen = 0;
	int err = 0;

	/* a key deleted meanwhile restarts the walk; the bound ends it */
	while (!err && seen++ < 2 * SYNSTILE_MAX_LISTENERS &&
	       !bpf_map_get_next_key(m->listeners, previous, &key)) {
		if (!bpf_map_lookup_elem(m->listeners, &key, &value))
			err = fn(&key, &value, arg);
		previous = &key;
	}
	return err;
}

int maps_each_flow(const struct maps *m, flow_fn fn, void *arg)
{
	struct flow_key *keys = calloc(BATCH, sizeof(*keys));
	struct flow *flows = calloc(BATCH, sizeof(*flows));
	/* the kernel writes a position here, in the size of a key at most */
	struct flow_key position;
	bool first = true, last = false;
	int err = keys && flows ? 0 : -ENOMEM;
	u32 n, i;

	while (!err && !last) {
		n = BATCH;
		if (bpf_map_lookup_batch(m->flows, first ? NULL : &position, &position, keys, flows,
					 &n, NULL)) {
			last = errno == ENOENT;
			err = last ? 0 : -errno;
		}
		first = false;
		for (i = 0; !err && i < n; i++)
			err = fn(&keys[i], &flows[i], arg);
	}
	free(keys);
	free(flows);
	return err;
}

int maps_listener(const struct maps *m, const struct listener_key *key, struct listen_entry *value)
{
	return bpf_map_lookup_elem(m->listeners, key, value) ? -errno : 0;
}

int maps_flow(const struct maps *m, const struct flow_key *key, struct flow *f)
{
	return bpf_map_lookup_elem(m->flows, key, f) ? -errno : 0;
}

int maps_next_doubt(const struct maps *m, struct flow_key *key)
{
	if (bpf_map_get_next_key(m->doubts, NULL, key))
		return -errno;
	return bpf_map_delete_elem(m->doubts, key) ? -errno : 0;
}

static int count_phase(const struct flow_key *key, const struct flow *f, void *arg)
{
	struct flow_counts *counts = arg;

	(void)key;
	counts->total++;
	if (flow_phase(f->word) <= FLOW_CLOSED)
		counts->by_phase[flow_phase(f->word)]++;
	return 0;
}

int maps_count_flows(const struct maps *m, struct flow_counts *counts)
{
	memset(counts, 0, sizeof(*counts));
	return maps_each_flow(m, count_phase, counts);
}

/* Counts a flow in the filter; the datapath does so at the same time. */
static int count_flow(const struct maps *m, const struct flow_key *key, u32 by)
{
	const size_t size = FLOW_FILTER_LINES * sizeof(struct flow_filter);
	u32 hash = flow_filter_hash(key);
	struct flow_filter *lines;

	lines = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, m->filter, 0);
	if (lines == MAP_FAILED)
		return -errno;
	__sync_fetch_and_add(&lines[hash / FLOW_FILTER_SLOTS].n[hash % FLOW_FILTER_SLOTS], by);
	munmap(lines, size);
	return 0;
}

int maps_add_flow(const struct maps *m, const struct flow_key *key, const struct flow *f)
{
	int err = count_flow(m, key, 1);

	if (err || !bpf_map_update_elem(m->flows, key, f, BPF_NOEXIST))
		return err;
	err = -errno;
	count_flow(m, key, -1);
	return err == -EEXIST ? 0 : err;
}

/* The first `n` entries of a per-CPU array, each `size` bytes (a multiple of 8) for every CPU, with
 * one call; to be freed. */
static int get_many_each(int fd, u32 n, size_t size, void **values, int *cpus)
{
	int err;

	*cpus = libbpf_num_possible_cpus();
	if (*cpus < 0)
		return *cpus;
	*values = calloc((size_t)n * *cpus, size);
	if (!*values)
		return -ENOMEM;
	err = get_many(fd, 0, n, *values);
	if (err)
		free(*values);
	return err;
}

/* Adds the first `n` values of a per-CPU array of u64 to `sum`. */
static int add_all(int fd, u64 *sum, u32 n)
{
	int cpus, cpu, err;
	u64 *values;
	u32 i;

	err = get_many_each(fd, n, sizeof(*values), (void **)&values, &cpus);
	if (err)
		return err;
	for (i = 0; i < n; i++)
		for (cpu = 0; cpu < cpus; cpu++)
			sum[i] += values[i * cpus + cpu];
	free(values);
	return 0;
}

int maps_add_counters(int fd, u64 sum[SYNSTILE_COUNTERS])
{
	return add_all(fd, sum, SYNSTILE_COUNTERS);
}

int maps_lost(const struct maps *m, u64 n[EVENT_COUNT * LOST_STAGES])
{
	memset(n, 0, EVENT_COUNT * LOST_STAGES * sizeof(*n));
	return add_all(m->lost, n, EVENT_COUNT * LOST_STAGES);
}

int maps_oddities(const struct maps *m, u64 n[ODD_COUNT])
{
	memset(n, 0, ODD_COUNT * sizeof(*n));
	return add_all(m->oddities, n, ODD_COUNT);
}

/* The values of one index on all CPUs, to be freed. Their size must be a multiple of 8. */
static int get_each(int fd, u32 index, size_t size, void **values, int *cpus)
{
	int err;

	*cpus = libbpf_num_possible_cpus();
	if (*cpus < 0)
		return *cpus;
	*values = calloc(*cpus, size);
	if (!*values)
		return -ENOMEM;
	err = get(fd, index, *values);
	if (err)
		free(*values);
	return err;
}

int maps_load(const struct maps *m, u32 service, u64 sum[LOAD_KINDS])
{
	struct load *values;
	int cpus, cpu, kind, err;

	memset(sum, 0, LOAD_KINDS * sizeof(*sum));
	err = get_each(m->load, service, sizeof(*values), (void **)&values, &cpus);
	if (err)
		return err;
	for (cpu = 0; cpu < cpus; cpu++)
		for (kind = 0; kind < LOAD_KINDS; kind++)
			sum[kind] += values[cpu].n[kind];
	free(values);
	return 0;
}

int maps_loads(const struct maps *m, u32 n, u64 (*sum)[LOAD_KINDS])
{
	struct load *values;
	int cpus, cpu, kind, err;
	u32 i;

	memset(sum, 0, n * sizeof(*sum));
	err = get_many_each(m->load, n, sizeof(*values), (void **)&values, &cpus);
	if (err)
		return err;
	for (i = 0; i < n; i++)
		for (cpu = 0; cpu < cpus; cpu++)
			for (kind = 0; kind < LOAD_KINDS; kind++)
				sum[i][kind] += values[i * cpus + cpu].n[kind];
	free(values);
	return 0;
}

int maps_handshakes(const struct maps *m, u32 entry, struct handshakes *sum)
{
	struct handshakes *values;
	int cpus, cpu, err;
	size_t i;

	memset(sum, 0, sizeof(*sum));
	err = get_each(m->handshakes, entry, sizeof(*values), (void **)&values, &cpus);
	if (err)
		return err;
	for (cpu = 0; cpu < cpus; cpu++)
		for (i = 0; i < sizeof(*sum) / sizeof(u64); i++)
			((u64 *)sum)[i] += ((const u64 *)&values[cpu])[i];
	free(values);
	return 0;
}

static int put_nothing(int fd, u32 index, size_t size)
{
	int cpus = libbpf_num_possible_cpus(), err;
	void *nothing;

	if (cpus < 0)
		return cpus;
	nothing = calloc(cpus, size);
	if (!nothing)
		return -ENOMEM;
	err = put(fd, index, nothing);
	free(nothing);
	return err;
}

int maps_forget_counts(const struct maps *m, u32 service)
{
	int err = put_nothing(m->load, service, sizeof(struct load));

	if (!err && handshake_entry(service) != HANDSHAKE_OTHERS)
		err = put_nothing(m->handshakes, service, sizeof(struct handshakes));
	return err;
}

int maps_distinct(const struct maps *m, u32 service, struct distinct *d)
{
	return get(m->distinct, service, d);
}

/* One CPU's. */
static void tell_samples(const struct samples *ring, u32 service, u32 number, u64 since,
			 sample_fn fn, void *arg)
{
	u32 numbers[SYNSTILE_MAX_SERVICES] = {0}, weights[SAMPLES], i;
	const u32 first = flow_moment(since);

	numbers[service] = number;
	sample_weights(ring, numbers, weights);
	for (i = 0; i < SAMPLES && i < ring->n; i++) {
		const struct syn_sample *s = &ring->at[i];

		if (s->service == service && (s32)(s->moment - first) >= 0)
			fn(s, weights[i], arg);
	}
}

int maps_samples(const struct maps *m, u32 service, u64 since, sample_fn fn, void *arg)
{
	struct samples *rings;
	struct load *loads;
	int cpus, cpu, err;

	if (service >= SYNSTILE_MAX_SERVICES)
		return -EINVAL;
	err = get_each(m->samples, 0, sizeof(*rings), (void **)&rings, &cpus);
	if (err)
		return err;
	err = get_each(m->load, service, sizeof(*loads), (void **)&loads, &cpus);
	for (cpu = 0; !err && cpu < cpus; cpu++)
		tell_samples(&rings[cpu], service, (u32)loads[cpu].n[LOAD_SYNS], since, fn, arg);
	free(rings);
	if (!err)
		free(loads);
	return err;
}

int maps_rules(const struct maps *m, u32 slot, struct rules *r)
{
	return get(m->rules, slot, r);
}

int maps_set_rules(const struct maps *m, u32 slot, const struct rules *r)
{
	return put(m->rules, slot, r);
}

int maps_new_trie(const struct prefix_key *keys, const u32 *actions, u32 n)
{
	const struct prefix_key ipv4 = {.bits = 96, .addr.b = {[10] = 0xff, [11] = 0xff}};
	const u32 none = PREFIX_NONE;
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);
	int err = 0, fd = bpf_map_create(BPF_MAP_TYPE_LPM_TRIE, "prefix_trie", sizeof(*keys),
					 sizeof(*actions), n + 1, &opts);

	if (fd < 0)
		return -errno;
	if (bpf_map_update_elem(fd, &ipv4, &none, BPF_ANY))
		err = -errno;
	if (!err && n && bpf_map_update_batch(fd, keys, actions, &n, NULL))
		err = -errno;
	if (!err)
		return fd;
	close(fd);
	return err;
}

int maps_set_prefixes(const struct maps *m, u32 slot, int trie)
{
	u32 fd = trie;

	if (trie >= 0)
		return put(m->prefixes, slot, &fd);
	return bpf_map_delete_elem(m->prefixes, &slot) && errno != ENOENT ? -errno : 0;
}

int maps_set_iface(int fd, const struct iface *iface)
{
	return put(fd, 0, iface);
}
