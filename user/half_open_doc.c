// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdlib.h>

#include "conn_json.h"
#include "half_open_doc.h"
#include "half_open_list.h"

#define WORDS_SIZE 1024

struct half_open_doc {
	struct half_open_list *list;
	const struct maps *maps;
	struct conn_filter filter;
	enum conn_sort sort;
	struct service_names names;
	struct moment now;
	struct half_open_tally of[SYNSTILE_MAX_SERVICES];
	u32 matched[SYNSTILE_MAX_SERVICES];
	size_t limit, n, next; /* of list->found: those that match come first */
};

struct half_open_doc *half_open_doc_new(const struct maps *m, const struct conn_filter *filter,
					enum conn_sort sort, size_t limit)
{
	struct half_open_doc *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->maps = m;
	d->filter = *filter;
	d->sort = sort ? sort : SORT_AGE;
	d->limit = limit;
	d->list = half_open_list_new(m);
	if (d->list)
		return d;
	free(d);
	return NULL;
}

void half_open_doc_free(struct half_open_doc *d)
{
	if (!d)
		return;
	half_open_list_free(d->list);
	free(d);
}

static int compare_entries(const void *a, const void *b, void *sort)
{
	const struct half_open_entry *x = a, *y = b;

	return conn_compare(&x->conn, &y->conn, *(const enum conn_sort *)sort);
}

/* Counts all, and brings those that match, in order, to the front. */
static void choose(struct half_open_doc *d)
{
	struct half_open_entry *at = d->list->found.at, matching;
	size_t i;
	u16 s;

	for (i = 0; i < d->list->found.n; i++) {
		s = at[i].conn.flow.service % SYNSTILE_MAX_SERVICES;
		half_open_count(&d->of[s], &at[i]);
		if (!conn_matches(&d->filter, &at[i].conn))
			continue;
		d->matched[s]++;
		matching = at[i];
		at[i] = at[d->n];
		at[d->n++] = matching;
	}
	if (d->n)
		qsort_r(at, d->n, sizeof(*at), compare_entries, &d->sort);
}

int half_open_doc_look(struct half_open_doc *d, u64 ns)
{
	int done = half_open_walk(d->list, ns), err;

	if (done <= 0)
		return done;
	err = half_open_compare(d->list);
	if (err)
		return err;
	service_names_read(&d->names, d->maps);
	d->now = moment_now();
	choose(d);
	return 1;
}

static const char *known_to(const struct half_open_entry *e)
{
	return e->here && e->kernel ? "both" : e->here ? "synstile" : "kernel";
}

static json_t *socket_json(const struct half_open_entry *e)
{
	if (!e->kernel)
		return json_null();
	return json_pack("{s:s, s:i, s:o}", "state",
			 e->socket.state == TCP_SYN_SENT ? "SYN-SENT" : "SYN-RECV",
			 "retransmissions", e->socket.retrans, "next_ms",
			 e->socket.timed ? json_integer(e->socket.expires_ms) : json_null());
}

json_t *half_open_doc_next(struct half_open_doc *d)
{
	const struct half_open_entry *e;
	bool counted;
	json_t *j;
	u64 ms;

	if (d->next >= d->n || (d->limit && d->next >= d->limit))
		return NULL;
	e = &d->list->found.at[d->next++];
	/* one that was met in mid-stream had more of both */
	counted = e->conn.flow.opened && !(e->conn.flow.flags & FLOW_JOINED);
	ms = half_open_left_ms(d->list, &e->conn.flow, d->now.monotonic);
	j = conn_json(&e->conn, &d->names, &d->now);
	json_object_set_new(
		j, "half_open",
		json_pack("{s:s, s:o, s:o, s:o, s:o, s:s?}", "known_to", known_to(e), "syns",
			  counted ? json_integer(conn_client(&e->conn)->syns) : json_null(),
			  "syn_acks",
			  counted ? json_integer(conn_server(&e->conn)->syns) : json_null(),
			  "syn_timeout_left_ms", e->here ? json_integer(ms) : json_null(), "kernel",
			  socket_json(e), "note", half_open_whys[e->why]));
	return j;
}

static json_t *tally_json(const struct half_open_doc *d, u16 service)
{
	const struct half_open_tally *t = &d->of[service];
	__be16 port = d->names.of[service].port;
	char words[WORDS_SIZE];

	half_open_words(t, port, words, sizeof(words));
	return json_pack("{s:s?, s:o, s:I, s:I, s:I, s:I, s:I, s:s?}", "service",
			 service_name(&d->names, service), "port",
			 port ? json_integer(ntohs(port)) : json_null(), "synstile",
			 (json_int_t)t->here, "kernel", (json_int_t)t->kernel, "matching",
			 (json_int_t)d->matched[service], "only_synstile",
			 (json_int_t)half_open_only_here(t), "only_kernel",
			 (json_int_t)half_open_only_kernel(t), "why", words[0] ? words : NULL);
}

json_t *half_open_doc_tail(struct half_open_doc *d)
{
	json_t *services = json_array();
	u32 i;

	for (i = 0; i < SYNSTILE_MAX_SERVICES; i++)
		if (!i || service_name(&d->names, i))
			json_array_append_new(services, tally_json(d, i));
	return json_pack("{s:o, s:I}", "services", services, "total", (json_int_t)d->n);
}
