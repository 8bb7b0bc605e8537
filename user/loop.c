// SPDX-License-Identifier: GPL-2.0-only
#include <signal.h>
#include <stdlib.h>

#include <event2/event.h>

#include "loop.h"

struct watch {
	struct event *event;
	watch_fn fn;
	void *arg;
	struct timeval again; /* 0: once */
};

struct loop *loop_new(void)
{
	return (struct loop *)event_base_new();
}

struct event_base *loop_base(struct loop *l)
{
	return (struct event_base *)l;
}

void loop_free(struct loop *l)
{
	if (l)
		event_base_free(loop_base(l));
}

void loop_run(struct loop *l)
{
	event_base_dispatch(loop_base(l));
}

void loop_end(struct loop *l)
{
	event_base_loopbreak(loop_base(l));
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
	struct watch *w = arg;

	(void)fd;
	(void)what;
	/* counted from now: a tick that was late does not make the next ones come all at once */
	if (w->again.tv_sec || w->again.tv_usec)
		event_add(w->event, &w->again);
	w->fn(w->arg);
}

static struct watch *watch_new(struct loop *l, int fd, short what, watch_fn fn, void *arg)
{
	struct watch *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->fn = fn;
	w->arg = arg;
	w->event = event_new(loop_base(l), fd, what, on_event, w);
	if (w->event && (!what || !event_add(w->event, NULL)))
		return w;
	watch_free(w);
	return NULL;
}

struct watch *watch_timer(struct loop *l, watch_fn fn, void *arg)
{
	return watch_new(l, -1, 0, fn, arg);
}

struct watch *watch_readable(struct loop *l, int fd, watch_fn fn, void *arg)
{
	return watch_new(l, fd, EV_READ | EV_PERSIST, fn, arg);
}

struct watch *watch_signal(struct loop *l, int signal, watch_fn fn, void *arg)
{
	return watch_new(l, signal, EV_SIGNAL | EV_PERSIST, fn, arg);
}

void watch_free(struct watch *w)
{
	if (w && w->event)
		event_free(w->event);
	free(w);
}

void watch_every(struct watch *w, unsigned int ms)
{
	w->again = (struct timeval){ms / 1000, ms % 1000 * 1000};
	event_add(w->event, &w->again);
}

void watch_soon(struct watch *w)
{
	static const struct timeval at_once;

	event_add(w->event, &at_once);
}
