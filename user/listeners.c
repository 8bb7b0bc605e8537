// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridged.h"
#include "host.h"
#include "listeners.h"
#include "log.h"
#include "moment.h"
#include "nat.h"
#include "pairs.h"
#include "published.h"
#include "services.h"

/* What one slot of the maps has, and is to have. */
struct slot {
	const struct policy *policy;
	struct service_index *index;
	u16 *index_of;      /* of policy->services; 0: none yet */
	u16 port_of[65536]; /* of services named by their port (host order); 0: not asked yet */
	const struct value *values[SYNSTILE_MAX_SERVICES]; /* of wanted services */
	bool heard[SYNSTILE_MAX_SERVICES];                 /* something listens there */
	struct service want[SYNSTILE_MAX_SERVICES], have[SYNSTILE_MAX_SERVICES];
};

struct listeners {
	const struct maps *maps;
	bool own_cookies;
	enum service_held hindrance; /* of own cookies, for all services */
	const struct published *published;
	struct ports allowed;
	struct host host;
	struct slot slots[POLICY_SLOTS];
	u32 now;                           /* the slot in force */
	struct service_index index, next;  /* in force, and of the policy that is about to be */
	bool fresh[SYNSTILE_MAX_SERVICES]; /* nothing has referred to it yet, or any more */
	u16 before[SYNSTILE_MAX_SERVICES]; /* the service that had its addresses until now, or 0 */
	struct pairs have, want;
	struct port_table ports;
	u64 version;
	bool stale;  /* the maps may differ from what the host and the policy want */
	bool waits;  /* pairs are to be removed, if they are missed again */
	bool strict; /* too many are an error */
	bool too_many_services, too_many_pairs;
};

/* ---- whose index ---- */

/* Another process may have given it away: attach and the agent both follow the host. */
static bool is_taken(struct listeners *l, struct slot *s, u16 i, const char *name)
{
	struct service found;

	if (maps_service(l->maps, i, &found) || !found.used || !strcmp(found.name, name) ||
	    !memcmp(&found, &l->slots[l->now].have[i], sizeof(found)))
		return false;
	service_index_enter(s->index, i, found.name);
	l->slots[0].have[i] = l->slots[1].have[i] = found;
	return true;
}

/* `before`: the service that has its addresses now, or 0. 0: there are too many. */
static u16 take_index(struct listeners *l, struct slot *s, const char *name, u16 before)
{
	bool known = service_index_find(s->index, name), reused;
	u16 i;

	do {
		i = service_index_take(s->index, name, monotonic_now(), &reused);
	} while (i && !known && is_taken(l, s, i, name));
	if (i && !known) {
		l->fresh[i] = true;
		l->before[i] = before;
	}
	return i;
}

/* A service that had the addresses of another one until now goes on where that stopped: an attack
 * does not begin anew because a name or a bound is another. Nobody refers to the new one yet. What
 * is counted begins with 0: those counts are of whoever had this index before. */
static int start_fresh(struct listeners *l)
{
	struct pressure p;
	u16 i;
	int err = 0;

	for (i = 1; !err && i < SYNSTILE_MAX_SERVICES; i++) {
		if (!l->fresh[i])
			continue;
		p = (struct pressure){0};
		if (l->before[i])
			err = maps_pressure(l->maps, l->before[i], &p);
		p.half_open = 0;
		p.attacks = p.state == PRESSURE_ATTACK;
		if (!err)
			err = maps_set_pressure(l->maps, i, &p);
		if (!err)
			err = maps_forget_counts(l->maps, i);
		l->fresh[i] = err;
	}
	return err;
}

/* ---- what the policy wants ---- */

/* In network order; 0: several. */
static __be16 only_port(const struct policy_service *s)
{
	size_t i;

	for (i = 0; i < s->n_listen; i++)
		if (s->listen[i].first != s->listen[0].first ||
		    s->listen[i].last != s->listen[0].first)
			return 0;
	return s->n_listen ? htons(s->listen[0].first) : 0;
}

static void want_service(struct listeners *l, struct slot *s, u16 i, const char *name, __be16 port,
			 const struct value *v)
{
	if (s->values[i])
		return; /* a service of the policy that is named by a port */
	s->values[i] = v;
	service_begin(&s->want[i], name, port, v, l->host.syn_timeout_ms);
}

