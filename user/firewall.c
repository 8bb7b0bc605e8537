// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "firewall.h"
#include "nft_json.h"

#define ARRAY(a) (sizeof(a) / sizeof(*(a)))

#define DEPTH              32 /* of expressions */
#define CONNTRACK_PRIORITY -200

/* A packet as far as rules about connections look at it. */
struct probe {
	u32 flags; /* of TCP */
	u32 state; /* of conntrack */
};

enum {
	SYN,
	ACK,
	PACKETS
};

/* How a chain is come by; true once it is so on any way. */
struct way {
	bool reached[PACKETS];
	bool nat;          /* below a base chain of type nat */
	bool early;        /* before conntrack, where `ct state` is invalid for all */
	bool rest_dropped; /* here or below: by the policy, or by a rule that takes everything */
};

struct chain {
	const char *family, *table, *name;
	struct way way;
};

struct examination {
	const json_t *list; /* of objects: {"rule": {...}}, {"chain": ...} ... */
	struct probe packets[PACKETS];
	struct chain *chains;
	size_t n_chains;
	bool ack_accepted; /* by some rule, perhaps */
	firewall_fn fn;
	void *arg;
	struct ports ports; /* of the rule at hand */
};

/* A rule as one packet or the other meets it. */
struct view {
	const json_t *rule;
	const struct chain *chain;
	enum answer may[PACKETS];
	const char *limits; /* what counts or limits in it, or NULL */
	bool accepts, drops, synproxy, dnat, redirect;
	bool opaque; /* it has a match whose arguments are not known */
	bool has_ports;
};

struct word {
	const char *name;
	u32 bit;
};

static const struct word tcp_flags[] = {{"fin", 1},  {"syn", 2},  {"rst", 4},  {"psh", 8},
					{"ack", 16}, {"urg", 32}, {"ecn", 64}, {"cwr", 128}};
/* include/uapi/linux/netfilter/nf_conntrack_common.h, as nft numbers them */
#define CT_INVALID 1
#define CT_NEW     8
static const struct word ct_states[] = {{"invalid", CT_INVALID},
					{"established", 2},
					{"related", 4},
					{"new", CT_NEW},
					{"untracked", 64}};

/* ---- values ---- */

static bool number_of(const json_t *j, const struct word *words, size_t n, u32 *value, int depth)
{
	const json_t *each;
	u32 part;
	size_t i;

	if (depth > DEPTH)
		return false;
	if (json_is_object(j) && nft_is(j, "|"))
		j = json_object_get(j, "|");
	if (json_is_integer(j)) {
		*value = json_integer_value(j);
		return true;
	}
	if (json_is_string(j)) {
		for (i = 0; i < n; i++) {
			if (strcmp(json_string_value(j), words[i].name))
				continue;
			*value = words[i].bit;
			return true;
		}
		return false;
	}
	if (!json_is_array(j))
		return false;
	*value = 0;
	json_array_foreach (j, i, each) {
		if (!number_of(each, words, n, &part, depth + 1))
			return false;
		*value |= part;
	}
	return true;
}

static enum answer in_set(u32 value, const json_t *set, const struct word *words, size_t n)
{
	const json_t *each;
	bool known = true;
	u32 right;
	size_t i;

	json_array_foreach (set, i, each) {
		if (!number_of(each, words, n, &right, 0))
			known = false;
		else if (right == value)
			return YES;
	}
	return known ? NO : MAYBE;
}

/* nft's relations of a bit mask: "in" and "!" are of those that have any, none of these bits. */
static enum answer relate(u32 left, const char *op, const json_t *right, const struct word *words,
			  size_t n)
{
	enum answer found;
	u32 value;

	if (json_is_object(right) && nft_is(right, "set")) {
		found = in_set(left, json_object_get(right, "set"), words, n);
		return found == MAYBE ? MAYBE : nft_answer((found == YES) == !!strcmp(op, "!="));
	}
	if (!number_of(right, words, n, &value, 0))
		return MAYBE;
	if (!strcmp(op, "in"))
		return nft_answer(left & value);
	if (!strcmp(op, "!"))
		return nft_answer(!(left & value));
	if (!strcmp(op, "=="))
		return nft_answer(left == value);
	return strcmp(op, "!=") ? MAYBE : nft_answer(left != value);
}

/* ---- matches ---- */

