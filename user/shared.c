// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>

#include <event2/buffer.h>

#include "shared.h"

struct shared {
	size_t *total;
	size_t n;
	unsigned int refs;
	char data[];
};

struct shared *shared_new(struct evbuffer *from, size_t *total)
{
	size_t n = evbuffer_get_length(from);
	struct shared *s = malloc(sizeof(*s) + n);

	if (!s)
		return NULL;
	*s = (struct shared){.total = total, .n = n, .refs = 1};
	evbuffer_remove(from, s->data, n);
	*total += n;
	return s;
}

size_t shared_size(const struct shared *s)
{
	return s->n;
}

void shared_put(struct shared *s)
{
	if (!s || --s->refs)
		return;
	*s->total -= s->n;
	free(s);
}

static void on_sent(const void *data, size_t n, void *arg)
{
	(void)data;
	(void)n;
	shared_put(arg);
}

int shared_add(struct shared *s, struct evbuffer *to)
{
	if (evbuffer_add_reference(to, s->data, s->n, on_sent, s))
		return -1;
	s->refs++;
	return 0;
}
