// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "cmd.h"
#include "conn_json.h"
#include "conns_ask.h"
#include "conns_view.h"
#include "half_open_doc.h"
#include "log.h"

#define PAGE    10000 /* at once from the agent */
#define SILENCE 10    /* s without a word from it */

struct asking {
	const struct query *q;
	struct conns_view view;
	json_t *head, *tail; /* of this answer */
	bool begun;          /* the view */
	size_t seen;         /* connections */
	int silent;          /* s */
};

/* ---- of the agent: a line of the answer for each connection ---- */

static json_t *parse(const char *before, const char *text, size_t n, const char *after)
{
	char *whole = malloc(strlen(before) + n + strlen(after) + 1);
	json_t *j;

	if (!whole)
		return NULL;
	sprintf(whole, "%s%.*s%s", before, (int)n, text, after);
	j = json_loads(whole, 0, NULL);
	free(whole);
	return j;
}

/* {"schema":1,...,"connections":[ */
static int take_head(struct asking *a, const char *line, size_t n)
{
	json_t *head = parse("", line, n, n && line[n - 1] == '[' ? "]}" : "");

	if (!head)
		return fail(EPROTO, "the agent's answer is not JSON: %.*s", n > 200 ? 200 : (int)n,
			    line);
	json_object_del(head, "connections");
	if (!a->begun)
		view_begin(&a->view, head);
	a->begun = true;
	json_decref(a->head);
	a->head = head;
	return 0;
}

/* ],"total":...} */
static int take_tail(struct asking *a, const char *line, size_t n)
{
	json_t *tail = n > 2 ? parse("{", line + 2, n - 2, "") : NULL;

	if (!tail)
		return fail(EPROTO, "the agent's answer is not JSON: %.*s", n > 200 ? 200 : (int)n,
			    line);
	json_decref(a->tail);
	a->tail = tail;
	return 0;
}

static int take_conn(struct asking *a, const char *line, size_t n)
{
	json_t *conn;
	int err;

	n -= n && line[n - 1] == ',';
	a->seen++;
	if (a->q->json) {
		view_line(&a->view, line, n);
		return ferror(stdout) ? -EIO : 0;
	}
	conn = json_loadb(line, n, 0, NULL);
	err = conn ? view_conn(&a->view, conn) : fail(EPROTO, "the agent's answer is not JSON");
	json_decref(conn);
	return err;
}

static int on_line(const char *line, size_t n, void *arg)
{
	struct asking *a = arg;

	a->silent = 0;
	if (!a->head)
		return take_head(a, line, n);
	return line[0] == ']' ? take_tail(a, line, n) : take_conn(a, line, n);
}

static int on_idle(void *arg)
{
	struct asking *a = arg;

	if (a->silent++ < SILENCE)
		return 0;
	return fail(ETIMEDOUT, "the agent does not answer within %d s", SILENCE);
}

static int make_path(const struct asking *a, char *path, size_t size)
{
	static const char *const sorts[] = {"", "&sort=age", "&sort=bytes", "&sort=rtx",
					    "&sort=newest"};
	const struct query *q = a->q;
	const char *cursor = json_string_value(json_object_get(a->tail, "cursor"));
	size_t left = q->limit ? q->limit - a->seen : 0;

	if (q->half_open)
		left = q->limit;
	else if (!left || left > PAGE)
		left = PAGE;
	return format(path, size, "/v1/%s&limit=%zu%s%s%s%s%s%s%s%s%s",
		      q->half_open ? "half-open?list=1" : "conns?half_open=0", left, sorts[q->sort],
		      q->state ? "&state=" : "", q->state ? q->state : "", q->port ? "&port=" : "",
		      q->port ? q->port : "", q->host ? "&host=" : "", q->host ? q->host : "",
		      cursor ? "&cursor=" : "", cursor ? cursor : "");
}

