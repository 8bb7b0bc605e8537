// SPDX-License-Identifier: GPL-2.0-only
/*
 * Half-open connections here and in the kernel: what only one of them has and why, in a world
 * that changes while it is looked at, and over time.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>

#include <bpf/bpf.h>

#include "conn_json.h"
#include "half_open.h"
#include "half_open_list.h"
#include "log.h" /* before cmocka, which has a macro of the name of fail() */
#include "moment.h"
#include "sysctls.h"
#include "unit.h"

#define SECOND 1000000000ULL

/* ---- a world: a flow table, sockets, a clock ---- */

static struct world {
	struct conn flows[3000];
	struct tcp_socket sockets[3000];
	size_t n_flows, n_sockets;
	struct census census; /* of service 1; others are empty */
	u64 now;
	long retries;         /* net.ipv4.tcp_synack_retries */
	unsigned int dumps;   /* of request sockets, so far */
	void (*dumped)(void); /* what happens right after one */
	u64 batch_ns;         /* what reading a batch of flows takes */
	u64 waiting_ns;       /* ... and how long the CPU does something else meanwhile */
	u64 waited;
	unsigned int warnings; /* said so far */
	char warning[2048];    /* the last one */
} w;

static const struct maps no_maps = NO_MAPS;

u64 monotonic_now(void)
{
	return w.now;
}

u64 cpu_now(void)
{
	return w.now - w.waited;
}

int maps_services(const struct maps *m, struct service all[SYNSTILE_MAX_SERVICES])
{
	u32 i;

	(void)m;
	for (i = 0; i < SYNSTILE_MAX_SERVICES; i++) {
		all[i] = (struct service){.syn_calm_ms = 63000, .used = i == 1 || i == 2};
		all[i].port = i == 1 ? htons(80) : i == 2 ? htons(443) : 0;
	}
	return 0;
}

int maps_pressures(const struct maps *m, struct pressure all[SYNSTILE_MAX_SERVICES])
{
	(void)m;
	memset(all, 0, SYNSTILE_MAX_SERVICES * sizeof(*all));
	return 0;
}

long sysctls_read(const char *name, long otherwise)
{
	(void)otherwise;
	assert_string_equal(name, SYNACK_RETRIES);
	return w.retries;
}

void locator_begin(struct locator *l, const struct maps *m)
{
	(void)l;
	(void)m;
}

u16 locate(struct locator *l, const struct flow_key *key)
{
	(void)l;
	return key->local_port == htons(80) ? 1 : key->local_port == htons(443) ? 2 : 0;
}

int maps_settings(const struct maps *m, struct settings *set)
{
	(void)m;
	*set = (struct settings){.syn_sent_ms = 127000};
	return 0;
}

int maps_census(const struct maps *m, u32 service, struct census *c)
{
	(void)m;
	*c = service == 1 ? w.census : (struct census){0};
	return 0;
}

int bpf_map_lookup_elem(int fd, const void *key, void *value)
{
	size_t i;

	(void)fd;
	for (i = 0; i < w.n_flows; i++) {
		if (memcmp(&w.flows[i].key, key, sizeof(struct flow_key)))
			continue;
		*(struct flow *)value = w.flows[i].flow;
		return 0;
	}
	errno = ENOENT;
	return -1;
}

int bpf_map_lookup_batch(int fd, void *in, void *out, void *keys, void *values, __u32 *count,
			 const struct bpf_map_batch_opts *opts)
{
	u32 from = 0, n = 0;

	(void)fd;
	(void)opts;
	if (in)
		memcpy(&from, in, sizeof(from));
	for (; n < *count && from + n < w.n_flows; n++) {
		((struct flow_key *)keys)[n] = w.flows[from + n].key;
		((struct flow *)values)[n] = w.flows[from + n].flow;
	}
	*count = n;
	from += n;
	memcpy(out, &from, sizeof(from));
	w.now += w.batch_ns + w.waiting_ns;
	w.waited += w.waiting_ns;
	if (from < w.n_flows)
		return 0;
	errno = ENOENT;
	return -1;
}

