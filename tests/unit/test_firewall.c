// SPDX-License-Identifier: GPL-2.0-only
/* Rules as nft(8) shows them in JSON, and what is found in them. */
#include <jansson.h>

#include "firewall.h"
#include "unit.h"

/* Expressions, as `nft -j list ruleset` of nftables 1.0.6 prints them. */
#define FLAGS                  "{'payload': {'protocol': 'tcp', 'field': 'flags'}}"
#define MATCH(op, left, right) "{'match': {'op': '" op "', 'left': " left ", 'right': " right "}}"
#define MASKED                 "{'&': [" FLAGS ", ['fin', 'syn', 'rst', 'ack']]}"
#define SYN_BIT                MATCH("in", FLAGS, "'syn'")  /* tcp flags syn */
#define SYN_ONLY               MATCH("==", MASKED, "'syn'") /* tcp flags syn / fin,syn,rst,ack */
#define NOT_SYN                MATCH("!=", MASKED, "'syn'")
#define STATE(op, right)       MATCH(op, "{'ct': {'key': 'state'}}", right)
#define PORT(right)            MATCH("==", "{'payload': {'protocol': 'tcp', 'field': 'dport'}}", right)
#define LIMIT                  "{'limit': {'rate': 10, 'burst': 5, 'per': 'second'}}"
#define ACCEPT                 "{'accept': null}"
#define DROP                   "{'drop': null}"
#define REJECT                 "{'reject': {'type': 'tcp reset'}}"
#define COUNTER                "{'counter': {'packets': 0, 'bytes': 0}}"
#define SOURCE                 "{'payload': {'protocol': 'ip', 'field': 'saddr'}}"
#define XT(type, name)         "{'xt': {'type': '" type "', 'name': '" name "'}}"
#define ESTABLISHED            STATE("in", "['established', 'related']") ", " ACCEPT
#define DNAT                   "{'dnat': {'addr': '172.17.0.2', 'port': 80}}"

static char seen[2048]; /* "kind handle does ports; ..." */

static void ports_seen(const struct ports *p)
{
	size_t n = strlen(seen);
	u32 port;

	for (port = 0; port < 65536; port++)
		if (ports_has(p, port))
			n += snprintf(seen + n, sizeof(seen) - n, " %u", port);
}

static void on_finding(const struct firewall_finding *f, void *arg)
{
	static const char *const kinds[] = {"limit",    "drop", "accept", "ack",
					    "synproxy", "dnat", "nat",    "opaque"};
	size_t n = strlen(seen);

	(void)arg;
	n += snprintf(seen + n, sizeof(seen) - n, "%s%s", n ? "; " : "", kinds[f->kind]);
	if (f->chain)
		n += snprintf(seen + n, sizeof(seen) - n, " %d", f->handle);
	if (f->does)
		n += snprintf(seen + n, sizeof(seen) - n, " %s", f->does);
	if (f->kind == FIREWALL_SYN_ACCEPT)
		snprintf(seen + n, sizeof(seen) - n, f->sure ? " sure" : " perhaps");
	if (f->ports && !f->all_ports)
		ports_seen(f->ports);
}

static void examine(const char *text, bool ack_invalid)
{
	char *copy = strdup(text), *at;
	json_error_t error;
	json_t *rules;

	for (at = copy; *at; at++)
		if (*at == '\'')
			*at = '"';
	rules = json_loads(copy, 0, &error);
	if (!rules)
		fail_msg("%s: %s", error.text, copy);
	seen[0] = 0;
	assert_int_equal(firewall_examine(rules, ack_invalid, on_finding, NULL), 0);
	json_decref(rules);
	free(copy);
}

/* Each begins with a comma: LIST(INPUT("accept") RULE("input", "1", DROP)) */
#define LIST(objects)                                                                              \
	"{'nftables': [{'metainfo': {}}, {'table': {'family': 'inet', 'name': 't'}}" objects "]}"
#define OF "'family': 'inet', 'table': 't', "
#define BASE(name, type, hook, prio, policy)                                                       \
	", {'chain': {" OF "'name': '" name "', 'type': '" type "', 'hook': '" hook                \
	"', 'prio': " prio ", 'policy': '" policy "'}}"
