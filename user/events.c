// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "events.h"
#include "log.h"

#define TURN_MAX 512 /* events: about what is written at once to one who reads them all */
#define IDLE_MS  250
#define BUSY_MS  20

struct events {
	struct events_to to;
	struct ring_buffer *ring;
	struct watch *tick, *wakeup, *more;
	unsigned int left; /* of this turn */
	bool hurry;
};

static int on_sample(void *arg, void *data, size_t size)
{
	struct events *ev = arg;
	const struct event *e = data;

	if (size >= sizeof(*e) && e->type < EVENT_COUNT)
		ev->to.event(e, ev->to.arg);
	return --ev->left ? 0 : -EAGAIN; /* libbpf then stops after this one */
}

/* True if it did not get to the end. */
static bool turn(struct events *ev)
{
	ev->left = TURN_MAX;
	ev->to.begin(ev->to.arg);
	ring_buffer__consume(ev->ring);
	ev->to.end(ev->to.arg);
	return !ev->left;
}

static void on_turn(void *arg)
{
	struct events *ev = arg;

	if (turn(ev))
		watch_soon(ev->more);
}

void events_look(struct events *ev, unsigned int max)
{
	unsigned int n = 0;

	while (turn(ev) && n < max)
		n += TURN_MAX;
}

void events_hurry(struct events *ev, bool hurry)
{
	if (hurry == ev->hurry)
		return;
	ev->hurry = hurry;
	watch_every(ev->tick, hurry ? BUSY_MS : IDLE_MS);
}

void events_free(struct events *ev)
{
	if (!ev)
		return;
	watch_free(ev->tick);
	watch_free(ev->wakeup);
	watch_free(ev->more);
	ring_buffer__free(ev->ring);
	free(ev);
}

struct events *events_new(struct loop *l, int ring, const struct events_to *to)
{
	struct events *ev = calloc(1, sizeof(*ev));

	if (!ev)
		return NULL;
	ev->to = *to;
	ev->ring = ring_buffer__new(ring, on_sample, ev, NULL);
	if (!ev->ring) {
		fail(errno, "cannot read the ring buffer of events: %s", strerror(errno));
		free(ev);
		return NULL;
	}
	ev->tick = watch_timer(l, on_turn, ev);
	ev->more = watch_timer(l, on_turn, ev);
	ev->wakeup = watch_readable(l, ring_buffer__epoll_fd(ev->ring), on_turn, ev);
	if (!ev->tick || !ev->more || !ev->wakeup) {
		events_free(ev);
		return NULL;
	}
	watch_every(ev->tick, IDLE_MS);
	return ev;
}
