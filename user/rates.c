// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "datapath.h"
#include "log.h"
#include "moment.h"
#include "rates.h"

/* A service over its looks. */
struct course {
	u64 sum[LOAD_KINDS]; /* by the last look at it */
	u64 per_s[LOAD_KINDS];
	char name[SERVICE_NAME_SIZE];
	u32 life;
	bool known; /* sum is this service's */
	bool there; /* at the last look */
	bool rated; /* per_s holds */
};

struct rates {
	const struct maps *maps;
	const struct instance *in;
	const struct state *st;
	const struct half_open *half_open;
	u64 when; /* the last look; 0: none */
	u16 end;
	struct course of[SYNSTILE_MAX_SERVICES]; /* index RATES_ALL: all together */
	struct verdict_rate verdicts[SYNSTILE_COUNTERS];
	u64 dropped;
	/* as the maps have it */
	struct service services[SYNSTILE_MAX_SERVICES];
	struct pressure pressure[SYNSTILE_MAX_SERVICES];
	struct census census[SYNSTILE_MAX_SERVICES];
	u64 loads[SYNSTILE_MAX_SERVICES][LOAD_KINDS];
};

static const bool drops[V_COUNT] = {
#define PASS                      false
#define REPLY                     false
#define DROP                      true
#define X(id, action, name, help) [V_##id] = action,
	SYNSTILE_VERDICTS(X)
#undef X
#undef PASS
#undef REPLY
#undef DROP
};

struct rates *rates_new(const struct maps *m, const struct instance *in, const struct state *st,
			const struct half_open *h)
{
	struct rates *r = calloc(1, sizeof(*r));

	if (r) {
		r->maps = m;
		r->in = in;
		r->st = st;
		r->half_open = h;
	}
	return r;
}

void rates_free(struct rates *r)
{
	free(r);
}

static u64 per_second(u64 n, u64 ns)
{
	return ns ? (u64)((double)n * NS_PER_SEC / ns + 0.5) : 0;
}

/* ---- services ---- */

static bool fell(const u64 *now, const u64 *before)
{
	int k;

	for (k = 0; k < LOAD_KINDS; k++)
		if (now[k] < before[k])
			return true;
	return false;
}

/* Is the index another service's than at the last look? One that is only renamed was there all the
 * time, and counts on. */
static bool is_another(const struct course *c, const u64 *now, const char *name)
{
	return fell(now, c->sum) || (!c->there && strcmp(c->name, name));
}

/* `ns` since the last look, 0: there was none. What came meanwhile goes to `all` too. Counts of a
 * new service begin with 0 (listeners.c). */
static void follow(struct course *c, const struct service *s, const u64 *now, u64 ns,
		   struct course *all)
{
	int k;

	if (c->known && is_another(c, now, s->name)) {
		c->known = false;
		c->life++;
	}
	c->rated = ns && (c->there || !c->known);
	for (k = 0; k < LOAD_KINDS; k++) {
		u64 new = c->known ? now[k] - c->sum[k] : now[k];

		c->per_s[k] = c->rated ? per_second(new, ns) : 0;
		all->per_s[k] += c->rated ? new : 0;
		all->sum[k] += new;
	}
	memcpy(c->sum, now, sizeof(c->sum));
	memcpy(c->name, s->name, sizeof(c->name));
	c->known = c->there = true;
}

static void follow_all(struct rates *r, u64 ns)
{
	struct course *all = &r->of[RATES_ALL];
	u16 i;
	int k;

	memset(all->per_s, 0, sizeof(all->per_s));
	for (i = 1; i < SYNSTILE_MAX_SERVICES; i++) {
		if (i < r->end && r->services[i].used)
			follow(&r->of[i], &r->services[i], r->loads[i], ns, all);
		else
			r->of[i].there = false;
	}
	for (k = 0; k < LOAD_KINDS; k++)
		all->per_s[k] = per_second(all->per_s[k], ns);
	all->rated = ns;
}

