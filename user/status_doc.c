// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "datapath.h"
#include "event_names.h"
#include "keys.h"
#include "log.h"
#include "moment.h"
#include "nat.h"
#include "netlink.h"
#include "standing.h"
#include "status_attacks.h"
#include "status_doc.h"
#include "status_kernel.h"
#include "status_services.h"

const char *const oddity_names[ODD_COUNT] = {
#define X(id, name, help) [ODD_##id] = name,
	SYNSTILE_ODDITIES(X)
#undef X
};

static json_t *counters_json(const u64 sum[SYNSTILE_COUNTERS])
{
	json_t *done = json_object(), *observed = json_object();
	int v;

	for (v = 0; v < V_COUNT; v++) {
		json_object_set_new(done, verdict_names[v],
				    json_integer(sum[BANK_DONE * V_COUNT + v]));
		json_object_set_new(observed, verdict_names[v],
				    json_integer(sum[BANK_OBSERVED * V_COUNT + v]));
	}
	return json_pack("{s:o, s:o}", "done", done, "observed", observed);
}

static json_t *iface_json(const struct instance *in, const struct attachment *at,
			  u64 total[SYNSTILE_COUNTERS])
{
	u64 sum[SYNSTILE_COUNTERS] = {0};
	struct link link = {0};
	int i, fd = datapath_counters(in, at);
	bool there = !netlink_link(at->ifindex, &link);
	bool xdp = there && datapath_xdp_there(in, at), tc = there && datapath_tc_there(in, at);

	if (fd >= 0) {
		maps_add_counters(fd, sum);
		close(fd);
	}
	for (i = 0; i < SYNSTILE_COUNTERS; i++)
		total[i] += sum[i];
	return json_pack("{s:s, s:I, s:I, s:s, s:s, s:s, s:o}", "name",
			 there ? link.name : at->name, "ifindex", (json_int_t)at->ifindex, "mtu",
			 (json_int_t)link.mtu, "xdp",
			 !there    ? "gone"
			 : !xdp    ? "missing"
			 : at->skb ? "skb"
				   : "native",
			 "via", via_name(at->via), "tc", tc ? tc_name(at->tc) : "missing",
			 "counters", counters_json(sum));
}

static json_t *flows_json(const struct flow_counts *f)
{
	const struct flow_counts c = *f;

	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "total", (json_int_t)c.total,
			 "half_open", (json_int_t)c.by_phase[FLOW_HALF_OPEN], "proven",
			 (json_int_t)c.by_phase[FLOW_PROVEN], "open",
			 (json_int_t)c.by_phase[FLOW_OPEN], "closing",
			 (json_int_t)c.by_phase[FLOW_CLOSING], "closed",
			 (json_int_t)c.by_phase[FLOW_CLOSED]);
}

/* Without one: the command that starts it again. */
static json_t *agent_json(const struct instance *in, const struct state *st)
{
	int pid = instance_agent(in);
	char start[2048] = "synstile";
	size_t i, n;

	if (pid)
		return json_pack("{s:b, s:i}", "running", 1, "pid", pid);
	n = strlen(start);
	if (in->netns[0])
		n += snprintf(start + n, sizeof(start) - n, " -n %s", in->netns);
	n += snprintf(start + n, sizeof(start) - n, " attach");
	for (i = 0; i < st->n_ifaces; i++)
		n += snprintf(start + n, sizeof(start) - n, " %s", st->ifaces[i].name);
	return json_pack("{s:b, s:s}", "running", 0, "start", start);
}

static json_t *oddities_json(const struct maps *m)
{
	json_t *j = json_object();
	u64 n[ODD_COUNT];
	int i;

	if (maps_oddities(m, n))
		debug("cannot read the oddities");
	for (i = 0; i < ODD_COUNT; i++)
		json_object_set_new(j, oddity_names[i], json_integer(n[i]));
	return j;
}

