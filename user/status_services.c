// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "log.h"
#include "moment.h"
#include "netlink.h"
#include "standing.h"
#include "status_services.h"
#include "syn_timeout.h"

static const char *const held_words[] = {
	[HELD_MPTCP] = "its listener speaks Multipath TCP, which own cookies cannot serve; use "
		       "--cookies kernel, or turn MPTCP off in the server",
	[HELD_NAT] = "netfilter translates addresses here, which own cookies do not survive; "
		     "`synstile detach --all` and attach again, which then chooses the kernel's",
	[HELD_PUBLISHED] = "netfilter leads the port elsewhere (DNAT), as a published port of a "
			   "container",
};

/* ---- where they listen ---- */

struct place {
	u16 service, port; /* host order */
	u32 ifindex;
	struct addr addr;
};

struct places {
	const struct maps *maps;
	u32 slot;
	struct place *at;
	size_t n, room;
};

/* Where the interface decides, the entry without one is for sockets only. */
static bool is_shadow(const struct places *p, const struct listener_key *key)
{
	struct port_entry port = {0};

	return !key->ifindex && !maps_port(p->maps, ntohs(key->port), &port) &&
	       port.flags & PORT_BY_INTERFACE;
}

static int on_listener(const struct listener_key *key, const struct listen_entry *value, void *arg)
{
	struct places *p = arg;
	size_t more = p->room ? 2 * p->room : 256;
	struct place *bigger;

	if (!value->service[p->slot] || is_shadow(p, key))
		return 0;
	if (p->n == p->room) {
		bigger = reallocarray(p->at, more, sizeof(*bigger));
		if (!bigger)
			return -ENOMEM;
		p->at = bigger;
		p->room = more;
	}
	p->at[p->n++] = (struct place){.service = value->service[p->slot],
				       .port = ntohs(key->port),
				       .ifindex = key->ifindex,
				       .addr = key->addr};
	return 0;
}

static int compare_places(const void *l, const void *r)
{
	const struct place *a = l, *b = r;
	int d;

	if (a->service != b->service)
		return a->service < b->service ? -1 : 1;
	if (a->port != b->port)
		return a->port < b->port ? -1 : 1;
	d = memcmp(&a->addr, &b->addr, sizeof(a->addr));
	return d ? d : a->ifindex < b->ifindex ? -1 : a->ifindex > b->ifindex;
}

/* 192.0.2.1:80, [2001:db8::1]:80, 192.0.2.1:80 at eth0 */
static json_t *place_json(const struct place *p)
{
	char addr[INET6_ADDRSTRLEN], name[IF_NAMESIZE] = "?";

	addr_text(&p->addr, addr);
	if (p->ifindex)
		if_indextoname(p->ifindex, name);
	return json_sprintf(addr_is_v4(&p->addr) ? "%s:%u%s%s" : "[%s]:%u%s%s", addr, p->port,
			    p->ifindex ? " at " : "", p->ifindex ? name : "");
}

/* "ports", "addresses" and "listeners" of the `n` places of one service. */
static void add_places(json_t *j, const struct place *at, size_t n)
{
	json_t *ports = json_array(), *addresses = json_array(), *listeners = json_array();
	char addr[INET6_ADDRSTRLEN];
	json_t *seen = json_object();
	size_t i;

	for (i = 0; i < n; i++) {
		if (!i || at[i].port != at[i - 1].port)
			json_array_append_new(ports, json_integer(at[i].port));
		addr_text(&at[i].addr, addr);
		if (!json_object_get(seen, addr))
			json_array_append_new(addresses, json_string(addr));
		json_object_set_new(seen, addr, json_true());
		json_array_append_new(listeners, place_json(&at[i]));
	}
	json_decref(seen);
	json_object_set_new(j, "ports", ports);
	json_object_set_new(j, "addresses", addresses);
	json_object_set_new(j, "listeners", listeners);
}

/* ---- what they do ---- */

static double seconds_since(u64 then)
{
	u64 now = monotonic_now();

	return then && now > then ? (now - then) / 1e9 : 0;
}

static json_t *service_json(const struct service *s, const struct pressure *p)
{
	const char *state = s->mode == MODE_ALWAYS        ? "always"
			    : p->state == PRESSURE_ATTACK ? "attack"
							  : "calm";
	const char *why =
		s->held < sizeof(held_words) / sizeof(*held_words) ? held_words[s->held] : NULL;

	/* `rate` is that of the last whole window: it stands still when no SYN comes */
	return json_pack("{s:s, s:o, s:s, s:s?, s:s, s:f, s:I, s:I, s:I, s:I, s:I}", "service",
			 s->name, "port", s->port ? json_integer(ntohs(s->port)) : json_null(),
			 "mode", mode_name(s->mode), "observed_because", why, "state", state,
			 "state_seconds", seconds_since(p->since), "rate",
			 (json_int_t)(seconds_since(p->window_start) > 2 ? 0 : p->rate),
			 "half_open", (json_int_t)(p->half_open > 0 ? p->half_open : 0),
			 "half_open_bound", (json_int_t)s->half_open_attack_above, "syn_timeout_ms",
			 (json_int_t)syn_timeout_ms(s, p), "attacks", (json_int_t)p->attacks);
}

struct shown {
	json_t *service;
};

static json_int_t first_port(const json_t *service)
{
	return json_integer_value(json_array_get(json_object_get(service, "ports"), 0));
}

