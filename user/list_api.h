/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Answers with long lists. They are found and written piece by piece between the other things that
 * the agent does, and no faster than they are read: neither the time nor the memory that one takes
 * depends on how long it is.
 */
#ifndef SYNSTILE_USER_LIST_API_H
#define SYNSTILE_USER_LIST_API_H

#include "api.h"
#include "maps.h"

struct list_api;

/* What a list is made of. */
struct list_source {
	/* Looks for the entries, for about `ns`. 1: they are found; 0: not yet; -errno with a
	 * reason. */
	int (*look)(void *arg, u64 ns);
	/* The next entry; NULL: that was the last one. */
	json_t *(*next)(void *arg);
	/* What the answer says behind the list. */
	json_t *(*tail)(void *arg);
	void (*free)(void *arg);
};

/* NULL: no memory. */
struct list_api *list_api_new(struct loop *l, const char *instance);
/* After api_free(), which ends the answers. */
void list_api_free(struct list_api *a);

/* Answers with {head, "connections": [...], tail}, each entry on a line of its own. `arg` is taken
 * over. */
void list_api_answer(struct list_api *a, struct evhttp_request *req,
		     const struct list_source *source, void *arg);

#endif
