// SPDX-License-Identifier: GPL-2.0-only
/*
 * Paging through a flow table that is read as the kernel reads its hash table: buckets, each as a
 * whole, from a position that is the number of a bucket (__htab_map_lookup_and_delete_batch()).
 */
#include <errno.h>

#include <bpf/bpf.h>

#include "conns_page.h"
#include "log.h" /* before cmocka, which has a macro of the name of fail() */
#include "moment.h"
#include "unit.h"

/* ---- the table ---- */

#define BUCKETS 64
#define DEPTH   40

static struct {
	struct conn at[DEPTH];
	u32 n;
} buckets[BUCKETS];

static u64 seed = 20261122, clock_now;
static u32 next_id;

u64 monotonic_now(void)
{
	return ++clock_now;
}

int maps_each_flow(const struct maps *m, flow_fn fn, void *arg)
{
	(void)m;
	(void)fn;
	(void)arg;
	return -EINVAL; /* pages do not use it */
}

int bpf_map_lookup_batch(int fd, void *in, void *out, void *keys, void *values, __u32 *count,
			 const struct bpf_map_batch_opts *opts)
{
	u32 from = 0, n = 0, i;

	(void)fd;
	(void)opts;
	if (in)
		memcpy(&from, in, sizeof(from));
	for (; from < BUCKETS; from++) {
		if (buckets[from].n > *count - n)
			break;
		for (i = 0; i < buckets[from].n; i++, n++) {
			((struct flow_key *)keys)[n] = buckets[from].at[i].key;
			((struct flow *)values)[n] = buckets[from].at[i].flow;
		}
	}
	*count = n;
	memcpy(out, &from, sizeof(from));
	if (from < BUCKETS && n)
		return 0;
	errno = from < BUCKETS ? ENOSPC : ENOENT;
	return -1;
}

static struct conn *enter(u32 bucket)
{
	struct conn *c;

	assert_true(buckets[bucket].n < DEPTH);
	/* the kernel puts a new one in front */
	memmove(&buckets[bucket].at[1], &buckets[bucket].at[0], buckets[bucket].n++ * sizeof(*c));
	c = &buckets[bucket].at[0];
	memset(c, 0, sizeof(*c));
	c->key.remote.w[0] = random64(&seed);
	c->key.remote.w[3] = next_id;
	c->key.local_port = next_id % 3 ? 0x5000 : 0xbb01; /* 80, 443 */
	c->flow.opened = 1 + random_below(&seed, 50);      /* many are of the same age */
	c->flow.side[0].bytes = random_below(&seed, 20);
	c->flow.rtt_us = next_id++;
	return c;
}

static void leave(u32 bucket, u32 i)
{
	buckets[bucket].n--;
	memmove(&buckets[bucket].at[i], &buckets[bucket].at[i + 1],
		(buckets[bucket].n - i) * sizeof(struct conn));
}

static void fill(u32 n)
{
	u32 i;

	memset(buckets, 0, sizeof(buckets));
	next_id = 0;
	for (i = 0; i < n; i++)
		enter(random_below(&seed, BUCKETS / 2) * 2); /* every other one is empty */
}

/* ---- paging ---- */

static u8 seen[100000]; /* by id (flow.rtt_us) */

struct run {
	enum conn_sort sort;
	size_t limit;
	u16 port;
	bool churn;
};

/* A page; false: it was the last one. */
static bool page(const struct run *r, struct conn_cursor *from, u64 *total)
{
	static const struct maps maps;
	struct conn_page p = {.maps = &maps,
			      .filter.port = r->port,
			      .pick = {.sort = r->sort, .limit = r->limit},
			      .from = *from};
	char text[CURSOR_SIZE];
	bool more;
	size_t i;
	int done;

	while (!(done = conn_page_read(&p, 3)))
		;
	assert_int_equal(done, 1);
	assert_true(p.pick.list.n <= r->limit);
	for (i = 0; i < p.pick.list.n; i++) {
		assert_true(!i || !r->sort ||
			    conn_compare(&p.pick.list.at[i - 1], &p.pick.list.at[i], r->sort) < 0);
		seen[p.pick.list.at[i].flow.rtt_us]++;
	}
	if (p.counted && total)
		*total = p.pick.list.matched;
	more = p.next.set;
	if (more) {
		assert_true(p.pick.list.n > 0);
		conn_cursor_text(&p.next, text);
		assert_int_equal(conn_cursor_parse(text, from), 0);
		assert_memory_equal(&from->key, &p.next.key, sizeof(p.next.key));
		assert_true(from->at == p.next.at && from->sort == p.next.sort);
	}
	conn_page_free(&p);
	return more;
}

static void disturb(void)
{
	u32 i, b;

	for (i = 0; i < 5; i++) {
		b = random_below(&seed, BUCKETS);
		if (buckets[b].n < DEPTH)
			enter(b);
		b = random_below(&seed, BUCKETS);
		/* those that came with the table stay */
		if (buckets[b].n && buckets[b].at[0].flow.rtt_us >= 500)
			leave(b, 0);
	}
}

static void run(const struct run *r, u32 n)
{
	struct conn_cursor from = {.sort = r->sort};
	u64 total = 0, matching = 0;
	u32 i, pages = 1;

	fill(n);
	memset(seen, 0, sizeof(seen));
	for (i = 0; i < n; i++)
		matching += !r->port || !(i % 3);
	for (; page(r, &from, pages == 1 ? &total : NULL); pages++) {
		assert_true(pages < 10000);
		if (r->churn)
			disturb();
	}
	assert_int_equal(total, matching);
	for (i = 0; i < n; i++)
		assert_int_equal(seen[i], !r->port || !(i % 3));
	for (; i < next_id; i++)
		assert_true(seen[i] <= 1);
}

static void test_each_once(void **state)
{
	static const size_t limits[] = {1, 2, 3, 7, 50, 499, 500, 501, 5000};
	struct run r = {0};
	size_t l;

	(void)state;
	for (l = 0; l < ARRAY_SIZE(limits); l++) {
		r.limit = limits[l];
		for (r.sort = SORT_NONE; r.sort <= SORT_NEWEST; r.sort++)
			for (r.port = 0; r.port <= 443; r.port += 443)
				for (r.churn = false;; r.churn = true) {
					run(&r, 500);
					if (r.churn)
						break;
				}
	}
}

static void test_empty(void **state)
{
	struct run r = {.limit = 10};
	struct conn_cursor from = {0};
	u64 total = 1;

	(void)state;
	fill(0);
	assert_false(page(&r, &from, &total));
	assert_int_equal(total, 0);
}

static void test_bad_cursors(void **state)
{
	static const char *const bad[] = {
		"",
		"t",
		"x1",
		"t1-",
		"t1-00",
		"a1",
		"tfffffffff",
		"t12345678901234567",
		"t1 ",
		"a5-00000000000000000000000000000000000000000000000000000000000000000000000g",
		"b5-000000000000000000000000000000000000000000000000000000000000000000000000 "};
	struct conn_cursor c;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(conn_cursor_parse(bad[i], &c), -EINVAL);
		assert_non_null(strstr(fail_reason(0), "cursor="));
		fail_clear();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_once),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_bad_cursors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
