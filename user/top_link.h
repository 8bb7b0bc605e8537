/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How `synstile top` talks with the agent: the stream of frames, which is begun again each second
 * if it ends, and questions beside it. Nothing here waits but top_link_wait().
 */
#ifndef SYNSTILE_USER_TOP_LINK_H
#define SYNSTILE_USER_TOP_LINK_H

#include <jansson.h>

#include "instance.h"

enum top_question {
	ASK_HISTORY,
	ASK_RECORD,
	ASK_EVENTS,
	ASK_COUNT
};

struct top_link_calls {
	void (*frame)(void *arg, const json_t *frame);
	/* The text of an answer with status 200; `about` as it was asked. */
	void (*answer)(void *arg, enum top_question question, u64 about, const char *text,
		       size_t n);
	/* There is no connection, or nothing comes: why. Until the next frame. */
	void (*lost)(void *arg, const char *why);
	void *arg;
};

struct top_link;

/* `path`: of the stream. NULL: no memory. */
struct top_link *top_link_new(const struct instance *in, const char *path,
			      const struct top_link_calls *calls);
void top_link_free(struct top_link *l);

/* One of each kind at a time: false if the last is not answered yet. */
bool top_link_ask(struct top_link *l, enum top_question question, u64 about, const char *path);
/* Forgets a question: what it is about is not of interest any more. */
void top_link_forget(struct top_link *l, enum top_question question);

/* Until something came, one of the `n` descriptors is readable, or a second is over. */
void top_link_wait(struct top_link *l, const int *fds, int n);

#endif
