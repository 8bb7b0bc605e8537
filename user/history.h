/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * GET /v1/history: the last 15 minutes, second by second; see docs/api.md.
 *
 * All services together, and each one of HISTORY_SERVICES: those that had traffic, as long as there
 * is room, then those that had it last. One under attack is always among them, unless as many
 * others are. A row is what one look of rates.h found; a second without a look has none.
 */
#ifndef SYNSTILE_USER_HISTORY_H
#define SYNSTILE_USER_HISTORY_H

#include "api.h"
#include "rates.h"

#define HISTORY_SECONDS  900
#define HISTORY_SERVICES 64 /* 28 KB each */

struct history;

/* NULL: no memory. */
struct history *history_new(const struct instance *in, const struct rates *r);
void history_free(struct history *h);

/* After rates_look(). */
void history_each_second(struct history *h);

void history_get(struct history *h, struct evhttp_request *req, const struct evkeyvalq *query);

#endif
