// SPDX-License-Identifier: GPL-2.0-only
/*
 * The sweep: user space runs it once a second to remove what has expired, and to end
 * attacks that have ended. It walks
 * the table inside the kernel, so that nothing is copied. Without it (the agent
 * is dead) protection goes on: expired entries count as absent, and a
 * full table asks the stack.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "flow.bpf.h"

static __always_inline bool sweep_expired(const struct flow *f, u64 now)
{
	if (f->state == FLOW_HALF_OPEN || f->state == FLOW_CLOSED)
		return flow_expired(f, now);
	if (f->state == FLOW_PROVEN) /* the client may repeat itself as long as its cookie lives */
		return elapsed(now, f->seen) > 2 * FLOW_HALF_OPEN_NS;
	return elapsed(now, f->seen) > FLOW_IDLE_NS;
}

static long sweep_flow(void *map, struct flow_key *key, struct flow *f, u64 *now)
{
	struct pressure *p;
	bool half_open = f->state == FLOW_HALF_OPEN;

	if (!sweep_expired(f, *now))
		return 0;
	p = map_at(&pressure, f->service);
	if (flow_remove(key) && half_open && p)
		__sync_fetch_and_add(&p->half_open, -1);
	return 0;
}

/* An attack that ended in silence: no SYN comes that would notice. */
static long sweep_service(void *map, u32 *index, struct service *s, u64 *now)
{
	struct pressure *p = map_at(&pressure, *index);

	if (p && p->state == PRESSURE_ATTACK)
		pressure_update(p, s, *now);
	return 0;
}

SEC("syscall")
int synstile_sweep(void *ctx)
{
	u64 now = bpf_ktime_get_ns();

	bpf_for_each_map_elem(&flows, sweep_flow, &now, 0);
	bpf_for_each_map_elem(&services, sweep_service, &now, 0);
	return 0;
}

char _license[] SEC("license") = "GPL";