/* The flags of a packet through masks: {"&": [FLAGS, MASK]}. */
static bool flags_of(const json_t *left, u32 flags, u32 *value, int depth)
{
	const json_t *and = json_object_get(left, "&");
	u32 mask;

	if (nft_field(left, "tcp", "flags")) {
		*value = flags;
		return true;
	}
	if (depth > DEPTH || json_array_size(and) != 2 ||
	    !flags_of(json_array_get(and, 0), flags, value, depth + 1) ||
	    !number_of(json_array_get(and, 1), tcp_flags, ARRAY(tcp_flags), &mask, 0))
		return false;
	*value &= mask;
	return true;
}

static enum answer relation(const json_t *left, const char *op, const json_t *right,
			    const struct probe *p)
{
	u32 value;

	if (flags_of(left, p->flags, &value, 0))
		return relate(value, op, right, tcp_flags, ARRAY(tcp_flags));
	if (nft_key(left, "ct", "state"))
		return relate(p->state, op, right, ct_states, ARRAY(ct_states));
	return nft_match_tcp(left, op, right);
}

/* ---- ports ---- */

static void match_ports(struct examination *e, struct view *v, const json_t *left, const char *op,
			const json_t *right)
{
	const json_t *elem = nft_elements(e->list, v->chain->family, v->chain->table, right);

	if (!nft_port(left) || strcmp(op, "=="))
		return;
	v->has_ports = true;
	nft_add_ports(&e->ports, elem ? elem : right);
}

/* A map's keys, where those are ports: dnat to tcp dport map { 80 : ... }. */
static void map_ports(struct examination *e, struct view *v, const json_t *dnat)
{
	const json_t *map = json_object_get(json_object_get(dnat, "addr"), "map");
	const json_t *key = json_object_get(map, "key"), *concat = json_object_get(key, "concat");

	if (nft_port(key) || nft_port(json_array_get(concat, 0)))
		match_ports(e, v, nft_port(key) ? key : json_array_get(concat, 0),
			    "==", json_object_get(map, "data"));
}

/* ---- statements ---- */

static bool one_of(const char *word, const char *const *words, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!strcmp(word, words[i]))
			return true;
	return false;
}

/* An extension of iptables: of its arguments nothing is told. */
static void extension(struct view *v, const json_t *xt)
{
	static const char *const limits[] = {"limit", "hashlimit", "connlimit", "recent", "quota"};
	static const char *const harmless[] = {"comment", "LOG",      "NFLOG",      "TCPMSS",
					       "MARK",    "CONNMARK", "MASQUERADE", "SNAT"};
	const char *name = nft_text(xt, "name");

	if (one_of(name, limits, ARRAY(limits)))
		v->limits = name;
	else if (!strcmp(name, "DROP") || !strcmp(name, "REJECT"))
		v->drops = true;
	else if (!strcmp(name, "SYNPROXY"))
		v->synproxy = true;
	else if (!strcmp(name, "DNAT"))
		v->dnat = true;
	else if (!strcmp(name, "REDIRECT"))
		v->redirect = true;
	else if (!one_of(name, harmless, ARRAY(harmless)))
		v->opaque = true; /* also if the library does not even tell the name */
}

static bool is_limit(const json_t *statement)
{
	static const char *const kinds[] = {"limit", "ct count", "quota"};
	const json_t *stmt = json_object_get(json_object_get(statement, "set"), "stmt"), *each;
	size_t i;

	json_array_foreach (stmt, i, each)
		if (is_limit(each))
			return true;
	return one_of(nft_kind(statement), kinds, ARRAY(kinds)) || nft_is(statement, "meter");
}

static void verdict(struct view *v, const json_t *statement)
{
	v->accepts |= nft_is(statement, "accept");
	v->drops |= nft_is(statement, "drop") || nft_is(statement, "reject");
	v->synproxy |= nft_is(statement, "synproxy");
	v->dnat |= nft_is(statement, "dnat");
	v->redirect |= nft_is(statement, "redirect");
}

static enum answer both(enum answer a, enum answer b)
{
	return a < b ? a : b;
}

static struct probe packet_at(const struct examination *e, const struct chain *c, int i)
{
	struct probe p = e->packets[i];

	if (c->way.early)
		p.state = CT_INVALID;
	return p;
}

