// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conns_view.h"
#include "moment.h"

#define ENDS_HEAD     "CLIENT > SERVER"
#define ENDS_SIZE     128
#define QUANTITY_SIZE 24

struct view_row {
	char *ends, *rest;
};

/* ---- words ---- */

static json_t *at(const json_t *j, const char *key)
{
	return json_object_get(j, key);
}

static const char *text_of(const json_t *j, const char *key, const char *otherwise)
{
	const char *s = json_string_value(at(j, key));

	return s ? s : otherwise;
}

static u64 number_of(const json_t *j, const char *key)
{
	return json_integer_value(at(j, key));
}

static int end_text(char *buf, size_t size, const json_t *c, const char *ip, const char *port)
{
	const char *addr = text_of(c, ip, "?");

	return snprintf(buf, size, strchr(addr, ':') ? "[%s]:%llu" : "%s:%llu", addr,
			number_of(c, port));
}

/* "198.18.0.7:50096 > 198.18.0.1:443": who opened it, and to whom. */
static void ends_text(const json_t *c, char buf[ENDS_SIZE])
{
	int n = end_text(buf, ENDS_SIZE, c, "src_ip", "src_port");

	n += snprintf(buf + n, ENDS_SIZE - n, " > ");
	end_text(buf + n, ENDS_SIZE - n, c, "dest_ip", "dest_port");
}

/* The age of one met in mid-stream is not known, only that it is more. */
static const char *age_text(const json_t *c, char buf[DURATION_SIZE])
{
	const json_t *s = at(c, "synstile"), *age = at(s, "age_ms");
	char plain[DURATION_SIZE];

	if (json_is_integer(age))
		return duration_text(json_integer_value(age), buf);
	if (!json_is_integer(at(s, "followed_ms")))
		return "?";
	snprintf(buf, DURATION_SIZE, ">%.*s", DURATION_SIZE - 2,
		 duration_text(number_of(s, "followed_ms"), plain));
	return buf;
}

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

static const char *rtt_text(u64 us, char buf[QUANTITY_SIZE])
{
	if (!us)
		return "-";
	if (us < 10000)
		snprintf(buf, QUANTITY_SIZE, "%lluus", us);
	else
		snprintf(buf, QUANTITY_SIZE, "%.1fms", us / 1e3);
	return buf;
}

static const char *count_text(const json_t *n, char buf[QUANTITY_SIZE])
{
	if (!json_is_integer(n))
		return "?";
	snprintf(buf, QUANTITY_SIZE, "%lld", (long long)json_integer_value(n));
	return buf;
}

static const char *ms_text(const json_t *ms, char buf[DURATION_SIZE])
{
	return json_is_integer(ms) ? duration_text(json_integer_value(ms), buf) : "-";
}

/* ---- a row ---- */

static char *conn_rest(const json_t *c)
{
	const json_t *tcp = at(c, "tcp"), *s = at(c, "synstile");
	const json_t *client = at(tcp, "client"), *server = at(tcp, "server");
	char out[QUANTITY_SIZE], in[QUANTITY_SIZE], rtt[QUANTITY_SIZE], age[DURATION_SIZE];
	char *text;

	if (asprintf(&text, "%-7s %-12s %-12s %8s %-8s %7s %7s %6llu %6llu %8s",
		     text_of(s, "service", "-"), text_of(tcp, "client_state", "?"),
		     text_of(tcp, "server_state", "?"), age_text(c, age),
		     text_of(s, "admission", "?"), bytes_text(number_of(client, "bytes"), out),
		     bytes_text(number_of(server, "bytes"), in),
		     number_of(client, "retransmissions"), number_of(server, "retransmissions"),
		     rtt_text(number_of(s, "handshake_rtt_us"), rtt)) < 0)
		return NULL;
	return text;
}

static char *half_open_rest(const json_t *c)
{
	const json_t *h = at(c, "half_open"), *kernel = at(h, "kernel");
	char age[DURATION_SIZE], left[DURATION_SIZE], next[DURATION_SIZE];
	char syns[QUANTITY_SIZE], syn_acks[QUANTITY_SIZE];
	char *text;

	if (asprintf(&text, "%-7s %8s %4s %7s %7s %8s  %s",
		     text_of(at(c, "synstile"), "service", "-"), age_text(c, age),
		     count_text(at(h, "syns"), syns), count_text(at(h, "syn_acks"), syn_acks),
		     ms_text(at(kernel, "next_ms"), next),
		     ms_text(at(h, "syn_timeout_left_ms"), left), text_of(h, "known_to", "?")) < 0)
		return NULL;
	return text;
}

