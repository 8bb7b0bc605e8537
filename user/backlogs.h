/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Listeners that keep a small backlog: it bounds their half-open connections, whatever the sysctls
 * say. listen() caps it at net.core.somaxconn of that moment; raising that later changes nothing
 * for who listens already.
 */
#ifndef SYNSTILE_USER_BACKLOGS_H
#define SYNSTILE_USER_BACKLOGS_H

#include <jansson.h>

#include "state.h"

struct heard; /* hearing.h */

/* What listen() took for plenty before Linux 5.4 (SOMAXCONN). */
#define BACKLOG_ENOUGH 128

/* The least that is enough: that, or what synstile was asked to raise the sysctls to. */
u32 backlog_enough(const struct state *st);
/* What is to be done about this one. */
const char *backlog_advice(const struct state *st, const struct heard *l);
/* Those at protected ports that have less: [{"port": 80, "listener": "*:80 (nginx)", "backlog": 16,
 * "text": what to tell people}], by port. */
json_t *backlogs_json(const struct state *st);
/* The same as lines of text, a few. */
void backlogs_print(json_t *backlogs);

#endif
