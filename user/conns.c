// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conns.h"
#include "event_names.h"
#include "flow_id.h"
#include "log.h"

#define N(a) (sizeof(a) / sizeof(*(a)))

const struct flow_side *conn_client(const struct conn *c)
{
	return &c->flow.side[flow_client(c->flow.flags)];
}

const struct flow_side *conn_server(const struct conn *c)
{
	return &c->flow.side[!flow_client(c->flow.flags)];
}

u8 conn_client_state(const struct conn *c)
{
	return flow_state(c->flow.word, flow_client(c->flow.flags));
}

u8 conn_server_state(const struct conn *c)
{
	return flow_state(c->flow.word, !flow_client(c->flow.flags));
}

/* ---- choosing ---- */

bool conn_matches(const struct conn_filter *filter, const struct conn *c)
{
	const struct flow_key *k = &c->key;
	const u32 word = c->flow.word;

	if (filter->half_open && flow_phase(word) != FLOW_HALF_OPEN)
		return false;
	if (filter->by_state && flow_state(word, REMOTE) != filter->state &&
	    flow_state(word, LOCAL) != filter->state)
		return false;
	if (filter->port && ntohs(k->remote_port) != filter->port &&
	    ntohs(k->local_port) != filter->port)
		return false;
	if (filter->by_service && c->flow.service != filter->service)
		return false;
	if (filter->flow_id && flow_id(k, c->flow.opened) != filter->flow_id)
		return false;
	return !filter->by_host || !memcmp(&k->remote, &filter->host, sizeof(k->remote)) ||
	       !memcmp(&k->local, &filter->host, sizeof(k->local));
}

struct each {
	const struct conn_filter *filter;
	conn_fn fn;
	void *arg;
};

static int on_flow(const struct flow_key *key, const struct flow *f, void *arg)
{
	const struct each *e = arg;
	struct conn c = {*key, *f};

	return conn_matches(e->filter, &c) ? e->fn(&c, e->arg) : 0;
}

int conns_each(const struct maps *m, const struct conn_filter *filter, conn_fn fn, void *arg)
{
	struct each e = {filter, fn, arg};

	return maps_each_flow(m, on_flow, &e);
}

/* ---- putting in order ---- */

static u64 bytes_of(const struct conn *c)
{
	return c->flow.side[REMOTE].bytes + c->flow.side[LOCAL].bytes;
}

static u64 rtx_of(const struct conn *c)
{
	return (u64)c->flow.side[REMOTE].rtx + c->flow.side[LOCAL].rtx;
}

u64 conn_rank(const struct conn *c, enum conn_sort sort)
{
	if (sort == SORT_BYTES)
		return ~bytes_of(c);
	if (sort == SORT_RTX)
		return ~rtx_of(c);
	if (sort == SORT_NEWEST)
		return ~c->flow.opened;
	return c->flow.opened; /* the smaller one is the older one */
}

/* Equal ones are ordered too, so that a list can be compared with an earlier one. */
int conn_compare(const struct conn *a, const struct conn *b, enum conn_sort sort)
{
	u64 x = conn_rank(a, sort), y = conn_rank(b, sort);

	if (x != y)
		return x < y ? -1 : 1;
	return memcmp(&a->key, &b->key, sizeof(a->key));
}

static int compare_r(const void *a, const void *b, void *sort)
{
	return conn_compare(a, b, *(const enum conn_sort *)sort);
}

/* The list is a heap with its last one on top: [0] gives way to a better one. */
static void replace_last(struct conn_pick *c, const struct conn *new)
{
	struct conn *at = c->list.at;
	size_t i = 0, child;

	for (; (child = 2 * i + 1) < c->limit; i = child) {
		if (child + 1 < c->limit && conn_compare(&at[child], &at[child + 1], c->sort) < 0)
			child++;
		if (conn_compare(new, &at[child], c->sort) >= 0)
			break;
		at[i] = at[child];
	}
	at[i] = *new;
}

static void raise_last(struct conn_pick *c)
{
	struct conn *at = c->list.at, new = at[c->list.n - 1];
	size_t i = c->list.n - 1, parent;

	for (; i; i = parent) {
		parent = (i - 1) / 2;
		if (conn_compare(&new, &at[parent], c->sort) <= 0)
			break;
		at[i] = at[parent];
	}
	at[i] = new;
}

