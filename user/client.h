/* SPDX-License-Identifier: GPL-2.0-only */
/* Asking the agent: over HTTP, on its unix socket (see api.h). */
#ifndef SYNSTILE_USER_CLIENT_H
#define SYNSTILE_USER_CLIENT_H

#include <stddef.h>

#include <jansson.h>

#include "instance.h"

/* 0 with a JSON document for the caller; -ECONNREFUSED, with a reason: no agent is there; -EACCES:
 * one may be, and this user may not ask it; -errno with the agent's own words. `path` with the
 * query. */
int client_get(const struct instance *in, const char *path, json_t **answer);
/* The same; asks for something to be done. */
int client_post(const struct instance *in, const char *path, json_t **answer);
/* The same; says what shall hold from now on. */
int client_put(const struct instance *in, const char *path, const json_t *body, json_t **answer);

/* How to read a stream of lines. */
struct client_stream {
	/* A line, without its '\n'. Not 0: ends it. */
	int (*line)(const char *line, size_t n, void *arg);
	/* Those that have come are through: a good moment to write them out. Not 0: ends it. */
	int (*pause)(void *arg);
	/* Called at least once a second, and when `wake` (a descriptor, or -1) is readable. Not
	 * 0: ends it. */
	int (*idle)(void *arg);
	int wake;
	void *arg;
};

/* Until the agent ends the stream (0); -ECONNRESET: it is gone; what a function returned; else as
 * client_get(). */
int client_lines(const struct instance *in, const char *path, const struct client_stream *s);

#endif
