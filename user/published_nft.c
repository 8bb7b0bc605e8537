// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nft_json.h"
#include "published_walk.h"
#include "ruleset.h"

struct table {
	struct walk *w;
	const json_t *list;
	json_t *chains; /* {name: [rule, ...]} */
	const char *family, *name;
};

static void walk_chain(struct table *t, const char *name, const struct ports *in, int depth);

/* ---- addresses ---- */

static bool address_of(const char *text, struct addr *a, bool *v4)
{
	struct in_addr in;

	*v4 = inet_pton(AF_INET, text, &in) == 1;
	if (!*v4)
		return inet_pton(AF_INET6, text, a) == 1;
	a->w[0] = a->w[1] = 0;
	a->w[2] = htonl(0xffff);
	a->w[3] = in.s_addr;
	return true;
}

/* Is what this names an address of the host, or may it be? */
static bool maybe_local(struct table *t, const json_t *right)
{
	const json_t *prefix = json_object_get(right, "prefix"), *set, *each;
	unsigned int bits = 128;
	const char *text;
	struct addr a;
	bool v4;
	size_t i;

	set = nft_elements(t->list, t->family, t->name, right);
	json_array_foreach (set, i, each) {
		/* of a map: [key, value]; with a timeout or counter: {"elem": {"val":}} */
		each = json_is_array(each) ? json_array_get(each, 0) : each;
		each = nft_is(each, "elem") ? json_object_get(nft_inside(each), "val") : each;
		if (maybe_local(t, each))
			return true;
	}
	if (set)
		return false;
	text = prefix ? nft_text(prefix, "addr") : json_string_value(right);
	if (!text || !address_of(text, &a, &v4))
		return true;
	if (prefix)
		bits = json_integer_value(json_object_get(prefix, "len")) + (v4 ? 96 : 0);
	return walk_local(t->w, &a, bits > 128 ? 128 : bits);
}

/* ---- matches ---- */

static bool narrow_ports(struct table *t, const char *op, const json_t *right, struct ports *may)
{
	const json_t *elem = nft_elements(t->list, t->family, t->name, right);
	json_int_t n = json_integer_value(right);
	struct ports to = {0};

	if (!elem && json_is_string(right))
		return true;
	if (strchr("<>", *op) && *op && n >= 0 && n < 65536) {
		if (*op == '>')
			ports_add(&to, 0, op[1] ? n - !!n : n); /* all but these */
		else if (n || op[1])
			ports_add(&to, 0, op[1] ? n : n - 1);
		return *op == '>' ? ports_take(may, &to) : ports_keep(may, &to);
	}
	nft_add_ports(&to, elem ? elem : right);
	return strcmp(op, "!=") ? ports_keep(may, &to) : ports_take(may, &to);
}

/* False: no packet to a local address gets past this match; else `may` is what is left of ports. */
static bool narrow(struct table *t, const json_t *left, const char *op, const json_t *right,
		   struct ports *may)
{
	const json_t *lefts = json_object_get(left, "concat"),
		     *rights = json_object_get(right, "concat"), *each;
	size_t i;

	json_array_foreach (lefts, i, each)
		if (rights && !narrow(t, each, op, json_array_get(rights, i), may))
			return false;
	if (lefts)
		return true;
	if (nft_match_tcp(left, op, right) == NO)
		return false;
	if (nft_port(left))
		return narrow_ports(t, op, right, may);
	if ((nft_field(left, "ip", "daddr") || nft_field(left, "ip6", "daddr")) &&
	    !strcmp(op, "=="))
		return maybe_local(t, right);
	return true;
}

/* "... tcp dport { 80, 443 } ...": of extensions the library tells no arguments but in text. */
static void narrow_by_text(struct table *t, const json_t *rule, struct ports *may)
{
	static const char mark[] = "tcp dport ";
	int handle = json_integer_value(json_object_get(rule, "handle"));
	char text[2048], list[1024];
	struct ports to;
	const char *at;
	size_t n = 0;

	if (!ruleset_rule(t->family, t->name, nft_text(rule, "chain"), handle, text, sizeof(text)))
		return;
	at = strstr(text, mark);
	at = at ? at + strlen(mark) : "";
	for (at += *at == '{'; *at && *at != '}' && n + 1 < sizeof(list); at++) {
		if (*at >= 'a' && *at <= 'z')
			break; /* what follows a single port */
		if (*at != ' ')
			list[n++] = *at;
	}
	list[n] = 0;
	if (n && !ports_parse(&to, list))
		ports_keep(may, &to);
}

/* ---- statements ---- */