int netlink_sockets(u32 states, socket_fn fn, void *arg)
{
	size_t i;
	int err = 0;

	for (i = 0; !err && i < w.n_sockets; i++)
		if (states & 1u << w.sockets[i].state)
			err = fn(&w.sockets[i], arg);
	if (states & 1 << TCP_SYN_RECV) {
		w.dumps++;
		if (w.dumped)
			w.dumped();
	}
	return err;
}

bool addr_is_loopback(const struct addr *a)
{
	return a->b[12] == 127;
}

void warn(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(w.warning, sizeof(w.warning), fmt, args);
	va_end(args);
	w.warnings++;
}

int(fail)(int err, const char *fmt, ...) /* not cmocka's macro */
{
	(void)fmt;
	return -err;
}

/* of conn_json.c, which needs much more */
void service_names_read(struct service_names *names, const struct maps *m)
{
	(void)m;
	*names = (struct service_names){.of = {[1] = {"80", htons(80)}, [2] = {"443", htons(443)}}};
}

const char *service_name(const struct service_names *names, u16 service)
{
	return names->of[service].name[0] ? names->of[service].name : NULL;
}

/* ---- its inhabitants: connection number n, to port 80 ---- */

static struct flow_key key_of(u16 n)
{
	struct flow_key key = {.remote_port = htons(n), .local_port = htons(80)};

	key.remote.w[2] = key.local.w[2] = htonl(0xffff);
	key.remote.w[3] = htonl(0xc6120301);
	key.local.w[3] = htonl(0xc6120001);
	return key;
}

/* A second old. */
static struct flow *flow(u16 n, u8 local)
{
	struct conn *c = &w.flows[w.n_flows++];

	*c = (struct conn){.key = key_of(n)};
	c->flow.opened = w.now - SECOND;
	c->flow.service = 1;
	c->flow.word = flow_word(ST_SYN_SENT, local, FLOW_HALF_OPEN, 1);
	return &c->flow;
}

static struct tcp_socket *sock(u16 n)
{
	const struct flow_key key = key_of(n);
	struct tcp_socket *sk = &w.sockets[w.n_sockets++];

	*sk = (struct tcp_socket){.local = key.local,
				  .remote = key.remote,
				  .local_port = key.local_port,
				  .remote_port = key.remote_port,
				  .state = TCP_SYN_RECV,
				  .timed = true,
				  .expires_ms = 500};
	return sk;
}

static void both(u16 n)
{
	flow(n, ST_SYN_RECEIVED);
	sock(n);
}

static struct tcp_socket *listener(u32 waiting, u32 backlog)
{
	struct tcp_socket *sk = sock(0);

	sk->state = TCP_LISTEN;
	sk->waiting = waiting;
	sk->backlog = backlog;
	return sk;
}

static int begin(void **state)
{
	w = (struct world){.now = 1000 * SECOND, .retries = 5};
	*state = half_open_list_new(&no_maps);
	return !*state;
}

static int end(void **state)
{
	half_open_list_free(*state);
	return 0;
}

static void look(struct half_open_list *l)
{
	assert_int_equal(half_open_walk(l, 0), 1);
	assert_int_equal(half_open_compare(l), 0);
}

/* What is found of connection n. */
static const struct half_open_entry *entry(const struct half_open_list *l, u16 n)
{
	const struct flow_key key = key_of(n);
	size_t i;

	for (i = 0; i < l->found.n; i++)
		if (!memcmp(&l->found.at[i].conn.key, &key, sizeof(key)))
			return &l->found.at[i];
	return NULL;
}

static void assert_found(const struct half_open_list *l, u16 n, bool here, bool kernel,
			 enum half_open_why why)
{
	const struct half_open_entry *e = entry(l, n);

	assert_non_null(e);
	assert_int_equal(e->here, here);
	assert_int_equal(e->kernel, kernel);
	assert_int_equal(e->why, why);
}

/* ---- at one moment ---- */

