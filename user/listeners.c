// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "listeners.h"
#include "log.h"
#include "nat.h"
#include "netlink.h"
#include "sysctls.h"

/* A socket that closes while the kernel lists them can hide another one from the
 * list: a pair is removed only after it was missed this many times in a row. */
#define MISSES 2

struct pair {
	struct listener_key key;
	struct listen_entry value;
	u8 missed;
};

struct pairs {
	struct pair *at;
	size_t n, room;
};

struct listeners {
	const struct maps *maps;
	enum service_mode mode;
	bool own_cookies, nat;
	struct ports allowed;
	u32 syn_timeout_ms;
	u16 n_services;
	u16 service_of[65536];                          /* by port, host order; 0: none */
	struct service services[SYNSTILE_MAX_SERVICES]; /* as in the map */
	struct service wanted[SYNSTILE_MAX_SERVICES];   /* while refreshing */
	struct port_entry ports[SYNSTILE_MAX_SERVICES]; /* by service, as in the map */
	struct pairs have, want;
	struct addr *addresses;
	size_t n_addresses, room_addresses;
	bool addresses_known, too_many_services, too_many_pairs;
};

static int grow(void *array, size_t *room, size_t n, size_t size)
{
	void **at = array, *bigger;
	size_t more = *room ? *room * 2 : 64;

	if (n < *room)
		return 0;
	bigger = reallocarray(*at, more, size);
	if (!bigger)
		return -ENOMEM;
	*at = bigger;
	*room = more;
	return 0;
}

static int add_pair(struct pairs *p, const struct listener_key *key,
		    const struct listen_entry *value)
{
	int err = grow(&p->at, &p->room, p->n, sizeof(*p->at));

	if (!err)
		p->at[p->n++] = (struct pair){.key = *key, .value = *value};
	return err;
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct listener_key));
}

/* ---- what the host has ---- */

static int on_address(const struct addr *a, u32 ifindex, void *arg)
{
	struct listeners *l = arg;
	int err;

	(void)ifindex;
	if (addr_is_loopback(a))
		return 0;
	err = grow(&l->addresses, &l->room_addresses, l->n_addresses, sizeof(*l->addresses));
	if (!err)
		l->addresses[l->n_addresses++] = *a;
	return err;
}

static int read_addresses(struct listeners *l)
{
	int err, tries = 0;

	do {
		l->n_addresses = 0;
		err = netlink_addresses(on_address, l);
	} while (err == -EINTR && ++tries < 5);
	l->addresses_known = !err;
	return err == -EINTR ? 0 : err;
}

static void set_bounds(struct service *s, u32 backlog)
{
	u32 above = backlog / 2;

	if (above > 256)
		above = 256;
	if (above < 2)
		above = 2;
	s->half_open_attack_above = above;
	s->half_open_calm_below = above / 4 ? above / 4 : 1;
}

/* The index for this port, a new one if need be; 0 if there are too many. */
static u16 service_index(struct listeners *l, __be16 port)
{
	u16 *index = &l->service_of[ntohs(port)];

	if (*index)
		return *index;
	if (l->n_services + 1 >= SYNSTILE_MAX_SERVICES) {
		if (!l->too_many_services)
			warn("port %u and perhaps others are not protected: more than %d listening "
			     "ports; "
			     "choose with --ports",
			     ntohs(port), SYNSTILE_MAX_SERVICES - 1);
		l->too_many_services = true;
		return 0;
	}
	*index = ++l->n_services;
	return *index;
}

/* Several sockets may share a port: the roomiest one sets the bounds. */
static void want_service(struct listeners *l, u16 index, const struct tcp_socket *sk)
{
	struct service *s = &l->wanted[index];
	struct service new = {.mode = l->mode,
			      .rate_attack_above = 5000,
			      .rate_calm_below = 1000,
			      .hold_ms = 10000,
			      .syn_calm_ms = l->syn_timeout_ms,
			      .syn_attack_ms = l->syn_timeout_ms,
			      .features = TCP_FEATURES,
			      .wscale = SERVICE_NO_WSCALE,
			      .used = true,
			      .backlog = sk->backlog,
			      .port = sk->local_port};

	snprintf(new.name, sizeof(new.name), "%u", ntohs(sk->local_port));
	set_bounds(&new, sk->backlog);
	if (s->port && s->half_open_attack_above > new.half_open_attack_above) {
		new.half_open_attack_above = s->half_open_attack_above;
		new.half_open_calm_below = s->half_open_calm_below;
	}
	/* bpf_sk_assign_tcp_reqsk() refuses a Multipath TCP listener */
	if (sk->mptcp && l->own_cookies && l->mode != MODE_OBSERVE) {
		new.mode = MODE_OBSERVE;
		if (l->services[index].mode != MODE_OBSERVE || !l->services[index].port)
			warn("port %u is only observed: its listener speaks Multipath TCP, which "
			     "own cookies "
			     "cannot serve; use --cookies kernel, or turn MPTCP off in the server",
			     ntohs(sk->local_port));
	}
	if ((s->port && s->mode == MODE_OBSERVE) || l->nat)
		new.mode = MODE_OBSERVE;
	*s = new;
}

