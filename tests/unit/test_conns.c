// SPDX-License-Identifier: GPL-2.0-only
/*
 * The connections that `synstile conns` shows: which, in what order, under what number; and
 * the words that people type and read.
 */
#include <arpa/inet.h>
#include <errno.h>

#include "conns.h"
#include "flow_id.h"
#include "log.h" /* before cmocka, which has a macro of the name of fail() */
#include "moment.h"
#include "unit.h"

/* ---- a flow table ---- */

static struct conn table[2000];
static size_t n_table;

int maps_each_flow(const struct maps *m, flow_fn fn, void *arg)
{
	size_t i;
	int err = 0;

	(void)m;
	for (i = 0; !err && i < n_table; i++)
		err = fn(&table[i].key, &table[i].flow, arg);
	return err;
}

static struct conn *enter(u32 remote, u16 remote_port, u16 local_port)
{
	struct conn *c = &table[n_table++];

	memset(c, 0, sizeof(*c));
	c->key.remote.w[2] = c->key.local.w[2] = htonl(0xffff);
	c->key.remote.w[3] = htonl(remote);
	c->key.local.w[3] = htonl(0xc6120001);
	c->key.remote_port = htons(remote_port);
	c->key.local_port = htons(local_port);
	c->flow.opened = n_table;
	c->flow.word = flow_word(ST_ESTABLISHED, ST_ESTABLISHED, FLOW_OPEN, 3);
	return c;
}

static int empty(void **state)
{
	(void)state;
	n_table = 0;
	fail_clear();
	return 0;
}

static size_t count(const struct conn_filter *filter)
{
	struct conn_list list;
	size_t n;

	assert_int_equal(conns_read(NULL, filter, SORT_NONE, 0, &list), 0);
	n = list.n;
	assert_int_equal(list.matched, n);
	conns_free(&list);
	return n;
}

/* ---- which ---- */

static void test_filter(void **state)
{
	struct conn *c;

	(void)state;
	enter(1, 1000, 80);
	enter(2, 80, 1000)->flow.flags = FLOW_OPENED_LOCAL;
	c = enter(3, 1001, 443);
	c->flow.word = flow_word(ST_SYN_SENT, ST_SYN_RECEIVED, FLOW_HALF_OPEN, 2);
	c = enter(3, 1002, 443);
	c->flow.word = flow_word(ST_FIN_WAIT_2, ST_CLOSE_WAIT, FLOW_CLOSING, 6);

	assert_int_equal(count(&(struct conn_filter){0}), 4);
	assert_int_equal(count(&(struct conn_filter){.port = 80}), 2); /* either end */
	assert_int_equal(count(&(struct conn_filter){.port = 81}), 0);
	assert_int_equal(count(&(struct conn_filter){.half_open = true}), 1);
	assert_int_equal(count(&(struct conn_filter){.by_state = true, .state = ST_CLOSE_WAIT}), 1);
	assert_int_equal(count(&(struct conn_filter){.by_state = true, .state = ST_FIN_WAIT_2}), 1);
	assert_int_equal(count(&(struct conn_filter){.by_state = true, .state = ST_CLOSED}), 0);
	assert_int_equal(count(&(struct conn_filter){.by_host = true, .host = c->key.remote}), 2);
	assert_int_equal(count(&(struct conn_filter){.by_host = true, .host = c->key.local}), 4);
	assert_int_equal(
		count(&(struct conn_filter){.by_host = true, .host = c->key.remote, .port = 1001}),
		1);
}

/* ---- order ---- */

static void fill(u64 seed, size_t n)
{
	while (n_table < n) {
		struct conn *c = enter(n_table, 1000, 80);

		c->flow.opened = 1 + random_below(&seed, 500); /* many are equal */
		c->flow.side[REMOTE].bytes = random_below(&seed, 100000);
		c->flow.side[LOCAL].bytes = random_below(&seed, 100000);
		c->flow.side[random_below(&seed, 2)].rtx = random_below(&seed, 50);
	}
}

static u64 value(const struct conn *c, enum conn_sort sort)
{
	const struct flow_side *s = c->flow.side;

	if (sort == SORT_AGE)
		return ~c->flow.opened;
	return sort == SORT_BYTES ? s[0].bytes + s[1].bytes : s[0].rtx + s[1].rtx;
}