static void test_both_agree(void **state)
{
	struct half_open_list *l = *state;
	u16 n;

	for (n = 2500; n; n--)
		both(n);
	flow(3000, ST_ESTABLISHED)->word = flow_word(ST_ESTABLISHED, ST_ESTABLISHED, FLOW_OPEN, 3);
	look(l);
	assert_int_equal(l->found.n, 2500);
	for (n = 1; n <= 2500; n++)
		assert_found(l, n, true, true, WHY_BOTH);
	assert_int_equal(w.dumps, 1);
	/* and once more, afresh */
	look(l);
	assert_int_equal(l->found.n, 2500);
}

static void test_only_here(void **state)
{
	struct half_open_list *l = *state;
	struct flow *f;

	flow(1, ST_LISTEN);
	flow(2, ST_SYN_RECEIVED);
	flow(3, ST_SYN_RECEIVED)->flags = FLOW_JOINED;
	flow(4, ST_SYN_RECEIVED)->opened = w.now - 63 * SECOND;
	f = flow(5, ST_SYN_SENT);
	f->flags = FLOW_OPENED_LOCAL;
	f->service = 0;
	f->opened = w.now - 64 * SECOND; /* the host tries for longer */
	look(l);
	assert_int_equal(l->found.n, 5);
	assert_found(l, 1, true, false, WHY_DROPPED);
	assert_found(l, 2, true, false, WHY_FORGOTTEN);
	assert_found(l, 3, true, false, WHY_ADOPTED);
	assert_found(l, 4, true, false, WHY_EXPIRED);
	assert_found(l, 5, true, false, WHY_ABANDONED);
}

/* The sysctl was lowered, for other services' sake too: no mystery. */
static void test_kernel_gives_up_first(void **state)
{
	struct half_open_list *l = *state;
	struct half_open_tally t = {.here = 1, .by_why[WHY_GIVEN_UP] = 1};
	char buf[200];

	w.retries = 1;
	flow(1, ST_SYN_RECEIVED)->opened = w.now - 2 * SECOND;
	flow(2, ST_SYN_RECEIVED)->opened = w.now - 3 * SECOND;
	flow(3, ST_LISTEN)->opened = w.now - 3 * SECOND;
	look(l);
	assert_found(l, 1, true, false, WHY_FORGOTTEN);
	assert_found(l, 2, true, false, WHY_GIVEN_UP);
	assert_found(l, 3, true, false, WHY_DROPPED);
	assert_int_equal(half_open_only_here(&t), 1);
	assert_int_equal(half_open_words(&t, htons(80), buf, sizeof(buf)), false);
	assert_non_null(strstr(buf, "tcp_synack_retries"));
}

static void test_only_in_the_kernel(void **state)
{
	struct half_open_list *l = *state;
	struct tcp_socket *sk;

	sock(1);
	sock(2)->retrans = 5; /* 1 + 2 + 4 + 8 + 16 + 32 s */
	sock(3);
	flow(3, ST_ESTABLISHED)->word = flow_word(ST_ESTABLISHED, ST_ESTABLISHED, FLOW_OPEN, 3);
	sk = sock(4);
	sk->state = TCP_SYN_SENT;
	sk->local_port = htons(50000);
	sock(5)->local_port = htons(22); /* no service: not followed */
	sock(6)->local.b[12] = 127;      /* inside the host */
	look(l);
	assert_int_equal(l->found.n, 4);
	assert_found(l, 1, false, true, WHY_UNSEEN);
	assert_found(l, 2, false, true, WHY_LATE);
	assert_found(l, 3, false, true, WHY_COMPLETED);
	assert_int_equal(entry(l, 1)->conn.flow.service, 1);
	assert_int_equal(entry(l, 3)->conn.flow.rtt_us, 0);
	assert_true(l->found.at[l->found.n - 1].conn.flow.flags & FLOW_OPENED_LOCAL ||
		    l->found.at[0].conn.flow.flags & FLOW_OPENED_LOCAL);
}

