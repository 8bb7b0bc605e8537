/* SPDX-License-Identifier: GPL-2.0-only */
/* The connections in the flow table: chosen, and put in order. */
#ifndef SYNSTILE_USER_CONNS_H
#define SYNSTILE_USER_CONNS_H

#include "maps.h"

struct conn {
	struct flow_key key;
	struct flow flow;
};

/* Zeroed, it takes every connection. */
struct conn_filter {
	bool half_open; /* handshakes that are not complete only */
	bool by_state;  /* either end is in `state` */
	bool by_host;   /* either end has this address */
	bool by_service;
	u8 state;    /* enum tcp_state */
	u16 port;    /* host order; either end; 0: any */
	u16 service; /* its index */
	u64 flow_id; /* 0: any */
	struct addr host;
};

enum conn_sort {
	SORT_NONE,
	SORT_AGE, /* oldest first */
	SORT_BYTES,
	SORT_RTX, /* most first */
	SORT_NEWEST
};

struct conn_list {
	struct conn *at;
	size_t n;
	u64 matched; /* n, or more if they were limited */
};

/* A list in the making. */
struct conn_pick {
	struct conn_list list;
	enum conn_sort sort;
	size_t limit, room; /* limit 0: all */
};

/* One more that matched: keeps it if it is among the first. -ENOMEM. */
int conn_pick(struct conn_pick *p, const struct conn *c);
/* That was all: puts them in order. */
void conn_pick_end(struct conn_pick *p);
/* What they are sorted by, so that a smaller one comes first. */
u64 conn_rank(const struct conn *c, enum conn_sort sort);

bool conn_matches(const struct conn_filter *filter, const struct conn *c);

typedef int (*conn_fn)(const struct conn *c, void *arg);
/* Calls fn for each connection that matches, in no order; stops at the first non-zero
 * result, and returns it. */
int conns_each(const struct maps *m, const struct conn_filter *filter, conn_fn fn, void *arg);
/* The first `limit` (0: all) of those that match, in this order. */
int conns_read(const struct maps *m, const struct conn_filter *filter, enum conn_sort sort,
	       size_t limit, struct conn_list *list);
/* Which comes first: below 0, a. */
int conn_compare(const struct conn *a, const struct conn *b, enum conn_sort sort);
void conns_free(struct conn_list *list);

/* A state by its name in RFC 9293 or in ss(8), in any case, with '-', '_' or nothing between the
 * words. -EINVAL with a reason that lists them. */
int conn_state_parse(const char *text, u8 *state);
/* "age", "bytes", "rtx", "newest". -EINVAL with a reason. */
int conn_sort_parse(const char *text, enum conn_sort *sort);

/* What is known of one end. NULL or 0 as flow.h says where it is not. */
const struct flow_side *conn_client(const struct conn *c);
const struct flow_side *conn_server(const struct conn *c);
u8 conn_client_state(const struct conn *c);
u8 conn_server_state(const struct conn *c);

#endif