static int compare_services(const void *l, const void *r)
{
	const json_t *a = ((const struct shown *)l)->service;
	const json_t *b = ((const struct shown *)r)->service;

	if (first_port(a) != first_port(b))
		return first_port(a) < first_port(b) ? -1 : 1;
	return strcmp(json_string_value(json_object_get(a, "service")),
		      json_string_value(json_object_get(b, "service")));
}

/* The services of places that are in their order. */
static size_t read_services(const struct places *p, struct shown *services)
{
	size_t i, end, n = 0;
	struct pressure pressure;
	struct service s;

	for (i = 0; i < p->n; i = end) {
		for (end = i + 1; end < p->n && p->at[end].service == p->at[i].service; end++)
			;
		if (maps_slot_service(p->maps, p->slot, p->at[i].service, &s) ||
		    maps_pressure(p->maps, p->at[i].service, &pressure))
			continue;
		services[n].service = service_json(&s, &pressure);
		add_places(services[n++].service, &p->at[i], end - i);
	}
	return n;
}

json_t *status_services_json(const struct running *r)
{
	static struct shown services[SYNSTILE_MAX_SERVICES];
	struct places p = {.maps = &r->maps};
	json_t *list = json_array();
	u32 generation = 0;
	size_t i, n = 0;

	maps_generation(&r->maps, &generation);
	p.slot = policy_slot(generation);
	if (maps_listeners(&r->maps, on_listener, &p))
		debug("cannot read all listeners");
	if (p.n) {
		qsort(p.at, p.n, sizeof(*p.at), compare_places);
		n = read_services(&p, services);
		qsort(services, n, sizeof(*services), compare_services);
	}
	for (i = 0; i < n; i++)
		json_array_append_new(list, services[i].service);
	free(p.at);
	return list;
}

/* ---- text ---- */

static const char *text_of(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? s : "-";
}

static long long int_of(const json_t *j, const char *key)
{
	return json_integer_value(json_object_get(j, key));
}

/* "80,443,8000"; "..." if there are more. */
static const char *ports_text(const json_t *ports, char *buf, size_t size)
{
	size_t i, n = 0;
	json_t *port;

	buf[0] = 0;
	json_array_foreach (ports, i, port) {
		if (n + 10 > size) {
			snprintf(buf + n, size - n, "...");
			break;
		}
		n += snprintf(buf + n, size - n, "%s%lld", i ? "," : "",
			      (long long)json_integer_value(port));
	}
	return buf;
}

static void print_service(const json_t *j, int width)
{
	double since = json_real_value(json_object_get(j, "state_seconds"));
	char bound[32], lasts[32] = "-", ports[24], timeout[DURATION_SIZE];

	if (since > 0)
		snprintf(lasts, sizeof(lasts), "%.0f s", since);
	snprintf(bound, sizeof(bound), "%lld/%lld", int_of(j, "half_open"),
		 int_of(j, "half_open_bound"));
	printf("%-*s %-12s %-8s %-8s %10s %10lld %13s %9s %8lld %10zu\n", width,
	       text_of(j, "service"), ports_text(json_object_get(j, "ports"), ports, sizeof(ports)),
	       text_of(j, "mode"), text_of(j, "state"), lasts, int_of(j, "rate"), bound,
	       duration_text(int_of(j, "syn_timeout_ms"), timeout), int_of(j, "attacks"),
	       json_array_size(json_object_get(j, "addresses")));
}

void status_services_print(const json_t *services)
{
	int width = strlen("SERVICE"), n;
	const json_t *j;
	size_t i;

	json_array_foreach (services, i, j) {
		n = strlen(text_of(j, "service"));
		width = n > width ? n : width;
	}
	printf("\n%-*s %-12s %-8s %-8s %10s %10s %13s %9s %8s %10s\n", width, "SERVICE", "PORTS",
	       "MODE", "STATE", "FOR", "SYN/S", "HALF-OPEN", "TIMEOUT", "ATTACKS", "ADDRESSES");
	json_array_foreach (services, i, j)
		print_service(j, width);
	json_array_foreach (services, i, j) {
		const char *why = json_string_value(json_object_get(j, "observed_because"));

		/* of NAT, which holds all of them, the head of the page speaks */
		if (why && strcmp(why, held_words[HELD_NAT]))
			printf("service %s is only observed: %s\n", text_of(j, "service"), why);
	}
}

/* ---- the policy ---- */

/* From the agent, which knows more; else from its record. */
json_t *status_policy_json(const struct running *r)
{
	u32 generation = 0;
	json_t *j = NULL;

	if (instance_agent(&r->in) && client_get(&r->in, "/v1/policy?brief=1", &j)) {
		debug("%s", fail_reason(0));
		fail_clear();
		j = NULL;
	}
	if (!j) {
		maps_generation(&r->maps, &generation);
		j = standing_record(&r->in, generation);
		json_object_del(j, "files");
		json_object_set_new(j, "trouble", json_null());
	}
	return j ? j : json_null();
}

void status_policy_print(const json_t *policy)
{
	const char *file = json_string_value(json_object_get(policy, "file"));
	const char *trouble = json_string_value(json_object_get(policy, "trouble"));

	if (json_is_null(policy)) {
		puts("policy    no record of it: what is built in");
		return;
	}
	printf("policy    %s, generation %lld, applied %s\n", file ? file : "built in",
	       int_of(policy, "generation"), text_of(policy, "applied"));
	if (trouble)
		printf("          when %s was last read again, it was not applied:\n",
		       file ? file : "it");
	for (; trouble && *trouble; trouble += strcspn(trouble, "\n"), trouble += *trouble == '\n')
		printf("          %.*s\n", (int)strcspn(trouble, "\n"), trouble);
}