/* 1 ends, 2 is completed and comes anew, 3 begins in the kernel too, while the kernel is asked. */
static void change_ours(void)
{
	if (w.dumps != 1)
		return;
	w.flows[0].key = key_of(999);
	w.flows[1].flow.opened = w.now;
	sock(3);
}

static void test_gone_while_looked_for(void **state)
{
	struct half_open_list *l = *state;

	flow(1, ST_LISTEN);
	flow(2, ST_LISTEN);
	flow(3, ST_LISTEN);
	w.dumped = change_ours;
	look(l);
	assert_null(entry(l, 1));
	assert_null(entry(l, 2));
	/* the kernel was late by less than our look: it did not have it when it was asked */
	assert_found(l, 3, true, false, WHY_DROPPED);
}

/* 1 ends in the kernel; of 2 we hear now. */
static void change_theirs(void)
{
	if (w.dumps != 1)
		return;
	w.sockets[0] = w.sockets[--w.n_sockets];
	flow(2, ST_SYN_RECEIVED);
}

static void test_come_while_looked_for(void **state)
{
	struct half_open_list *l = *state;

	sock(1);
	sock(2);
	sock(3);
	w.dumped = change_theirs;
	look(l);
	assert_null(entry(l, 1));
	assert_found(l, 2, true, true, WHY_BOTH);
	assert_found(l, 3, false, true, WHY_UNSEEN);
}

static void test_listed_twice(void **state)
{
	struct half_open_list *l = *state;

	both(1);
	sock(1);
	sock(2);
	sock(2);
	look(l);
	assert_int_equal(l->found.n, 2);
	assert_found(l, 1, true, true, WHY_BOTH);
	assert_found(l, 2, false, true, WHY_UNSEEN);
}

static void test_walk_in_pieces(void **state)
{
	struct half_open_list *l = *state;
	unsigned int calls = 1;
	u16 n;

	for (n = 1; n <= 2900; n++)
		both(n);
	w.batch_ns = 2000000;
	while (!half_open_walk(l, 1000000))
		calls++;
	assert_true(calls > 2);
	assert_int_equal(half_open_compare(l), 0);
	assert_int_equal(l->found.n, 2900);
}

static void test_time_left(void **state)
{
	struct half_open_list *l = *state;
	struct flow f = {.service = 1, .opened = w.now};

	look(l); /* reads the services */
	assert_int_equal(half_open_left_ms(l, &f, w.now), 63000);
	assert_int_equal(half_open_left_ms(l, &f, w.now + 62 * SECOND), 1000);
	assert_int_equal(half_open_left_ms(l, &f, w.now + 64 * SECOND), 0);
	f.flags = FLOW_OPENED_LOCAL;
	assert_int_equal(half_open_left_ms(l, &f, w.now), 127000);
}

/* ---- in words ---- */

static void assert_words(const struct half_open_tally *t, bool alarming, const char *words)
{
	char buf[1024];

	assert_int_equal(half_open_words(t, htons(80), buf, sizeof(buf)), alarming);
	if (!strstr(buf, words))
		fail_msg("\"%s\" is not in: %s", words, buf);
}

static void test_words(void **state)
{
	struct half_open_tally t = {.here = 3, .kernel = 3};
	char buf[8];

	(void)state;
	assert_words(&t, false, "");
	assert_int_equal(half_open_words(&t, htons(80), buf, sizeof(buf)), false);
	assert_string_equal(buf, "");
	t.by_why[WHY_ADOPTED] = 2;
	assert_words(&t, false, "2: half-open before synstile");
	t.by_why[WHY_FORGOTTEN] = 1;
	assert_words(&t, true, "1: the kernel answered and holds no socket");
	assert_words(&t, true, "; 2: half-open before synstile");
	half_open_words(&t, htons(80), buf, sizeof(buf)); /* cut, not overrun */
	assert_int_equal(strlen(buf), sizeof(buf) - 1);
	assert_int_equal(half_open_only_here(&t), 3);
	assert_int_equal(half_open_only_kernel(&t), 0);
}

