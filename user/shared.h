/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Bytes that go to many connections: one copy, which goes when the last of them has sent it. How
 * much memory all such copies hold is counted, so that it can be bounded.
 */
#ifndef SYNSTILE_USER_SHARED_H
#define SYNSTILE_USER_SHARED_H

#include <stddef.h>

struct evbuffer;
struct shared;

/* All of `from`, which is empty then, counted in *total. NULL: no memory. */
struct shared *shared_new(struct evbuffer *from, size_t *total);
size_t shared_size(const struct shared *s);
/* No copy. -1: no memory. */
int shared_add(struct shared *s, struct evbuffer *to);
/* The caller is done with it. NULL is nothing. */
void shared_put(struct shared *s);

#endif
