// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "attack_json.h"
#include "datapath.h"
#include "detect.h"
#include "distinct.h"
#include "locate.h"
#include "log.h"
#include "moment.h"
#include "netlink.h"
#include "overflow.h"
#include "policy.h"

#define NAMES_NS    NS_PER_SEC       /* services are looked for so often */
#define LATELY_NS   (1 * NS_PER_SEC) /* an overflow counts for so long */
#define SLOW_NS     (JUDGE_SPAN_NS + JUDGE_LAG_NS)
#define SAMPLES_NS  NS_PER_SEC
#define BLAME_SHARE 4 /* a backlog that is not filled by one in so many did not overflow */
#define FULL        0.75

/* The present attack on a service, or the last one. */
struct attack {
	u64 since;                      /* 0: there was none yet */
	u64 syns, completed, overflows; /* as it began */
	u64 peak_rate, peak_sources;
	u64 judged[SPOOFED_ANSWERS]; /* SYNs, by what they were found to be */
	struct judgement last;
};

struct watched {
	struct service service;
	struct traffic traffic;
	struct traffic_look sum; /* as last read */
	struct source_count whole, running;
	u64 overflows, overflowed; /* of the request queue: how many, and when last */
	u64 overflows_before;      /* ... how many before it began to */
	u64 slow;                  /* when its accept queue last overflowed */
	double fill;               /* half-open connections, as a share of its backlog */
	u32 found;                 /* enum attack_reason, by the last look */
	struct attack attack;
};

struct detect {
	const struct maps *maps;
	int alarm;
	u64 names_read, policy_version;
	u64 slow; /* when an accept queue last overflowed, and it was not found which one */
	struct overflow overflow;
	bool overflow_known;
	struct detect_bounds bounds[SYNSTILE_MAX_SERVICES];
	struct watched *of[SYNSTILE_MAX_SERVICES]; /* NULL: no service */
};

struct detect *detect_new(const struct maps *m, int alarm)
{
	static const u64 built_in[SV_COUNT] = {
#define X(id, path, kind, least, most, value, help) [SV_##id] = value,
		POLICY_SERVICE_VALUES(X)
#undef X
	};
	struct detect *d = calloc(1, sizeof(*d));
	size_t i;

	if (!d)
		return NULL;
	d->maps = m;
	d->alarm = alarm;
	for (i = 0; i < SYNSTILE_MAX_SERVICES; i++)
		d->bounds[i] = (struct detect_bounds){
			.completion_below = built_in[SV_COMPLETION_ATTACK],
			.completion_from = built_in[SV_COMPLETION_RATE],
			.sources_above = built_in[SV_SOURCES_ATTACK],
			.queue_overflow = built_in[SV_QUEUE_OVERFLOW],
		};
	return d;
}

void detect_free(struct detect *d)
{
	size_t i;

	for (i = 0; d && i < SYNSTILE_MAX_SERVICES; i++)
		free(d->of[i]);
	free(d);
}

void detect_follow(struct detect *d, const struct listeners *l)
{
	u64 version = listeners_version(l);
	const struct value *v;
	u16 i;

	if (version == d->policy_version)
		return;
	d->policy_version = version;
	for (i = 1; i < SYNSTILE_MAX_SERVICES; i++) {
		v = listeners_values(l, i);
		if (v)
			d->bounds[i] = (struct detect_bounds){
				.completion_below = v[SV_COMPLETION_ATTACK].n,
				.completion_from = v[SV_COMPLETION_RATE].n,
				.sources_above = v[SV_SOURCES_ATTACK].n,
				.queue_overflow = v[SV_QUEUE_OVERFLOW].n,
			};
	}
}

/* ---- looking ---- */

/* Which services are there? */
static int read_services(struct detect *d, u64 now)
{
	static struct service all[SYNSTILE_MAX_SERVICES];
	int err = maps_services(d->maps, all);
	u32 i;

	if (err)
		return err;
	for (i = 1; i < SYNSTILE_MAX_SERVICES; i++) {
		if (!all[i].used) {
			free(d->of[i]);
			d->of[i] = NULL;
			continue;
		}
		if (!d->of[i])
			d->of[i] = calloc(1, sizeof(*d->of[i]));
		if (!d->of[i])
			return -ENOMEM;
		d->of[i]->service = all[i];
	}
	d->names_read = now;
	return 0;
}

static int read_traffic(struct detect *d, u32 i, u64 now)
{
	struct watched *w = d->of[i];
	u64 n[LOAD_KINDS];
	int err = maps_load(d->maps, i, n);

	if (err)
		return err;
	w->sum = (struct traffic_look){now, n[LOAD_SYNS], n[LOAD_COMPLETED], n[LOAD_COOKIES]};
	traffic_add(&w->traffic, &w->sum);
	return 0;
}

