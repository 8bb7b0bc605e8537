/* SPDX-License-Identifier: GPL-2.0-only */
/* What `synstile conns` shows, made from the JSON of conn_json() and half_open_doc.h, whoever has
 * made that. */
#ifndef SYNSTILE_USER_CONNS_VIEW_H
#define SYNSTILE_USER_CONNS_VIEW_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

/* Text: lines are kept until it is known how wide they are. */
struct conns_view {
	bool half_open, json;
	struct view_row *rows;
	size_t n, room;
	size_t shown;
};

/* With JSON: how the object begins. `head`: its members before the list. */
void view_begin(struct conns_view *v, const json_t *head);
/* A connection. -ENOMEM. */
int view_conn(struct conns_view *v, const json_t *conn);
/* A connection that is JSON text already; only with v->json. */
void view_line(struct conns_view *v, const char *line, size_t n);
/* The rest. `tail`: what the answer has behind the list: "total", and of half-open ones "services"
 * and "over_time". */
void view_end(struct conns_view *v, const json_t *tail);
void view_free(struct conns_view *v);

#endif
