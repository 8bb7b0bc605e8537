// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "cmd.h"
#include "datapath.h"
#include "event_names.h"
#include "keys.h"
#include "log.h"
#include "nat.h"
#include "netlink.h"
#include "running.h"
#include "status_attacks.h"
#include "status_kernel.h"
#include "status_services.h"

static const char *const oddity_names[ODD_COUNT] = {
#define X(id, name, help) [ODD_##id] = name,
	SYNSTILE_ODDITIES(X)
#undef X
};

static const char *const oddity_helps[ODD_COUNT] = {
#define X(id, name, help) [ODD_##id] = help,
	SYNSTILE_ODDITIES(X)
#undef X
};

/* Everything is collected into one JSON document, and the text is made from that. */

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

static json_t *flows_json(const struct maps *m)
{
	struct flow_counts c;

	if (maps_count_flows(m, &c))
		debug("cannot count all flows");
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
static bool held_by_nat(const struct running *r)
{
	struct service s;
	bool wants = false;
	u32 i;

	for (i = 1; !wants && i < SYNSTILE_MAX_SERVICES; i++)
		wants = !maps_service(&r->maps, i, &s) && s.used &&
			(s.mode != MODE_OBSERVE || s.held == HELD_NAT);
	return !r->st.kernel_cookies && wants && nat_present();
}

static json_t *collect(const struct running *r)
{
	const struct instance *in = &r->in;
	const struct state *st = &r->st;
	u64 total[SYNSTILE_COUNTERS] = {0};
	json_t *ifaces = json_array();
	struct settings set = {0};
	size_t i;

	for (i = 0; i < st->n_ifaces; i++)
		json_array_append_new(ifaces, iface_json(in, &st->ifaces[i], total));
	maps_settings(&r->maps, &set);
	keys_forget(&set);
	return json_pack(
		"{s:s, s:s, s:b, s:s, s:s, s:b, s:s?, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o}",
		"instance", in->name, "mode", mode_name(st->mode), "ready",
		!!(set.flags & SET_READY), "cookies", st->kernel_cookies ? "kernel" : "own",
		"cookies_why", st->why, "held_by_nat", held_by_nat(r), "ports", st->ports, "agent",
		agent_json(in, st), "interfaces", ifaces, "services", status_services_json(r),
		"half_open", running_half_open(r), "flows", flows_json(&r->maps), "max_flows",
		(json_int_t)st->max_flows, "counters", counters_json(total), "oddities",
		oddities_json(&r->maps), "lost", lost_json(&r->maps));
}

/* ---- text ---- */

static const char *text_of(json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? s : "-";
}

static long long int_of(json_t *j, const char *key)
{
	return json_integer_value(json_object_get(j, key));
}

static void print_head(json_t *j)
{
	json_t *agent = json_object_get(j, "agent"), *flows = json_object_get(j, "flows");
	long long pid = int_of(agent, "pid");

	printf("instance  %s, mode %s%s\n", text_of(j, "instance"), text_of(j, "mode"),
	       json_is_true(json_object_get(j, "ready")) ? "" : " (not ready: watching only)");
	printf("cookies   %s (%s)\n", text_of(j, "cookies"), text_of(j, "cookies_why"));
	if (json_is_true(json_object_get(j, "held_by_nat")))
		puts("          Netfilter translates addresses here, which own cookies do not "
		     "survive: all ports are only\n"
		     "          observed. `synstile detach --all` and attach again, which then "
		     "chooses the kernel's.");
	if (pid)
		printf("agent     process %lld\n", pid);
	else
		printf("agent     not running: packets are treated as before, but new listeners go "
		       "unprotected;\n          `%s` starts it again\n",
		       text_of(agent, "start"));
	status_policy_print(json_object_get(j, "policy"));
	status_kernel_print(json_object_get(j, "kernel"));
	printf("flows     %lld of %lld: %lld half-open, %lld proven, %lld open, %lld closing, %lld "
	       "closed\n",
	       int_of(flows, "total"), int_of(j, "max_flows"), int_of(flows, "half_open"),
	       int_of(flows, "proven"), int_of(flows, "open"), int_of(flows, "closing"),
	       int_of(flows, "closed"));
}

static void print_counters(json_t *counters, const char *bank, const char *title)
{
	json_t *values = json_object_get(counters, bank);
	bool first = true;
	long long n;
	int v;

	for (v = 0; v < V_COUNT; v++) {
		n = int_of(values, verdict_names[v]);
		if (!n)
			continue;
		if (first)
			printf("\n%s\n", title);
		first = false;
		printf("  %-19s %14lld  %s\n", verdict_names[v], n, verdict_helps[v]);
	}
}

static void print_ifaces(json_t *ifaces)
{
	json_t *j;
	size_t i;

	printf("\n%-16s %-8s %-8s %-8s %6s\n", "INTERFACE", "XDP", "VIA", "TC", "MTU");
	json_array_foreach (ifaces, i, j)
		printf("%-16s %-8s %-8s %-8s %6lld\n", text_of(j, "name"), text_of(j, "xdp"),
		       text_of(j, "via"), text_of(j, "tc"), int_of(j, "mtu"));
}

/* What the agent has found to differ between synstile and the kernel, service by service. */
static void print_half_open(json_t *half_open)
{
	json_t *j;
	size_t i;

	json_array_foreach (json_object_get(half_open, "services"), i, j) {
		if (!int_of(j, "differs_ms"))
			continue;
		printf("\nservice %s: for %lld s synstile and the kernel disagree on half-open "
		       "connections (%lld and %lld):\n  %s\n",
		       text_of(j, "service"), int_of(j, "differs_ms") / 1000,
		       int_of(j, "half_open"), int_of(j, "kernel"), text_of(j, "why"));
	}
}

static void print_oddities(json_t *oddities)
{
	bool first = true;
	long long n;
	int i;

	for (i = 0; i < ODD_COUNT; i++) {
		n = int_of(oddities, oddity_names[i]);
		if (!n)
			continue;
		if (first)
			printf("\nodd, and not believed\n");
		first = false;
		printf("  %-19s %14lld  %s\n", oddity_names[i], n, oddity_helps[i]);
	}
}

static void print_lost(json_t *lost)
{
	static const struct {
		const char *name, *help;
	} stages[] = {{"limited", "more came than is told of"},
		      {"ring", "nobody read them in time"}};
	bool first = true;
	long long n;
	size_t i;

	for (i = 0; i < 2 * EVENT_COUNT; i++) {
		n = int_of(json_object_get(lost, event_names[i / 2]), stages[i % 2].name);
		if (!n)
			continue;
		if (first)
			printf("\nevents lost\n");
		first = false;
		printf("  %-19s %14lld  %s: %s\n", event_names[i / 2], n, stages[i % 2].name,
		       stages[i % 2].help);
	}
}

static void print_text(json_t *j)
{
	json_t *ifaces = json_object_get(j, "interfaces"), *iface;
	char title[64];
	size_t i;

	print_head(j);
	print_ifaces(ifaces);
	status_services_print(json_object_get(j, "services"));
	status_attacks_print(json_object_get(j, "attacks"));
	status_backlogs_print(json_object_get(j, "kernel"));
	print_half_open(json_object_get(j, "half_open"));
	json_array_foreach (ifaces, i, iface) {
		snprintf(title, sizeof(title), "%s: packets", text_of(iface, "name"));
		print_counters(json_object_get(iface, "counters"), "done", title);
		snprintf(title, sizeof(title),
			 "%s: packets that would have been treated so (observe)",
			 text_of(iface, "name"));
		print_counters(json_object_get(iface, "counters"), "observed", title);
	}
	if (json_array_size(ifaces) > 1) {
		print_counters(json_object_get(j, "counters"), "done", "all interfaces: packets");
		print_counters(json_object_get(j, "counters"), "observed",
			       "all interfaces: packets that would have been treated so (observe)");
	}
	print_oddities(json_object_get(j, "oddities"));
	print_lost(json_object_get(j, "lost"));
}

static int run(bool as_json)
{
	struct running r;
	json_t *j;
	int status = running_open(&r);

	if (status)
		return status;
	j = collect(&r);
	json_object_set_new(j, "policy", status_policy_json(&r));
	json_object_set_new(j, "kernel", status_kernel_json(&r));
	json_object_set_new(j, "attacks", status_attacks_json(&r));
	running_close(&r);
	if (!j)
		return common_failed(-ENOMEM);
	if (as_json) {
		json_dumpf(j, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
		putchar('\n');
	} else {
		print_text(j);
	}
	json_decref(j);
	return STATUS_OK;
}

int cmd_status(int argc, char **argv)
{
	static const struct option options[] = {COMMON_LONG, {"json", no_argument, NULL, 'j'}, {}};
	bool as_json = false;
	int c, status;

	while ((c = getopt_long(argc, argv, COMMON_SHORT "j", options, NULL)) != -1) {
		if (c == 'j')
			as_json = true;
		else if (common_option(c, "status", &status))
			return status;
	}
	if (optind < argc)
		return common_usage("status", "nothing expected at \"%s\"", argv[optind]);
	return run(as_json);
}
