// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "conn_json.h"
#include "half_open.h"
#include "half_open_list.h"
#include "log.h"
#include "moment.h"

#define LASTING_NS (1 * NS_PER_SEC) /* a difference that lasts longer is one */
#define WALK_NS    (15 * NS_PER_MS) /* at a time: events wait for us */
#define COST       50               /* one part of the time in so many is ours */
#define LATELY_NS  (5 * NS_PER_SEC)
#define CALM_NS    (5 * NS_PER_SEC) /* without a difference: it is over */

/* A connection that only one of both has. */
struct doubt {
	struct flow_key key;
	u64 opened; /* 0: the kernel has it, and there is no record */
	u64 since;  /* when it was first found to be so */
};

/* What is known of one service. */
struct standing {
	struct census ours;
	u32 kernel;
	struct half_open_tally lasting; /* what differs for longer than LASTING_NS */
	u64 since;                      /* the first of them; 0: none */
	u64 last;                       /* when there last was one */
	u64 said;                       /* since when, in a warning that still holds; 0: none */
	char why[512];
};

struct half_open {
	const struct maps *maps;
	struct half_open_list *list;
	struct service_names names;
	struct standing of[SYNSTILE_MAX_SERVICES];
	struct doubt *doubts; /* by key */
	size_t n_doubts;
	bool walking;
	u64 counted, checked, next; /* monotonic ns */
};

struct half_open *half_open_new(const struct maps *m)
{
	struct half_open *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->maps = m;
	h->list = half_open_list_new(m);
	if (!h->list) {
		free(h);
		return NULL;
	}
	return h;
}

void half_open_free(struct half_open *h)
{
	if (!h)
		return;
	half_open_list_free(h->list);
	free(h->doubts);
	free(h);
}

static u32 half_open_of(const struct census *c)
{
	return c->unanswered + c->answered;
}

/* ---- the numbers ---- */

/* Sets *differ if those of any service do. */
static int count(struct half_open *h, bool *differ)
{
	u32 kernel[SYNSTILE_MAX_SERVICES], i;
	int err = half_open_count_kernel(h->list, kernel);

	*differ = false;
	service_names_read(&h->names, h->maps);
	for (i = 1; !err && i < SYNSTILE_MAX_SERVICES; i++) {
		struct standing *s = &h->of[i];

		if (!service_name(&h->names, i))
			continue;
		err = maps_census(h->maps, i, &s->ours);
		s->kernel = kernel[i];
		*differ |= half_open_of(&s->ours) != s->kernel;
	}
	if (!err)
		h->counted = monotonic_now();
	return err;
}

/* ---- connection by connection ---- */

static int compare(const void *a, const void *b)
{
	const struct doubt *x = a, *y = b;

	return memcmp(&x->key, &y->key, sizeof(x->key));
}

/* The entry is in one list only: since when? */
static u64 doubted_since(const struct half_open *h, const struct doubt *new)
{
	const struct doubt *old;

	old = h->n_doubts ? bsearch(new, h->doubts, h->n_doubts, sizeof(*new), compare) : NULL;
	return old && old->opened == new->opened ? old->since : new->since;
}

static void note_lasting(struct half_open *h, const struct half_open_entry *e, u64 since)
{
	struct standing *s = &h->of[e->conn.flow.service];

	half_open_count(&s->lasting, e);
	if (!s->since || since < s->since)
		s->since = since;
}

static void forget_lasting(struct half_open *h)
{
	struct standing *s;

	for (s = h->of; s < h->of + SYNSTILE_MAX_SERVICES; s++) {
		s->lasting = (struct half_open_tally){0};
		s->since = 0;
	}
}

/* A socket whose last wait is nearly over: the kernel's timers may be late by an eighth
 * (kernel/time/timer.c), the sweep by a second. */
static bool is_ending(const struct half_open_entry *e)
{
	return e->why == WHY_LATE && e->socket.expires_ms < 4000;
}

/* Makes doubts of the list's differences. What the host opens is not the concern here: a program
 * may give up at any time. */