static struct source_count count_of(const struct distinct *registers, u32 epoch, u64 at)
{
	u64 from = at >> HLL_EPOCH_SHIFT << HLL_EPOCH_SHIFT;

	return (struct source_count){.from = from,
				     .to = from + (1ULL << HLL_EPOCH_SHIFT),
				     .n = (u64)distinct_estimate(registers, epoch)};
}

static int read_sources(struct detect *d, u32 i, u64 now)
{
	struct watched *w = d->of[i];
	struct distinct registers;
	u32 epoch = hll_epoch(now);
	int err = maps_distinct(d->maps, i, &registers);

	if (err)
		return err;
	w->whole = count_of(&registers, epoch - 1, now - (1ULL << HLL_EPOCH_SHIFT));
	w->running = count_of(&registers, epoch, now);
	w->running.to = now;
	return 0;
}

static u64 sources_of(const struct watched *w)
{
	return w->whole.n > w->running.n ? w->whole.n : w->running.n;
}

/* ---- the kernel's queues ---- */

/* Is `a` rather the one than `b` (NULL: none so far)? Of two full ones, to which more SYNs come. */
static bool is_fuller(const struct watched *a, const struct watched *b)
{
	if (a->fill < (b ? b->fill : 1.0 / BLAME_SHARE) && a->fill < FULL)
		return false;
	return !b || b->fill < FULL || traffic_rate(&a->traffic) > traffic_rate(&b->traffic);
}

/* See detect.h. NULL: none. */
static struct watched *fullest(struct detect *d)
{
	static struct pressure all[SYNSTILE_MAX_SERVICES];
	struct watched *most = NULL, *w;
	u32 i;

	if (maps_pressures(d->maps, all))
		return NULL;
	for (i = 1; i < SYNSTILE_MAX_SERVICES; i++) {
		w = d->of[i];
		if (!w || !w->service.backlog || all[i].half_open <= 0)
			continue;
		w->fill = (double)all[i].half_open / w->service.backlog;
		if (is_fuller(w, most))
			most = w;
	}
	return most;
}

static u64 requests_refused(const struct overflow *o)
{
	return o->request_dropped + o->request_cookies;
}

struct slow_search {
	struct detect *d;
	struct locator locator;
	u64 now;
	bool found;
};

/* 0: it is not protected. -ENOENT: it is, but as what? */
static int service_of(struct slow_search *s, const struct tcp_socket *sk)
{
	const struct flow_key key = {.local = sk->local, .local_port = sk->local_port};
	struct port_entry port = {0};
	int service;

	if (maps_port(s->d->maps, ntohs(sk->local_port), &port) || !(port.flags & PORT_ANY))
		return 0;
	service = addr_is_any(&sk->local) ? port.quick.service[s->locator.slot]
					  : locate(&s->locator, &key);
	return service && service < SYNSTILE_MAX_SERVICES && s->d->of[service] ? service : -ENOENT;
}

/* One that has been full a moment ago. */
static int on_listening(const struct tcp_socket *sk, void *arg)
{
	struct slow_search *s = arg;
	int service;

	if (sk->waiting * 2 < sk->backlog)
		return 0;
	s->found = true;
	service = service_of(s, sk);
	if (service > 0)
		s->d->of[service]->slow = s->now;
	else if (service < 0)
		s->d->slow = s->now;
	return 0;
}

static int find_slow(struct detect *d, u64 now)
{
	struct slow_search s = {.d = d, .now = now};
	int err;

	locator_begin(&s.locator, d->maps);
	err = netlink_sockets(1 << TCP_LISTEN, on_listening, &s);
	if (!err && !s.found)
		d->slow = now;
	return err;
}

static int read_overflow(struct detect *d, u64 now)
{
	struct overflow o, was = d->overflow;
	struct watched *w;
	int err = overflow_read(&o);

	if (err)
		return err;
	d->overflow = o;
	if (!d->overflow_known) {
		d->overflow_known = true;
		return 0;
	}
	if (o.accept > was.accept)
		err = find_slow(d, now);
	w = requests_refused(&o) > requests_refused(&was) ? fullest(d) : NULL;
	if (w) {
		if (elapsed(now, w->overflowed) >= LATELY_NS)
			w->overflows_before = w->overflows;
		w->overflowed = now;
		w->overflows += requests_refused(&o) - requests_refused(&was);
	}
	return err;
}

/* Lately. */
static bool is_slow(u64 last, u64 now)
{
	return last && elapsed(now, last) < SLOW_NS;
}

/* ---- findings ---- */

static bool is_overflowing(const struct watched *w, u64 now)
{
	return w->overflowed && elapsed(now, w->overflowed) < LATELY_NS;
}

