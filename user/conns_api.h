/* SPDX-License-Identifier: GPL-2.0-only */
/* GET /v1/conns, and GET /v1/half-open with list=1; see docs/api.md. */
#ifndef SYNSTILE_USER_CONNS_API_H
#define SYNSTILE_USER_CONNS_API_H

#include "half_open.h"
#include "list_api.h"
#include "maps.h"

#define CONNS_PAGE     100 /* unless they say how many */
#define CONNS_PAGE_MAX 10000

void conns_api_get(struct list_api *l, const struct maps *m, struct evhttp_request *req,
		   const struct evkeyvalq *query);
/* Is the list wanted (list=1)? */
bool conns_api_wants_list(const struct evkeyvalq *query);
/* `over_time`: what else the answer says, half_open_json(). Taken over. */
void conns_api_get_half_open(struct list_api *l, const struct maps *m, json_t *over_time,
			     struct evhttp_request *req, const struct evkeyvalq *query);

#endif
