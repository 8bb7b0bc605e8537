// SPDX-License-Identifier: GPL-2.0-only
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "cmd.h"
#include "event_names.h"
#include "running.h"
#include "status_attacks.h"
#include "status_doc.h"
#include "status_kernel.h"
#include "status_services.h"

/* The text is made from the JSON document, whoever has made that. */

static const char *const oddity_helps[ODD_COUNT] = {
#define X(id, name, help) [ODD_##id] = help,
	SYNSTILE_ODDITIES(X)
#undef X
};

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

static json_t *without_agent(const struct running *r)
{
	struct status_parts none = {0};

	return status_doc(&r->in, &r->st, &r->maps, &none);
}

static void print(json_t *j, bool as_json)
{
	if (as_json) {
		json_dumpf(j, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
		putchar('\n');
	} else {
		print_text(j);
	}
}

static int run(bool as_json)
{
	struct running r;
	json_t *j = NULL;
	int status = running_find(&r);

	if (!status)
		status = running_ask(&r, "/v1/status", &j);
	if (!status && !j)
		status = running_maps(&r);
	if (!status && !j)
		j = without_agent(&r);
	if (j)
		print(j, as_json);
	json_decref(j);
	running_close(&r);
	return status;
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