static void test_words_of_queues(void **state)
{
	struct half_open_tally dropped = {.here = 2, .kernel = 5, .by_why[WHY_DROPPED] = 2};
	struct half_open_tally completed = {.kernel = 2, .by_why[WHY_COMPLETED] = 2};
	struct tcp_socket *sk;

	(void)state;
	assert_words(&dropped, true, "a firewall took the SYN");
	assert_words(&completed, false, "TCP_DEFER_ACCEPT");
	sk = listener(2, 5);
	assert_words(&dropped, true, "its queue is full (5 half-open, backlog 5)");
	assert_words(&completed, false, "TCP_DEFER_ACCEPT");
	sk->waiting = 6; /* one more than the backlog is let in */
	assert_words(&dropped, true, "the accept queue is full (6 wait, backlog 5)");
	assert_words(&completed, true,
		     "the client's ACK was seen and the kernel dropped it: the "
		     "accept queue is full");
	sk->local_port = htons(81);
	assert_words(&dropped, true, "a firewall took the SYN");
}

/* ---- over time ---- */

static int begin_agent(void **state)
{
	w = (struct world){.now = 1000 * SECOND, .retries = 5};
	*state = half_open_new(&no_maps);
	return !*state;
}

static int end_agent(void **state)
{
	half_open_free(*state);
	return 0;
}

/* The sweep, and the check. Returns differs_ms of port 80. */
static json_int_t second(struct half_open *h)
{
	json_int_t differs = -1;
	json_t *j, *first;
	size_t i;

	w.now += SECOND;
	w.census = (struct census){0};
	for (i = 0; i < w.n_flows; i++)
		w.census.answered += flow_phase(w.flows[i].flow.word) == FLOW_HALF_OPEN;
	assert_int_equal(half_open_check(h), 0);
	j = half_open_json(h);
	first = json_array_get(json_object_get(j, "services"), 0);
	assert_string_equal(json_string_value(json_object_get(first, "service")), "80");
	assert_int_equal(json_integer_value(json_object_get(first, "half_open")),
			 w.census.answered);
	differs = json_integer_value(json_object_get(first, "differs_ms"));
	assert_int_equal(json_is_null(json_object_get(first, "why")), !differs);
	json_decref(j);
	return differs;
}

static void test_agreement_costs_one_dump(void **state)
{
	int i;

	both(1);
	both(2);
	for (i = 0; i < 10; i++)
		assert_int_equal(second(*state), 0);
	assert_int_equal(w.dumps, 10);
	assert_int_equal(w.warnings, 0);
}

static void test_lasting_difference(void **state)
{
	int i;

	both(1);
	flow(2, ST_LISTEN);
	assert_int_equal(second(*state), 0);
	assert_int_equal(second(*state), 1000);
	assert_int_equal(w.warnings, 1);
	assert_non_null(strstr(w.warning, "service 80"));
	assert_non_null(strstr(w.warning, "1 that only synstile has, 0 that only the kernel has"));
	assert_non_null(strstr(w.warning, "a firewall took the SYN"));
	for (i = 2; i < 10; i++)
		assert_int_equal(second(*state), i * 1000);
	assert_int_equal(w.warnings, 1); /* once */
	w.n_flows--;
	for (i = 0; i < 10; i++)
		assert_int_equal(second(*state), 0);
	assert_int_equal(w.warnings, 2);
	assert_non_null(strstr(w.warning, "agree again"));
	assert_non_null(strstr(w.warning, "differed for 9 s"));
}

/* Always some that one side has and the other has not: but others each time. */
static void test_churn_is_no_difference(void **state)
{
	u16 i, n;

	for (i = 0; i < 60; i++) {
		w.n_flows = w.n_sockets = 0;
		both(1);
		for (n = 0; n < 20; n++)
			flow(1000 + 20 * i + n, ST_LISTEN);
		for (n = 0; n < 10; n++)
			sock(5000 + 20 * i + n);
		assert_int_equal(second(*state), 0);
	}
	assert_int_equal(w.warnings, 0);
}