static int clear_slot(struct slot *s)
{
	u16 *index_of = reallocarray(s->index_of, s->policy->n_services + 1, sizeof(*index_of));

	if (!index_of)
		return -ENOMEM;
	memset(index_of, 0, (s->policy->n_services + 1) * sizeof(*index_of));
	s->index_of = index_of;
	memset(s->port_of, 0, sizeof(s->port_of));
	memset(s->values, 0, sizeof(s->values));
	memset(s->want, 0, sizeof(s->want));
	memset(s->heard, 0, sizeof(s->heard));
	return 0;
}

/* All of the policy's services have an index, with or without a listener. */
static int begin_slot(struct listeners *l, struct slot *s)
{
	const struct policy_service *ps = s->policy->services;
	size_t i;

	for (i = 0; i < s->policy->n_services; i++) {
		if (!s->index_of[i])
			s->index_of[i] = take_index(l, s, ps[i].name, 0);
		if (s->index_of[i])
			want_service(l, s, s->index_of[i], ps[i].name, only_port(&ps[i]), ps[i].v);
		else
			return -ENOSPC;
	}
	return 0;
}

static void tell_too_many_ports(struct listeners *l, __be16 port)
{
	if (!l->too_many_services)
		warn("port %u and perhaps others are not protected: there are more than %d "
		     "services, each port that the policy does not name counted as one; choose "
		     "with --ports",
		     ntohs(port), SYNSTILE_MAX_SERVICES - 1);
	l->too_many_services = true;
}

static void port_name(__be16 port, char name[8])
{
	snprintf(name, 8, "%u", ntohs(port));
}

/* The service that is named by this port. */
static u16 service_of_port(struct listeners *l, struct slot *s, __be16 port)
{
	u16 *i = &s->port_of[ntohs(port)];
	char name[8];

	port_name(port, name);
	if (!*i)
		*i = take_index(l, s, name, 0);
	if (*i)
		want_service(l, s, *i, name, port, s->policy->defaults);
	else
		tell_too_many_ports(l, port);
	return *i;
}

static enum service_held held(const struct listeners *l, const struct host_listener *sk)
{
	if (l->published && published_has(l->published, ntohs(sk->port)))
		return HELD_PUBLISHED;
	/* bpf_sk_assign_tcp_reqsk() refuses a Multipath TCP listener */
	return sk->mptcp && l->own_cookies ? HELD_MPTCP : HELD_NOT;
}

/* As seen at an interface; NULL: at none in particular, as a socket is. */
static const struct policy_service *ask_policy(const struct listeners *l, const struct slot *s,
					       const struct addr *addr, __be16 port,
					       const char *ifname)
{
	const struct policy_service *found = policy_find(s->policy, addr, ntohs(port), ifname);
	size_t i;

	if (ifname || !policy_port_by_interface(s->policy, ntohs(port)))
		return found;
	for (i = 0; !found && i < l->host.n_ifaces; i++)
		found = policy_find(s->policy, addr, ntohs(port), l->host.ifaces[i].name);
	return found;
}

/* The policy's service for this listener's address, or NULL: that of the port. A port that can
 * only be observed leaves a service that has others too, lest they go unprotected with it. */
static const struct policy_service *choose_service(const struct listeners *l, const struct slot *s,
						   const struct host_listener *sk,
						   const struct addr *addr, const char *ifname)
{
	const struct policy_service *ps = ask_policy(l, s, addr, sk->port, ifname);

	if (ps && held(l, sk) && !only_port(ps) && ps->v[SV_MODE].n != MODE_OBSERVE)
		return NULL;
	return ps;
}

static u16 find_service(struct listeners *l, struct slot *s, const struct host_listener *sk,
			const struct addr *addr, const char *ifname)
{
	const struct policy_service *ps = choose_service(l, s, sk, addr, ifname);
	enum service_held why = held(l, sk);
	u16 i = ps ? s->index_of[ps - s->policy->services] : service_of_port(l, s, sk->port);

	if (!i)
		return 0;
	service_listens(&s->want[i], s->values[i], sk->backlog);
	s->heard[i] = true;
	if (why)
		service_hold(&s->want[i], why, l->host.syn_timeout_ms);
	return i;
}

static bool one_policy(const struct listeners *l)
{
	return l->slots[0].policy == l->slots[1].policy;
}

