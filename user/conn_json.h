/* SPDX-License-Identifier: GPL-2.0-only */
/* A connection's record as JSON, and the words that it is shown with. */
#ifndef SYNSTILE_USER_CONN_JSON_H
#define SYNSTILE_USER_CONN_JSON_H

#include <jansson.h>

#include "conns.h"
#include "moment.h"

/* One that no policy names is named by its port. */
struct service_names {
	struct {
		char name[SERVICE_NAME_SIZE]; /* "": none; so is index 0, what the host opens */
		__be16 port;                  /* 0: several */
	} of[SYNSTILE_MAX_SERVICES];
};

void service_names_read(struct service_names *names, const struct maps *m);
/* NULL if it has none. */
const char *service_name(const struct service_names *names, u16 service);

/* An end of a connection, in the order of who opened it. */
struct conn_end {
	struct addr addr;
	u16 port; /* host order */
};

void conn_ends(const struct conn *c, struct conn_end *client, struct conn_end *server);

/* Everything that is known; what is not is null. synstile(8) describes it. Without a
 * record (`opened` 0) those are the addresses and ports, the service, and which end the host is. */
json_t *conn_json(const struct conn *c, const struct service_names *names, const struct moment *m);

#endif