/* The same addresses and ports, but another connection each time. */
static void test_reuse_is_no_difference(void **state)
{
	int i;

	flow(1, ST_LISTEN);
	for (i = 0; i < 10; i++) {
		w.flows[0].flow.opened = w.now;
		assert_int_equal(second(*state), 0);
	}
	assert_int_equal(w.warnings, 0);
}

/* Equal in number, not in kind: found once the numbers have differed. */
static void test_numbers_that_come_to_agree(void **state)
{
	flow(1, ST_SYN_RECEIVED);
	assert_int_equal(second(*state), 0);
	sock(2);
	assert_int_equal(second(*state), 1000);
	assert_int_equal(second(*state), 2000);
}

static void test_habits_are_listed_without_alarm(void **state)
{
	flow(1, ST_ESTABLISHED)->word = flow_word(ST_ESTABLISHED, ST_ESTABLISHED, FLOW_OPEN, 3);
	sock(1); /* TCP_DEFER_ACCEPT */
	flow(2, ST_SYN_RECEIVED)->flags = FLOW_JOINED;
	flow(3, ST_SYN_RECEIVED)->flags = FLOW_JOINED;
	assert_int_equal(second(*state), 0);
	assert_int_equal(second(*state), 1000);
	assert_int_equal(w.warnings, 0);
	/* until something is wrong */
	listener(9, 8);
	second(*state);
	assert_int_equal(w.warnings, 1);
}

/* The kernel's timers are coarse: the last one may end seconds after our timeout. */
static void test_late_timer_is_no_difference(void **state)
{
	struct tcp_socket *sk = sock(1);
	int i;

	sk->retrans = 5;
	for (i = 0; i < 4; i++) {
		sk->expires_ms = 3000 - 1000 * i;
		assert_int_equal(second(*state), 0);
	}
	/* but a timer that was begun again is */
	sk->expires_ms = 30000;
	second(*state);
	assert_int_equal(second(*state), 1000);
	assert_int_equal(w.warnings, 0); /* and no reason to wake anybody */
}

static void test_costly_checks_are_rare(void **state)
{
	unsigned int dumps;
	int i;

	flow(1, ST_LISTEN);
	w.batch_ns = 100 * 1000000; /* 0.1 s: five seconds' share */
	second(*state);
	dumps = w.dumps;
	for (i = 0; i < 4; i++)
		second(*state);
	assert_int_equal(w.dumps, dumps);
	second(*state);
	second(*state);
	assert_true(w.dumps > dumps);
	assert_int_equal(w.warnings, 1);
}

/* On a busy machine a check takes long, and costs no more. */
static void test_waiting_costs_nothing(void **state)
{
	unsigned int dumps;

	flow(1, ST_LISTEN);
	w.waiting_ns = 100 * 1000000;
	second(*state);
	dumps = w.dumps;
	second(*state);
	assert_true(w.dumps > dumps);
}

int main(void)
{
#define ONCE(name)      cmocka_unit_test_setup_teardown(name, begin, end)
#define OVER_TIME(name) cmocka_unit_test_setup_teardown(name, begin_agent, end_agent)
	const struct CMUnitTest tests[] = {
		ONCE(test_both_agree),
		ONCE(test_only_here),
		ONCE(test_kernel_gives_up_first),
		ONCE(test_only_in_the_kernel),
		ONCE(test_gone_while_looked_for),
		ONCE(test_come_while_looked_for),
		ONCE(test_listed_twice),
		ONCE(test_walk_in_pieces),
		ONCE(test_time_left),
		ONCE(test_words),
		ONCE(test_words_of_queues),
		OVER_TIME(test_agreement_costs_one_dump),
		OVER_TIME(test_lasting_difference),
		OVER_TIME(test_churn_is_no_difference),
		OVER_TIME(test_reuse_is_no_difference),
		OVER_TIME(test_numbers_that_come_to_agree),
		OVER_TIME(test_habits_are_listed_without_alarm),
		OVER_TIME(test_late_timer_is_no_difference),
		OVER_TIME(test_costly_checks_are_rare),
		OVER_TIME(test_waiting_costs_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
