/* SPDX-License-Identifier: GPL-2.0-only */
/* The document of `synstile status -j` and GET /v1/status; see docs/api.md. */
#ifndef SYNSTILE_USER_STATUS_DOC_H
#define SYNSTILE_USER_STATUS_DOC_H

#include <jansson.h>

#include "flow_count.h"
#include "instance.h"
#include "maps.h"
#include "state.h"

#define STATUS_SCHEMA 1

/* What only an agent knows. Without one all is zero, and the document says so with null. */
struct status_parts {
	u64 since; /* when it started, monotonic ns */
	json_t *half_open, *detection, *timeouts, *policy;
	struct flow_count *flows; /* NULL: they are counted */
};

/* Takes over the parts. NULL: no memory. */
json_t *status_doc(const struct instance *in, const struct state *st, const struct maps *m,
		   struct status_parts *parts);

extern const char *const oddity_names[ODD_COUNT];

#endif
