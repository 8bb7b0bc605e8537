// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "conns_page.h"
#include "log.h"
#include "moment.h"

#define BATCH 1024 /* records at once; a bucket holds a few */

/* ---- the cursor as text: a letter, what it is at, and perhaps a key ---- */

static const char letters[] = {[SORT_NONE] = 't',
			       [SORT_AGE] = 'a',
			       [SORT_BYTES] = 'b',
			       [SORT_RTX] = 'r',
			       [SORT_NEWEST] = 'n'};

void conn_cursor_text(const struct conn_cursor *c, char buf[CURSOR_SIZE])
{
	const u8 *key = (const u8 *)&c->key;
	int n = sprintf(buf, "%c%llx", letters[c->sort], (unsigned long long)c->at);
	size_t i;

	if (c->sort == SORT_NONE && !c->cut)
		return;
	buf[n++] = '-';
	for (i = 0; i < sizeof(c->key); i++)
		n += sprintf(buf + n, "%02x", key[i]);
}

static bool parse_key(const char *text, struct flow_key *key)
{
	u8 *to = (u8 *)key;
	unsigned int byte;
	size_t i;

	if (strlen(text) != 2 * sizeof(*key) || strspn(text, "0123456789abcdef") != strlen(text))
		return false;
	for (i = 0; i < sizeof(*key); i++) {
		sscanf(text + 2 * i, "%2x", &byte);
		to[i] = byte;
	}
	return true;
}

static bool parse_cursor(const char *text, struct conn_cursor *c)
{
	const char *letter = *text ? memchr(letters, *text, sizeof(letters)) : NULL;
	size_t digits = letter ? strspn(text + 1, "0123456789abcdef") : 0;
	const char *rest = text + 1 + digits;

	if (!digits || digits > 16)
		return false;
	*c = (struct conn_cursor){.set = true, .sort = letter - letters};
	c->at = strtoull(text + 1, NULL, 16);
	c->cut = *rest == '-';
	if (c->cut && !parse_key(rest + 1, &c->key))
		return false;
	if (c->sort == SORT_NONE && c->at > UINT32_MAX)
		return false;
	return c->cut || (!*rest && c->sort == SORT_NONE);
}

int conn_cursor_parse(const char *text, struct conn_cursor *c)
{
	if (parse_cursor(text, c))
		return 0;
	return fail(EINVAL, "cursor=%.100s: that is none that an answer had", text);
}

/* ---- what belongs to the page ---- */

static int take(struct conn_page *p, const struct flow_key *key, const struct flow *f)
{
	const struct conn c = {*key, *f};
	u64 rank;

	if (!conn_matches(&p->filter, &c))
		return 0;
	rank = conn_rank(&c, p->pick.sort);
	/* all are counted; those of earlier pages are not shown again */
	if (p->pick.sort && p->from.set &&
	    (rank < p->from.at ||
	     (rank == p->from.at && memcmp(key, &p->from.key, sizeof(*key)) <= 0))) {
		p->pick.list.matched++;
		p->earlier++;
		return 0;
	}
	return conn_pick(&p->pick, &c);
}

static u32 matching(const struct conn_page *p, u32 n)
{
	u32 i, found = 0;

	for (i = 0; i < n; i++) {
		const struct conn c = {p->keys[i], p->flows[i]};

		found += conn_matches(&p->filter, &c);
	}
	return found;
}

/* ---- reading buckets ---- */

/* At most `*n` records from bucket `from` on, of whole buckets; `*to`: the bucket behind them.
 * -ENOSPC: there are more in the first one; -ENOENT: those are the last. */
static int read_buckets(struct conn_page *p, u32 from, u32 *to, u32 *n)
{
	u64 in[8] = {from}, out[8] = {0}; /* the kernel writes no more than a key */

	if (!*n)
		return -ENOSPC;
	if (!bpf_map_lookup_batch(p->maps->flows, from ? in : NULL, out, p->keys, p->flows, n,
				  NULL)) {
		*to = (u32)out[0];
		return 0;
	}
	*to = (u32)out[0];
	if (errno != ENOENT)
		*n = 0;
	return -errno;
}

/* Exactly the first bucket that is not empty. */
static int read_bucket(struct conn_page *p, u32 from, u32 *to, u32 *n)
{
	u32 most;
	int err = -ENOSPC;

	for (most = 1; err == -ENOSPC && most <= BATCH; most++) {
		*n = most;
		err = read_buckets(p, from, to, n);
	}
	return err;
}

static int compare_keys(const void *a, const void *b)
{
	const struct conn *x = a, *y = b;

	return memcmp(&x->key, &y->key, sizeof(x->key));
}