#define INPUT(policy) BASE("input", "filter", "input", "0", policy)
#define CHAIN(name)   ", {'chain': {" OF "'name': '" name "'}}"
#define RULE(chain, handle, expr)                                                                  \
	", {'rule': {" OF "'chain': '" chain "', 'handle': " handle ", 'expr': [" expr "]}}"
#define JUMP(to) "{'jump': {'target': '" to "'}}"

/* ---- one rule at hook input ---- */

static const struct row {
	const char *what, *expr, *expected, *when_invalid; /* NULL: the same */
} rows[] = {
	{"nothing", ACCEPT, "", NULL},
	{"tcp flags syn limit accept", SYN_BIT ", " LIMIT ", " ACCEPT, "limit 7 limit", NULL},
	{"with mask", SYN_ONLY ", " LIMIT ", " DROP, "limit 7 limit", NULL},
	{"== syn, ct count",
	 MATCH("==", FLAGS, "'syn'") ", " PORT("80") ", {'ct count': {'val': 10}}, " REJECT,
	 "limit 7 ct count 80", NULL},
	{"meter",
	 SYN_ONLY
	 ", " PORT("{'set': [80, {'range': [443, 445]}]}") ", {'meter': {'key': " SOURCE
							   ", 'stmt': " LIMIT
							   ", 'size': 9, 'name': 'm'}}, " DROP,
	 "limit 7 meter 80 443 444 445", NULL},
	{"set with a limit",
	 SYN_ONLY ", {'set': {'op': 'add', 'elem': " SOURCE ", 'set': '@b', 'stmt': [" LIMIT
		  "]}}, " DROP,
	 "limit 7 limit", NULL},
	{"set without", SYN_ONLY ", {'set': {'op': 'add', 'elem': " SOURCE ", 'set': '@b'}}", "",
	 NULL},
	{"& syn != 0", MATCH("!=", "{'&': [" FLAGS ", 'syn']}", "0") ", " DROP, "drop 7", NULL},
	{"{ syn, syn | ack }",
	 MATCH("==", FLAGS, "{'set': [{'|': ['syn', 'ack']}, 'syn']}") ", " DROP, "drop 7", NULL},
	{"syn,ack: any of them", MATCH("in", FLAGS, "['syn', 'ack']") ", " LIMIT ", " DROP, "",
	 NULL},
	{"limits new connections", STATE("in", "'new'") ", " LIMIT ", " ACCEPT, "",
	 "limit 7 limit"},
	{"limits all", LIMIT ", " DROP, "", NULL},
	{"counts SYNs", SYN_BIT ", " COUNTER, "", NULL},
	{"logs SYNs", SYN_BIT ", {'log': {'prefix': 'x'}}", "", NULL},
	{"another interface",
	 MATCH("==", "{'meta': {'key': 'iifname'}}", "'lo'") ", " SYN_BIT ", " DROP, "", NULL},
	{"xmas",
	 MATCH("==", "{'&': [" FLAGS ", ['fin', 'syn', 'rst', 'psh', 'ack', 'urg']]}",
	       "['fin', 'psh', 'urg']") ", " DROP,
	 "", NULL},
	{"null",
	 MATCH("==", "{'&': [" FLAGS ", ['fin', 'syn', 'rst', 'psh', 'ack', 'urg']]}",
	       "0") ", " DROP,
	 "", NULL},
	{"SYN and FIN",
	 MATCH("==", "{'&': [" FLAGS ", ['fin', 'syn']]}", "['fin', 'syn']") ", " DROP, "", NULL},
	/* the ACK */
	{"invalid", STATE("in", "'invalid'") ", " DROP, "", "ack 7"},
	{"invalid or untracked", STATE("==", "{'set': ['invalid', 'untracked']}") ", " DROP, "",
	 "ack 7"},
	{"invalid, reject", STATE("in", "['invalid', 'untracked']") ", " COUNTER ", " REJECT, "",
	 "ack 7"},
	{"vmap",
	 "{'vmap': {'key': {'ct': {'key': 'state'}}, 'data': {'set': [['invalid', " DROP
	 "], ['established', " ACCEPT "]]}}}",
	 "", "ack 7"},
	{"what is not established nor new",
	 STATE("!=", "{'set': ['new', 'established']}") ", " DROP, "", "ack 7"},
	{"new and no SYN", NOT_SYN ", " STATE("in", "'new'") ", " DROP, "ack 7", ""},
	{"no SYN", MATCH("!", FLAGS, "'syn'") ", " DROP, "ack 7", NULL},
	{"no SYN, one port", PORT("22") ", " NOT_SYN ", " STATE("in", "'new'") ", " DROP,
	 "ack 7 22", ""},
	{"no SYN, UDP", MATCH("==", "{'meta': {'key': 'l4proto'}}", "'udp'") ", " NOT_SYN ", " DROP,
	 "", NULL},
	{"UDP port",
	 MATCH("==", "{'payload': {'protocol': 'udp', 'field': 'dport'}}",
	       "53") ", " STATE("in", "'invalid'") ", " DROP,
	 "", NULL},
	{"TCP among others",
	 MATCH("==", "{'meta': {'key': 'l4proto'}}", "{'set': ['tcp', 'udp']}") ", " NOT_SYN
										", " DROP,
	 "ack 7", NULL},
	{"established", STATE("in", "'established'") ", " NOT_SYN ", " DROP, "", NULL},
	{"synproxy", STATE("in", "['invalid', 'untracked']") ", {'synproxy': {'mss': 1460}}",
	 "synproxy 7", NULL},
	/* iptables */
	{"--syn connlimit", SYN_ONLY ", " PORT("80") ", " XT("match", "connlimit") ", " DROP,
	 "limit 7 connlimit 80", NULL},
	{"conntrack", XT("match", "conntrack") ", " COUNTER ", " DROP, "opaque conntrack", NULL},
	{"! --syn, conntrack", NOT_SYN ", " XT("match", "conntrack") ", " DROP, "opaque conntrack",
	 NULL},
	{"! --syn, REJECT", NOT_SYN ", " XT("match", "comment") ", " XT("target", "REJECT"),
	 "ack 7", NULL},
	{"comment", XT("match", "comment") ", " ACCEPT, "", NULL},
	{"no name told", "{'xt': null}", "opaque unnamed", NULL},
};

