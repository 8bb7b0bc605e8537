// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "clock.h"
#include "log.h"
#include "moment.h"
#include "syn_sources.h"

#define SECOND_MAX 2048 /* samples of one second that are kept: evenly, if there were more */

/* What one look found. */
struct second {
	u64 from, to; /* ns */
	size_t n;
	struct weighed_sample at[SECOND_MAX];
};

struct syn_sources {
	const struct maps *maps;
	int cpus;
	u64 when;              /* the last look; 0: none */
	struct samples *rings; /* by CPU, as last read */
	struct load *load;     /* by CPU, of one service: room to read */
	u32 *seen;             /* by CPU: samples that there ever were, at the last look */
	u64 *syns[SYNSTILE_MAX_SERVICES]; /* by CPU: counted then; NULL: none */
	u32 (*n)[SYNSTILE_MAX_SERVICES];  /* by CPU: samples of this second that are kept */
	struct weighed_sample *sorted;    /* room for all of them */
	size_t looks;
	struct second seconds[SOURCES_SECONDS];
};

struct syn_sources *syn_sources_new(const struct maps *m)
{
	struct syn_sources *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->maps = m;
	s->cpus = libbpf_num_possible_cpus();
	if (s->cpus < 1) {
		free(s);
		return NULL;
	}
	s->rings = calloc(s->cpus, sizeof(*s->rings));
	s->load = calloc(s->cpus, sizeof(*s->load));
	s->seen = calloc(s->cpus, sizeof(*s->seen));
	s->n = calloc(s->cpus, sizeof(*s->n));
	s->sorted = calloc((size_t)SOURCES_SECONDS * SECOND_MAX, sizeof(*s->sorted));
	if (s->rings && s->load && s->seen && s->n && s->sorted)
		return s;
	syn_sources_free(s);
	return NULL;
}

void syn_sources_free(struct syn_sources *s)
{
	size_t i;

	if (!s)
		return;
	for (i = 0; i < SYNSTILE_MAX_SERVICES; i++)
		free(s->syns[i]);
	free(s->rings);
	free(s->load);
	free(s->seen);
	free(s->n);
	free(s->sorted);
	free(s);
}

/* ---- a look ---- */

/* How many are new in this CPU's ring. */
static u32 fresh(const struct syn_sources *s, int cpu)
{
	u32 n = s->rings[cpu].n - s->seen[cpu];

	return n < SAMPLES ? n : SAMPLES;
}

/* The k-th sample from the newest. */
static const struct syn_sample *sample(const struct syn_sources *s, int cpu, u32 k)
{
	return &s->rings[cpu].at[(s->rings[cpu].n - 1 - k) % SAMPLES];
}

/* How many SYNs this service got since the last look at it, on each CPU, into s->load[]. */
static void read_syns(struct syn_sources *s, u16 service)
{
	u64 *before = s->syns[service];
	u32 key = service;
	int cpu;

	if (bpf_map_lookup_elem(s->maps->load, &key, s->load))
		memset(s->load, 0, s->cpus * sizeof(*s->load));
	if (!before)
		before = s->syns[service] = calloc(s->cpus, sizeof(*before));
	for (cpu = 0; before && cpu < s->cpus; cpu++) {
		u64 now = s->load[cpu].n[LOAD_SYNS], was = before[cpu];

		before[cpu] = now;
		/* fewer than before: another service has this index */
		s->load[cpu].n[LOAD_SYNS] = now >= was ? now - was : now;
	}
}

/* What came before the first look is of nobody knows when. A service without a count then had
 * none. */
static void begin(struct syn_sources *s)
{
	int cpu;
	u16 i;

	for (cpu = 0; cpu < s->cpus; cpu++)
		s->seen[cpu] = s->rings[cpu].n;
	for (i = 1; i < SYNSTILE_MAX_SERVICES; i++) {
		u64 any = 0;

		read_syns(s, i);
		for (cpu = 0; cpu < s->cpus; cpu++)
			any |= s->load[cpu].n[LOAD_SYNS];
		if (!any) {
			free(s->syns[i]);
			s->syns[i] = NULL;
		}
	}
}

/* Keeps every `step`-th, and counts what it keeps. */
static void take(struct syn_sources *s, struct second *sec, int cpu, u32 step)
{
	u32 n = fresh(s, cpu), k;

	for (k = 0; k < n && sec->n < SECOND_MAX; k += step) {
		const struct syn_sample *from = sample(s, cpu, k);

		if (from->service >= SYNSTILE_MAX_SERVICES)
			continue;
		s->n[cpu][from->service]++;
		sec->at[sec->n++] = (struct weighed_sample){
			.addr = from->addr, .service = from->service, .cpu = cpu};
	}
}

