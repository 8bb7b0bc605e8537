/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * YAML as a tree whose nodes know their positions. Of YAML only what a policy needs: one
 * document of mappings, lists and scalars; no anchors, aliases, tags; bounded in every direction.
 */
#ifndef SYNSTILE_USER_POLICY_YAML_H
#define SYNSTILE_USER_POLICY_YAML_H

#include "policy_errors.h"

#define YAML_DEPTH_MOST 16
#define YAML_NODES_MOST 1500000 /* of any kind: a million prefixes, and room */

struct node {
	enum {
		NODE_SCALAR,
		NODE_LIST,
		NODE_MAP
	} type;
	bool quoted;
	u32 line, column;   /* from 1 */
	const char *text;   /* NODE_SCALAR, without a zero inside */
	struct node *first; /* of a list; of a map: its keys, which are scalars */
	struct node *next;
	struct node *value; /* of a key */
};

struct tree {
	struct chunk *chunks; /* nodes and texts lie in there */
	size_t n;             /* nodes */
	struct node *root;    /* NULL: the file is empty */
};

/* 0; -EINVAL: complained of (as file 0); -ENOMEM. tree_free() in any case. */
int tree_read(struct tree *t, const char *text, size_t size, struct complaints *c);
void tree_free(struct tree *t);

/* The first byte that does not belong to UTF-8, or `size`. */
size_t utf8_until(const char *text, size_t size);
/* The position of a byte, in lines and characters from 1. */
void text_position(const char *text, size_t at, struct origin *o);

#endif