static void one_rule(void **state)
{
	char text[4096];
	size_t i;
	int invalid;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(text, sizeof(text),
			 LIST(INPUT("accept") ", {'rule': {" OF "'chain': 'input', "
					      "'handle': 7, 'expr': [%s]}}"),
			 rows[i].expr);
		for (invalid = 0; invalid < 2; invalid++) {
			const char *expected = invalid && rows[i].when_invalid
						       ? rows[i].when_invalid
						       : rows[i].expected;

			examine(text, invalid);
			if (strcmp(seen, expected))
				fail_msg("%s%s: \"%s\", not \"%s\"", rows[i].what,
					 invalid ? " (invalid)" : "", seen, expected);
		}
	}
}

static void finds(const char *rules, const char *expected)
{
	examine(rules, false);
	assert_string_equal(seen, expected);
}

/* ---- chains ---- */

static void accepts_syns_alone(void **state)
{
	(void)state;
	finds(LIST(INPUT("drop") RULE("input", "1", ESTABLISHED)
			   RULE("input", "2", PORT("80") ", " SYN_ONLY ", " ACCEPT)),
	      "accept 2 sure 80");
	/* also with a limit: worse than a limit that is not met */
	finds(LIST(INPUT("drop") RULE("input", "1", ESTABLISHED)
			   RULE("input", "2", SYN_ONLY ", " LIMIT ", " ACCEPT)),
	      "accept 2 limit sure");
	/* another rule may be for the ACK */
	finds(LIST(INPUT("drop") RULE("input", "2", SYN_ONLY ", " PORT("80") ", " ACCEPT)
			   RULE("input", "3", PORT("80") ", " STATE("in", "'new'") ", " ACCEPT)),
	      "accept 2 perhaps 80");
	/* all others are accepted anyhow */
	finds(LIST(INPUT("accept") RULE("input", "2", SYN_ONLY ", " ACCEPT)), "");
	/* or not: the last rule drops them */
	finds(LIST(INPUT("accept") RULE("input", "1", ESTABLISHED) RULE(
		      "input", "2", SYN_ONLY ", " ACCEPT) RULE("input", "3", COUNTER ", " REJECT)),
	      "accept 2 sure");
}