static struct circumstances circumstances_of(const struct detect *d, const struct watched *w,
					     u64 now)
{
	return (struct circumstances){
		.traffic = &w->traffic,
		.now = now,
		.whole = w->whole,
		.running = w->running,
		.overflowed = is_overflowing(w, now),
		.server_slow = is_slow(d->slow, now) || is_slow(w->slow, now),
	};
}

/* The sketch is large: it is not read if so few SYNs cannot be from too many sources. */
static bool sources_matter(const struct detect *d, u32 i)
{
	const struct traffic *t = &d->of[i]->traffic;
	u64 end = traffic_end(t), all = traffic_between(t, end - 2 * NS_PER_SEC, end).syns;

	return d->bounds[i].sources_above && all > d->bounds[i].sources_above;
}

static int look_at(struct detect *d, u32 i, u64 now)
{
	struct watched *w = d->of[i];
	struct circumstances c;
	int err = read_traffic(d, i, now);

	w->whole = w->running = (struct source_count){0};
	if (!err && sources_matter(d, i))
		err = read_sources(d, i, now);
	if (err)
		return err;
	c = circumstances_of(d, w, now);
	w->found = judge_reasons(&c, &d->bounds[i]);
	return w->found ? datapath_alarm(d->alarm, i, w->found) : 0;
}

int detect_look(struct detect *d)
{
	u64 now = monotonic_now();
	int err = 0;
	u32 i;

	if (!d->names_read || elapsed(now, d->names_read) >= NAMES_NS)
		err = read_services(d, now);
	if (!err)
		err = read_overflow(d, now);
	for (i = 1; !err && i < SYNSTILE_MAX_SERVICES; i++)
		if (d->of[i])
			err = look_at(d, i, now);
	return err;
}

static struct watched *watched_at(struct detect *d, u16 service)
{
	return service < SYNSTILE_MAX_SERVICES ? d->of[service] : NULL;
}

void detect_look_again(struct detect *d, u16 service)
{
	u64 now = monotonic_now();

	if (watched_at(d, service) &&
	    elapsed(now, traffic_end(&d->of[service]->traffic)) >= TRAFFIC_LOOK_NS)
		read_traffic(d, service, now);
}

/* ---- attacks ---- */

static void on_sample(const struct syn_sample *s, u32 syns, void *arg)
{
	sample_list_add(arg, &s->addr, (float)syns);
}

static void read_samples(struct detect *d, u16 service, u64 since, struct top_sources *top)
{
	struct sample_list list = {0};

	if (maps_samples(d->maps, service, since, on_sample, &list))
		debug("cannot read the samples");
	top_sources(&list, top);
	sample_list_free(&list);
}

/* Another one than before? */
static void begin_attack(struct watched *w, u64 since)
{
	struct traffic_sum until;

	if (w->attack.since == since)
		return;
	until = traffic_between(&w->traffic, since, traffic_end(&w->traffic));
	w->attack = (struct attack){
		.since = since,
		.syns = w->sum.syns - until.syns,
		.completed = w->sum.completed - until.completed,
		/* it may be what began it */
		.overflows = is_overflowing(w, since) ? w->overflows_before : w->overflows,
	};
}

static u64 rate_since(const struct watched *w, u64 since)
{
	u64 end = traffic_end(&w->traffic);

	if (elapsed(end, since) >= NS_PER_SEC || elapsed(end, since) < TRAFFIC_LOOK_NS)
		return traffic_rate(&w->traffic);
	return traffic_between(&w->traffic, since, end).syns * 1000 / ((end - since) / NS_PER_MS);
}

/* What most of its SYNs were found to be. */
static enum spoofed verdict_of(const struct attack *a)
{
	enum spoofed most = SPOOFED_UNKNOWN, i;

	for (i = SPOOFED_NO; i < SPOOFED_ANSWERS; i++)
		if (a->judged[i] > a->judged[most])
			most = i;
	return most;
}

static void judge_now(struct detect *d, struct watched *w, u64 now, struct attack_facts *f)
{
	const struct sampled s = {f->top.worth, f->top.few, f->top.fullest};
	struct circumstances c = circumstances_of(d, w, now);
	struct judgement j = judge_spoofed(&c, &s, w->attack.since);

	w->attack.last = j;
	f->spoofed = j.spoofed;
	f->why = j.why;
	if (f->completion < 0)
		f->completion = j.completion;
}

/* Figures of now, and of the attack so far. */
static void read_facts(struct detect *d, u16 service, u64 now, struct attack_facts *f)
{
	struct watched *w = d->of[service];
	struct attack *a = &w->attack;
	u64 recent = elapsed(now, SAMPLES_NS);

	if (read_sources(d, service, now))
		debug("cannot read the sketch of sources");
	*f = (struct attack_facts){
		.syn_rate = rate_since(w, a->since),
		.syns = elapsed(w->sum.syns, a->syns),
		.completed = elapsed(w->sum.completed, a->completed),
		.completion = judge_completion(&w->traffic, now),
		.sources = sources_of(w),
		.overflows = elapsed(w->overflows, a->overflows),
		.bounds = d->bounds[service],
	};
	if (f->syn_rate > a->peak_rate)
		a->peak_rate = f->syn_rate;
	if (f->sources > a->peak_sources)
		a->peak_sources = f->sources;
	f->peak_rate = a->peak_rate;
	read_samples(d, service, recent > a->since ? recent : a->since, &f->top);
	judge_now(d, w, now, f);
}

