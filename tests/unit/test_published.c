// SPDX-License-Identifier: GPL-2.0-only
/* Which ports netfilter leads elsewhere, by rules as nft(8) shows them in JSON. */
#include <arpa/inet.h>

#include <jansson.h>

#include "published_walk.h"
#include "ruleset.h"
#include "unit.h"

/* Expressions, as `nft -j list table` of nftables 1.0.6 prints them. */
#define MATCH(op, left, right) "{'match': {'op': '" op "', 'left': " left ", 'right': " right "}}"
#define DPORT                  "{'payload': {'protocol': 'tcp', 'field': 'dport'}}"
#define THPORT                 "{'payload': {'protocol': 'th', 'field': 'dport'}}"
#define DADDR                  "{'payload': {'protocol': 'ip', 'field': 'daddr'}}"
#define DADDR6                 "{'payload': {'protocol': 'ip6', 'field': 'daddr'}}"
#define PROTO                  "{'meta': {'key': 'l4proto'}}"
#define PORT(right)            MATCH("==", DPORT, right)
#define UDP(right)             MATCH("==", "{'payload': {'protocol': 'udp', 'field': 'dport'}}", right)
#define TO(right)              MATCH("==", DADDR, right)
#define TO6(right)             MATCH("==", DADDR6, right)
#define PREFIX(addr, len)      "{'prefix': {'addr': '" addr "', 'len': " len "}}"
#define IIF(op, right)         MATCH(op, "{'meta': {'key': 'iifname'}}", right)
#define SET(elements)          "{'set': [" elements "]}"
#define RANGE(from, to)        "{'range': [" from ", " to "]}"
#define CONCAT(parts)          "{'concat': [" parts "]}"
#define VMAP(key, data)        "{'vmap': {'key': " key ", 'data': " data "}}"
#define JUMP(chain)            "{'jump': {'target': '" chain "'}}"
#define GOTO(chain)            "{'goto': {'target': '" chain "'}}"
#define DNAT                   "{'dnat': {'addr': '172.17.0.2', 'port': 80}}"
#define DNAT_MAP(key, data)    "{'dnat': {'addr': {'map': {'key': " key ", 'data': " data "}}}}"
#define REDIRECT               "{'redirect': null}"
#define XT(type, name)         "{'xt': {'type': '" type "', 'name': '" name "'}}"
#define COUNTER                "{'counter': {'packets': 0, 'bytes': 0}}"
#define RULE(chain, expr)                                                                          \
	"{'rule': {'family': 'ip', 'table': 't', 'chain': '" chain                                 \
	"', 'handle': 7, 'expr': [" expr "]}}"
#define NAMED(kind, name, elem)                                                                    \
	"{'" kind "': {'family': 'ip', 'table': 't', 'name': '" name "', 'elem': [" elem "]}}"
#define BASE(name, type, hook)                                                                     \
	"{'chain': {'family': 'ip', 'table': 't', 'name': '" name "', 'type': '" type              \
	"', 'hook': '" hook "'}}"

static const char *rule_text; /* what the library tells in text */

bool ruleset_rule(const char *family, const char *table, const char *chain, int handle, char *buf,
		  size_t size)
{
	assert_string_equal(family, "ip");
	assert_string_equal(table, "t");
	assert_string_equal(chain, "pre");
	assert_int_equal(handle, 7);
	return rule_text && snprintf(buf, size, "%s", rule_text) < (int)size;
}

static struct addr address(const char *text)
{
	struct addr a = {0};

	if (inet_pton(AF_INET, text, &a.w[3]) == 1)
		a.w[2] = htonl(0xffff);
	else
		assert_int_equal(inet_pton(AF_INET6, text, &a), 1);
	return a;
}