static void publish(struct table *t, const struct ports *may)
{
	size_t i;

	for (i = 0; i < sizeof(may->bits); i++)
		t->w->found.bits[i] |= may->bits[i];
}

/* dnat to tcp dport map { 80 : 10.0.0.2 } */
static void publish_dnat(struct table *t, const json_t *dnat, const struct ports *may)
{
	const json_t *map = json_object_get(json_object_get(dnat, "addr"), "map");
	const json_t *key = json_object_get(map, "key"), *each;
	const json_t *list =
		nft_elements(t->list, t->family, t->name, json_object_get(map, "data"));
	struct ports one;
	size_t i;

	if (!list)
		publish(t, may);
	json_array_foreach (list, i, each) {
		one = *may;
		if (narrow(t, key, "==", json_array_get(each, 0), &one))
			publish(t, &one);
	}
}

static void go_to(struct table *t, const json_t *statement, const struct ports *may, int depth)
{
	const json_t *to = json_object_get(statement, "jump");

	if (!to)
		to = json_object_get(statement, "goto");
	if (to)
		walk_chain(t, nft_text(to, "target"), may, depth + 1);
}

/* A map of verdicts is so many rules with one more match each. */
static void go_by_map(struct table *t, const json_t *vmap, const struct ports *may, int depth)
{
	const json_t *key = json_object_get(vmap, "key"), *pair;
	const json_t *list =
		nft_elements(t->list, t->family, t->name, json_object_get(vmap, "data"));
	struct ports one;
	size_t i;

	json_array_foreach (list, i, pair) {
		one = *may;
		if (narrow(t, key, "==", json_array_get(pair, 0), &one))
			go_to(t, json_array_get(pair, 1), &one, depth);
	}
}

static void extension(struct table *t, const json_t *rule, const json_t *xt, struct ports *may)
{
	const char *name = nft_text(xt, "name");

	if (!strcmp(name, "multiport"))
		narrow_by_text(t, rule, may);
	else if (!strcmp(name, "DNAT") || !strcmp(name, "REDIRECT") || !strcmp(name, "NETMAP"))
		publish(t, may);
}

static void walk_rule(struct table *t, const json_t *rule, const struct ports *in, int depth)
{
	const json_t *statement, *match;
	struct ports may = *in;
	size_t i;

	json_array_foreach (json_object_get(rule, "expr"), i, statement) {
		if (++t->w->steps >= WALK_STEPS)
			return;
		match = json_object_get(statement, "match");
		if (match && !narrow(t, json_object_get(match, "left"), nft_text(match, "op"),
				     json_object_get(match, "right"), &may))
			return;
		if (nft_is(statement, "dnat"))
			publish_dnat(t, nft_inside(statement), &may);
		else if (nft_is(statement, "redirect"))
			publish(t, &may);
		else if (nft_is(statement, "xt"))
			extension(t, rule, nft_inside(statement), &may);
		else if (nft_is(statement, "vmap"))
			go_by_map(t, nft_inside(statement), &may, depth);
		else
			go_to(t, statement, &may, depth);
	}
}

static void walk_chain(struct table *t, const char *name, const struct ports *in, int depth)
{
	const json_t *rules = json_object_get(t->chains, name), *rule;
	size_t i;

	if (depth > WALK_DEPTH)
		return;
	json_array_foreach (rules, i, rule)
		walk_rule(t, rule, in, depth);
}

/* ---- */

static json_t *by_chain(const json_t *list)
{
	json_t *chains = json_object(), *each, *rule, *rules;
	const char *name;
	size_t i;

	json_array_foreach (list, i, each) {
		rule = json_object_get(each, "rule");
		if (!rule)
			continue;
		name = nft_text(rule, "chain");
		rules = json_object_get(chains, name);
		if (!rules) {
			rules = json_array();
			json_object_set_new(chains, name, rules);
		}
		json_array_append(rules, rule);
	}
	return chains;
}

int published_walk_table(struct walk *w, const json_t *ruleset, const char *family,
			 const char *table)
{
	struct table t = {.w = w,
			  .list = json_object_get(ruleset, "nftables"),
			  .family = family,
			  .name = table};
	const json_t *each, *chain;
	struct ports all;
	size_t i;

	t.chains = by_chain(t.list);
	if (!t.chains)
		return -ENOMEM;
	memset(&all, 0xff, sizeof(all));
	json_array_foreach (t.list, i, each) {
		chain = json_object_get(each, "chain");
		if (!strcmp(nft_text(chain, "type"), "nat") &&
		    !strcmp(nft_text(chain, "hook"), "prerouting"))
			walk_chain(&t, nft_text(chain, "name"), &all, 0);
	}
	json_decref(t.chains);
	return 0;
}