/* With a limit the list is what the whole one begins with, whatever the limit. */
static void test_limit_is_the_head_of_all(void **state)
{
	static const size_t limits[] = {1, 2, 3, 10, 255, 256, 257, 1999, 2000, 2001, 1 << 20};
	const struct conn_filter every = {0};
	struct conn_list all, some;
	enum conn_sort sort;
	size_t i, k;

	(void)state;
	fill(1, ARRAY_SIZE(table));
	for (sort = SORT_AGE; sort <= SORT_RTX; sort++) {
		assert_int_equal(conns_read(NULL, &every, sort, 0, &all), 0);
		assert_int_equal(all.n, ARRAY_SIZE(table));
		for (i = 1; i < all.n; i++)
			assert_true(value(&all.at[i - 1], sort) >= value(&all.at[i], sort));
		for (k = 0; k < ARRAY_SIZE(limits); k++) {
			assert_int_equal(conns_read(NULL, &every, sort, limits[k], &some), 0);
			assert_int_equal(some.n, limits[k] < all.n ? limits[k] : all.n);
			assert_int_equal(some.matched, all.n);
			for (i = 0; i < some.n; i++)
				assert_memory_equal(&some.at[i].key, &all.at[i].key,
						    sizeof(all.at->key));
			conns_free(&some);
		}
		conns_free(&all);
	}
}

static void test_limit_without_order(void **state)
{
	struct conn_list some;

	(void)state;
	fill(2, 10);
	assert_int_equal(conns_read(NULL, &(struct conn_filter){0}, SORT_NONE, 4, &some), 0);
	assert_int_equal(some.n, 4);
	assert_int_equal(some.matched, 10);
	conns_free(&some);
	n_table = 0;
	assert_int_equal(conns_read(NULL, &(struct conn_filter){0}, SORT_AGE, 4, &some), 0);
	assert_int_equal(some.n, 0);
	conns_free(&some);
}

static void test_client_and_server(void **state)
{
	struct conn *c = enter(1, 1000, 80);

	(void)state;
	c->flow.word = flow_word(ST_FIN_WAIT_1, ST_CLOSE_WAIT, FLOW_CLOSING, 4);
	assert_ptr_equal(conn_client(c), &c->flow.side[REMOTE]);
	assert_int_equal(conn_client_state(c), ST_FIN_WAIT_1);
	assert_int_equal(conn_server_state(c), ST_CLOSE_WAIT);
	c->flow.flags = FLOW_OPENED_LOCAL;
	assert_ptr_equal(conn_client(c), &c->flow.side[LOCAL]);
	assert_ptr_equal(conn_server(c), &c->flow.side[REMOTE]);
	assert_int_equal(conn_client_state(c), ST_CLOSE_WAIT);
	assert_int_equal(conn_server_state(c), ST_FIN_WAIT_1);
}

/* ---- numbers ---- */

static int compare(const void *a, const void *b)
{
	const u64 *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Every bit of it counts; JSON can hold it. */
static void test_flow_id(void **state)
{
	struct flow_key key = {0};
	u64 ids[36 * 8 + 65];
	size_t n = 0, i;

	(void)state;
	ids[n++] = flow_id(&key, 0);
	assert_int_equal(ids[0], flow_id(&key, 0));
	for (i = 0; i < 36 * 8; i++) {
		((u8 *)&key)[i / 8] ^= 1 << i % 8;
		ids[n++] = flow_id(&key, 0);
		((u8 *)&key)[i / 8] ^= 1 << i % 8;
	}
	for (i = 0; i < 64; i++)
		ids[n++] = flow_id(&key, 1ULL << i);
	qsort(ids, n, sizeof(*ids), compare);
	for (i = 0; i < n; i++) {
		assert_true(ids[i] < 1ULL << 53);
		assert_true(!i || ids[i - 1] != ids[i]);
	}
}

/* ---- words ---- */

static void test_states_by_name(void **state)
{
	static const struct {
		const char *text;
		u8 state;
	} words[] = {{"ESTABLISHED", ST_ESTABLISHED},
		     {"established", ST_ESTABLISHED},
		     {"estab", ST_ESTABLISHED},
		     {"FIN-WAIT-1", ST_FIN_WAIT_1},
		     {"FIN_WAIT_1", ST_FIN_WAIT_1},
		     {"fin_wait1", ST_FIN_WAIT_1},
		     {"FinWait1", ST_FIN_WAIT_1},
		     {"fin-wait-2", ST_FIN_WAIT_2},
		     {"SYN-RECV", ST_SYN_RECEIVED},
		     {"syn_recv", ST_SYN_RECEIVED},
		     {"SYN-RECEIVED", ST_SYN_RECEIVED},
		     {"syn-sent", ST_SYN_SENT},
		     {"TIME-WAIT", ST_TIME_WAIT},
		     {"timewait", ST_TIME_WAIT},
		     {"close", ST_CLOSED},
		     {"closed", ST_CLOSED},
		     {"CLOSE-WAIT", ST_CLOSE_WAIT},
		     {"closing", ST_CLOSING},
		     {"last_ack", ST_LAST_ACK},
		     {"LISTEN", ST_LISTEN},
		     {"unknown", ST_UNKNOWN}};
	size_t i;
	u8 found;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(words); i++) {
		assert_int_equal(conn_state_parse(words[i].text, &found), 0);
		assert_int_equal(found, words[i].state);
	}
}