/* "80 443 8000-8100" */
static const char *published(const char *rules, bool *by_address)
{
	static char text[4096];
	const struct addr local[] = {address("198.18.0.1"), address("2001:db8::1")};
	struct walk w = {.local = local, .n_local = ARRAY_SIZE(local)};
	u32 port, to;
	size_t n = 0;
	char *all, *at;
	json_error_t where;
	json_t *j;

	assert_true(asprintf(&all,
			     "{'nftables': [" BASE("pre", "nat", "prerouting") "," BASE(
				     "out", "nat", "output") "," BASE("mangle", "filter",
								      "prerouting") ", %s]}",
			     rules) > 0);
	for (at = all; *at; at++)
		*at = *at == '\'' ? '"' : *at;
	j = json_loads(all, 0, &where);
	if (!j)
		fail_msg("%s in %s", where.text, all);
	assert_int_equal(published_walk_table(&w, j, "ip", "t"), 0);
	json_decref(j);
	free(all);
	*by_address = w.by_address;
	text[0] = 0;
	for (port = 0; port < 65536; port = to + 1) {
		for (to = port; to < 65536 && ports_has(&w.found, to); to++)
			;
		if (to > port)
			n += snprintf(text + n, sizeof(text) - n,
				      to - 1 > port ? "%s%u-%u" : "%s%u", n ? " " : "", port,
				      to - 1);
	}
	return text;
}

static const struct {
	const char *rules, *ports;
} rows[] = {
	{RULE("pre", PORT("8080") "," COUNTER "," DNAT), "8080"},
	{RULE("pre", PORT("8080") "," REDIRECT), "8080"},
	{RULE("pre", PORT(SET("80, 443, " RANGE("8000", "8002"))) "," DNAT), "80 443 8000-8002"},
	{RULE("pre", PORT("'@s'") "," DNAT) "," NAMED("set", "s", "600, " RANGE("602", "603")),
	 "600 602-603"},
	{RULE("pre", PORT("'@unknown'") "," PORT("80") "," DNAT), "80"},
	{RULE("pre", MATCH("!=", DPORT, RANGE("0", "65000")) "," DNAT), "65001-65535"},
	{RULE("pre", MATCH("<", DPORT, "3") "," DNAT), "0-2"},
	{RULE("pre", MATCH("<=", DPORT, "3") "," DNAT), "0-3"},
	{RULE("pre", MATCH(">", DPORT, "65530") "," DNAT), "65531-65535"},
	{RULE("pre", MATCH(">=", DPORT, "65530") "," DNAT), "65530-65535"},
	{RULE("pre", DNAT), "0-65535"},
	/* not for a TCP packet that comes in */
	{RULE("out", PORT("80") "," DNAT), ""},
	{RULE("mangle", PORT("80") "," DNAT), ""},
	{RULE("other", PORT("80") "," DNAT), ""},
	{RULE("pre", PORT("80") "," COUNTER), ""},
	{RULE("pre", UDP("53") "," DNAT), ""},
	{RULE("pre", MATCH("==", PROTO, "'udp'") "," MATCH("==", THPORT, "53") "," DNAT), ""},
	{RULE("pre", MATCH("==", PROTO, "'tcp'") "," MATCH("==", THPORT, "53") "," DNAT), "53"},
	{RULE("pre", IIF("==", "'lo'") "," PORT("80") "," DNAT), ""},
	{RULE("pre", IIF("!=", "'docker0'") "," PORT("80") "," DNAT), "80"},
	{RULE("pre", PORT("80") "," PORT("81") "," DNAT), ""},
	/* nor for an address of the host */
	{RULE("pre", TO("'10.96.0.1'") "," PORT("443") "," DNAT), ""},
	{RULE("pre", TO("'127.0.0.1'") "," PORT("443") "," DNAT), ""},
	{RULE("pre", TO("'198.18.0.1'") "," PORT("443") "," DNAT), "443"},
	{RULE("pre", TO(PREFIX("198.18.0.0", "15")) "," PORT("443") "," DNAT), "443"},
	{RULE("pre", TO(PREFIX("198.20.0.0", "15")) "," PORT("443") "," DNAT), ""},
	{RULE("pre", TO6("'2001:db8::1'") "," PORT("443") "," DNAT), "443"},
	{RULE("pre", TO6(PREFIX("2001:db9::", "32")) "," PORT("443") "," DNAT), ""},
	{RULE("pre", TO(SET("'10.0.0.1', '198.18.0.1'")) "," PORT("1") "," DNAT), "1"},
	{RULE("pre", TO(SET("'10.0.0.1', '10.0.0.2'")) "," PORT("1") "," DNAT), ""},
	{RULE("pre", TO("'@unknown'") "," PORT("1") "," DNAT), "1"},
	{RULE("pre", MATCH("!=", DADDR, "'127.0.0.1'") "," PORT("1") "," DNAT), "1"},
	/* through other chains, with what was asked for on the way */
	{RULE("pre", JUMP("a")) "," RULE("a", PORT("80") "," DNAT), "80"},
	{RULE("pre", PORT("30080") "," GOTO("a")) "," RULE("a", JUMP("b")) "," RULE("b", DNAT),
	 "30080"},
	{RULE("pre", PORT("1") "," JUMP("a")) "," RULE("pre",
						       PORT("3") "," JUMP("a")) "," RULE("a", DNAT),
	 "1 3"},
	{RULE("pre", TO("'10.96.0.1'") "," JUMP("a")) "," RULE("a", DNAT), ""},
	{RULE("pre", JUMP("a")) "," RULE("a", JUMP("a") "," DNAT), "0-65535"}, /* a loop */
	{RULE("pre",
	      VMAP(DPORT, SET("[80, " JUMP("a") "], [81, {'accept': null}]"))) "," RULE("a", DNAT),
	 "80"},
	{RULE("pre", VMAP(CONCAT(DADDR "," PROTO "," THPORT), "'@m'")) "," RULE(
		 "a", DNAT) "," NAMED("map", "m",
				      "[" CONCAT("'10.96.0.9', 'tcp', 80") "," GOTO(
					      "a") "], "
						   "[" CONCAT("'198.18.0.1', 'tcp', 81") "," GOTO(
							   "a") "], "
								"[" CONCAT("'198.18.0.1', 'udp', "
									   "82") "," GOTO("a") "]"),
	 "81"},
	{RULE("pre", DNAT_MAP(DPORT, SET("[800, '10.0.0.1'], [801, '10.0.0.2']"))), "800-801"},
	{RULE("pre", DNAT_MAP(DPORT, "'@m'")) "," NAMED("map", "m", "[90, '10.0.0.1']"), "90"},
	/* iptables-nft */
	{RULE("pre", XT("match", "addrtype") "," PORT("80") "," COUNTER "," XT("target", "DNAT")),
	 "80"},
	{RULE("pre", PORT("80") "," XT("target", "REDIRECT")), "80"},
	{RULE("pre", PORT("80") "," XT("target", "LOG")), ""},
};