/* All of it. */
static void conclude(const struct watched *w, struct attack_facts *f)
{
	const struct attack *a = &w->attack;

	f->sources = a->peak_sources;
	f->completion = !f->syns                  ? -1
			: f->completed >= f->syns ? 100
						  : (int)(f->completed * 100 / f->syns);
	f->spoofed = verdict_of(a);
	f->why = "what most of its SYNs were found to be";
}

/* All bounds that were reached since it began: while its first event was held, others may have
 * followed. */
static u32 reasons_met(const struct detect *d, u16 service, u64 since)
{
	struct pressure p;

	return maps_pressure(d->maps, service, &p) || p.since != since ? 0 : p.reasons;
}

void detect_facts(struct detect *d, const struct event *e, struct attack_facts *f)
{
	struct watched *w = watched_at(d, e->service);
	u64 since =
		e->type == EVENT_ATTACK_END ? elapsed(e->time, e->attack.since) : e->attack.since;
	u64 now = monotonic_now();

	*f = (struct attack_facts){.reasons = e->attack.reasons, .completion = -1};
	if (!w)
		return;
	detect_look_again(d, e->service);
	/* the end says how long it lasted, to the ms */
	if (e->type != EVENT_ATTACK_END || !w->attack.since)
		begin_attack(w, since);
	read_facts(d, e->service, now, f);
	f->reasons = e->attack.reasons;
	if (e->type == EVENT_ATTACK_START)
		f->reasons |= reasons_met(d, e->service, since);
	/* in its hold time, what comes is no attack any more */
	if (e->type != EVENT_ATTACK_END && f->reasons)
		w->attack.judged[f->spoofed] += w->attack.last.syns;
	else
		conclude(w, f);
}

/* ---- what is known now ---- */

static json_t *present_attack(struct detect *d, u16 i, const struct pressure *p)
{
	struct moment now = moment_now();
	char since[TIMESTAMP_SIZE];
	struct attack_facts f;
	json_t *j;

	begin_attack(d->of[i], p->since);
	read_facts(d, i, now.monotonic, &f);
	j = json_pack("{s:s, s:I, s:o}", "since", moment_timestamp(&now, p->since, since),
		      "duration_ms", (json_int_t)moment_ms_since(&now, p->since), "reasons",
		      reasons_json(p->reasons));
	json_object_update_new(j, attack_json(&f));
	return j;
}

json_t *detect_attack_json(struct detect *d, u16 service)
{
	struct pressure p;

	if (!watched_at(d, service) || maps_pressure(d->maps, service, &p) ||
	    p.state != PRESSURE_ATTACK)
		return NULL;
	detect_look_again(d, service);
	return present_attack(d, service, &p);
}

static json_t *service_json(struct detect *d, u16 i)
{
	struct watched *w = d->of[i];
	struct pressure p = {0};
	bool attacked;
	json_t *j;

	if (maps_pressure(d->maps, i, &p))
		debug("cannot read the pressure");
	attacked = p.state == PRESSURE_ATTACK;
	detect_look_again(d, i);
	j = json_pack("{s:s, s:i, s:s, s:I, s:I}", "service", w->service.name, "port",
		      ntohs(w->service.port), "state", attacked ? "attack" : "calm", "half_open",
		      (json_int_t)(p.half_open > 0 ? p.half_open : 0), "syn_rate",
		      (json_int_t)traffic_rate(&w->traffic));
	if (attacked)
		json_object_update_new(j, present_attack(d, i, &p));
	return j;
}

size_t detect_attacked(const struct detect *d, char *names, size_t size)
{
	struct pressure p;
	size_t i, n = 0, used = 0;

	names[0] = 0;
	for (i = 1; i < SYNSTILE_MAX_SERVICES; i++) {
		if (!d->of[i] || maps_pressure(d->maps, i, &p) || p.state != PRESSURE_ATTACK)
			continue;
		if (used < size)
			used += snprintf(names + used, size - used, "%s%s", n ? ", " : "",
					 d->of[i]->service.name);
		n++;
	}
	return n;
}

json_t *detect_json(struct detect *d)
{
	json_t *list = json_array();
	u32 i;

	for (i = 1; i < SYNSTILE_MAX_SERVICES; i++)
		if (d->of[i])
			json_array_append_new(list, service_json(d, i));
	return json_pack("{s:o}", "services", list);
}
