// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conns_view.h"
#include "half_open_list.h"
#include "log.h"

struct half_open_view {
	struct view *v;
	struct half_open_list *list;
	struct half_open_tally of[SYNSTILE_MAX_SERVICES];
	bool wanted[SYNSTILE_MAX_SERVICES]; /* some of them match */
	json_t *over_time;                  /* of the agent's, or JSON null */
	size_t n, shown;                    /* of list->found: those that match come first */
};

static const char *known_to(const struct half_open_entry *e)
{
	return e->here && e->kernel ? "both" : e->here ? "synstile" : "kernel";
}

/* The agent's word on a service, or NULL. */
static json_t *over_time_of(const struct half_open_view *h, u16 service)
{
	json_t *list = json_object_get(h->over_time, "services"), *j;
	const char *wanted = service_name(&h->v->names, service), *found;
	size_t i;

	json_array_foreach (list, i, j) {
		found = json_string_value(json_object_get(j, "service"));
		if (wanted && found && !strcmp(found, wanted))
			return j;
	}
	return NULL;
}

#define WORDS_SIZE 1024

static void print_tally(const struct half_open_view *h, u16 service)
{
	const struct half_open_tally *t = &h->of[service];
	long long differs =
		json_integer_value(json_object_get(over_time_of(h, service), "differs_ms"));
	char words[WORDS_SIZE], lasts[DURATION_SIZE];

	half_open_words(t, h->v->names.of[service].port, words, sizeof(words));
	printf("%-7s synstile %u, kernel %u%s%s%s%s\n",
	       service ? service_text(h->v, service) : "(host)", t->here, t->kernel,
	       differs ? ", which has differed for " : "",
	       differs ? duration_text(differs, lasts) : "", words[0] ? "\n        " : "", words);
}

static void print_half_open(const struct half_open_view *h, const struct half_open_entry *e,
			    int width)
{
	char ends[ENDS_SIZE], age[DURATION_SIZE], left[DURATION_SIZE], next[DURATION_SIZE];
	char syns[8] = "?", syn_acks[8] = "?";
	const struct conn *c = &e->conn;
	u64 ms = half_open_left_ms(h->list, &c->flow, h->v->now.monotonic);

	ends_text(c, ends);
	/* one that was met in mid-stream had more of both */
	if (c->flow.opened && !(c->flow.flags & FLOW_JOINED)) {
		snprintf(syns, sizeof(syns), "%u", conn_client(c)->syns);
		snprintf(syn_acks, sizeof(syn_acks), "%u", conn_server(c)->syns);
	}
	printf("%-*s %-7s %8s %4s %7s %7s %8s  %s\n", width, ends,
	       service_text(h->v, c->flow.service), age_text(c, &h->v->now, age), syns, syn_acks,
	       e->kernel && e->socket.timed ? duration_text(e->socket.expires_ms, next) : "-",
	       e->here ? duration_text(ms, left) : "-", known_to(e));
}