static void ports(void **state)
{
	bool by_address;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *found = published(rows[i].rules, &by_address);

		if (strcmp(found, rows[i].ports))
			fail_msg("row %zu: %s\n  is \"%s\", not \"%s\"", i, rows[i].rules, found,
				 rows[i].ports);
	}
}

/* Another address of the host may change the answer: whoever asks must ask again. */
static void by_addresses(void **state)
{
	bool by_address;

	(void)state;
	published(RULE("pre", PORT("443") "," DNAT), &by_address);
	assert_false(by_address);
	published(RULE("pre", TO("'10.96.0.1'") "," PORT("443") "," DNAT), &by_address);
	assert_true(by_address);
}

/* Of this extension the ports are told in text alone. */
static void multiport(void **state)
{
	static const struct {
		const char *text, *ports;
	} texts[] = {
		{"meta l4proto tcp tcp dport { 90, 91-93 } counter redirect to :80", "90-93"},
		{"meta l4proto tcp tcp dport 90 counter packets 0 redirect to :80", "90"},
		{"tcp dport 90-91 redirect to :80", "90-91"},
		/* not understood, or gone: it may be any */
		{"meta l4proto tcp xt match multiport counter redirect", "0-65535"},
		{"tcp dport { http, 91 } redirect to :80", "0-65535"},
		{NULL, "0-65535"},
	};
	bool by_address;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(texts); i++) {
		rule_text = texts[i].text;
		assert_string_equal(published(RULE("pre", XT("match", "multiport") "," XT(
								  "target", "REDIRECT")),
					      &by_address),
				    texts[i].ports);
	}
}

/* 2^17 ways through so many jumps: it ends, and in good time. */
static void many_ways(void **state)
{
	char rules[8192];
	bool by_address;
	size_t n = 0;
	int i;

	(void)state;
	n += snprintf(rules, sizeof(rules), RULE("pre", JUMP("c0")));
	for (i = 0; i < 20; i++)
		n += snprintf(rules + n, sizeof(rules) - n,
			      "," RULE("c%d", JUMP("c%d") "," JUMP("c%d")), i, i + 1, i + 1);
	assert_string_equal(published(rules, &by_address), "");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(ports),
		cmocka_unit_test(by_addresses),
		cmocka_unit_test(multiport),
		cmocka_unit_test(many_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
