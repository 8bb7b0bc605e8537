/* SPDX-License-Identifier: GPL-2.0-only */
/* Rules as libnftables writes them in JSON (libnftables-json(5)): reading single matches and values
 * of them, from the point of view of a TCP packet that comes in on a wire. */
#ifndef SYNSTILE_USER_NFT_JSON_H
#define SYNSTILE_USER_NFT_JSON_H

#include <jansson.h>

#include "ports.h"

/* May a packet match? */
enum answer {
	NO,
	MAYBE,
	YES
};

static inline enum answer nft_answer(bool yes)
{
	return yes ? YES : NO;
}

/* "" if there is none. */
const char *nft_text(const json_t *object, const char *key);
/* The only member's name: what kind of statement or expression this is; "" if there is none. */
const char *nft_kind(const json_t *object);
bool nft_is(const json_t *object, const char *kind);
/* The only member. */
json_t *nft_inside(const json_t *object);

/* Is an expression this field of a header ("tcp", "dport")? This key ("meta", "iifname")? */
bool nft_field(const json_t *j, const char *protocol, const char *field);
bool nft_key(const json_t *j, const char *what, const char *key);
/* ... the port that a packet goes to? */
bool nft_port(const json_t *left);

/* A match of the packet's protocol and way in, which are TCP and not `lo`. */
enum answer nft_match_tcp(const json_t *left, const char *op, const json_t *right);
/* Adds the ports that a value names: one, a range, a set, or a map's keys. */
void nft_add_ports(struct ports *p, const json_t *right);
/* The elements of {"set": [...]}, or of "@name" as the list of objects has it; NULL: neither. */
const json_t *nft_elements(const json_t *list, const char *family, const char *table,
			   const json_t *data);

#endif