static int look_at_services(struct rates *r, u64 ns)
{
	int err = maps_services(r->maps, r->services);
	u16 i;

	if (err)
		return fail(-err, "cannot read the services: %s", strerror(-err));
	r->end = 1;
	for (i = 1; i < SYNSTILE_MAX_SERVICES; i++)
		if (r->services[i].used)
			r->end = i + 1;
	err = maps_loads(r->maps, r->end, r->loads);
	if (!err)
		err = maps_first_pressures(r->maps, r->end, r->pressure);
	if (!err)
		err = maps_first_censuses(r->maps, r->end, r->census);
	if (err)
		return fail(-err, "cannot read the counters of services: %s", strerror(-err));
	follow_all(r, ns);
	return 0;
}

/* ---- verdicts ---- */

static void read_counters(const struct rates *r, u64 sum[SYNSTILE_COUNTERS])
{
	size_t i;
	int fd;

	memset(sum, 0, SYNSTILE_COUNTERS * sizeof(*sum));
	for (i = 0; i < r->st->n_ifaces; i++) {
		fd = datapath_counters(r->in, &r->st->ifaces[i]);
		if (fd < 0) {
			fail_clear(); /* being detached */
			continue;
		}
		maps_add_counters(fd, sum);
		close(fd);
	}
}

static void look_at_verdicts(struct rates *r, u64 ns)
{
	u64 sum[SYNSTILE_COUNTERS], dropped = 0, new;
	struct verdict_rate *v;
	int i;

	read_counters(r, sum);
	for (i = 0; i < SYNSTILE_COUNTERS; i++) {
		v = &r->verdicts[i];
		/* less: an interface was detached */
		new = ns &&sum[i] > v->total ? sum[i] - v->total : 0;
		if (i < V_COUNT && drops[i])
			dropped += new;
		v->per_s = per_second(new, ns);
		v->total = sum[i];
	}
	r->dropped = per_second(dropped, ns);
}

int rates_look(struct rates *r)
{
	u64 now = monotonic_now(), ns = r->when ? elapsed(now, r->when) : 0;
	int err = look_at_services(r, ns);

	if (err)
		return err;
	look_at_verdicts(r, ns);
	r->when = now;
	return 0;
}

/* ---- answers ---- */

u64 rates_when(const struct rates *r)
{
	return r->when;
}

u16 rates_end(const struct rates *r)
{
	return r->end;
}

const struct service *rates_service(const struct rates *r, u16 service)
{
	return service && service < r->end && r->services[service].used ? &r->services[service]
									: NULL;
}

const struct pressure *rates_pressure(const struct rates *r, u16 service)
{
	return rates_service(r, service) ? &r->pressure[service] : NULL;
}

void rates_flows(const struct rates *r, struct census *sum)
{
	u16 i;

	*sum = (struct census){0};
	for (i = 0; i < r->end; i++) {
		sum->unanswered += r->census[i].unanswered;
		sum->answered += r->census[i].answered;
		sum->established += r->census[i].established;
		sum->other += r->census[i].other;
	}
}

u32 rates_life(const struct rates *r, u16 service)
{
	return service < SYNSTILE_MAX_SERVICES ? r->of[service].life : 0;
}

const struct verdict_rate *rates_verdicts(const struct rates *r)
{
	return r->verdicts;
}

u64 rates_dropped(const struct rates *r)
{
	return r->dropped;
}

static void add_service(const struct rates *r, u16 i, struct rate *out)
{
	u32 kernel = half_open_kernel(r->half_open, i);

	out->half_open += r->census[i].unanswered + r->census[i].answered;
	out->attacked += r->pressure[i].state == PRESSURE_ATTACK;
	if (kernel == UINT32_MAX || out->kernel_half_open == UINT32_MAX)
		out->kernel_half_open = UINT32_MAX;
	else
		out->kernel_half_open += kernel;
}

bool rates_of(const struct rates *r, u16 service, struct rate *out)
{
	const struct course *c = &r->of[service % SYNSTILE_MAX_SERVICES];
	u16 i;

	if (!c->rated || service >= SYNSTILE_MAX_SERVICES ||
	    (service != RATES_ALL && !rates_service(r, service)))
		return false;
	*out = (struct rate){0};
	memcpy(out->per_s, c->per_s, sizeof(out->per_s));
	memcpy(out->total, c->sum, sizeof(out->total));
	if (service != RATES_ALL) {
		add_service(r, service, out);
		return true;
	}
	for (i = 1; i < r->end; i++)
		if (r->services[i].used)
			add_service(r, i, out);
	return true;
}