/* A pair of a listener's address and port, and the interface; NULL: none in particular. */
typedef int (*pair_fn)(struct listeners *l, const struct host_listener *sk, const struct addr *addr,
		       const struct host_iface *iface);

static const char *name_of(const struct host_iface *iface)
{
	return iface ? iface->name : NULL;
}

static bool by_interface(const struct listeners *l, __be16 port)
{
	return policy_port_by_interface(l->slots[0].policy, ntohs(port)) ||
	       policy_port_by_interface(l->slots[1].policy, ntohs(port));
}

/* One that does not name an interface is there in any case: for those who look at sockets, which
 * have none, and for packets while the two policies differ on whether it matters. */
static int each_iface(struct listeners *l, const struct host_listener *sk, const struct addr *addr,
		      pair_fn fn)
{
	const struct host *h = &l->host;
	size_t i;
	int err = fn(l, sk, addr, NULL);

	for (i = 0; !err && i < h->n_ifaces && by_interface(l, sk->port); i++)
		err = fn(l, sk, addr, &h->ifaces[i]);
	return err;
}

static int each_pair(struct listeners *l, pair_fn fn)
{
	const struct host *h = &l->host;
	const struct host_listener *sk;
	size_t i;
	int err = 0;

	for (sk = h->listeners; !err && sk < h->listeners + h->n; sk++) {
		if (!sk->any)
			err = each_iface(l, sk, &sk->addr, fn);
		for (i = 0; !err && sk->any && i < h->n_addresses; i++)
			if (host_listens_at(sk, &h->addresses[i]))
				err = each_iface(l, sk, &h->addresses[i], fn);
	}
	return err;
}

static int want_pair(struct listeners *l, const struct host_listener *sk, const struct addr *addr,
		     const struct host_iface *iface)
{
	struct listener_key key = {.addr = *addr, .port = sk->port};
	struct listen_entry value = {.window = sk->window};
	u32 slot;

	if (iface)
		key.ifindex = iface->ifindex;
	slot = policy_slot(l->now + 1);
	value.service[l->now] = find_service(l, &l->slots[l->now], sk, addr, name_of(iface));
	value.service[slot] = one_policy(l)
				      ? value.service[l->now]
				      : find_service(l, &l->slots[slot], sk, addr, name_of(iface));
	if (!value.service[0] && !value.service[1])
		return 0;
	return pairs_add(&l->want, &key, &value);
}

/* What can be said once all listeners are known. */
static void end_slot(struct listeners *l, struct slot *s)
{
	const struct service *have;
	struct service *want;
	u16 i;

	for (i = 1; i < SYNSTILE_MAX_SERVICES; i++) {
		have = &l->slots[l->now].have[i];
		want = &s->want[i];
		if (!want->used)
			continue;
		/* without a listener it keeps its bounds */
		if (!s->heard[i] && have->backlog && !strcmp(have->name, want->name))
			service_listens(want, s->values[i], have->backlog);
		if (l->hindrance)
			service_hold(want, l->hindrance, l->host.syn_timeout_ms);
	}
}

static int limit_pairs(struct listeners *l)
{
	if (l->want.n <= SYNSTILE_MAX_LISTENERS)
		return 0;
	if (l->strict)
		return -E2BIG;
	if (!l->too_many_pairs)
		warn("%zu pairs of address and port listen, only %d of them are protected; choose "
		     "with --ports",
		     l->want.n, SYNSTILE_MAX_LISTENERS);
	l->too_many_pairs = true;
	l->want.n = SYNSTILE_MAX_LISTENERS;
	return 0;
}

/* ---- from one policy to another ---- */

static struct slot *next_slot(struct listeners *l)
{
	return &l->slots[policy_slot(l->now + 1)];
}

/* The services that the next policy shares with the one in force, by name. */
static void keep_names(struct slot *next)
{
	bool reused;
	size_t i;

	for (i = 0; i < next->policy->n_services; i++)
		if (service_index_find(next->index, next->policy->services[i].name))
			next->index_of[i] = service_index_take(
				next->index, next->policy->services[i].name, 0, &reused);
}

static int visit_now(struct listeners *l, const struct host_listener *sk, const struct addr *addr,
		     const struct host_iface *iface)
{
	find_service(l, &l->slots[l->now], sk, addr, name_of(iface));
	return 0;
}

