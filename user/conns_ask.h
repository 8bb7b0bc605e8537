/* SPDX-License-Identifier: GPL-2.0-only */
/* `synstile conns`: where its connections come from. Of the agent, page by page; without one, of
 * the maps. */
#ifndef SYNSTILE_USER_CONNS_ASK_H
#define SYNSTILE_USER_CONNS_ASK_H

#include "conns.h"
#include "running.h"

struct query {
	struct conn_filter filter;
	const char *state, *port, *host; /* the same, as they were written; NULL: any */
	enum conn_sort sort;
	bool half_open, json, limited;
	size_t limit; /* 0: all */
};

/* Shows them. The exit status. */
int conns_ask(struct running *r, const struct query *q);

#endif