static void take(struct examination *e, struct view *v, const json_t *statement)
{
	const json_t *match = json_object_get(statement, "match");
	const json_t *left = json_object_get(match, "left"),
		     *right = json_object_get(match, "right");
	struct probe p;
	int i;

	for (i = 0; match && i < PACKETS; i++) {
		p = packet_at(e, v->chain, i);
		v->may[i] = both(v->may[i], relation(left, nft_text(match, "op"), right, &p));
	}
	if (match) {
		match_ports(e, v, left, nft_text(match, "op"), right);
		return;
	}
	verdict(v, statement);
	map_ports(e, v, json_object_get(statement, "dnat"));
	if (is_limit(statement))
		v->limits = nft_is(statement, "set") ? "limit" : nft_kind(statement);
	if (nft_is(statement, "xt"))
		extension(v, json_object_get(statement, "xt"));
}

/* ---- chains ---- */

static struct chain *find_chain(struct examination *e, const json_t *of, const char *name)
{
	size_t i;

	for (i = 0; i < e->n_chains; i++)
		if (!strcmp(e->chains[i].name, name) &&
		    !strcmp(e->chains[i].table, nft_text(of, "table")) &&
		    !strcmp(e->chains[i].family, nft_text(of, "family")))
			return &e->chains[i];
	return NULL;
}

/* What a statement that is over in this rule does, or an element of a verdict map. Returns true
 * if a chain is reached that was not, or not so. */
static bool jump(struct examination *e, const struct view *v, const json_t *statement)
{
	const json_t *to = json_object_get(statement, "jump");
	struct chain *c;
	struct way was;
	int i;

	if (!to)
		to = json_object_get(statement, "goto");
	c = to ? find_chain(e, v->rule, nft_text(to, "target")) : NULL;
	if (!c)
		return false;
	was = c->way;
	for (i = 0; i < PACKETS; i++)
		c->way.reached[i] |= v->may[i] != NO;
	c->way.nat |= v->chain->way.nat;
	c->way.early |= v->chain->way.early;
	c->way.rest_dropped |= v->chain->way.rest_dropped;
	return memcmp(&was, &c->way, sizeof(was));
}

typedef bool (*view_fn)(struct examination *e, const struct view *v, const json_t *last);

/* A verdict map is so many rules with one more match each. */
static bool each_element(struct examination *e, const struct view *v, const json_t *vmap,
			 view_fn fn)
{
	const json_t *key = json_object_get(vmap, "key"), *pair;
	const json_t *list = nft_elements(e->list, v->chain->family, v->chain->table,
					  json_object_get(vmap, "data"));
	const struct ports before = e->ports;
	struct view one;
	struct probe p;
	bool any = false;
	size_t n;
	int i;

	json_array_foreach (list, n, pair) {
		one = *v;
		e->ports = before;
		for (i = 0; i < PACKETS; i++) {
			p = packet_at(e, v->chain, i);
			one.may[i] =
				both(one.may[i], relation(key, "==", json_array_get(pair, 0), &p));
		}
		match_ports(e, &one, key, "==", json_array_get(pair, 0));
		verdict(&one, json_array_get(pair, 1));
		any |= fn(e, &one, json_array_get(pair, 1));
	}
	return any;
}

/* Calls fn for a rule, once for each way out of it. */
static bool each_way(struct examination *e, const json_t *rule, view_fn fn)
{
	const struct chain *c = find_chain(e, rule, nft_text(rule, "chain"));
	struct view v = {.rule = rule, .chain = c};
	const json_t *statement;
	bool any = false;
	size_t n;
	int i;

	if (!c)
		return false;
	memset(&e->ports, 0, sizeof(e->ports));
	for (i = 0; i < PACKETS; i++)
		v.may[i] = c->way.reached[i] ? YES : NO;
	json_array_foreach (json_object_get(rule, "expr"), n, statement) {
		if (nft_is(statement, "vmap"))
			any |= each_element(e, &v, nft_inside(statement), fn);
		else
			take(e, &v, statement);
		if (nft_is(statement, "jump") || nft_is(statement, "goto"))
			any |= fn(e, &v, statement);
	}
	if (n && !nft_is(json_array_get(json_object_get(rule, "expr"), n - 1), "vmap"))
		any |= fn(e, &v, json_array_get(json_object_get(rule, "expr"), n - 1));
	return any;
}