/* A part of one bucket, in the order of keys: from p->from.key on, if it was cut before. */
static int cut_bucket(struct conn_page *p, bool behind)
{
	struct conn_pick rest = {0};
	u32 to = p->position, n = 0, i;
	int err = read_bucket(p, p->position, &to, &n), bad = 0;
	size_t k;

	if (err && err != -ENOENT)
		return err;
	for (i = 0; i < n && !bad; i++) {
		const struct conn c = {p->keys[i], p->flows[i]};

		if (conn_matches(&p->filter, &c) &&
		    (!behind || memcmp(&c.key, &p->from.key, sizeof(c.key)) > 0))
			bad = conn_pick(&rest, &c);
	}
	if (rest.list.n)
		qsort(rest.list.at, rest.list.n, sizeof(*rest.list.at), compare_keys);
	for (k = 0; k < rest.list.n && p->pick.list.n < p->pick.limit && !bad; k++)
		bad = conn_pick(&p->pick, &rest.list.at[k]);
	if (k < rest.list.n && k) {
		p->next = (struct conn_cursor){.set = true, .cut = true, .at = p->position};
		p->next.key = rest.list.at[k - 1].key;
		p->full = true;
		p->pick.list.matched += rest.list.n - k;
	}
	conns_free(&rest.list);
	p->position = to;
	p->ended = err == -ENOENT;
	return bad;
}

static void stop_here(struct conn_page *p)
{
	p->full = true;
	p->next = (struct conn_cursor){.set = true, .at = p->position};
}

static int take_all(struct conn_page *p, u32 n)
{
	int err = 0;
	u32 i;

	for (i = 0; i < n && !err; i++)
		err = take(p, &p->keys[i], &p->flows[i]);
	return err;
}

/* One more stretch of a page without order. */
static int read_unsorted(struct conn_page *p)
{
	u32 to = p->position, n = BATCH;
	size_t room = p->pick.limit - p->pick.list.n;
	int err;

	if (!p->begun && p->from.cut) {
		p->begun = true;
		return cut_bucket(p, true);
	}
	p->begun = true;
	if (!room) {
		stop_here(p);
		return 0;
	}
	err = read_buckets(p, p->position, &to, &n);
	if ((!err || err == -ENOENT) && matching(p, n) > room) {
		n = room;
		err = read_buckets(p, p->position, &to, &n);
	}
	if (err == -ENOSPC) {
		if (!p->pick.list.n)
			return cut_bucket(p, false);
		p->position = to; /* those between are empty */
		stop_here(p);
		return 0;
	}
	if (err && err != -ENOENT)
		return err;
	p->position = to;
	p->ended = err == -ENOENT;
	return take_all(p, n);
}

/* The page is full, or another order holds: look at the rest too. */
static int read_rest(struct conn_page *p)
{
	u32 to = p->position, n = BATCH;
	int err = read_buckets(p, p->position, &to, &n);

	if (err && err != -ENOENT)
		return err;
	p->begun = true;
	p->position = to;
	p->ended = err == -ENOENT;
	if (p->pick.sort)
		return take_all(p, n);
	p->pick.list.matched += matching(p, n);
	return 0;
}

static bool is_done(const struct conn_page *p)
{
	return p->ended || (p->full && p->from.set);
}

/* More matched behind this page than it shows. */
static void set_next(struct conn_page *p)
{
	const struct conn_list *l = &p->pick.list;
	const struct conn *last;

	conn_pick_end(&p->pick);
	p->counted = p->pick.sort || !p->from.set;
	if (!p->pick.sort || l->matched - p->earlier <= l->n)
		return;
	last = &l->at[l->n - 1];
	p->next = (struct conn_cursor){.set = true,
				       .sort = p->pick.sort,
				       .at = conn_rank(last, p->pick.sort),
				       .key = last->key};
}

static int begin(struct conn_page *p)
{
	p->keys = calloc(BATCH, sizeof(*p->keys));
	p->flows = calloc(BATCH, sizeof(*p->flows));
	if (!p->keys || !p->flows)
		return -ENOMEM;
	if (p->from.set && !p->from.sort)
		p->position = p->from.at;
	return 0;
}

int conn_page_read(struct conn_page *p, u64 ns)
{
	u64 start = monotonic_now();
	int err = p->keys ? 0 : begin(p);

	while (!err && !is_done(p) && (!ns || monotonic_now() - start < ns))
		err = p->pick.sort || p->full ? read_rest(p) : read_unsorted(p);
	if (err)
		return fail(-err, "cannot read the flow table: %s", strerror(-err));
	if (!is_done(p))
		return 0;
	set_next(p);
	return 1;
}

void conn_page_free(struct conn_page *p)
{
	conns_free(&p->pick.list);
	free(p->keys);
	free(p->flows);
	p->keys = NULL;
	p->flows = NULL;
}