/* Events that were not told, since synstile was attached; those of slow readers are theirs. */
static json_t *lost_json(const struct maps *m)
{
	json_t *j = json_object();
	u64 n[EVENT_COUNT * LOST_STAGES];
	int i;

	if (maps_lost(m, n))
		debug("cannot read the lost events");
	for (i = 0; i < EVENT_COUNT; i++)
		json_object_set_new(j, event_names[i],
				    json_pack("{s:I, s:I}", "limited",
					      (json_int_t)n[i * LOST_STAGES + LOST_LIMITED], "ring",
					      (json_int_t)n[i * LOST_STAGES + LOST_RING]));
	return j;
}

/* Without an agent, the services do not know of NAT that came later. */
static bool held_by_nat(const struct state *st, const struct maps *m)
{
	struct service s;
	bool wants = false;
	u32 i;

	for (i = 1; !wants && i < SYNSTILE_MAX_SERVICES; i++)
		wants = !maps_service(m, i, &s) && s.used &&
			(s.mode != MODE_OBSERVE || s.held == HELD_NAT);
	return !st->kernel_cookies && wants && nat_present();
}

/* Without an agent: its record. */
static json_t *policy_record(const struct instance *in, const struct maps *m)
{
	u32 generation = 0;
	json_t *j;

	maps_generation(m, &generation);
	j = standing_record(in, generation);
	if (!j)
		return json_null();
	json_object_del(j, "files");
	json_object_set_new(j, "trouble", json_null());
	return j;
}

static json_t *head_json(const struct instance *in, u64 agent_since)
{
	char stamp[TIMESTAMP_SIZE], since[TIMESTAMP_SIZE];
	struct moment now = moment_now();

	moment_timestamp(&now, now.monotonic, stamp);
	if (agent_since)
		moment_timestamp(&now, agent_since, since);
	return json_pack("{s:i, s:s, s:s, s:s, s:o, s:s?}", "schema", STATUS_SCHEMA, "instance",
			 in->name, "timestamp", stamp, "version", VERSION, "uptime_ms",
			 agent_since ? json_integer(moment_ms_since(&now, agent_since))
				     : json_null(),
			 "since", agent_since ? since : NULL);
}

static json_t *attached_json(const struct instance *in, const struct state *st,
			     const struct maps *m, const struct settings *set)
{
	u64 total[SYNSTILE_COUNTERS] = {0};
	json_t *ifaces = json_array();
	size_t i;

	for (i = 0; i < st->n_ifaces; i++)
		json_array_append_new(ifaces, iface_json(in, &st->ifaces[i], total));
	return json_pack("{s:s, s:b, s:s, s:s, s:b, s:s?, s:o, s:o, s:o}", "mode",
			 mode_name(st->mode), "ready", !!(set->flags & SET_READY), "cookies",
			 st->kernel_cookies ? "kernel" : "own", "cookies_why", st->why,
			 "held_by_nat", held_by_nat(st, m), "ports", st->ports, "agent",
			 agent_json(in, st), "interfaces", ifaces, "counters",
			 counters_json(total));
}

static json_t *or_null(json_t *j)
{
	return j ? j : json_null();
}

json_t *status_doc(const struct instance *in, const struct state *st, const struct maps *m,
		   struct status_parts *parts)
{
	json_t *j = head_json(in, parts->since);
	struct settings set = {0};
	struct flow_count once = {0};

	maps_settings(m, &set);
	keys_forget(&set);
	json_object_update_new(j, attached_json(in, st, m, &set));
	json_object_update_new(
		j,
		json_pack("{s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o}", "services",
			  status_services_json(m), "half_open", or_null(parts->half_open), "flows",
			  flows_json(flow_count(parts->flows ? parts->flows : &once, m)),
			  "max_flows", (json_int_t)st->max_flows, "oddities", oddities_json(m),
			  "lost", lost_json(m), "policy",
			  parts->policy ? parts->policy : policy_record(in, m), "kernel",
			  status_kernel_json(st, parts->timeouts), "attacks",
			  status_attacks_json(m, parts->detection)));
	json_decref(parts->detection);
	return j;
}