static int add_row(struct conns_view *v, const json_t *c)
{
	size_t more = v->room ? 2 * v->room : 256;
	struct view_row *bigger;
	char ends[ENDS_SIZE];

	if (v->n == v->room) {
		bigger = reallocarray(v->rows, more, sizeof(*bigger));
		if (!bigger)
			return -ENOMEM;
		v->rows = bigger;
		v->room = more;
	}
	ends_text(c, ends);
	v->rows[v->n].ends = strdup(ends);
	v->rows[v->n].rest = v->half_open ? half_open_rest(c) : conn_rest(c);
	v->n++;
	return v->rows[v->n - 1].ends && v->rows[v->n - 1].rest ? 0 : -ENOMEM;
}

/* ---- the whole ---- */

/* What the agent knows of a service over time, or NULL. */
static const json_t *over_time_of(const json_t *tail, const char *service)
{
	const json_t *list = at(at(tail, "over_time"), "services");
	json_t *j;
	size_t i;

	json_array_foreach (list, i, j)
		if (service && !strcmp(text_of(j, "service", ""), service))
			return j;
	return NULL;
}

static void print_tallies(const json_t *tail)
{
	char lasts[DURATION_SIZE];
	const char *name, *why;
	json_t *j;
	size_t i;
	u64 ms;

	json_array_foreach (at(tail, "services"), i, j) {
		if (!number_of(j, "matching"))
			continue;
		name = text_of(j, "service", NULL);
		why = text_of(j, "why", NULL);
		ms = number_of(over_time_of(tail, name), "differs_ms");
		printf("%-7s synstile %llu, kernel %llu%s%s%s%s\n", name ? name : "(host)",
		       number_of(j, "synstile"), number_of(j, "kernel"),
		       ms ? ", which has differed for " : "", ms ? duration_text(ms, lasts) : "",
		       why ? "\n        " : "", why ? why : "");
	}
}

static void print_text(const struct conns_view *v, const json_t *tail)
{
	int width = strlen(ENDS_HEAD);
	u64 total = number_of(tail, "total");
	size_t i;

	for (i = 0; i < v->n; i++)
		if ((int)strlen(v->rows[i].ends) > width)
			width = strlen(v->rows[i].ends);
	if (v->half_open) {
		print_tallies(tail);
		printf("%-*s %-7s %8s %4s %7s %7s %8s  %s\n", width, ENDS_HEAD, "SERVICE", "AGE",
		       "SYN", "SYN-ACK", "NEXT", "LEFT", "KNOWN TO");
	} else {
		printf("%-*s %-7s %-12s %-12s %8s %-8s %7s %7s %6s %6s %8s\n", width, ENDS_HEAD,
		       "SERVICE", "CLIENT", "SERVER", "AGE", "ADMITTED", "BYTES>", "<BYTES", "RTX>",
		       "<RTX", "RTT");
	}
	for (i = 0; i < v->n; i++)
		printf("%-*s %s\n", width, v->rows[i].ends, v->rows[i].rest);
	if (total > v->n)
		printf("... and %llu more: --limit 0 shows all, --port, --host and --state fewer\n",
		       total - v->n);
}

/* The members of an object, without its braces. */
static void print_members(const json_t *j)
{
	char *text = json_dumps(j, JSON_PRESERVE_ORDER);
	size_t n = text ? strlen(text) : 0;

	if (n > 2)
		fwrite(text + 1, 1, n - 2, stdout);
	free(text);
}

void view_begin(struct conns_view *v, const json_t *head)
{
	if (!v->json)
		return;
	putchar('{');
	print_members(head);
	fputs(", \"connections\": [", stdout);
}

void view_line(struct conns_view *v, const char *line, size_t n)
{
	fputs(v->shown++ ? ",\n" : "\n", stdout);
	fwrite(line, 1, n, stdout);
}

int view_conn(struct conns_view *v, const json_t *conn)
{
	char *text;

	if (!v->json)
		return add_row(v, conn);
	text = json_dumps(conn, JSON_PRESERVE_ORDER);
	if (!text)
		return -ENOMEM;
	view_line(v, text, strlen(text));
	free(text);
	return 0;
}

void view_end(struct conns_view *v, const json_t *tail)
{
	json_t *members;

	if (!v->json) {
		print_text(v, tail);
		return;
	}
	members = json_copy((json_t *)tail);
	json_object_del(members, "cursor"); /* it has been followed */
	json_object_set_new(members, "shown", json_integer(v->shown));
	fputs("\n], ", stdout);
	print_members(members);
	fputs("}\n", stdout);
	json_decref(members);
}

void view_free(struct conns_view *v)
{
	size_t i;

	for (i = 0; i < v->n; i++) {
		free(v->rows[i].ends);
		free(v->rows[i].rest);
	}
	free(v->rows);
}
