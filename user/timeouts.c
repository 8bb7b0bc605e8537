// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "datapath.h"
#include "log.h"
#include "moment.h"
#include "netlink.h"
#include "reaper.h"
#include "syn_timeout.h"
#include "synack_timer.h"
#include "sysctls.h"
#include "timeouts.h"

#define COST 20 /* listing takes one part of the time in so many, at most */

/* A timeout that has grown again holds for sockets without a record as it was a moment ago: the
 * sweep ended their records by that. */
#define LOWEST_NS (2 * NS_PER_SEC)

struct timeouts {
	const struct maps *maps;
	int forget, sweep;
	bool may_reap, may_adapt; /* says the policy */
	bool can_reap;            /* says the kernel */
	bool said;                /* ... and that it cannot, so do we */
	bool yielded;             /* the sysctl is somebody else's now */
	bool any_half_open;       /* of services that are not just observed */
	u64 reaped;
	u64 next;        /* ns: not before */
	u32 shortest_ms; /* of all services that are not just observed */
	u32 longest_ms;  /* of all, calm or under attack: see longest() */
	int wanted;      /* tcp_synack_retries, a second ago */
	struct service services[SYNSTILE_MAX_SERVICES];
	struct pressure pressure[SYNSTILE_MAX_SERVICES];
	struct reap_limits limits;
	u64 lowered[SYNSTILE_MAX_SERVICES]; /* when limits.unknown_ms[] was as low as that */
};

void timeouts_follow(struct timeouts *t, const struct policy *p)
{
	t->may_reap = !p || p->host[HV_REAP].n;
	t->may_adapt = !p || p->host[HV_ADAPT_RETRIES].n;
}

struct timeouts *timeouts_new(const struct maps *m, int forget, int sweep)
{
	struct timeouts *t = calloc(1, sizeof(*t));
	int err;

	if (!t)
		return NULL;
	t->maps = m;
	t->forget = forget;
	t->sweep = sweep;
	t->wanted = -1;
	timeouts_follow(t, NULL);
	err = netlink_can_destroy();
	t->can_reap = !err;
	return t;
}

void timeouts_free(struct timeouts *t)
{
	free(t);
}

/* ---- the timeouts now ---- */

/* For the sysctl, which is the whole host's, a service is calm or under attack: what lies between
 * comes and goes too often, and is not worth a step of it, which halves the time. */
static u32 longest(const struct service *s, u32 ms)
{
	return ms > s->syn_attack_ms ? s->syn_calm_ms : ms;
}

static void take_service(struct timeouts *t, u32 i, u64 now)
{
	const struct service *s = &t->services[i];
	u32 ms = s->used ? syn_timeout_ms(s, &t->pressure[i]) : 0;
	u32 *unknown = &t->limits.unknown_ms[i];

	if (longest(s, ms) > t->longest_ms)
		t->longest_ms = longest(s, ms);
	if (s->mode == MODE_OBSERVE)
		ms = 0;
	if (ms && t->pressure[i].half_open > 0)
		t->any_half_open = true;
	if (ms && ms < t->shortest_ms)
		t->shortest_ms = ms;
	t->limits.known_ms[i] = ms;
	if (!ms || !*unknown || ms <= *unknown || elapsed(now, t->lowered[i]) > LOWEST_NS) {
		*unknown = ms;
		t->lowered[i] = now;
	}
}

static int read_services(struct timeouts *t)
{
	u64 now = monotonic_now();
	int err = maps_services(t->maps, t->services);
	u32 i;

	if (!err)
		err = maps_pressures(t->maps, t->pressure);
	if (err)
		return fail(-err, "cannot read the services: %s", strerror(-err));
	t->shortest_ms = -1;
	t->longest_ms = 0;
	t->any_half_open = false;
	for (i = 1; i < SYNSTILE_MAX_SERVICES; i++)
		take_service(t, i, now);
	return 0;
}

/* ---- destroying ---- */

/* Nothing is to be done while the kernel gives up as early itself. */
static bool is_early(const struct timeouts *t, const struct state *st)
{
	return t->shortest_ms < synack_wait_ms(sysctls_original(st, SYNACK_RETRIES, 5));
}

