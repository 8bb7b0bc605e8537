// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "expiry.h"
#include "half_open_list.h"
#include "keys.h"
#include "log.h"
#include "moment.h"
#include "synack_timer.h"
#include "sysctls.h"

#define BATCH 1024 /* records; the kernel's hash buckets hold far fewer each */

const char *const half_open_whys[WHY_COUNT] = {
#define X(id, words) [WHY_##id] = words,
	HALF_OPEN_WHYS(X)
#undef X
};

struct half_open_list *half_open_list_new(const struct maps *m)
{
	struct half_open_list *l = calloc(1, sizeof(*l));

	if (l)
		l->maps = m;
	return l;
}

void half_open_list_free(struct half_open_list *l)
{
	if (!l)
		return;
	free(l->found.at);
	free(l);
}

static int read_services(struct half_open_list *l)
{
	int err = maps_services(l->maps, l->services);

	if (!err)
		err = maps_pressures(l->maps, l->pressure);
	if (!err)
		err = maps_settings(l->maps, &l->settings);
	keys_forget(&l->settings);
	l->kernel_wait_ms = synack_wait_ms(sysctls_read(SYNACK_RETRIES, 5));
	locator_begin(&l->locator, l->maps);
	return err ? fail(-err, "cannot read the services: %s", strerror(-err)) : 0;
}

u64 half_open_left_ms(const struct half_open_list *l, const struct flow *f, u64 now)
{
	const struct service *s = &l->services[f->service % SYNSTILE_MAX_SERVICES];
	const struct pressure *p = &l->pressure[f->service % SYNSTILE_MAX_SERVICES];
	u64 limit = flow_syn_ns(f, s, p, &l->settings), age = elapsed(now, f->opened);

	return age < limit ? (limit - age) / NS_PER_MS : 0;
}

/* A blank one at the end, or NULL. */
static struct half_open_entry *add(struct half_open_entries *to)
{
	size_t more = to->room ? to->room * 2 : 256;
	struct half_open_entry *bigger;

	if (to->n == to->room) {
		bigger = reallocarray(to->at, more, sizeof(*bigger));
		if (!bigger)
			return NULL;
		to->at = bigger;
		to->room = more;
	}
	memset(&to->at[to->n], 0, sizeof(*to->at));
	return &to->at[to->n++];
}

static int compare(const void *a, const void *b)
{
	const struct half_open_entry *x = a, *y = b;

	return memcmp(&x->conn.key, &y->conn.key, sizeof(x->conn.key));
}

static void sort(struct half_open_entries *e)
{
	if (e->n)
		qsort(e->at, e->n, sizeof(*e->at), compare);
}

/* For dropping some: keeps the one at i. */
static void keep(struct half_open_entries *e, size_t *n, size_t i)
{
	if (*n != i)
		e->at[*n] = e->at[i];
	++*n;
}

/* ---- ours ---- */

static bool is_half_open(const struct flow *f)
{
	return flow_phase(f->word) == FLOW_HALF_OPEN;
}

static int take_records(struct half_open_list *l, const struct flow_key *keys,
			const struct flow *flows, u32 n)
{
	struct half_open_entry *e;
	u32 i;

	for (i = 0; i < n; i++) {
		if (!is_half_open(&flows[i]))
			continue;
		e = add(&l->found);
		if (!e)
			return -ENOMEM;
		e->conn = (struct conn){keys[i], flows[i]};
		e->here = true;
	}
	return 0;
}

/* Not maps_each_flow(), because this can stop and go on later. */
int half_open_walk(struct half_open_list *l, u64 ns)
{
	struct flow_key *keys = calloc(BATCH, sizeof(*keys)), *from = &l->position;
	struct flow *flows = calloc(BATCH, sizeof(*flows));
	int err = keys && flows ? read_services(l) : -ENOMEM;
	u64 start = monotonic_now();
	bool end = false;
	u32 n;

	if (!l->begun) {
		l->found.n = 0;
		l->begun = true;
		from = NULL;
	}
	while (!err && !end && (!ns || monotonic_now() - start < ns)) {
		n = BATCH;
		if (bpf_map_lookup_batch(l->maps->flows, from, &l->position, keys, flows, &n,
					 NULL)) {
			end = errno == ENOENT;
			err = end ? 0 : -errno;
		}
		if (!err)
			err = take_records(l, keys, flows, n);
		from = &l->position;
	}
	free(keys);
	free(flows);
	if (!err)
		return end;
	l->begun = false;
	return fail(-err, "cannot read the flow table: %s", strerror(-err));
}

/* ---- the kernel's ---- */

static int on_socket(const struct tcp_socket *sk, void *arg)
{
	struct half_open_entries *to = arg;
	struct half_open_entry *e;

	if (addr_is_loopback(&sk->local) || addr_is_loopback(&sk->remote))
		return 0;
	e = add(to);
	if (!e)
		return -ENOMEM;
	e->kernel = true;
	e->socket = *sk;
	e->conn.key = (struct flow_key){.remote = sk->remote,
					.local = sk->local,
					.remote_port = sk->remote_port,
					.local_port = sk->local_port};
	return 0;
}