static void chains_below(void **state)
{
	(void)state;
	/* a chain for SYNs: what limits there limits SYNs */
	finds(LIST(INPUT("accept") CHAIN("flood") RULE("input", "1", SYN_ONLY ", " JUMP("flood"))
			   RULE("flood", "2", LIMIT ", {'return': null}") RULE("flood", "3", DROP)),
	      "limit 2 limit; drop 3");
	/* reached by all: nothing to say */
	finds(LIST(INPUT("accept") CHAIN("c") RULE("input", "1", JUMP("c"))
			   RULE("c", "2", LIMIT ", " DROP)),
	      "");
	/* new connections that are no SYN, two chains down, the rules in any order */
	finds(LIST(INPUT("drop") CHAIN("a") CHAIN("b") RULE("b", "3", NOT_SYN ", " DROP)
			   RULE("a", "2", "{'goto': {'target': 'b'}}")
				   RULE("input", "1", STATE("in", "'new'") ", " JUMP("a"))),
	      "ack 3");
	/* not reached, or on the way out */
	finds(LIST(INPUT("accept") CHAIN("c") BASE("out", "filter", "output", "0", "accept") BASE(
		      "fwd", "filter", "forward", "0", "accept") RULE("c", "1", SYN_BIT ", " DROP)
			   RULE("out", "2", SYN_BIT ", " DROP)
				   RULE("fwd", "3", SYN_BIT ", " LIMIT ", " DROP)),
	      "");
	/* by a verdict map, anonymous and named */
	finds(LIST(INPUT("accept") CHAIN("c") RULE(
		      "input", "1",
		      "{'vmap': {'key': {'ct': {'key': 'state'}}, 'data': {'set': [['new', " JUMP(
			      "c") "]]}}}") RULE("c", "2", NOT_SYN ", " DROP)),
	      "ack 2");
	finds(LIST(INPUT("accept") CHAIN(
		      "c") ", {'map': {" OF "'name': 'ports', 'type': 'inet_service', "
			   "'map': 'verdict', 'elem': [[22, " JUMP("c") "], [23, " DROP "]]}}" RULE(
				   "input", "1",
				   "{'vmap': {'key': {'payload': {'protocol': 'tcp', 'field': "
				   "'dport'}}, "
				   "'data': '@ports'}}")
				   RULE("c", "2", SYN_BIT ", " LIMIT ", " DROP)),
	      "limit 2 limit");
	/* a circle, which the kernel does not take */
	finds(LIST(INPUT("accept") CHAIN("c") RULE("input", "1", JUMP("c"))
			   RULE("c", "2", JUMP("c"))),
	      "");
}

/* Before conntrack there is no state: all is invalid there, SYNs too. */
static void before_conntrack(void **state)
{
	(void)state;
	finds(LIST(BASE("raw", "filter", "prerouting", "-300", "accept")
			   RULE("raw", "1", STATE("in", "'new'") ", " NOT_SYN ", " DROP)),
	      "");
	finds(LIST(BASE("in", "filter", "ingress", "0", "accept")
			   RULE("in", "1", SYN_BIT ", " LIMIT ", " DROP)),
	      "limit 1 limit");
	finds(LIST(BASE("mangle", "filter", "prerouting", "-150", "accept")
			   RULE("mangle", "1", STATE("in", "'new'") ", " NOT_SYN ", " DROP)),
	      "ack 1");
}