/* The same for those that are named by their port. */
static int keep_port(struct listeners *l, const struct host_listener *sk, const struct addr *addr,
		     const struct host_iface *iface)
{
	struct slot *next = next_slot(l);
	bool reused;
	char name[8];

	if (choose_service(l, next, sk, addr, name_of(iface)) || next->port_of[ntohs(sk->port)])
		return 0;
	port_name(sk->port, name);
	if (service_index_find(next->index, name))
		next->port_of[ntohs(sk->port)] = service_index_take(next->index, name, 0, &reused);
	return 0;
}

/*
 * A service under a new name that has addresses of one which the next policy does not want is the
 * same: it takes over its index, and so its connections, cookies and pressure. If several share
 * them, the first does.
 */
static u16 inherit(struct listeners *l, const char *name, u16 before)
{
	struct slot *next = next_slot(l);

	if (before && service_index_rename(next->index, before, name))
		return before;
	return take_index(l, next, name, before);
}

static int inherit_service(struct listeners *l, const struct host_listener *sk,
			   const struct addr *addr, const struct host_iface *iface)
{
	struct slot *now = &l->slots[l->now], *next = next_slot(l);
	const struct policy_service *ps = choose_service(l, next, sk, addr, name_of(iface));
	u16 *i = ps ? &next->index_of[ps - next->policy->services] : NULL;

	if (!i || *i)
		return 0;
	*i = inherit(l, ps->name, find_service(l, now, sk, addr, name_of(iface)));
	return *i ? 0 : -ENOSPC;
}

static int inherit_port(struct listeners *l, const struct host_listener *sk,
			const struct addr *addr, const struct host_iface *iface)
{
	struct slot *now = &l->slots[l->now], *next = next_slot(l);
	u16 *i = &next->port_of[ntohs(sk->port)];
	char name[8];

	if (*i || choose_service(l, next, sk, addr, name_of(iface)))
		return 0;
	port_name(sk->port, name);
	*i = inherit(l, name, find_service(l, now, sk, addr, name_of(iface)));
	return 0;
}

/* The services of the policy go first: without room for all of them it cannot be. */
static int plan_other(struct listeners *l)
{
	struct slot *next = next_slot(l);
	int err = each_pair(l, visit_now);

	l->next = l->index;
	service_index_unwant(&l->next);
	keep_names(next);
	if (!err)
		err = each_pair(l, keep_port);
	if (!err)
		err = each_pair(l, inherit_service);
	if (!err)
		err = begin_slot(l, next);
	return err ? err : each_pair(l, inherit_port);
}

static void plan_index(struct listeners *l)
{
	service_index_unwant(&l->index);
	l->slots[l->now].index = &l->index;
	next_slot(l)->index = one_policy(l) ? &l->index : &l->next;
}

/* Nothing but memory is changed. */
static int plan(struct listeners *l)
{
	struct slot *now = &l->slots[l->now], *next = next_slot(l);
	int err = clear_slot(now);

	plan_index(l);
	l->want.n = 0;
	if (!err)
		err = clear_slot(next);
	if (!err)
		err = begin_slot(l, now);
	if (!err && !one_policy(l))
		err = plan_other(l);
	if (!err)
		err = each_pair(l, want_pair);
	if (err)
		return err;
	end_slot(l, now);
	if (!one_policy(l))
		end_slot(l, next);
	else
		memcpy(next->want, now->want, sizeof(next->want));
	pairs_tidy(&l->want);
	return limit_pairs(l);
}

/* ---- the maps ---- */

static void tell_held(const struct service *had, const struct service *want)
{
	if (want->held == had->held && !strcmp(had->name, want->name))
		return;
	if (want->held == HELD_MPTCP)
		warn("service %s is only observed: its listener speaks Multipath TCP (MPTCP), "
		     "which own cookies cannot serve; use --cookies kernel, or turn MPTCP off in "
		     "the server",
		     want->name);
	if (want->held == HELD_PUBLISHED)
		warn("service %s is only observed: netfilter leads port %u elsewhere (DNAT), as "
		     "it does for a published port of a container, whose own connections these "
		     "are",
		     want->name, ntohs(want->port));
}