static int take_doubts(struct half_open *h)
{
	const struct half_open_entries *found = &h->list->found;
	struct doubt *new = calloc(found->n + 1, sizeof(*new));
	u64 now = monotonic_now();
	size_t i, n = 0;

	if (!new)
		return -ENOMEM;
	forget_lasting(h);
	for (i = 0; i < found->n; i++) {
		const struct half_open_entry *e = &found->at[i];

		if (e->why == WHY_BOTH || !e->conn.flow.service || is_ending(e))
			continue;
		new[n] = (struct doubt){e->conn.key, e->conn.flow.opened, now};
		new[n].since = doubted_since(h, &new[n]);
		if (now - new[n].since >= LASTING_NS)
			note_lasting(h, e, new[n].since);
		n++;
	}
	free(h->doubts);
	h->doubts = new;
	h->n_doubts = n;
	return 0;
}

static int look(struct half_open *h)
{
	int done = half_open_walk(h->list, WALK_NS), err;

	h->walking = !done;
	if (done <= 0)
		return done;
	err = half_open_compare(h->list);
	return err ? err : take_doubts(h);
}

/* ---- saying so ---- */

static void say(struct standing *s, const char *name, bool alarming, u64 now)
{
	const struct half_open_tally *t = &s->lasting;

	if (s->since)
		s->last = now;
	if (s->said && !s->since && elapsed(now, s->last) > CALM_NS) {
		warn("service %s: synstile and the kernel agree again on the half-open connections "
		     "(they differed for %llu s)",
		     name, elapsed(s->last, s->said) / NS_PER_SEC);
		s->said = 0;
	}
	if (s->said || !alarming)
		return;
	s->said = s->since;
	warn("service %s: synstile and the kernel disagree on the half-open connections: %u that "
	     "only synstile has, %u that only the kernel has. %s. `synstile conns --half-open` "
	     "shows them",
	     name, half_open_only_here(t), half_open_only_kernel(t), s->why);
}

static void conclude(struct half_open *h, u64 now)
{
	u32 i;

	for (i = 1; i < SYNSTILE_MAX_SERVICES; i++) {
		struct standing *s = &h->of[i];
		struct half_open_tally t = s->lasting;
		bool alarming;

		if (!service_name(&h->names, i))
			continue;
		t.kernel = s->kernel; /* all, to compare with the backlog */
		alarming = half_open_words(&t, h->names.of[i].port, s->why, sizeof(s->why));
		say(s, service_name(&h->names, i), alarming, now);
	}
}

int half_open_check(struct half_open *h)
{
	u64 now = monotonic_now(), began = cpu_now();
	bool differ;
	int err;

	if (now < h->next)
		return 0;
	err = count(h, &differ);
	if (!err && (differ || h->walking || h->n_doubts))
		err = look(h);
	if (!err)
		conclude(h, now);
	h->checked = now;
	/* our own work: that others kept the CPU busy is no reason to look less often */
	h->next = now + (cpu_now() - began) * COST;
	return err;
}

u32 half_open_kernel(const struct half_open *h, u16 service)
{
	if (!h->counted || elapsed(monotonic_now(), h->counted) > LATELY_NS)
		return UINT32_MAX;
	/* one that was not there then has none that were counted */
	return service_name(&h->names, service) ? h->of[service].kernel : UINT32_MAX;
}

json_t *half_open_json(const struct half_open *h)
{
	json_t *services = json_array();
	u64 now = monotonic_now();
	u32 i;

	for (i = 1; i < SYNSTILE_MAX_SERVICES; i++) {
		const struct standing *s = &h->of[i];
		u64 differs = s->since ? elapsed(now, s->since) / NS_PER_MS : 0;

		if (!service_name(&h->names, i))
			continue;
		json_array_append_new(
			services,
			json_pack("{s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:s?}", "service",
				  service_name(&h->names, i), "port", ntohs(h->names.of[i].port),
				  "half_open", (json_int_t)half_open_of(&s->ours), "answered",
				  (json_int_t)s->ours.answered, "kernel", (json_int_t)s->kernel,
				  "only_synstile", (json_int_t)half_open_only_here(&s->lasting),
				  "only_kernel", (json_int_t)half_open_only_kernel(&s->lasting),
				  "differs_ms", (json_int_t)differs, "why",
				  s->why[0] ? s->why : NULL));
	}
	return json_pack("{s:o, s:o}", "services", services, "checked_ms_ago",
			 h->checked ? json_integer(elapsed(now, h->checked) / NS_PER_MS)
				    : json_null());
}