/* A table that changes while it is listed may show a socket twice. */
static void drop_repeated(struct half_open_entries *e)
{
	size_t i, n = 0;

	for (i = 0; i < e->n; i++)
		if (!n || compare(&e->at[n - 1], &e->at[i]))
			keep(e, &n, i);
	e->n = n;
}

static int read_kernel(struct half_open_entries *to)
{
	int err;

	to->n = 0;
	err = netlink_sockets(1 << TCP_SYN_RECV | 1 << TCP_SYN_SENT, on_socket, to);
	sort(to);
	drop_repeated(to);
	return err;
}

struct count {
	struct half_open_list *list;
	u32 *counts;
};

static u16 service_of(struct half_open_list *l, const struct tcp_socket *sk)
{
	const struct flow_key key = {.remote = sk->remote,
				     .local = sk->local,
				     .remote_port = sk->remote_port,
				     .local_port = sk->local_port};

	return addr_is_loopback(&sk->local) ? 0 : locate(&l->locator, &key);
}

static int count_socket(const struct tcp_socket *sk, void *arg)
{
	const struct count *c = arg;
	u16 service = service_of(c->list, sk) % SYNSTILE_MAX_SERVICES;

	if (service)
		c->counts[service]++;
	return 0;
}

int half_open_count_kernel(struct half_open_list *l, u32 counts[SYNSTILE_MAX_SERVICES])
{
	struct count c = {l, counts};
	int err = read_services(l);

	memset(counts, 0, SYNSTILE_MAX_SERVICES * sizeof(*counts));
	return err ? err : netlink_sockets(1 << TCP_SYN_RECV, count_socket, &c);
}

/* ---- both ---- */

static struct half_open_entry *find(const struct half_open_entries *in,
				    const struct half_open_entry *e)
{
	return in->n ? bsearch(e, in->at, in->n, sizeof(*in->at), compare) : NULL;
}

/* Notes what the kernel has too. */
static void mark(struct half_open_list *l, const struct half_open_entries *kernel)
{
	struct half_open_entry *ours, *theirs;

	for (ours = l->found.at; ours < l->found.at + l->found.n; ours++) {
		theirs = find(kernel, ours);
		if (!theirs)
			continue;
		ours->kernel = theirs->here = true;
		ours->socket = theirs->socket;
	}
}

/* Adds what the kernel alone has: to services, or opened by the host. Others are not followed. */
static int append(struct half_open_list *l, const struct half_open_entries *kernel)
{
	const struct half_open_entry *e;
	struct half_open_entry *new;
	u16 service;

	for (e = kernel->at; e < kernel->at + kernel->n; e++) {
		bool connecting = e->socket.state == TCP_SYN_SENT;

		service = connecting ? 0 : service_of(l, &e->socket);
		if (e->here || (!connecting && !service))
			continue;
		new = add(&l->found);
		if (!new)
			return -ENOMEM;
		*new = *e;
		new->conn.flow.service = service;
		new->conn.flow.flags = connecting ? FLOW_OPENED_LOCAL : 0;
		new->conn.flow.word =
			flow_word(ST_UNKNOWN, connecting ? ST_SYN_SENT : ST_SYN_RECEIVED, 0, 0);
	}
	return 0;
}

/* Looks again for what only one of us has. False: it has changed meanwhile. */
static bool is_still_so(struct half_open_list *l, struct half_open_entry *e)
{
	struct flow now;
	bool known;

	if (e->here == e->kernel)
		return true;
	known = !bpf_map_lookup_elem(l->maps->flows, &e->conn.key, &now);
	if (e->here) /* the kernel was asked between two looks at this record */
		return known && is_half_open(&now) && now.opened == e->conn.flow.opened;
	if (known) {
		e->conn.flow = now;
		e->here = is_half_open(&now);
	}
	return true;
}

/* Drops what was different for a moment only. */
static int recheck(struct half_open_list *l, struct half_open_entries *kernel)
{
	struct half_open_entries *found = &l->found;
	bool ask_again = false;
	size_t i, n = 0;
	int err;

	for (i = 0; i < found->n; i++) {
		if (!is_still_so(l, &found->at[i]))
			continue;
		ask_again |= !found->at[i].here;
		keep(found, &n, i);
	}
	found->n = n;
	if (!ask_again)
		return 0;
	err = read_kernel(kernel);
	for (i = n = 0; !err && i < found->n; i++)
		if (found->at[i].here || find(kernel, &found->at[i]))
			keep(found, &n, i);
	found->n = err ? 0 : n;
	return err;
}