static void test_unknown_words(void **state)
{
	enum conn_sort sort;
	u8 found;

	(void)state;
	assert_int_equal(conn_state_parse("time-wiat", &found), -EINVAL);
	assert_non_null(strstr(fail_reason(0), "did you mean \"TIME-WAIT\"?"));
	assert_non_null(strstr(fail_reason(0), "SYN-SENT, SYN-RECEIVED, ESTABLISHED"));
	fail_clear();
	assert_int_equal(conn_state_parse("", &found), -EINVAL);
	fail_clear();
	assert_int_equal(
		conn_state_parse("ESTABLISHEDESTABLISHEDESTABLISHEDESTABLISHEDESTABLISHED", &found),
		-EINVAL);
	fail_clear();
	assert_int_equal(conn_sort_parse("rtx", &sort), 0);
	assert_int_equal(sort, SORT_RTX);
	assert_int_equal(conn_sort_parse("byte", &sort), -EINVAL);
	assert_non_null(strstr(fail_reason(0), "did you mean \"bytes\"?"));
}

static void test_times(void **state)
{
	/* 2026-11-22 08:22:22.123456 UTC at 1000 s */
	const struct moment m = {1000 * 1000000000ULL, 1795335742123456000ULL};
	char buf[TIMESTAMP_SIZE];

	(void)state;
	assert_string_equal(moment_timestamp(&m, m.monotonic, buf),
			    "2026-11-22T08:22:22.123456+0000");
	assert_string_equal(moment_timestamp(&m, m.monotonic - 22123456000ULL, buf),
			    "2026-11-22T08:22:00.000000+0000");
	/* the datapath may be ahead of us */
	assert_string_equal(moment_timestamp(&m, m.monotonic + 1000000000, buf),
			    "2026-11-22T08:22:23.123456+0000");
	assert_int_equal(moment_ms_since(&m, m.monotonic - 2500000), 2);
	assert_int_equal(moment_ms_since(&m, m.monotonic + 2500000), 0);
}

static void test_durations(void **state)
{
	char buf[DURATION_SIZE];

	(void)state;
	assert_string_equal(duration_text(0, buf), "0.000s");
	assert_string_equal(duration_text(412, buf), "0.412s");
	assert_string_equal(duration_text(9999, buf), "9.999s");
	assert_string_equal(duration_text(12345, buf), "12.3s");
	assert_string_equal(duration_text(245000, buf), "4m05s");
	assert_string_equal(duration_text(3 * 3600000 + 12 * 60000, buf), "3h12m");
	assert_string_equal(duration_text(5ULL * 86400000 + 3 * 3600000, buf), "5d03h");
	assert_true(strlen(duration_text(UINT64_MAX, buf)) < DURATION_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_filter, empty),
		cmocka_unit_test_setup(test_limit_is_the_head_of_all, empty),
		cmocka_unit_test_setup(test_limit_without_order, empty),
		cmocka_unit_test_setup(test_client_and_server, empty),
		cmocka_unit_test(test_flow_id),
		cmocka_unit_test_setup(test_states_by_name, empty),
		cmocka_unit_test_setup(test_unknown_words, empty),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_durations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
