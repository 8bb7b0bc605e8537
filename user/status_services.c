// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "moment.h"
#include "service_json.h"
#include "service_places.h"
#include "state.h"
#include "status_services.h"
#include "syn_timeout.h"

/* ---- what they do ---- */

static double seconds_since(u64 then)
{
	u64 now = monotonic_now();

	return then && now > then ? (now - then) / 1e9 : 0;
}

static json_t *entry_json(const struct service *s, const struct pressure *p)
{
	const char *state = s->mode == MODE_ALWAYS        ? "always"
			    : p->state == PRESSURE_ATTACK ? "attack"
							  : "calm";

	/* `rate` is that of the last whole window: it stands still when no SYN comes */
	return json_pack("{s:s, s:o, s:s, s:s?, s:s, s:f, s:I, s:I, s:I, s:I, s:I}", "service",
			 s->name, "port", s->port ? json_integer(ntohs(s->port)) : json_null(),
			 "mode", mode_name(s->mode), "observed_because", service_held_words(s),
			 "state", state, "state_seconds", seconds_since(p->since), "rate",
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

static json_t *read_service(const struct maps *m, u16 i, const struct place *at, size_t n)
{
	struct pressure pressure;
	struct service s;
	json_t *j;

	if (maps_service(m, i, &s) || maps_pressure(m, i, &pressure))
		return NULL;
	j = entry_json(&s, &pressure);
	json_object_set_new(j, "ports", places_ports_json(at, n));
	json_object_set_new(j, "addresses", places_addresses_json(at, n));
	json_object_set_new(j, "listeners", places_listeners_json(at, n));
	return j;
}

json_t *status_services_json(const struct maps *m)
{
	static struct shown services[SYNSTILE_MAX_SERVICES];
	struct places places = {0};
	json_t *list = json_array();
	const struct place *at;
	size_t n = 0, k;
	u16 i;

	if (places_read(&places, m))
		debug("cannot read all listeners");
	for (i = 1; i < SYNSTILE_MAX_SERVICES; i++) {
		at = places_of(&places, i, &k);
		services[n].service = at ? read_service(m, i, at, k) : NULL;
		n += !!services[n].service;
	}
	places_free(&places);
	if (n)
		qsort(services, n, sizeof(*services), compare_services);
	for (k = 0; k < n; k++)
		json_array_append_new(list, services[k].service);
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
	const struct service nat = {.held = HELD_NAT};
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
		if (why && strcmp(why, service_held_words(&nat)))
			printf("service %s is only observed: %s\n", text_of(j, "service"), why);
	}
}

/* ---- the policy ---- */

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