/* One that nobody wants any more stays as it is in the slot in force: connections refer to it. */
static int update_services(struct listeners *l)
{
	u32 slot, i;
	int err = 0;

	for (i = 1; i < SYNSTILE_MAX_SERVICES; i++)
		if (l->slots[l->now].want[i].used)
			tell_held(&l->slots[l->now].have[i], &l->slots[l->now].want[i]);
	for (slot = 0; slot < POLICY_SLOTS; slot++) {
		for (i = 1; !err && i < SYNSTILE_MAX_SERVICES; i++) {
			struct slot *s = &l->slots[slot], *now = &l->slots[l->now];
			const struct service *want = s->want[i].used     ? &s->want[i]
						     : now->want[i].used ? &now->want[i]
									 : &now->have[i];

			if (!memcmp(&s->have[i], want, sizeof(*want)))
				continue;
			err = maps_set_service(l->maps, slot, i, want);
			if (!err)
				s->have[i] = *want;
		}
	}
	return err;
}

/* A packet must find the service once it finds the pair, and that once the port says so. */
static int update_maps(struct listeners *l)
{
	int err = start_fresh(l);

	if (!err)
		err = update_services(l);
	if (err)
		return fail(-err, "cannot update the table of services: %s", strerror(-err));
	err = pairs_update(&l->have, &l->want, l->maps, &l->waits);
	if (err)
		return fail(-err, "cannot update the table of listeners: %s", strerror(-err));
	err = port_table_update(&l->ports, &l->have, l->maps);
	return err ? fail(-err, "cannot update the table of ports: %s", strerror(-err)) : 0;
}

static int tell_too_many(int err)
{
	if (err == -ENOSPC)
		return fail(ENOSPC,
			    "too many services: with those of the ports that no service names, and "
			    "those of earlier policies that still have connections or had some in "
			    "the last two minutes, they are more than %d",
			    SYNSTILE_MAX_SERVICES - 1);
	return err == -E2BIG
		       ? fail(E2BIG, "too many pairs of address, port and interface: more than %d",
			      SYNSTILE_MAX_LISTENERS)
		       : err;
}

int listeners_refresh(struct listeners *l, bool addresses_changed)
{
	int err = host_read(&l->host, &l->allowed, addresses_changed);

	if (err < 0)
		return err;
	if (!err && !l->stale && !l->waits)
		return 0;
	l->stale = true; /* until all is done */
	err = tell_too_many(plan(l));
	if (!err)
		err = update_maps(l);
	l->stale = err;
	l->version++;
	return err;
}

/* ---- another policy ---- */

/* What own cookies do not survive here, if anything is in their way. */
static enum service_held find_hindrance(const struct listeners *l, const struct policy *p)
{
	size_t i;

	if (!l->own_cookies || !policy_protects(p))
		return HELD_NOT;
	if (nat_present())
		return HELD_NAT;
	for (i = 0; i < l->host.n_ifaces; i++)
		if (bridged(l->host.ifaces[i].ifindex))
			return HELD_BRIDGE;
	return HELD_NOT;
}

/* Memory only. */
static int plan_next(struct listeners *l, const struct policy *next)
{
	int err = host_read(&l->host, &l->allowed, false);

	if (err < 0)
		return err;
	next_slot(l)->policy = next;
	/* what this policy protects must not break before it is looked for again */
	if (!l->hindrance)
		l->hindrance = find_hindrance(l, next);
	l->stale = l->strict = true;
	err = plan(l);
	l->strict = false;
	return tell_too_many(err);
}

int listeners_prepare(struct listeners *l, const struct policy *next)
{
	int err = plan_next(l, next);

	return err ? err : update_maps(l);
}

int listeners_try(struct listeners *l, const struct policy *next)
{
	int err = plan_next(l, next);

	listeners_abandon(l);
	return err;
}

bool listeners_next_serves(const struct listeners *l, size_t service)
{
	const struct slot *s = &l->slots[policy_slot(l->now + 1)];

	return s->heard[s->index_of[service]];
}

void listeners_abandon(struct listeners *l)
{
	u16 i;

	next_slot(l)->policy = l->slots[l->now].policy;
	for (i = 1; i < SYNSTILE_MAX_SERVICES; i++)
		l->fresh[i] &= l->index.of[i].wanted;
	l->stale = true;
}

void listeners_switch(struct listeners *l)
{
	const struct policy *p = next_slot(l)->policy;

	l->now = policy_slot(l->now + 1);
	l->index = l->next;
	l->slots[l->now].index = &l->index;
	l->slots[0].policy = l->slots[1].policy = p;
	l->stale = true;
}