static void say_impossible(struct timeouts *t)
{
	if (!t->said)
		warn("this kernel cannot destroy half-open connections (it was built without "
		     "CONFIG_INET_DIAG_DESTROY): for all of the host net.ipv4.tcp_synack_retries "
		     "follows the shortest SYN timeout instead");
	t->said = true;
}

/* The work of destroying is not counted: it comes once for each. */
static int destroy(struct timeouts *t, u64 *work)
{
	struct reaped done;
	u64 start = cpu_now();
	int err = reap(t->maps, t->forget, &t->limits, &done);

	t->reaped += done.n;
	*work += elapsed(cpu_now(), start) - done.listing_ns;
	if (done.n)
		debug("%u request sockets destroyed in %llu us", done.n,
		      elapsed(cpu_now(), start) / 1000);
	if (err == -EOPNOTSUPP || err == -EPERM)
		t->can_reap = false; /* their records have ended: not again and again */
	return err;
}

int timeouts_reap(struct timeouts *t, const struct state *st)
{
	u64 start = monotonic_now(), work = cpu_now();
	int err = read_services(t);

	if (err || start < t->next || !is_early(t, st))
		return err;
	if (t->may_reap && !t->can_reap)
		say_impossible(t);
	else if (t->may_reap)
		err = destroy(t, &work);
	if (!err && t->any_half_open)
		err = datapath_sweep(t->sweep, true);
	t->next = start + elapsed(cpu_now(), work) * COST;
	return err;
}

/* ---- the sysctl ---- */

/* -1: nothing to say. */
static int retries_wanted(const struct timeouts *t, const struct state *st)
{
	long original = sysctls_original(st, SYNACK_RETRIES, -1);
	bool reaping = t->may_reap && t->can_reap;
	u32 n;

	if (original < 0 || !t->longest_ms || t->shortest_ms == (u32)-1)
		return original; /* nothing is protected */
	n = reaping ? synack_retries_reaching(t->longest_ms)
		    : synack_retries_within(t->shortest_ms);
	return t->may_adapt && n < original ? (int)n : (int)original;
}

static int load_anew(const struct instance *in, struct state *st)
{
	state_free(st);
	return state_load(st, in->state);
}

static int set_retries(struct timeouts *t, struct instance *in, struct state *st, int n)
{
	int err = instance_trylock(in, "agent");

	if (err)
		return err == -EBUSY ? 0 : err; /* the next second comes soon */
	err = load_anew(in, st);
	if (!err)
		err = sysctls_change(st, in->state, SYNACK_RETRIES, n);
	sysctls_remember(st);
	instance_unlock(in, false);
	if (err == 1)
		t->yielded = true;
	return err < 0 ? err : 0;
}

int timeouts_adapt(struct timeouts *t, struct instance *in, struct state *st)
{
	int wanted = t->yielded ? -1 : retries_wanted(t, st), before = t->wanted;

	t->wanted = wanted;
	/* what is wanted for a moment only is not worth writing to the disk */
	if (wanted < 0 || wanted != before || wanted == sysctls_read(SYNACK_RETRIES, wanted))
		return 0;
	return set_retries(t, in, st, wanted);
}

void timeouts_end(struct timeouts *t, struct instance *in, struct state *st)
{
	long original = sysctls_original(st, SYNACK_RETRIES, -1);

	if (!t->yielded && original >= 0 && original != sysctls_read(SYNACK_RETRIES, original))
		set_retries(t, in, st, original);
	fail_clear();
}

u64 timeouts_reaped(const struct timeouts *t)
{
	return t->reaped;
}

json_t *timeouts_json(const struct timeouts *t)
{
	return json_pack("{s:s, s:I, s:s}", "reaping",
			 !t->may_reap   ? "off"
			 : !t->can_reap ? "impossible"
					: "on",
			 "reaped", (json_int_t)t->reaped, "adapting",
			 t->yielded      ? "yielded"
			 : !t->may_adapt ? "off"
					 : "on");
}