static bool each_rule(struct examination *e, view_fn fn)
{
	const json_t *each, *rule;
	bool any = false;
	size_t i;

	json_array_foreach (e->list, i, each) {
		rule = json_object_get(each, "rule");
		if (rule)
			any |= each_way(e, rule, fn);
	}
	return any;
}

static bool note_drop(struct examination *e, const struct view *v, const json_t *last)
{
	(void)last;
	if (v->drops && !v->limits && !v->opaque && v->may[SYN] == YES && v->may[ACK] == YES)
		find_chain(e, v->rule, v->chain->name)->way.rest_dropped = true;
	return false;
}

static bool note_accept(struct examination *e, const struct view *v, const json_t *last)
{
	(void)last;
	e->ack_accepted |= v->accepts && v->may[ACK] != NO && !v->chain->way.nat;
	return false;
}

static int collect_chains(struct examination *e)
{
	static const char *const hooks[] = {"ingress", "prerouting", "input"};
	const json_t *each, *chain;
	struct chain *c;
	size_t i;

	e->chains = calloc(json_array_size(e->list) + 1, sizeof(*e->chains));
	if (!e->chains)
		return -ENOMEM;
	json_array_foreach (e->list, i, each) {
		chain = json_object_get(each, "chain");
		if (!chain)
			continue;
		c = &e->chains[e->n_chains++];
		c->family = nft_text(chain, "family");
		c->table = nft_text(chain, "table");
		c->name = nft_text(chain, "name");
		if (!one_of(nft_text(chain, "hook"), hooks, ARRAY(hooks)))
			continue;
		c->way.reached[SYN] = c->way.reached[ACK] = true;
		c->way.nat = !strcmp(nft_text(chain, "type"), "nat");
		c->way.early =
			!strcmp(nft_text(chain, "hook"), "ingress") ||
			(!strcmp(nft_text(chain, "hook"), "prerouting") &&
			 json_integer_value(json_object_get(chain, "prio")) <= CONNTRACK_PRIORITY);
		c->way.rest_dropped = !strcmp(nft_text(chain, "policy"), "drop");
	}
	return 0;
}

/* ---- findings ---- */

static void found(struct examination *e, const struct view *v, enum firewall_kind kind)
{
	const json_t *statement;
	bool xt = false;
	size_t i;

	json_array_foreach (json_object_get(v->rule, "expr"), i, statement)
		xt |= nft_is(statement, "xt");
	e->fn(&(struct firewall_finding){.kind = kind,
					 .family = v->chain->family,
					 .table = v->chain->table,
					 .chain = v->chain->name,
					 .handle = json_integer_value(
						 json_object_get(v->rule, "handle")),
					 .does = kind != FIREWALL_DNAT ? v->limits
						 : v->dnat             ? "dnat"
								       : "redirect",
					 .sure = !e->ack_accepted,
					 .xt = xt,
					 .early = v->chain->way.early,
					 .ports = &e->ports,
					 .all_ports = !v->has_ports},
	      e->arg);
}

static bool judge(struct examination *e, const struct view *v, const json_t *last)
{
	bool syn = v->may[SYN] != NO, ack = v->may[ACK] != NO;

	if (nft_is(last, "jump") || nft_is(last, "goto"))
		return false; /* what is behind it is judged there */
	if ((v->dnat || v->redirect) && syn)
		found(e, v, FIREWALL_DNAT);
	else if (v->synproxy)
		found(e, v, FIREWALL_SYNPROXY);
	else if (!syn && ack && v->drops && !v->opaque)
		found(e, v, FIREWALL_ACK_DROP);
	if (!syn || ack || v->dnat || v->redirect || v->synproxy)
		return false;
	if (v->accepts && v->chain->way.rest_dropped && (!e->ack_accepted || !v->limits))
		found(e, v, FIREWALL_SYN_ACCEPT);
	else if (v->limits)
		found(e, v, FIREWALL_SYN_LIMIT);
	else if (v->drops)
		found(e, v, FIREWALL_SYN_DROP);
	return false;
}

/* ---- tables: what cannot be read in them, and NAT ---- */

static void add_name(char *names, size_t size, const char *name)
{
	const char *at = strstr(names, name);
	size_t n = strlen(names);

	if (!at)
		snprintf(names + n, size - n, "%s%s", n ? ", " : "", name);
}