/* ---- */

void listeners_rest(struct listeners *l)
{
	u64 now = monotonic_now();
	struct pressure p;
	struct census c;
	u16 i;

	for (i = 1; i < SYNSTILE_MAX_SERVICES; i++) {
		if (!l->index.of[i].name[0] || l->index.of[i].wanted)
			continue;
		if (maps_census(l->maps, i, &c) || maps_pressure(l->maps, i, &p))
			continue;
		service_index_seen(&l->index, i,
				   c.unanswered || c.answered || c.established || c.other ||
					   p.half_open > 0,
				   now);
	}
}

static int load_services(struct listeners *l)
{
	u32 slot, i;
	int err = 0;

	for (slot = 0; !err && slot < POLICY_SLOTS; slot++)
		for (i = 1; !err && i < SYNSTILE_MAX_SERVICES; i++)
			err = maps_slot_service(l->maps, slot, i, &l->slots[slot].have[i]);
	for (i = 1; !err && i < SYNSTILE_MAX_SERVICES; i++)
		if (l->slots[l->now].have[i].used)
			service_index_enter(&l->index, i, l->slots[l->now].have[i].name);
	return err;
}

static int load(struct listeners *l)
{
	u32 generation;
	int err = maps_generation(l->maps, &generation);

	if (err)
		return err;
	l->now = policy_slot(generation);
	err = load_services(l);
	if (!err)
		err = pairs_load(&l->have, l->maps);
	return err ? err : port_table_load(&l->ports, l->maps);
}

struct listeners *listeners_new(const struct maps *m, const struct state *st,
				const struct policy *p)
{
	struct listeners *l = calloc(1, sizeof(*l));
	int err;

	if (!l)
		return NULL;
	l->maps = m;
	l->own_cookies = !st->kernel_cookies;
	l->slots[0].policy = l->slots[1].policy = p;
	l->stale = true;
	host_set_ifaces(&l->host, st);
	err = ports_parse(&l->allowed, st->ports);
	if (!err)
		err = load(l);
	if (err) {
		fail(-err, "cannot read the tables of services and listeners: %s", strerror(-err));
		listeners_free(l);
		return NULL;
	}
	return l;
}

void listeners_set_state(struct listeners *l, const struct state *st)
{
	l->stale |= host_set_ifaces(&l->host, st);
}

void listeners_set_published(struct listeners *l, const struct published *p, bool changed)
{
	l->published = p;
	l->stale |= changed;
}

void listeners_see_hindrance(struct listeners *l)
{
	enum service_held now = find_hindrance(l, l->slots[l->now].policy);

	if (now == l->hindrance)
		return;
	if (now)
		warn("all ports are only observed: %s now, and with that the kernel resets the "
		     "clients of own cookies; `synstile detach --all` and attach again, which "
		     "then chooses the kernel's cookies",
		     now == HELD_NAT ? "netfilter translates addresses here"
				     : "an interface is the port of a bridge");
	else
		warn("%s any more: all ports are protected again",
		     l->hindrance == HELD_NAT ? "netfilter translates no addresses"
					      : "no interface is the port of a bridge");
	l->hindrance = now;
	l->stale = true;
}

void listeners_free(struct listeners *l)
{
	u32 slot;

	if (!l)
		return;
	for (slot = 0; slot < POLICY_SLOTS; slot++)
		free(l->slots[slot].index_of);
	free(l->have.at);
	free(l->want.at);
	host_free(&l->host);
	free(l);
}

const struct value *listeners_values(const struct listeners *l, u16 index)
{
	return index < SYNSTILE_MAX_SERVICES ? l->slots[l->now].values[index] : NULL;
}

u64 listeners_version(const struct listeners *l)
{
	return l->version;
}

void listeners_count(const struct listeners *l, size_t *ports, size_t *pairs)
{
	static bool seen[65536];
	size_t i;

	memset(seen, 0, sizeof(seen));
	*ports = *pairs = 0;
	for (i = 0; i < l->have.n; i++) {
		if (l->have.at[i].key.ifindex)
			continue;
		++*pairs;
		*ports += !seen[ntohs(l->have.at[i].key.port)];
		seen[ntohs(l->have.at[i].key.port)] = true;
	}
}
