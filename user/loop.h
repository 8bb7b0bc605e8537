/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The agent's event loop: libevent's, under names of our own, because it calls its things
 * `struct event` as we do ours (include/synstile/event.h). Never include both.
 */
#ifndef SYNSTILE_USER_LOOP_H
#define SYNSTILE_USER_LOOP_H

struct loop;
struct watch; /* a timer, a descriptor or a signal */
typedef void (*watch_fn)(void *arg);

/* NULL: out of memory or descriptors. */
struct loop *loop_new(void);
void loop_free(struct loop *l);
/* Until loop_end(). */
void loop_run(struct loop *l);
void loop_end(struct loop *l);
/* For libevent's HTTP server. */
struct event_base *loop_base(struct loop *l);

/* Each calls fn from loop_run(); NULL: out of memory. A timer does not run yet. */
struct watch *watch_timer(struct loop *l, watch_fn fn, void *arg);
struct watch *watch_readable(struct loop *l, int fd, watch_fn fn, void *arg);
struct watch *watch_signal(struct loop *l, int signal, watch_fn fn, void *arg);
void watch_free(struct watch *w);
/* Again and again, from now on. */
void watch_every(struct watch *w, unsigned int ms);
/* Once, when everything else that is due had its turn. */
void watch_soon(struct watch *w);

#endif