static void opaque_rule(const json_t *rule, char *names, size_t size)
{
	const json_t *statement, *xt;
	struct view v;
	size_t i;

	json_array_foreach (json_object_get(rule, "expr"), i, statement) {
		xt = json_object_get(statement, "xt");
		v = (struct view){0};
		if (nft_is(statement, "xt"))
			extension(&v, xt);
		if (v.opaque)
			add_name(names, size,
				 *nft_text(xt, "name") ? nft_text(xt, "name") : "unnamed");
	}
}

static bool translates(const json_t *rule)
{
	static const char *const kinds[] = {"dnat", "snat", "masquerade", "redirect"};
	static const char *const targets[] = {"DNAT", "SNAT", "MASQUERADE", "REDIRECT", "NETMAP"};
	const json_t *statement;
	size_t i;

	json_array_foreach (json_object_get(rule, "expr"), i, statement)
		if (one_of(nft_kind(statement), kinds, ARRAY(kinds)) ||
		    one_of(nft_text(json_object_get(statement, "xt"), "name"), targets,
			   ARRAY(targets)))
			return true;
	return false;
}

static void look_at_table(struct examination *e, const json_t *table)
{
	struct firewall_finding f = {.family = nft_text(table, "family"),
				     .table = nft_text(table, "name"),
				     .all_ports = true};
	const json_t *each, *rule;
	const struct chain *c;
	char names[256] = "";
	bool nat = false;
	size_t i;

	json_array_foreach (e->list, i, each) {
		rule = json_object_get(each, "rule");
		if (!rule || strcmp(nft_text(rule, "table"), f.table) ||
		    strcmp(nft_text(rule, "family"), f.family))
			continue;
		nat |= translates(rule);
		c = find_chain(e, rule, nft_text(rule, "chain"));
		if (c && (c->way.reached[SYN] || c->way.reached[ACK]))
			opaque_rule(rule, names, sizeof(names));
	}
	f.kind = FIREWALL_NAT;
	if (nat)
		e->fn(&f, e->arg);
	f.kind = FIREWALL_OPAQUE;
	f.does = names;
	f.xt = true;
	if (names[0])
		e->fn(&f, e->arg);
}

static void look_at_tables(struct examination *e)
{
	const json_t *each, *table;
	size_t i;

	json_array_foreach (e->list, i, each) {
		table = json_object_get(each, "table");
		if (table)
			look_at_table(e, table);
	}
}

int firewall_examine(const json_t *ruleset, bool ack_invalid, firewall_fn fn, void *arg)
{
	struct examination e = {
		.list = json_object_get(ruleset, "nftables"),
		.packets = {[SYN] = {.flags = 2, .state = CT_NEW},
			    [ACK] = {.flags = 16, .state = ack_invalid ? CT_INVALID : CT_NEW}},
		.fn = fn,
		.arg = arg,
	};
	int err = collect_chains(&e);

	if (err)
		return err;
	while (each_rule(&e, jump)) /* something more is reached each time */
		;
	each_rule(&e, note_drop);
	while (each_rule(&e, jump)) /* and it is passed on to the chains below */
		;
	each_rule(&e, note_accept);
	each_rule(&e, judge);
	look_at_tables(&e);
	free(e.chains);
	return 0;
}

/* ---- mending ---- */

/* Past a list such as "fin,syn,rst,ack" of flags; NULL if there is none. */
static const char *flag_list(const char *at)
{
	size_t n = strspn(at, "abcdefghijklmnopqrstuvwxyz,");

	return n && (!at[n] || at[n] == ' ') ? at + n : NULL;
}

bool firewall_rewrite(const char *rule, char *buf, size_t size)
{
	static const char match[] = "tcp flags ", new[] = "meta l4proto tcp ct state new";
	const char *start = strstr(rule, match), *end;
	int n;

	/* a meter's set is bound to its rule: nft cannot replace that in one step */
	if (!start || strstr(rule, "ct state") || strstr(rule, " meter "))
		return false;
	/* "tcp flags syn", "tcp flags == syn", "tcp flags syn / fin,syn,rst,ack" */
	end = start + strlen(match);
	if (!strncmp(end, "== ", 3))
		end += 3;
	if (strncmp(end, "syn", 3))
		return false;
	end = flag_list(end);
	if (end && !strncmp(end, " / ", 3))
		end = flag_list(end + 3);
	if (!end)
		return false;
	n = snprintf(buf, size, "%.*s%s%s", (int)(start - rule), rule, new, end);
	return n >= 0 && (size_t)n < size;
}
