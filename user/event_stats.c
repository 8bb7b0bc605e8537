// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "clock.h"
#include "datapath.h"
#include "event_json.h"
#include "event_stats.h"
#include "log.h"
#include "moment.h"
#include "syn_timeout.h"

struct event_stats {
	const struct instance *in;
	const struct state *st;
	const struct maps *maps;
	u64 before[SYNSTILE_COUNTERS];
	u64 when; /* monotonic ns; 0: nobody asks */
};

struct event_stats *event_stats_new(const struct instance *in, const struct state *st,
				    const struct maps *m)
{
	struct event_stats *s = calloc(1, sizeof(*s));

	if (s)
		*s = (struct event_stats){.in = in, .st = st, .maps = m};
	return s;
}

void event_stats_free(struct event_stats *s)
{
	free(s);
}

void event_stats_end(struct event_stats *s)
{
	s->when = 0;
}

static void read_counters(const struct event_stats *s, u64 sum[SYNSTILE_COUNTERS])
{
	size_t i;
	int fd;

	for (i = 0; i < s->st->n_ifaces; i++) {
		fd = datapath_counters(s->in, &s->st->ifaces[i]);
		if (fd < 0) {
			fail_clear(); /* being detached */
			continue;
		}
		maps_add_counters(fd, sum);
		close(fd);
	}
}

void event_stats_begin(struct event_stats *s)
{
	if (s->when)
		return;
	memset(s->before, 0, sizeof(s->before));
	read_counters(s, s->before);
	s->when = monotonic_now();
}

/* What was not counted at all is left out. */
static json_t *packets_json(const u64 *now, const u64 *before)
{
	json_t *packets = json_object();
	int v;

	for (v = 0; v < V_COUNT; v++)
		if (now[v] > before[v]) /* less: an interface was detached */
			json_object_set_new(packets, verdict_names[v],
					    json_integer(now[v] - before[v]));
	return packets;
}

static json_t *service_json(const struct service *service, struct pressure p,
			    const struct census *c)
{
	/* the rate stands still when no SYN comes */
	if (monotonic_now() > p.window_start + 2 * NS_PER_SEC)
		p.rate = 0;
	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "service", service->name, "state",
			 p.state == PRESSURE_ATTACK ? "attack" : "calm", "syn_rate",
			 (json_int_t)p.rate, "half_open", (json_int_t)c->answered + c->unanswered,
			 "established", (json_int_t)c->established, "other", (json_int_t)c->other,
			 "syn_timeout_ms", (json_int_t)syn_timeout_ms(service, &p));
}

/* Index 0 counts the connections that the host opened. */
static json_t *services_json(const struct event_stats *s, struct census *sum)
{
	static struct service services[SYNSTILE_MAX_SERVICES];
	static struct pressure pressure[SYNSTILE_MAX_SERVICES];
	static struct census census[SYNSTILE_MAX_SERVICES];
	json_t *list = json_array();
	u32 i;

	if (maps_services(s->maps, services) || maps_pressures(s->maps, pressure) ||
	    maps_censuses(s->maps, census))
		return list;
	for (i = 0; i < SYNSTILE_MAX_SERVICES; i++) {
		const struct census *c = &census[i];

		if (i && !services[i].used)
			continue;
		sum->answered += c->answered;
		sum->unanswered += c->unanswered;
		sum->established += c->established;
		sum->other += c->other;
		if (i)
			json_array_append_new(list, service_json(&services[i], pressure[i], c));
	}
	return list;
}

char *event_stats_line(struct event_stats *s, u64 wall)
{
	u64 now[SYNSTILE_COUNTERS] = {0}, when = monotonic_now();
	struct census sum = {0};
	json_t *root, *stats;
	char *text, *line = NULL;

	read_counters(s, now);
	stats = json_pack("{s:I, s:o, s:o}", "interval_ms",
			  (json_int_t)((when - s->when) / NS_PER_MS), "packets",
			  packets_json(now, s->before), "services", services_json(s, &sum));
	json_object_set_new(stats, "flows",
			    json_pack("{s:I, s:I, s:I}", "half_open",
				      (json_int_t)sum.answered + sum.unanswered, "established",
				      (json_int_t)sum.established, "other", (json_int_t)sum.other));
	memcpy(s->before, now, sizeof(now));
	s->when = when;
	root = event_json_head(wall, EVENT_STATS);
	json_object_set_new(root, "stats", stats);
	json_object_set_new(root, "synstile", json_pack("{s:i}", "schema", EVENT_SCHEMA));
	text = json_dumps(root, JSON_COMPACT | JSON_PRESERVE_ORDER);
	if (text && asprintf(&line, "%s\n", text) < 0)
		line = NULL;
	free(text);
	json_decref(root);
	return line;
}