static void other_ports(void **state)
{
	(void)state;
	finds(LIST(BASE("pre", "nat", "prerouting", "-100", "accept") RULE(
		      "pre", "1", PORT("8080") ", " DNAT) RULE("pre", "2",
							       PORT("{'set': [81, 82]}") ", " DNAT)
			   RULE("pre", "3", PORT("83") ", {'redirect': {'port': 80}}") RULE(
				   "pre", "4",
				   MATCH("==", "{'payload': {'protocol': 'udp', 'field': 'dport'}}",
					 "53") ", " DNAT)),
	      "dnat 1 dnat 8080; dnat 2 dnat 81 82; dnat 3 redirect 83; nat");
	/* a map from ports */
	finds(LIST(BASE("pre", "nat", "prerouting", "-100", "accept") RULE(
		      "pre", "1",
		      "{'dnat': {'addr': {'map': {'key': {'payload': {'protocol': 'tcp', 'field': "
		      "'dport'}}, 'data': {'set': [[7000, '10.0.0.2'], [7001, '10.0.0.3']]}}}}}")),
	      "dnat 1 dnat 7000 7001; nat");
	/* as Docker has it, by iptables-nft; and a rule for every port */
	finds(LIST(BASE("PREROUTING", "nat", "prerouting", "-100", "accept") CHAIN("DOCKER") RULE(
		      "PREROUTING", "1", XT("match", "addrtype") ", " COUNTER ", " JUMP("DOCKER"))
			   RULE("DOCKER", "2",
				MATCH("!=", "{'meta': {'key': 'iifname'}}", "'docker0'") ", " PORT(
					"8080") ", " COUNTER ", " XT("target", "DNAT"))),
	      "dnat 2 dnat 8080; nat; opaque addrtype");
	finds(LIST(BASE("pre", "nat", "prerouting", "-100", "accept") RULE("pre", "1", DNAT)),
	      "dnat 1 dnat; nat");
	/* what the host itself opens is none of it, but NAT it is */
	finds(LIST(BASE("out", "nat", "output", "-100", "accept")
			   RULE("out", "1", PORT("8080") ", " DNAT)),
	      "nat");
}

/* Not what was ever seen, but it must not crash. */
static void nonsense(void **state)
{
	static const char *const texts[] = {
		"{}",
		"{'nftables': 3}",
		"{'nftables': []}",
		"{'nftables': [3, null, 'x', [], {}]}",
		"{'nftables': [{'rule': 3}, {'chain': []}, {'table': null}]}",
		LIST(INPUT("drop") RULE("input", "1",
					"3, null, [], 'x', {}, {'match': 3}, {'match': {}}")),
		LIST(INPUT("drop") RULE("input", "1", MATCH("==", FLAGS, "{'set': 3}") ", " DROP)),
		LIST(INPUT("drop") RULE("input", "1",
					MATCH("==", "{'&': [3]}", "[[[]]]") ", {'vmap': 3}")),
		LIST(INPUT("drop") RULE("input", "1",
					"{'vmap': {'key': {}, 'data': {'set': [3, [], [1]]}}}")),
		LIST(INPUT("drop") RULE("input", "1", PORT("99999") ", " DNAT)),
		LIST(INPUT("drop") RULE("input", "1",
					PORT("{'range': [60000, 99999999999]}") ", " SYN_BIT)),
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(texts); i++)
		examine(texts[i], i & 1);
}

/* ---- mending ---- */

static void rewriting(void **state)
{
	static const struct {
		const char *rule, *expected; /* NULL: not understood */
	} pairs[] = {
		{"tcp flags syn limit rate 10/second accept",
		 "meta l4proto tcp ct state new limit rate 10/second accept"},
		{"tcp dport 80 tcp flags == syn ct count over 10 reject",
		 "tcp dport 80 meta l4proto tcp ct state new ct count over 10 reject"},
		{"tcp flags syn / fin,syn,rst,ack drop", "meta l4proto tcp ct state new drop"},
		{"tcp flags syn", "meta l4proto tcp ct state new"},
		{"tcp flags syn meter m { ip saddr limit rate 1/second } drop", NULL},
		{"tcp flags { syn, syn | ack } drop", NULL},
		{"tcp flags & syn != 0x0 drop", NULL},
		{"tcp flags != syn drop", NULL},
		{"tcp flags fin drop", NULL},
		{"tcp flags syn ct state new drop", NULL},
		{"tcp flags syn / ", NULL},
		{"drop", NULL},
	};
	char new[128];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(pairs); i++) {
		bool ok = firewall_rewrite(pairs[i].rule, new, sizeof(new));

		assert_int_equal(ok, pairs[i].expected != NULL);
		if (ok)
			assert_string_equal(new, pairs[i].expected);
	}
	assert_false(firewall_rewrite("tcp flags syn drop", new, 20));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_rule),     cmocka_unit_test(accepts_syns_alone),
		cmocka_unit_test(chains_below), cmocka_unit_test(before_conntrack),
		cmocka_unit_test(other_ports),  cmocka_unit_test(nonsense),
		cmocka_unit_test(rewriting),
	};

	return cmocka_run_group_tests_name("firewall", tests, NULL, NULL);
}