static int append(struct conn_pick *c, const struct conn *new)
{
	size_t more = c->room ? c->room * 2 : 256;
	struct conn *bigger;

	if (c->list.n == c->room) {
		bigger = reallocarray(c->list.at, more, sizeof(*bigger));
		if (!bigger)
			return -ENOMEM;
		c->list.at = bigger;
		c->room = more;
	}
	c->list.at[c->list.n++] = *new;
	return 0;
}

int conn_pick(struct conn_pick *c, const struct conn *new)
{
	int err;

	c->list.matched++;
	if (!c->limit || c->list.n < c->limit) {
		err = append(c, new);
		if (!err && c->limit && c->sort)
			raise_last(c);
		return err;
	}
	if (c->sort && conn_compare(new, &c->list.at[0], c->sort) < 0)
		replace_last(c, new);
	return 0;
}

void conn_pick_end(struct conn_pick *c)
{
	if (c->sort && c->list.n)
		qsort_r(c->list.at, c->list.n, sizeof(*c->list.at), compare_r, &c->sort);
}

static int pick(const struct conn *new, void *arg)
{
	return conn_pick(arg, new);
}

int conns_read(const struct maps *m, const struct conn_filter *filter, enum conn_sort sort,
	       size_t limit, struct conn_list *list)
{
	struct conn_pick c = {.sort = sort, .limit = limit};
	int err = conns_each(m, filter, pick, &c);

	*list = c.list;
	if (err) {
		conns_free(list);
		return fail(-err, "cannot read the flow table: %s", strerror(-err));
	}
	conn_pick_end(&c);
	return 0;
}

void conns_free(struct conn_list *list)
{
	free(list->at);
	memset(list, 0, sizeof(*list));
}

/* ---- words ---- */

/* The letters and digits, in upper case: FIN-WAIT-1, fin_wait1 and FinWait1 are one. */
static void squeeze(const char *text, char *buf, size_t size)
{
	size_t n = 0;

	for (; *text && n + 1 < size; text++)
		if (*text != '-' && *text != '_')
			buf[n++] = toupper((unsigned char)*text);
	buf[n] = 0;
}

int conn_state_parse(const char *text, u8 *state)
{
	/* as ss(8) has them */
	static const struct {
		const char *name;
		u8 state;
	} others[] = {
		{"ESTAB", ST_ESTABLISHED}, {"SYNRECV", ST_SYN_RECEIVED}, {"CLOSE", ST_CLOSED}};
	char word[64], name[64], list[256] = "";
	const char *guess;
	size_t i;

	squeeze(text, word, sizeof(word));
	for (i = 0; i < N(others); i++) {
		*state = others[i].state;
		if (!strcmp(word, others[i].name))
			return 0;
	}
	for (i = 0; i < ST_COUNT; i++) {
		*state = i;
		squeeze(state_names[i], name, sizeof(name));
		if (!strcmp(word, name))
			return 0;
		strcat(strcat(list, i ? ", " : ""), state_names[i]);
	}
	for (i = 0; text[i] && i + 1 < sizeof(word); i++)
		word[i] = toupper((unsigned char)text[i]);
	word[i] = 0;
	guess = nearest(word, state_names, ST_COUNT);
	return fail(EINVAL, "--state: no state \"%s\"%s%s%s; there are %s", text,
		    guess ? "; did you mean \"" : "", guess ? guess : "", guess ? "\"?" : "", list);
}

int conn_sort_parse(const char *text, enum conn_sort *sort)
{
	static const char *const names[] = {"age", "bytes", "rtx", "newest"};
	const char *guess;
	size_t i;

	for (i = 0; i < N(names); i++) {
		*sort = SORT_AGE + i;
		if (!strcmp(text, names[i]))
			return 0;
	}
	guess = nearest(text, names, N(names));
	return fail(EINVAL, "--sort: no order \"%s\"%s%s%s; there are age, bytes, rtx, newest",
		    text, guess ? "; did you mean \"" : "", guess ? guess : "", guess ? "\"?" : "");
}