/* All that are wanted, or an error before anything was shown or after. */
static int ask_pages(struct asking *a, const struct instance *in)
{
	const struct client_stream stream = {on_line, NULL, on_idle, -1, a};
	json_t *total = NULL;
	char path[512];
	bool more;
	int err;

	do {
		json_decref(a->head);
		a->head = NULL;
		a->silent = 0;
		err = make_path(a, path, sizeof(path));
		if (!err)
			err = client_lines(in, path, &stream);
		if (!err && !a->tail)
			err = fail(EPROTO, "the agent's answer has no end");
		if (!total)
			total = json_incref(json_object_get(a->tail, "total"));
		more = json_is_string(json_object_get(a->tail, "cursor")) &&
		       (!a->q->limit || a->seen < a->q->limit);
	} while (!err && more);
	/* they come and go while the pages are read */
	if (total && (size_t)json_integer_value(total) < a->seen)
		json_object_set_new(a->tail, "total", json_integer(a->seen));
	else if (total)
		json_object_set(a->tail, "total", total);
	json_decref(total);
	return err;
}

/* ---- of the maps ---- */

static json_t *head_of(const struct running *r)
{
	struct moment now = moment_now();
	char stamp[TIMESTAMP_SIZE];

	return json_pack("{s:i, s:s, s:s}", "schema", 1, "instance", r->in.name, "timestamp",
			 moment_timestamp(&now, now.monotonic, stamp));
}

struct reading {
	struct asking *a;
	struct service_names names;
};

static int show_conn(const struct conn *c, void *arg)
{
	struct reading *r = arg;
	struct moment now = moment_now();
	json_t *j = conn_json(c, &r->names, &now);
	int err = view_conn(&r->a->view, j);

	json_decref(j);
	r->a->seen++;
	return ferror(stdout) ? -EIO : err;
}

static int read_conns(struct asking *a, const struct running *r)
{
	const struct query *q = a->q;
	struct reading reading = {.a = a};
	struct conn_list list = {0};
	size_t i;
	int err;

	service_names_read(&reading.names, &r->maps);
	if (!q->sort && !q->limit) { /* nothing is kept */
		err = conns_each(&r->maps, &q->filter, show_conn, &reading);
		list.matched = a->seen;
		if (err)
			err = fail(-err, "cannot read or write all connections: %s",
				   strerror(-err));
	} else {
		err = conns_read(&r->maps, &q->filter, q->sort, q->limit, &list);
		for (i = 0; i < list.n && !err; i++)
			err = show_conn(&list.at[i], &reading);
	}
	a->tail = json_pack("{s:I}", "total", (json_int_t)list.matched);
	conns_free(&list);
	return err;
}

static int read_half_open(struct asking *a, const struct running *r)
{
	struct half_open_doc *d =
		half_open_doc_new(&r->maps, &a->q->filter, a->q->sort, a->q->limit);
	int done = d ? half_open_doc_look(d, 0) : -ENOMEM, err = done < 0 ? done : 0;
	json_t *conn;

	while (!err && (conn = half_open_doc_next(d))) {
		err = view_conn(&a->view, conn);
		json_decref(conn);
	}
	if (!err) {
		a->tail = half_open_doc_tail(d);
		json_object_set_new(a->tail, "over_time", json_null());
	}
	half_open_doc_free(d);
	return err;
}

static int read_maps(struct asking *a, struct running *r)
{
	int status = running_maps(r), err;

	if (status)
		return status;
	if (!a->q->json)
		warn("the agent does not run: what has timed out is still listed%s",
		     a->q->half_open ? ", and how long both lists have differed is not known" : "");
	a->head = head_of(r);
	view_begin(&a->view, a->head);
	err = a->q->half_open ? read_half_open(a, r) : read_conns(a, r);
	return err ? common_failed(err) : STATUS_OK;
}

/* ---- */

int conns_ask(struct running *r, const struct query *q)
{
	struct asking a = {.q = q, .view = {.half_open = q->half_open, .json = q->json}};
	int err = ask_pages(&a, &r->in), status = STATUS_OK;

	if (err && (a.begun || a.seen))
		status = common_failed(err);
	else if (err)
		status = running_without(r, err);
	if (!status && err)
		status = read_maps(&a, r);
	if (!status && (!q->json || a.head))
		view_end(&a.view, a.tail);
	json_decref(a.head);
	json_decref(a.tail);
	view_free(&a.view);
	return status;
}