static enum half_open_why why(const struct half_open_list *l, const struct half_open_entry *e,
			      u64 now)
{
	const struct flow *f = &e->conn.flow;

	if (e->here && e->kernel)
		return WHY_BOTH;
	if (e->here) {
		if (!half_open_left_ms(l, f, now))
			return WHY_EXPIRED;
		if (f->flags & FLOW_OPENED_LOCAL)
			return WHY_ABANDONED;
		if (f->flags & FLOW_JOINED)
			return WHY_ADOPTED;
		if (flow_state(f->word, LOCAL) == ST_LISTEN)
			return WHY_DROPPED;
		return elapsed(now, f->opened) / NS_PER_MS >= l->kernel_wait_ms ? WHY_GIVEN_UP
										: WHY_FORGOTTEN;
	}
	if (e->socket.state == TCP_SYN_SENT)
		return WHY_UNSENT;
	if (f->opened && flow_phase(f->word) != FLOW_CLOSED)
		return WHY_COMPLETED;
	return synack_wait_ms(e->socket.retrans) >=
			       syn_timeout_ms(&l->services[f->service], &l->pressure[f->service])
		       ? WHY_LATE
		       : WHY_UNSEEN;
}

int half_open_compare(struct half_open_list *l)
{
	struct half_open_entries kernel = {0};
	u64 now = monotonic_now();
	int err = read_kernel(&kernel);
	size_t i;

	l->begun = false;
	mark(l, &kernel);
	if (!err)
		err = append(l, &kernel);
	if (!err)
		err = recheck(l, &kernel);
	free(kernel.at);
	sort(&l->found);
	for (i = 0; i < l->found.n; i++)
		l->found.at[i].why = why(l, &l->found.at[i], now);
	return err;
}

/* ---- in words ---- */

void half_open_count(struct half_open_tally *t, const struct half_open_entry *e)
{
	t->here += e->here;
	t->kernel += e->kernel;
	t->by_why[e->why]++;
}

u32 half_open_only_here(const struct half_open_tally *t)
{
	return t->by_why[WHY_DROPPED] + t->by_why[WHY_FORGOTTEN] + t->by_why[WHY_GIVEN_UP] +
	       t->by_why[WHY_ADOPTED] + t->by_why[WHY_EXPIRED] + t->by_why[WHY_ABANDONED];
}

u32 half_open_only_kernel(const struct half_open_tally *t)
{
	return t->by_why[WHY_COMPLETED] + t->by_why[WHY_LATE] + t->by_why[WHY_UNSEEN] +
	       t->by_why[WHY_UNSENT];
}

/* The listeners of a port: their queues. */
struct queues {
	__be16 port;
	u32 backlog;            /* of all */
	struct tcp_socket full; /* one whose accept queue is, if `port` is set */
};

static int on_listener(const struct tcp_socket *sk, void *arg)
{
	struct queues *q = arg;

	if (sk->local_port != q->port)
		return 0;
	q->backlog += sk->backlog;
	if (sk->waiting > sk->backlog) /* as sk_acceptq_is_full() in include/net/sock.h */
		q->full = *sk;
	return 0;
}

/* A better explanation than the general one, if the queues give it. */
static bool queue_words(enum half_open_why w, const struct half_open_tally *t, __be16 port,
			char *buf, size_t size)
{
	struct queues q = {.port = port};

	if ((w != WHY_DROPPED && w != WHY_COMPLETED) || !port ||
	    netlink_sockets(1 << TCP_LISTEN, on_listener, &q))
		return false;
	if (q.full.local_port)
		snprintf(buf, size,
			 "%s: the accept queue is full (%u wait, backlog %u): the program does not "
			 "call accept() fast enough",
			 w == WHY_DROPPED ? "the kernel dropped the SYN"
					  : "the client's ACK was seen and the kernel dropped it",
			 q.full.waiting, q.full.backlog);
	else if (w == WHY_DROPPED && q.backlog && t->kernel >= q.backlog)
		snprintf(buf, size,
			 "the kernel dropped the SYN: its queue is full (%u half-open, backlog %u)",
			 t->kernel, q.backlog);
	else
		return false;
	return true;
}

/* Nothing is wrong with what a program or a client may do at any time, nor with what was there
 * before synstile. Listeners with TCP_DEFER_ACCEPT make clients wait as a habit. */
static bool is_alarming(enum half_open_why w, bool queue_is_full)
{
	return w == WHY_DROPPED || w == WHY_FORGOTTEN || w == WHY_UNSEEN || queue_is_full;
}

bool half_open_words(const struct half_open_tally *t, __be16 port, char *buf, size_t size)
{
	bool alarming = false, queue;
	char better[200];
	size_t n = 0;
	int w;

	buf[0] = 0;
	for (w = WHY_BOTH + 1; w < WHY_COUNT && n < size; w++) {
		if (!t->by_why[w])
			continue;
		queue = queue_words(w, t, port, better, sizeof(better));
		n += snprintf(buf + n, size - n, "%s%u: %s", n ? "; " : "", t->by_why[w],
			      queue ? better : half_open_whys[w]);
		alarming |= is_alarming(w, queue);
	}
	return alarming;
}