static bool listens_at(const struct tcp_socket *sk, const struct addr *a)
{
	if (!addr_is_any(&sk->local))
		return false;
	if (addr_is_v4(a))
		return addr_is_v4(&sk->local) || !sk->v6only;
	return !addr_is_v4(&sk->local);
}

static int on_listener(const struct tcp_socket *sk, void *arg)
{
	struct listeners *l = arg;
	struct listener_key key = {.port = sk->local_port};
	struct listen_entry value = {.window = sysctls_window(sk->rcvbuf)};
	size_t i;
	int err = 0;

	if (!ports_has(&l->allowed, ntohs(sk->local_port)) || addr_is_loopback(&sk->local))
		return 0;
	value.service[0] = value.service[1] = service_index(l, sk->local_port);
	if (!value.service[0])
		return 0;
	want_service(l, value.service[0], sk);
	if (!addr_is_any(&sk->local)) {
		key.addr = sk->local;
		return add_pair(&l->want, &key, &value);
	}
	for (i = 0; !err && i < l->n_addresses; i++) {
		if (!listens_at(sk, &l->addresses[i]))
			continue;
		key.addr = l->addresses[i];
		err = add_pair(&l->want, &key, &value);
	}
	return err;
}

/* Sorts, and joins the pairs of sockets that share address and port: the smallest window. */
static void tidy(struct listeners *l)
{
	struct pairs *p = &l->want;
	size_t i, n = 0;

	if (p->n)
		qsort(p->at, p->n, sizeof(*p->at), compare);
	for (i = 0; i < p->n; i++) {
		if (n && !compare(&p->at[n - 1], &p->at[i])) {
			if (p->at[i].value.window < p->at[n - 1].value.window)
				p->at[n - 1].value.window = p->at[i].value.window;
			continue;
		}
		p->at[n++] = p->at[i];
	}
	if (n > SYNSTILE_MAX_LISTENERS) {
		if (!l->too_many_pairs)
			warn("%zu pairs of address and port listen, only %d of them are protected; "
			     "choose "
			     "with --ports",
			     n, SYNSTILE_MAX_LISTENERS);
		l->too_many_pairs = true;
		n = SYNSTILE_MAX_LISTENERS;
	}
	p->n = n;
}

/* ---- what the maps have ---- */

static int update_services(struct listeners *l)
{
	u16 i;
	int err = 0;

	for (i = 1; !err && i <= l->n_services; i++) {
		/* the listener is gone: its service stays as it was */
		if (!l->wanted[i].port ||
		    !memcmp(&l->services[i], &l->wanted[i], sizeof(l->wanted[i])))
			continue;
		l->services[i] = l->wanted[i];
		err = maps_set_service(l->maps, 0, i, &l->services[i]);
		if (!err)
			err = maps_set_service(l->maps, 1, i, &l->services[i]);
	}
	return err;
}

static int enter_pair(struct listeners *l, const struct pair *p)
{
	return bpf_map_update_elem(l->maps->listeners, &p->key, &p->value, BPF_ANY) ? -errno : 0;
}

/* One walk over both sorted lists; what is to stay is collected in `next`. */
static int update_pairs(struct listeners *l, struct pairs *next)
{
	struct pair *have = l->have.at, *want = l->want.at;
	struct pair *have_end = have + l->have.n, *want_end = want + l->want.n;
	int err = 0, order;

	while (!err && (have < have_end || want < want_end)) {
		order = have == have_end ? 1 : want == want_end ? -1 : compare(have, want);
		if (order < 0) {
			if (++have->missed >= MISSES)
				bpf_map_delete_elem(l->maps->listeners, &have->key);
			else if (!add_pair(next, &have->key, &have->value))
				next->at[next->n - 1].missed = have->missed;
			have++;
			continue;
		}
		if (order > 0 || memcmp(&have->value, &want->value, sizeof(want->value)))
			err = enter_pair(l, want);
		if (!err)
			err = add_pair(next, &want->key, &want->value);
		have += !order;
		want++;
	}
	return err;
}