static int compare_services(const void *l, const void *r)
{
	const struct weighed_sample *a = l, *b = r;

	return (int)a->service - (int)b->service;
}

/* What each stands for. */
static void weigh(struct syn_sources *s, struct second *sec)
{
	u16 service = 0;
	size_t i;

	qsort(sec->at, sec->n, sizeof(*sec->at), compare_services);
	for (i = 0; i < sec->n; i++) {
		struct weighed_sample *w = &sec->at[i];

		if (!i || w->service != service)
			read_syns(s, w->service);
		service = w->service;
		w->syns = (float)s->load[w->cpu].n[LOAD_SYNS] / s->n[w->cpu][service];
	}
}

int syn_sources_look(struct syn_sources *s)
{
	struct second *sec = &s->seconds[s->looks % SOURCES_SECONDS];
	u64 now = monotonic_now();
	u32 key = 0, all = 0, step;
	int cpu;

	if (bpf_map_lookup_elem(s->maps->samples, &key, s->rings))
		return fail(errno, "cannot read the samples: %s", strerror(errno));
	memset(s->n, 0, s->cpus * sizeof(*s->n));
	sec->n = 0;
	sec->from = s->when ? s->when : now;
	sec->to = s->when = now;
	if (!s->looks)
		begin(s);
	for (cpu = 0; cpu < s->cpus; cpu++)
		all += fresh(s, cpu);
	step = all / SECOND_MAX + 1;
	for (cpu = 0; cpu < s->cpus; cpu++) {
		take(s, sec, cpu, step);
		s->seen[cpu] = s->rings[cpu].n;
	}
	weigh(s, sec);
	s->looks++;
	return 0;
}

/* ---- the top ---- */

static int compare_addrs(const void *l, const void *r)
{
	const struct weighed_sample *a = l, *b = r;

	return memcmp(&a->addr, &b->addr, sizeof(a->addr));
}

static void insert(struct source_top *top, size_t max, const struct source_share *new)
{
	size_t i;

	if (!max || (top->n == max && top->top[max - 1].share >= new->share))
		return;
	top->n += top->n < max;
	for (i = top->n - 1; i > 0 && top->top[i - 1].share < new->share; i--)
		top->top[i] = top->top[i - 1];
	top->top[i] = *new;
}

void source_top_of(struct weighed_sample *samples, size_t n, u64 over_ns, size_t max,
		   struct source_top *top)
{
	double seconds = (double)over_ns / NS_PER_SEC, all = 0, syns;
	struct source_share one;
	size_t i, end;

	*top = (struct source_top){.over_ms = over_ns / NS_PER_MS, .samples = n};
	max = max < SOURCES_TOP ? max : SOURCES_TOP;
	qsort(samples, n, sizeof(*samples), compare_addrs);
	for (i = 0; i < n; i++)
		all += samples[i].syns;
	top->syn_rate = seconds > 0 ? (u64)(all / seconds + 0.5) : 0;
	for (i = 0; i < n; i = end) {
		one = (struct source_share){.prefix = top_prefix_of(&samples[i].addr)};
		syns = 0;
		for (end = i; end < n &&
			      !memcmp(&samples[end].addr, &one.prefix.prefix, one.prefix.bits / 8);
		     end++)
			syns += samples[end].syns;
		one.prefix.n = end - i;
		one.share = all > 0 ? syns / all : 0;
		one.syn_rate = seconds > 0 ? (u64)(syns / seconds + 0.5) : 0;
		if (one.prefix.n >= TOP_LEAST && one.share * 100 >= TOP_PERCENT)
			insert(top, max, &one);
	}
}

void syn_sources_top(const struct syn_sources *s, u16 service, size_t max, struct source_top *top)
{
	const struct second *sec;
	u64 over = 0;
	size_t n = 0, i;

	for (sec = s->seconds; sec < s->seconds + SOURCES_SECONDS; sec++) {
		over += sec->to - sec->from;
		for (i = 0; i < sec->n; i++)
			if (!service || sec->at[i].service == service)
				s->sorted[n++] = sec->at[i];
	}
	source_top_of(s->sorted, n, over, max, top);
}
