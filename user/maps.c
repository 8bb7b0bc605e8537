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
	int *fds[] = {&m->flows,    &m->filter,   &m->listeners, &m->ports,  &m->services,
		      &m->pressure, &m->settings, &m->shared,    &m->census, &m->events,
		      &m->lost,     &m->oddities, &m->doubts};
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

int maps_pressure(const struct maps *m, u32 index, struct pressure *p)
{
	return get(m->pressure, index, p);
}

int maps_census(const struct maps *m, u32 service, struct census *c)
{
	return get(m->census, service, c);
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

int maps_next_doubt(const struct maps *m, struct flow_key *key)
{
	return bpf_map_lookup_and_delete_elem(m->doubts, NULL, key) ? -errno : 0;
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

/* Adds the first `n` values of a per-CPU array of u64 to `sum`. */
static int add_all(int fd, u64 *sum, u32 n)
{
	int cpus = libbpf_num_possible_cpus(), cpu, err = 0;
	u64 *values;
	u32 i;

	if (cpus < 0)
		return cpus;
	values = calloc(cpus, sizeof(*values));
	if (!values)
		return -ENOMEM;
	for (i = 0; !err && i < n; i++) {
		err = get(fd, i, values);
		for (cpu = 0; !err && cpu < cpus; cpu++)
			sum[i] += values[cpu];
	}
	free(values);
	return err;
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

int maps_set_iface(int fd, const struct iface *iface)
{
	return put(fd, 0, iface);
}