static void print_half_open_list(const struct half_open_view *h)
{
	const struct half_open_entry *at = h->list->found.at;
	int width = strlen(ENDS_HEAD), n;
	char ends[ENDS_SIZE];
	size_t i;

	for (i = 0; i < SYNSTILE_MAX_SERVICES; i++)
		if (h->wanted[i])
			print_tally(h, i);
	for (i = 0; i < h->shown; i++) {
		n = ends_text(&at[i].conn, ends);
		width = n > width ? n : width;
	}
	printf("%-*s %-7s %8s %4s %7s %7s %8s  %s\n", width, ENDS_HEAD, "SERVICE", "AGE", "SYN",
	       "SYN-ACK", "NEXT", "LEFT", "KNOWN TO");
	for (i = 0; i < h->shown; i++)
		print_half_open(h, &at[i], width);
	print_more(h->n - h->shown);
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

static json_t *half_open_entry_json(const struct half_open_view *h, const struct half_open_entry *e)
{
	const struct conn *c = &e->conn;
	json_t *j = conn_json(c, &h->v->names, &h->v->now);
	bool counted = c->flow.opened && !(c->flow.flags & FLOW_JOINED);
	u64 ms = half_open_left_ms(h->list, &c->flow, h->v->now.monotonic);

	json_object_set_new(
		j, "half_open",
		json_pack("{s:s, s:o, s:o, s:o, s:o, s:s?}", "known_to", known_to(e), "syns",
			  counted ? json_integer(conn_client(c)->syns) : json_null(), "syn_acks",
			  counted ? json_integer(conn_server(c)->syns) : json_null(),
			  "syn_timeout_left_ms", e->here ? json_integer(ms) : json_null(), "kernel",
			  socket_json(e), "note", half_open_whys[e->why]));
	return j;
}

static json_t *tally_json(const struct half_open_view *h, u16 service)
{
	const struct half_open_tally *t = &h->of[service];
	__be16 port = h->v->names.of[service].port;
	char words[WORDS_SIZE];

	half_open_words(t, port, words, sizeof(words));
	return json_pack("{s:s?, s:o, s:I, s:I, s:I, s:I, s:s?}", "service",
			 service_name(&h->v->names, service), "port",
			 port ? json_integer(ntohs(port)) : json_null(), "synstile",
			 (json_int_t)t->here, "kernel", (json_int_t)t->kernel, "only_synstile",
			 (json_int_t)half_open_only_here(t), "only_kernel",
			 (json_int_t)half_open_only_kernel(t), "why", words[0] ? words : NULL);
}

static void json_half_open_list(const struct half_open_view *h)
{
	json_t *services = json_array();
	size_t i;

	for (i = 0; i < SYNSTILE_MAX_SERVICES; i++)
		if (!i || service_name(&h->v->names, i))
			json_array_append_new(services, tally_json(h, i));
	json_begin(h->v);
	for (i = 0; i < h->shown; i++)
		json_line(h->v, half_open_entry_json(h, &h->list->found.at[i]));
	json_end_list();
	printf(", \"services\": ");
	json_dumpf(services, stdout, JSON_PRESERVE_ORDER);
	printf(", \"over_time\": ");
	json_dumpf(h->over_time, stdout, JSON_PRESERVE_ORDER | JSON_ENCODE_ANY);
	json_end(h->v, h->n);
	json_decref(services);
}

static int compare_entries(const void *a, const void *b, void *sort)
{
	const struct half_open_entry *x = a, *y = b;

	return conn_compare(&x->conn, &y->conn, *(const enum conn_sort *)sort);
}

/* Counts all, and brings those that match, in order, to the front. */
static void choose(struct half_open_view *h)
{
	struct half_open_entry *at = h->list->found.at, matching;
	enum conn_sort sort = h->v->q->sort ?: SORT_AGE;
	size_t i;

	for (i = 0; i < h->list->found.n; i++) {
		half_open_count(&h->of[at[i].conn.flow.service], &at[i]);
		if (!conn_matches(&h->v->q->filter, &at[i].conn))
			continue;
		h->wanted[at[i].conn.flow.service] = true;
		matching = at[i];
		at[i] = at[h->n];
		at[h->n++] = matching;
	}
	if (h->n)
		qsort_r(at, h->n, sizeof(*at), compare_entries, &sort);
	h->shown = h->v->q->limit && h->v->q->limit < h->n ? h->v->q->limit : h->n;
}

int show_half_open(struct view *v)
{
	static struct half_open_view h;
	int err;

	h = (struct half_open_view){.v = v, .list = half_open_list_new(&v->r->maps)};
	if (!h.list)
		return -ENOMEM;
	h.over_time = running_half_open(v->r);
	err = half_open_walk(h.list, 0);
	if (err >= 0)
		err = half_open_compare(h.list);
	v->now = moment_now();
	if (!err) {
		choose(&h);
		if (v->q->json)
			json_half_open_list(&h);
		else
			print_half_open_list(&h);
	}
	json_decref(h.over_time);
	half_open_list_free(h.list);
	return err;
}
