// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "conns_view.h"
#include "event_names.h"
#include "log.h"
#include "netlink.h"

/* ---- words ---- */

static int end_text(char *buf, size_t size, const struct conn_end *e)
{
	char addr[INET6_ADDRSTRLEN];

	return snprintf(buf, size, addr_is_v4(&e->addr) ? "%s:%u" : "[%s]:%u",
			addr_text(&e->addr, addr), e->port);
}

int ends_text(const struct conn *c, char buf[ENDS_SIZE])
{
	struct conn_end client, server;
	int n;

	conn_ends(c, &client, &server);
	n = end_text(buf, ENDS_SIZE, &client);
	n += snprintf(buf + n, ENDS_SIZE - n, " > ");
	return n + end_text(buf + n, ENDS_SIZE - n, &server);
}

static const char *state_text(u8 state)
{
	return state == ST_UNKNOWN || state >= ST_COUNT ? "?" : state_names[state];
}

/* The age of one met in mid-stream is not known, only that it is more. */
const char *age_text(const struct conn *c, const struct moment *now, char buf[DURATION_SIZE])
{
	char plain[DURATION_SIZE];

	if (!c->flow.opened)
		return "?";
	snprintf(buf, DURATION_SIZE, "%s%.*s", c->flow.flags & FLOW_JOINED ? ">" : "",
		 DURATION_SIZE - 2, duration_text(moment_ms_since(now, c->flow.opened), plain));
	return buf;
}

#define QUANTITY_SIZE 24

/* 999, 1.0k, 12.3M: four digits tell enough to eyes. */
static const char *bytes_text(u64 n, char buf[QUANTITY_SIZE])
{
	static const char units[] = " kMGTPE";
	u64 tenths; /* of the unit */
	int unit;

	if (n < 1000) {
		snprintf(buf, QUANTITY_SIZE, "%u", (u32)n);
		return buf;
	}
	for (tenths = n / 100 + (n % 100 >= 50), unit = 1; tenths >= 10000; unit++)
		tenths = (tenths + 500) / 1000;
	snprintf(buf, QUANTITY_SIZE, "%u.%u%c", (u32)(tenths / 10), (u32)(tenths % 10),
		 units[unit]);
	return buf;
}

static const char *rtt_text(u32 us, char buf[QUANTITY_SIZE])
{
	if (!us)
		return "-";
	if (us < 10000)
		snprintf(buf, QUANTITY_SIZE, "%uus", us);
	else
		snprintf(buf, QUANTITY_SIZE, "%.1fms", us / 1e3);
	return buf;
}

const char *service_text(const struct view *v, u16 service)
{
	return service_name(&v->names, service) ?: "-";
}

/* ---- every connection ---- */

static void print_conn(const struct view *v, const struct conn *c, int width)
{
	char ends[ENDS_SIZE], age[DURATION_SIZE];
	char out[QUANTITY_SIZE], in[QUANTITY_SIZE], rtt[QUANTITY_SIZE];
	const struct flow_side *client = conn_client(c), *server = conn_server(c);
	const u8 admission = c->flow.admission;

	ends_text(c, ends);
	printf("%-*s %-7s %-12s %-12s %8s %-8s %7s %7s %6u %6u %8s\n", width, ends,
	       service_text(v, c->flow.service), state_text(conn_client_state(c)),
	       state_text(conn_server_state(c)), age_text(c, &v->now, age),
	       admission && admission < ADMIT_COUNT ? admit_names[admission] : "?",
	       bytes_text(client->bytes, out), bytes_text(server->bytes, in), client->rtx,
	       server->rtx, rtt_text(c->flow.rtt_us, rtt));
}

void print_more(u64 more)
{
	if (more)
		printf("... and %llu more: --limit 0 shows all, --port, --host and --state fewer\n",
		       (unsigned long long)more);
}

static void print_conns(const struct view *v, const struct conn_list *list)
{
	char ends[ENDS_SIZE];
	int width = strlen(ENDS_HEAD), n;
	size_t i;

	for (i = 0; i < list->n; i++) {
		n = ends_text(&list->at[i], ends);
		width = n > width ? n : width;
	}
	printf("%-*s %-7s %-12s %-12s %8s %-8s %7s %7s %6s %6s %8s\n", width, ENDS_HEAD, "SERVICE",
	       "CLIENT", "SERVER", "AGE", "ADMITTED", "BYTES>", "<BYTES", "RTX>", "<RTX", "RTT");
	for (i = 0; i < list->n; i++)
		print_conn(v, &list->at[i], width);
	print_more(list->matched - list->n);
}

void json_begin(const struct view *v)
{
	char stamp[TIMESTAMP_SIZE];
	json_t *name = json_string(v->r->in.name);

	fputs("{\"schema\": 1, \"instance\": ", stdout);
	json_dumpf(name, stdout, JSON_ENCODE_ANY);
	printf(", \"timestamp\": \"%s\", \"connections\": [",
	       moment_timestamp(&v->now, v->now.monotonic, stamp));
	json_decref(name);
}

void json_line(struct view *v, json_t *j)
{
	fputs(v->shown++ ? ",\n" : "\n", stdout);
	json_dumpf(j, stdout, JSON_PRESERVE_ORDER);
	json_decref(j);
}

void json_end_list(void)
{
	fputs("\n]", stdout);
}

void json_end(const struct view *v, u64 total)
{
	printf(", \"total\": %llu, \"shown\": %llu}\n", (unsigned long long)total,
	       (unsigned long long)v->shown);
}

static int stream_conn(const struct conn *c, void *arg)
{
	struct view *v = arg;

	v->now = moment_now();
	json_line(v, conn_json(c, &v->names, &v->now));
	return ferror(stdout) ? -EIO : 0;
}

/* In no order, and without limit: nothing is kept. */
static int stream_conns(struct view *v)
{
	int err;

	json_begin(v);
	err = conns_each(&v->r->maps, &v->q->filter, stream_conn, v);
	json_end_list();
	json_end(v, v->shown);
	return err ? fail(-err, "cannot read or write all connections: %s", strerror(-err)) : 0;
}

int show_conns(struct view *v)
{
	struct conn_list list;
	size_t i;
	int err;

	if (v->q->json && !v->q->sort && !v->q->limit)
		return stream_conns(v);
	err = conns_read(&v->r->maps, &v->q->filter, v->q->sort, v->q->limit, &list);
	if (err)
		return err;
	v->now = moment_now();
	if (v->q->json) {
		json_begin(v);
		for (i = 0; i < list.n; i++)
			json_line(v, conn_json(&list.at[i], &v->names, &v->now));
		json_end_list();
		json_end(v, list.matched);
	} else {
		print_conns(v, &list);
	}
	conns_free(&list);
	return 0;
}