/* Each port's quick answer: its first IPv4 address, and the entry that this has. */
static int update_ports(struct listeners *l)
{
	struct port_entry *wanted = calloc(l->n_services + 1, sizeof(*wanted));
	size_t i;
	int err = 0;

	if (!wanted)
		return -ENOMEM;
	for (i = 0; i < l->have.n; i++) {
		const struct pair *p = &l->have.at[i];
		struct port_entry *port = &wanted[p->value.service[0]];

		if (!port->addr4 && addr_is_v4(&p->key.addr)) {
			port->addr4 = p->key.addr.w[3];
			port->quick = p->value;
		}
	}
	for (i = 1; !err && i <= l->n_services; i++) {
		wanted[i].flags = PORT_ANY;
		if (!memcmp(&wanted[i], &l->ports[i], sizeof(wanted[i])))
			continue;
		err = maps_set_port(l->maps, ntohs(l->services[i].port), &wanted[i]);
		l->ports[i] = wanted[i];
	}
	free(wanted);
	return err;
}

int listeners_refresh(struct listeners *l, bool addresses_changed)
{
	struct pairs next = {0};
	int err = 0;

	if (addresses_changed || !l->addresses_known)
		err = read_addresses(l);
	l->want.n = 0;
	l->syn_timeout_ms = sysctls_syn_timeout_ms();
	memset(l->wanted, 0, sizeof(l->wanted));
	if (!err)
		err = netlink_sockets(1 << TCP_LISTEN, on_listener, l);
	if (err)
		return err;
	tidy(l);
	err = update_services(l);
	if (!err)
		err = update_pairs(l, &next);
	if (err) {
		/* the maps may be ahead of `have`; the next refresh enters the rest again */
		free(next.at);
		return fail(-err, "cannot update the table of listeners: %s", strerror(-err));
	}
	free(l->have.at);
	l->have = next;
	err = update_ports(l);
	return err ? fail(-err, "cannot update the table of ports: %s", strerror(-err)) : 0;
}

static int load_pair(const struct listener_key *key, const struct listen_entry *value, void *arg)
{
	struct listeners *l = arg;

	return add_pair(&l->have, key, value);
}

static int load_services(struct listeners *l)
{
	u32 i;
	int err = 0;

	for (i = 1; !err && i < SYNSTILE_MAX_SERVICES; i++) {
		err = maps_service(l->maps, i, &l->services[i]);
		if (err || !l->services[i].port)
			break;
		l->service_of[ntohs(l->services[i].port)] = i;
		l->n_services = i;
	}
	return err;
}

struct listeners *listeners_new(const struct maps *m, const struct state *st)
{
	struct listeners *l = calloc(1, sizeof(*l));
	int err;

	if (!l)
		return NULL;
	l->maps = m;
	l->mode = st->mode;
	l->own_cookies = !st->kernel_cookies;
	err = ports_parse(&l->allowed, st->ports);
	if (!err)
		err = load_services(l);
	if (!err)
		err = maps_listeners(m, load_pair, l);
	if (err) {
		listeners_free(l);
		return NULL;
	}
	if (l->have.n)
		qsort(l->have.at, l->have.n, sizeof(*l->have.at), compare);
	return l;
}

void listeners_see_nat(struct listeners *l)
{
	bool nat = l->own_cookies && l->mode != MODE_OBSERVE && nat_present();

	if (nat && !l->nat)
		warn("all ports are only observed: netfilter translates addresses here now, and "
		     "with that the kernel resets the clients of own cookies; `synstile detach "
		     "--all` and attach again, which then chooses the kernel's cookies");
	else if (!nat && l->nat)
		warn("netfilter translates no addresses any more: all ports are protected again");
	l->nat = nat;
}

void listeners_free(struct listeners *l)
{
	if (!l)
		return;
	free(l->have.at);
	free(l->want.at);
	free(l->addresses);
	free(l);
}

u16 listeners_service(const struct listeners *l, __be16 port)
{
	return l->service_of[ntohs(port)];
}

void listeners_count(const struct listeners *l, size_t *services, size_t *pairs)
{
	*services = l->n_services;
	*pairs = l->have.n;
}
