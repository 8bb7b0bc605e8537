// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "clock.h"
#include "log.h"
#include "moment.h"
#include "sample_weights.h"
#include "syn_sources.h"

#define SECOND_MAX 2048 /* samples of one second that are kept: evenly, if there were more */

struct weighed_sample {
	struct sample sample;
	u16 service;
	u16 cpu;
};

/* What one look found. */
struct second {
	u64 from, to; /* ns */
	size_t n;
	struct weighed_sample at[SECOND_MAX];
};

/* SYNs that a CPU has counted for a service. */
struct counted {
	u64 now;
	u64 fresh; /* since the last look at it */
};

struct syn_sources {
	const struct maps *maps;
	int cpus;
	u64 when;              /* the last look; 0: none */
	struct samples *rings; /* by CPU, as last read */
	struct load *load;     /* by CPU, of one service: room to read */
	u32 *seen;             /* by CPU: samples that there ever were, at the last look */
	struct counted *syns[SYNSTILE_MAX_SERVICES]; /* by CPU; NULL: nothing counted */
	float (*sum)[SYNSTILE_MAX_SERVICES]; /* by CPU: what the samples of this look stand for */
	struct sample *sorted;               /* room for all of them */
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
	s->sum = calloc(s->cpus, sizeof(*s->sum));
	s->sorted = calloc((size_t)SOURCES_SECONDS * SECOND_MAX, sizeof(*s->sorted));
	if (s->rings && s->load && s->seen && s->sum && s->sorted)
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
	free(s->sum);
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

/* How many SYNs this service got, also since the last look at it, on each CPU. */
static void read_syns(struct syn_sources *s, u16 service)
{
	struct counted *c = s->syns[service];
	u32 key = service;
	int cpu;

	if (bpf_map_lookup_elem(s->maps->load, &key, s->load))
		memset(s->load, 0, s->cpus * sizeof(*s->load));
	if (!c)
		c = s->syns[service] = calloc(s->cpus, sizeof(*c));
	for (cpu = 0; c && cpu < s->cpus; cpu++) {
		u64 now = s->load[cpu].n[LOAD_SYNS], was = c[cpu].now;

		/* fewer than before: another service has this index */
		c[cpu] = (struct counted){.now = now, .fresh = now >= was ? now - was : now};
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
		for (cpu = 0; s->syns[i] && cpu < s->cpus; cpu++)
			any |= s->syns[i][cpu].now;
		if (!any) {
			free(s->syns[i]);
			s->syns[i] = NULL;
		}
	}
}

/* Of all services that have new samples, once each. */
static void read_counts(struct syn_sources *s)
{
	bool read[SYNSTILE_MAX_SERVICES] = {false};
	int cpu;
	u32 k;

	for (cpu = 0; cpu < s->cpus; cpu++)
		for (k = 0; k < fresh(s, cpu); k++) {
			u16 service = sample(s, cpu, k)->service;

			if (service >= SYNSTILE_MAX_SERVICES || read[service])
				continue;
			read_syns(s, service);
			read[service] = true;
		}
}

/* Keeps every `step`-th, and sums up what it keeps. */
static void take(struct syn_sources *s, struct second *sec, int cpu, u32 step)
{
	u32 number[SYNSTILE_MAX_SERVICES], weights[SAMPLES], n = fresh(s, cpu), k;

	for (k = 0; k < SYNSTILE_MAX_SERVICES; k++)
		number[k] = s->syns[k] ? (u32)s->syns[k][cpu].now : 0;
	sample_weights(&s->rings[cpu], number, weights);
	memset(s->sum[cpu], 0, sizeof(s->sum[cpu]));
	for (k = 0; k < n && sec->n < SECOND_MAX; k += step) {
		const struct syn_sample *from = sample(s, cpu, k);
		float syns = (float)weights[from - s->rings[cpu].at];

		if (from->service >= SYNSTILE_MAX_SERVICES || !s->syns[from->service])
			continue;
		s->sum[cpu][from->service] += syns;
		sec->at[sec->n++] = (struct weighed_sample){
			.sample = {from->addr, syns}, .service = from->service, .cpu = cpu};
	}
}

/* Those of one CPU and service stand for what was counted there, no less for what was left out. */
static void scale(const struct syn_sources *s, struct second *sec)
{
	size_t i;

	for (i = 0; i < sec->n; i++) {
		struct weighed_sample *w = &sec->at[i];

		w->sample.syns *=
			(float)s->syns[w->service][w->cpu].fresh / s->sum[w->cpu][w->service];
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
	sec->n = 0;
	sec->from = s->when ? s->when : now;
	sec->to = s->when = now;
	if (!s->looks)
		begin(s);
	for (cpu = 0; cpu < s->cpus; cpu++)
		all += fresh(s, cpu);
	step = all / SECOND_MAX + 1;
	read_counts(s);
	for (cpu = 0; cpu < s->cpus; cpu++) {
		take(s, sec, cpu, step);
		s->seen[cpu] = s->rings[cpu].n;
	}
	scale(s, sec);
	s->looks++;
	return 0;
}

/* ---- the top ---- */

void source_top_of(struct sample_list *samples, u64 over_ns, struct source_top *top)
{
	double seconds = (double)over_ns / NS_PER_SEC, all = 0;
	size_t i;

	for (i = 0; i < samples->n; i++)
		all += (double)samples->at[i].syns;
	top->over_ms = over_ns / NS_PER_MS;
	top->syn_rate = seconds > 0 ? (u64)(all / seconds + 0.5) : 0;
	top_sources(samples, &top->found);
}

void syn_sources_top(const struct syn_sources *s, u16 service, struct source_top *top)
{
	struct sample_list list = {.at = s->sorted};
	const struct second *sec;
	u64 over = 0;
	size_t i;

	for (sec = s->seconds; sec < s->seconds + SOURCES_SECONDS; sec++) {
		over += sec->to - sec->from;
		for (i = 0; i < sec->n; i++)
			if (!service || sec->at[i].service == service)
				list.at[list.n++] = sec->at[i].sample;
	}
	source_top_of(&list, over, top);
}
