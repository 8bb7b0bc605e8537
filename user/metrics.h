/* SPDX-License-Identifier: GPL-2.0-only */
/* GET /metrics: for Prometheus, text format 0.0.4; see docs/api.md. */
#ifndef SYNSTILE_USER_METRICS_H
#define SYNSTILE_USER_METRICS_H

#include "api.h"

struct agent;

void metrics_get(struct agent *a, struct evhttp_request *req);

#endif
