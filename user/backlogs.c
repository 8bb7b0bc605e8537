// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backlogs.h"
#include "hearing.h"
#include "log.h"
#include "ports.h"
#include "sysctls.h"

#define LINES 8

u32 backlog_enough(const struct state *st)
{
	u32 enough = BACKLOG_ENOUGH;
	size_t i;

	for (i = 0; i < st->n_sysctls; i++) {
		const struct saved_sysctl *s = &st->sysctls[i];

		if ((!strcmp(s->name, MAX_SYN_BACKLOG) || !strcmp(s->name, SOMAXCONN_LIMIT)) &&
		    (u32)s->set > enough)
			enough = s->set;
	}
	return enough;
}

const char *backlog_advice(const struct state *st, const struct heard *l)
{
	if (l->sk.backlog == sysctls_read(SOMAXCONN_LIMIT, 4096))
		return "net.core.somaxconn allows no more: raise it, then restart the program";
	if (l->sk.backlog == sysctls_original(st, SOMAXCONN_LIMIT, 4096))
		return "net.core.somaxconn allowed no more when it began to listen: restart the "
		       "program";
	return "no sysctl can lift that: raise it in the program";
}

static int by_port(const void *a, const void *b)
{
	const struct heard *x = a, *y = b;

	return ntohs(x->sk.local_port) - ntohs(y->sk.local_port);
}

/* Keeps those that matter, so that no process is looked at if there is none. */
static void keep_small(struct hearing *h, const struct state *st)
{
	u32 enough = backlog_enough(st);
	struct ports allowed;
	size_t i, n = 0;

	if (ports_parse(&allowed, st->ports))
		return;
	for (i = 0; i < h->n; i++)
		if (h->at[i].sk.backlog < enough &&
		    ports_has(&allowed, ntohs(h->at[i].sk.local_port)))
			h->at[n++] = h->at[i];
	h->n = n;
}

static json_t *one_json(const struct state *st, const struct heard *l)
{
	char name[HEARD_NAME_SIZE], text[320];
	int port = ntohs(l->sk.local_port);

	heard_name(l, name);
	snprintf(text, sizeof(text), "port %d: %s listens with a backlog of %u; %s", port,
		 l->program[0] ? l->program : "its program", l->sk.backlog, backlog_advice(st, l));
	return json_pack("{s:i, s:s, s:I, s:s}", "port", port, "listener", name, "backlog",
			 (json_int_t)l->sk.backlog, "text", text);
}

json_t *backlogs_json(const struct state *st)
{
	struct hearing h = {0};
	json_t *list = json_array();
	size_t i;

	if (hearing_read(&h))
		fail_clear();
	keep_small(&h, st);
	if (h.n) {
		hearing_name_programs(&h);
		qsort(h.at, h.n, sizeof(*h.at), by_port);
	}
	for (i = 0; i < h.n; i++)
		if (!hearing_repeats(&h, i))
			json_array_append_new(list, one_json(st, &h.at[i]));
	hearing_free(&h);
	return list;
}

void backlogs_print(json_t *backlogs)
{
	size_t i, n = json_array_size(backlogs);
	json_t *j;

	json_array_foreach (backlogs, i, j) {
		if (i == LINES) {
			printf("%zu more listen with a small backlog; `synstile doctor` names "
			       "them\n",
			       n - i);
			break;
		}
		puts(json_string_value(json_object_get(j, "text")));
	}
}
