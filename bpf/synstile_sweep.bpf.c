// SPDX-License-Identifier: GPL-2.0-only
/*
 * The sweep: user space runs it once a second to remove what has expired, to count, and to
 * end attacks that have ended. It walks
 * the table inside the kernel, so that nothing is copied. Without it (the agent
 * is dead) protection goes on: expired entries count as absent, and a
 * full table asks the stack.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "flow.bpf.h"

#define DOUBT_TURNS 4

struct sweep {
	u64 now;
	struct settings *set;
	u32 slot;
	bool between; /* see struct sweep_order */
};

static __always_inline void sweep_list(struct sweep *sw, const struct flow_key *key,
				       const struct flow *f)
{
	struct half_open_listed *l = map_at(&listed, 0);
	u32 n;

	if (!l || elapsed(sw->now, f->opened) < l->least_age)
		return;
	n = l->found++;
	if (n >= HALF_OPEN_LISTED)
		return;
	l->at[n].key = *key;
	l->at[n].flow = *f;
}

static __always_inline void sweep_count(const struct flow *f)
{
	struct census *c = map_at(&census, f->service);
	u8 remote = flow_state(f->word, REMOTE), local = flow_state(f->word, LOCAL);

	if (!c)
		return;
	if (flow_phase(f->word) == FLOW_HALF_OPEN)
		(*(remote == ST_LISTEN || local == ST_LISTEN ? &c->unanswered : &c->answered))++;
	else if (remote == ST_ESTABLISHED && local == ST_ESTABLISHED)
		c->established++;
	else
		c->other++;
}

static long sweep_flow(void *map, struct flow_key *key, struct flow *f, struct sweep *sw)
{
	struct service *s = service_at(f->service, sw->slot);
	struct pressure *p = map_at(&pressure, f->service);
	struct flow_key mine;
	u8 end = s && p && sw->set ? flow_expired(f, s, p, sw->set, sw->now) : END_NONE;

	mine = *key; /* one may not pass the table's own key to a function that could write */
	if (end == END_NONE) {
		sweep_count(f);
		if (flow_phase(f->word) == FLOW_HALF_OPEN)
			sweep_list(sw, &mine, f);
		/* each is asked about now and then: by turns, when there are too many */
		if (flow_doubtful(f, sw->now) &&
		    !((sw->now / NS_PER_SEC ^ f->opened / NS_PER_MS) % DOUBT_TURNS))
			bpf_map_update_elem(&doubts, &mine, &sw->slot, BPF_ANY);
		return 0;
	}
	flow_close(f, &mine, end, 0);
	flow_remove(&mine);
	return 0;
}

/* Before the walk over the flows: they are counted anew. And an attack that ended in silence ends
 * here: no SYN comes that would notice. */
static long sweep_service(void *map, u32 *index, struct pressure *p, struct sweep *sw)
{
	struct service *s = service_at(*index, sw->slot);
	struct census *c = map_at(&census, *index);

	if (c)
		__builtin_memset(c, 0, sizeof(*c));
	if (!s || p->state != PRESSURE_ATTACK)
		return 0;
	event_pressure(*index, pressure_update(p, s, sw->now));
	if (p->state == PRESSURE_ATTACK && !sw->between)
		event_attack(*index, EVENT_ATTACK_PROGRESS);
	return 0;
}

SEC("syscall")
int synstile_sweep(struct sweep_order *o)
{
	struct sweep sw = {.now = bpf_ktime_get_ns(), .set = map_at(&settings, 0)};
	struct half_open_listed *list = map_at(&listed, 0);

	if (!sw.set || !list)
		return 0;
	list->found = 0;
	sw.between = o->between;
	sw.slot = policy_slot(sw.set->generation);
	bpf_for_each_map_elem(&pressure, sweep_service, &sw, 0);
	bpf_for_each_map_elem(&flows, sweep_flow, &sw, 0);
	return 0;
}

/* User space has found an attack that the datapath cannot see (user/detect.h). */
SEC("syscall")
int synstile_alarm(struct service_alarm *a)
{
	u32 index = a->service;
	struct pressure *p = map_at(&pressure, index);
	struct service *s = service_now(index);
	u64 now = bpf_ktime_get_ns();

	if (!p || !s || !s->used)
		return -1;
	p->alarms = a->reasons;
	p->alarm = now;
	event_pressure(index, pressure_update(p, s, now));
	return 0;
}

/* What has become of this record by now, if it is to end: enum flow_end. */
static __always_inline u8 overdue(const struct flow *f)
{
	struct settings *set = map_at(&settings, 0);
	struct service *s = service_now(f->service);
	struct pressure *p = map_at(&pressure, f->service);
	u64 now = bpf_ktime_get_ns();
	u8 end = s && p && set ? flow_expired(f, s, p, set, now) : END_NONE;

	return end == END_NONE && flow_doubtful(f, now) ? END_FORGOTTEN : end;
}

/* User space has asked the stack about the connection of this key, and it knows none; or is about
 * to destroy its request socket, because the SYN timeout is over. 1: the record has ended; 0: it
 * lives, for something came meanwhile. */
SEC("syscall")
int synstile_forget(struct flow_key *key)
{
	struct flow_key mine = *key;
	struct flow *f = bpf_map_lookup_elem(&flows, &mine);
	u8 end = f ? overdue(f) : END_NONE;

	if (end == END_NONE)
		return 0;
	flow_close(f, &mine, end, 0);
	flow_remove(&mine);
	return 1;
}

char _license[] SEC("license") = "GPL";
