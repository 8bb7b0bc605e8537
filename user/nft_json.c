// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "nft_json.h"

#define ARRAY(a) (sizeof(a) / sizeof(*(a)))

const char *nft_text(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

const char *nft_kind(const json_t *object)
{
	const char *key = json_object_iter_key(json_object_iter((json_t *)object));

	return key ? key : "";
}

bool nft_is(const json_t *object, const char *kind)
{
	return json_object_get(object, kind) != NULL;
}

json_t *nft_inside(const json_t *object)
{
	return json_object_get(object, nft_kind(object));
}

bool nft_field(const json_t *j, const char *protocol, const char *field)
{
	const json_t *payload = json_object_get(j, "payload");

	return payload && !strcmp(nft_text(payload, "protocol"), protocol) &&
	       !strcmp(nft_text(payload, "field"), field);
}

bool nft_key(const json_t *j, const char *what, const char *key)
{
	const json_t *object = json_object_get(j, what);

	return object && !strcmp(nft_text(object, "key"), key);
}

void nft_add_ports(struct ports *p, const json_t *right)
{
	const json_t *range = json_object_get(right, "range"), *set = json_object_get(right, "set");
	const json_t *each;
	json_int_t port, to;
	size_t i;

	if (json_is_array(right))
		set = right;
	json_array_foreach (set, i, each)
		nft_add_ports(p, json_is_array(each) ? json_array_get(each, 0) : each);
	if (json_is_object(right) && nft_is(right, "elem"))
		nft_add_ports(p, json_object_get(json_object_get(right, "elem"), "val"));
	port = to = json_is_integer(right) ? json_integer_value(right) : -1;
	if (json_array_size(range) == 2) {
		port = json_integer_value(json_array_get(range, 0));
		to = json_integer_value(json_array_get(range, 1));
	}
	if (port >= 0 && port <= to && to < 65536)
		ports_add(p, port, to);
}

bool nft_port(const json_t *left)
{
	return nft_field(left, "tcp", "dport") || nft_field(left, "th", "dport");
}

static const json_t *named(const json_t *list, const char *family, const char *table,
			   const char *kind, const char *name)
{
	const json_t *each, *object;
	size_t i;

	json_array_foreach (list, i, each) {
		object = json_object_get(each, kind);
		if (object && !strcmp(nft_text(object, "name"), name) &&
		    !strcmp(nft_text(object, "table"), table) &&
		    !strcmp(nft_text(object, "family"), family))
			return object;
	}
	return NULL;
}

const json_t *nft_elements(const json_t *list, const char *family, const char *table,
			   const json_t *data)
{
	const json_t *object;

	if (json_is_object(data))
		return json_object_get(data, "set");
	if (!json_is_string(data) || json_string_value(data)[0] != '@')
		return NULL;
	object = named(list, family, table, "map", json_string_value(data) + 1);
	if (!object)
		object = named(list, family, table, "set", json_string_value(data) + 1);
	return json_object_get(object, "elem");
}

static bool says_tcp(const json_t *right)
{
	const json_t *each;
	size_t i;

	if (json_is_object(right))
		right = json_object_get(right, "set");
	if (!json_is_array(right))
		return json_is_integer(right) ? json_integer_value(right) == 6
					      : !strcmp(json_string_value(right) ?: "", "tcp");
	json_array_foreach (right, i, each)
		if (says_tcp(each))
			return true;
	return false;
}

/* A named set, or what is not understood. */
static bool is_unknown(const json_t *right)
{
	return json_is_string(right) ? json_string_value(right)[0] == '@'
				     : json_is_object(right) && !nft_is(right, "set");
}

enum answer nft_match_tcp(const json_t *left, const char *op, const json_t *right)
{
	const char *protocol = nft_text(json_object_get(left, "payload"), "protocol");
	static const char *const others[] = {"udp",  "udplite", "icmp", "icmpv6", "igmp", "arp",
					     "sctp", "dccp",    "esp",  "ah",     "comp"};
	bool not = !strcmp(op, "!=");
	size_t i;

	for (i = 0; i < ARRAY(others); i++)
		if (!strcmp(protocol, others[i]))
			return NO;
	if (is_unknown(right))
		return MAYBE;
	if (nft_key(left, "meta", "l4proto") || nft_field(left, "ip", "protocol") ||
	    nft_field(left, "ip6", "nexthdr"))
		return nft_answer(says_tcp(right) != not );
	if ((nft_key(left, "meta", "iifname") || nft_key(left, "meta", "iif")) &&
	    json_is_string(right) && !strcmp(json_string_value(right), "lo"))
		return nft_answer(not );
	return MAYBE;
}
