/* SPDX-License-Identifier: GPL-2.0-only */
/* What `synstile conns` shows, as text and as JSON. */
#ifndef SYNSTILE_USER_CONNS_VIEW_H
#define SYNSTILE_USER_CONNS_VIEW_H

#include <netinet/in.h>

#include "conn_json.h"
#include "running.h"

struct query {
	struct conn_filter filter;
	enum conn_sort sort;
	bool half_open, json, limited;
	size_t limit; /* 0: all */
};

struct view {
	const struct query *q;
	const struct running *r;
	struct service_names names;
	struct moment now;
	u64 shown;
};

int show_conns(struct view *v);
/* half_open_view.c */
int show_half_open(struct view *v);

/* ---- what both need ---- */

#define ENDS_SIZE (2 * (INET6_ADDRSTRLEN + 8) + 4)
#define ENDS_HEAD "CLIENT > SERVER"

/* "198.18.0.7:50096 > 198.18.0.1:443": who opened it, and to whom. Returns its length. */
int ends_text(const struct conn *c, char buf[ENDS_SIZE]);
const char *age_text(const struct conn *c, const struct moment *now, char buf[DURATION_SIZE]);
/* "-" if it has none. */
const char *service_text(const struct view *v, u16 service);
void print_more(u64 more);

/* One object, with a line for each connection, and after these whatever the caller adds. */
void json_begin(const struct view *v);
void json_line(struct view *v, json_t *j); /* frees j */
void json_end_list(void);
void json_end(const struct view *v, u64 total);

#endif
