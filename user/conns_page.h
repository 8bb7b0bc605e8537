/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The connections, page by page: a cursor says where the next page begins. A connection that is
 * there all the time is on exactly one page. One that comes or goes between two pages may be
 * missed, and so may one that overtakes in a sorted list; none is shown twice.
 *
 * Without an order a page is a stretch of the kernel's hash table: buckets, which are read as a
 * whole. The cursor is the number of a bucket, and if that had to be cut, the last connection
 * shown of it. In an order, it is the last connection shown, with what that was sorted by.
 */
#ifndef SYNSTILE_USER_CONNS_PAGE_H
#define SYNSTILE_USER_CONNS_PAGE_H

#include "conns.h"

#define CURSOR_SIZE (2 + 16 + 2 * sizeof(struct flow_key) + 1)

struct conn_cursor {
	bool set; /* not the first page */
	enum conn_sort sort;
	bool cut; /* SORT_NONE: behind `key` in that bucket */
	u64 at;   /* the bucket, or conn_rank() */
	struct flow_key key;
};

/* -EINVAL with a reason. */
int conn_cursor_parse(const char *text, struct conn_cursor *c);
void conn_cursor_text(const struct conn_cursor *c, char buf[CURSOR_SIZE]);

struct conn_page {
	const struct maps *maps;
	struct conn_filter filter;
	struct conn_pick pick;   /* sort and limit (not 0) are the caller's to set */
	struct conn_cursor from; /* ... and where it begins */
	struct conn_cursor next; /* set: there is more */
	bool counted;            /* pick.list.matched is that of the whole table */
	/* the walk */
	bool begun, full, ended;
	u64 earlier; /* matched, and are on pages before */
	u32 position;
	struct flow_key *keys;
	struct flow *flows;
};

/* Reads on for about `ns` (0: to its end). 1: done, pick.list and next hold; 0: not yet; -errno
 * with a reason. */
int conn_page_read(struct conn_page *p, u64 ns);
void conn_page_free(struct conn_page *p);

#endif
