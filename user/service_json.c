// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "moment.h"
#include "service_json.h"
#include "service_places.h"
#include "syn_timeout.h"

static const char *const held_words[] = {
	[HELD_MPTCP] = "its listener speaks Multipath TCP, which own cookies cannot serve; use "
		       "--cookies kernel, or turn MPTCP off in the server",
	[HELD_NAT] = "netfilter translates addresses here, which own cookies do not survive; "
		     "`synstile detach --all` and attach again, which then chooses the kernel's",
	[HELD_BRIDGE] = "an interface is a port of a bridge, which own cookies do not survive; "
			"`synstile detach --all` and attach to the bridge instead, or again, which "
			"then chooses the kernel's",
	[HELD_PUBLISHED] = "netfilter leads the port elsewhere (DNAT), as a published port of a "
			   "container",
};

struct services_now {
	const struct maps *maps;
	const struct listeners *listeners;
	const struct rates *rates;
	struct detect *detect;
	struct service services[SYNSTILE_MAX_SERVICES];
	struct pressure pressure[SYNSTILE_MAX_SERVICES];
	struct moment now;
	struct places places;
	bool places_known;
	u64 version; /* of the listeners, when the places were read */
	u32 generation;
};

struct services_now *services_now_new(const struct maps *m, const struct listeners *l,
				      const struct rates *r, struct detect *d)
{
	struct services_now *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->maps = m;
	s->listeners = l;
	s->rates = r;
	s->detect = d;
	return s;
}

void services_now_free(struct services_now *s)
{
	if (s)
		places_free(&s->places);
	free(s);
}

/* There may be very many: they are read again only if they may be others. */
static int read_places(struct services_now *s)
{
	u64 version = listeners_version(s->listeners);
	u32 generation;
	int err = maps_generation(s->maps, &generation);

	if (err || (s->places_known && version == s->version && generation == s->generation))
		return err;
	err = places_read(&s->places, s->maps);
	s->places_known = !err;
	s->version = version;
	s->generation = generation;
	return err;
}

int services_now_read(struct services_now *s)
{
	int err = read_places(s);

	if (!err)
		err = maps_services(s->maps, s->services);
	if (!err)
		err = maps_pressures(s->maps, s->pressure);
	s->now = moment_now();
	return err ? fail(-err, "cannot read the services: %s", strerror(-err)) : 0;
}

bool service_attacked(const struct services_now *s, u16 i)
{
	return s->services[i].used && s->pressure[i].state == PRESSURE_ATTACK;
}

u32 service_reasons(const struct services_now *s, u16 i)
{
	return service_attacked(s, i) ? s->pressure[i].reasons : 0;
}

u64 service_since(const struct services_now *s, u16 i)
{
	return s->pressure[i].since;
}

const struct service *service_record(const struct services_now *s, u16 i)
{
	return &s->services[i];
}

const struct pressure *service_pressure(const struct services_now *s, u16 i)
{
	return &s->pressure[i];
}

/* ---- which come first ---- */

struct rank {
	u16 index;
	bool attacked;
	u64 syn_rate, half_open;
	const char *name;
};

static int compare_ranks(const void *l, const void *r)
{
	const struct rank *a = l, *b = r;

	if (a->attacked != b->attacked)
		return a->attacked ? -1 : 1;
	if (a->syn_rate != b->syn_rate)
		return a->syn_rate > b->syn_rate ? -1 : 1;
	if (a->half_open != b->half_open)
		return a->half_open > b->half_open ? -1 : 1;
	return strcmp(a->name, b->name);
}

static u64 half_open_of(const struct pressure *p)
{
	return p->half_open > 0 ? p->half_open : 0;
}

size_t services_now_busiest(const struct services_now *s, u16 order[SYNSTILE_MAX_SERVICES])
{
	static struct rank ranks[SYNSTILE_MAX_SERVICES];
	size_t n = 0, places, k;
	struct rate rate;
	u16 i;

	for (i = 1; i < SYNSTILE_MAX_SERVICES; i++) {
		if (!s->services[i].used ||
		    (!places_of(&s->places, i, &places) && !service_attacked(s, i)))
			continue;
		ranks[n++] = (struct rank){
			.index = i,
			.attacked = service_attacked(s, i),
			.syn_rate = rates_of(s->rates, i, &rate) ? rate.per_s[LOAD_SYNS] : 0,
			.half_open = half_open_of(&s->pressure[i]),
			.name = s->services[i].name,
		};
	}
	qsort(ranks, n, sizeof(*ranks), compare_ranks);
	for (k = 0; k < n; k++)
		order[k] = ranks[k].index;
	return n;
}

/* ---- one of them ---- */

const char *service_state_word(const struct service *s, const struct pressure *p)
{
	if (p->state == PRESSURE_ATTACK)
		return "attack";
	return s->mode == MODE_OBSERVE ? "observe" : s->mode == MODE_ALWAYS ? "always" : "calm";
}

const char *service_held_words(const struct service *s)
{
	return s->held < sizeof(held_words) / sizeof(*held_words) ? held_words[s->held] : NULL;
}

static void add_rates(const struct services_now *s, u16 i, json_t *j)
{
	static const struct {
		const char *name;
		enum load_kind kind;
	} all[] = {{"syn_rate", LOAD_SYNS},
		   {"cookie_rate", LOAD_COOKIES},
		   {"validated_rate", LOAD_VALIDATED},
		   {"completed_rate", LOAD_COMPLETED},
		   {"verified_rate", LOAD_VERIFIED},
		   {"dropped_rate", LOAD_DROPPED}};
	struct rate rate;
	bool known = rates_of(s->rates, i, &rate);
	size_t k;

	for (k = 0; k < sizeof(all) / sizeof(*all); k++)
		json_object_set_new(j, all[k].name,
				    known ? json_integer(rate.per_s[all[k].kind]) : json_null());
	json_object_set_new(j, "kernel_half_open",
			    known && rate.kernel_half_open != UINT32_MAX
				    ? json_integer(rate.kernel_half_open)
				    : json_null());
}

static void add_attack(const struct services_now *s, u16 i, json_t *j)
{
	json_t *attack = service_attacked(s, i) ? detect_attack_json(s->detect, i) : NULL;

	json_object_set_new(j, "attack", attack ? attack : json_null());
}

json_t *service_json(const struct services_now *s, u16 i, bool where)
{
	const struct service *it = &s->services[i];
	const struct pressure *p = &s->pressure[i];
	const struct place *at;
	size_t n;
	json_t *j;

	at = places_of(&s->places, i, &n);
	j = json_pack("{s:s, s:o, s:o, s:s, s:s, s:o, s:s?, s:I, s:I, s:I, s:I}", "service",
		      it->name, "port", it->port ? json_integer(ntohs(it->port)) : json_null(),
		      "ports", places_ports_json(at, n), "mode", mode_name(it->mode), "state",
		      service_state_word(it, p), "for_ms",
		      p->since ? json_integer(moment_ms_since(&s->now, p->since)) : json_null(),
		      "observed_because", service_held_words(it), "half_open",
		      (json_int_t)half_open_of(p), "half_open_bound",
		      (json_int_t)it->half_open_attack_above, "syn_timeout_ms",
		      (json_int_t)syn_timeout_ms(it, p), "attacks", (json_int_t)p->attacks);
	add_rates(s, i, j);
	add_attack(s, i, j);
	if (where) {
		json_object_set_new(j, "addresses", places_addresses_json(at, n));
		json_object_set_new(j, "listeners", places_listeners_json(at, n));
	}
	return j;
}
