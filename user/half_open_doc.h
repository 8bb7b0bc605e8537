/* SPDX-License-Identifier: GPL-2.0-only */
/* Half-open connections, one by one, as synstile and the kernel have them: what `synstile conns
 * --half-open` and GET /v1/half-open?list=1 tell. See docs/api.md. */
#ifndef SYNSTILE_USER_HALF_OPEN_DOC_H
#define SYNSTILE_USER_HALF_OPEN_DOC_H

#include <jansson.h>

#include "conns.h"

struct half_open_doc;

/* `sort`: SORT_NONE means by age. `limit`: 0: all. NULL: no memory. */
struct half_open_doc *half_open_doc_new(const struct maps *m, const struct conn_filter *filter,
					enum conn_sort sort, size_t limit);
void half_open_doc_free(struct half_open_doc *d);

/* Reads both lists; at the flow table for about `ns` (0: to its end). 1: done; 0: not yet; -errno
 * with a reason. */
int half_open_doc_look(struct half_open_doc *d, u64 ns);
/* The next connection, or NULL: conn_json() with "half_open". */
json_t *half_open_doc_next(struct half_open_doc *d);
/* "services" and "total". */
json_t *half_open_doc_tail(struct half_open_doc *d);

#endif
