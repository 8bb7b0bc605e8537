// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "top_frame.h"
#include "top_text.h"

/* ---- members that may be missing ---- */

static s64 number_of(const json_t *j, const char *key)
{
	const json_t *n = json_object_get(j, key);

	return json_is_integer(n) && json_integer_value(n) >= 0 ? json_integer_value(n)
								: UNKNOWN_NUMBER;
}

static void copy(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from ? from : "");
}

static void word_of(const json_t *j, const char *key, char *to, size_t size)
{
	copy(to, size, json_string_value(json_object_get(j, key)));
}

/* The words of a list, with commas. */
static void words_of(json_t *list, char *to, size_t size)
{
	size_t i, n = 0;
	json_t *word;

	*to = 0;
	json_array_foreach (list, i, word)
		if (json_is_string(word) && n < size)
			n += snprintf(to + n, size - n, "%s%s", n ? ", " : "",
				      json_string_value(word));
}

/* Room for what a list has. False: no memory. */
static bool room(json_t *list, void **at, size_t *n, size_t size)
{
	*n = json_array_size(list);
	*at = calloc(*n + 1, size);
	if (!*at)
		*n = 0;
	return *at;
}

/* ---- parts ---- */

static void read_rates(struct frame_rates *r, const json_t *j)
{
	*r = (struct frame_rates){
		.syns = number_of(j, "syn_rate"),
		.cookies = number_of(j, "cookie_rate"),
		.validated = number_of(j, "validated_rate"),
		.completed = number_of(j, "completed_rate"),
		.verified = number_of(j, "verified_rate"),
		.dropped = number_of(j, "dropped_rate"),
		.half_open = number_of(j, "half_open"),
		.bound = number_of(j, "half_open_bound"),
		.kernel = number_of(j, "kernel_half_open"),
	};
}

static void read_ports(struct frame_service *s, const json_t *j)
{
	json_t *ports = json_object_get(j, "ports"), *port;
	size_t i, n = 0;

	json_array_foreach (ports, i, port)
		if (n < sizeof(s->ports))
			n += snprintf(s->ports + n, sizeof(s->ports) - n, "%s%lld", n ? "," : "",
				      (long long)json_integer_value(port));
	if (!n && json_is_integer(json_object_get(j, "port")))
		snprintf(s->ports, sizeof(s->ports), "%lld", (long long)number_of(j, "port"));
}

static void read_service(struct frame_service *s, const json_t *j)
{
	word_of(j, "service", s->name, sizeof(s->name));
	word_of(j, "state", s->state, sizeof(s->state));
	word_of(j, "observed_because", s->observed_because, sizeof(s->observed_because));
	read_ports(s, j);
	read_rates(&s->now, j);
	s->for_ms = number_of(j, "for_ms");
	s->timeout_ms = number_of(j, "syn_timeout_ms");
	s->attacks = number_of(j, "attacks");
	s->attacked = !strcmp(s->state, "attack");
}

static void read_half_open(struct frame_half_open *h, const json_t *j)
{
	char host_is[16];

	h->flow_id = json_integer_value(json_object_get(j, "flow_id"));
	word_of(j, "src_ip", h->src, sizeof(h->src));
	word_of(j, "dest_ip", h->dest, sizeof(h->dest));
	word_of(j, "service", h->service, sizeof(h->service));
	word_of(j, "host_is", host_is, sizeof(host_is));
	h->src_port = number_of(j, "src_port");
	h->dest_port = number_of(j, "dest_port");
	h->age_ms = number_of(j, "age_ms");
	h->left_ms = number_of(j, "left_ms");
	h->syns = number_of(j, "syns");
	h->syn_acks = number_of(j, "syn_acks");
	h->by_host = !strcmp(host_is, "client");
	snprintf(h->source, sizeof(h->source), strchr(h->src, ':') ? "[%.47s]:%lld" : "%.47s:%lld",
		 h->src, (long long)h->src_port);
}

static void read_source(struct frame_source *s, const json_t *j)
{
	word_of(j, "prefix", s->prefix, sizeof(s->prefix));
	s->percent = json_number_value(json_object_get(j, "percent"));
	s->rate = number_of(j, "syn_rate");
}

static void read_verdict(struct frame_verdict *v, const json_t *j)
{
	const char *what = json_string_value(json_object_get(j, "what"));

	word_of(j, "verdict", v->name, sizeof(v->name));
	v->observed = what && !strcmp(what, "observed");
	v->rate = number_of(j, "rate");
	v->total = number_of(j, "total");
}

static void read_interfaces(struct top_frame *f, json_t *list)
{
	char name[32], xdp[16], tc[16];
	size_t i, n = 0;
	json_t *j;

	json_array_foreach (list, i, j) {
		if (n >= sizeof(f->interfaces))
			return;
		word_of(j, "name", name, sizeof(name));
		word_of(j, "xdp", xdp, sizeof(xdp));
		word_of(j, "tc", tc, sizeof(tc));
		n += snprintf(f->interfaces + n, sizeof(f->interfaces) - n, "%s%s %s/%s",
			      n ? ", " : "", name, *xdp ? xdp : "?", *tc ? tc : "?");
	}
}

static void read_head(struct top_frame *f, const json_t *j)
{
	json_t *policy = json_object_get(j, "policy"), *spoofed = json_object_get(j, "spoofed");
	const char *state = json_string_value(json_object_get(j, "state"));
	json_t *attacked = json_object_get(j, "attacked");

	f->t = timestamp_ms(json_string_value(json_object_get(j, "timestamp")));
	word_of(j, "instance", f->instance, sizeof(f->instance));
	word_of(j, "hostname", f->hostname, sizeof(f->hostname));
	word_of(j, "version", f->version, sizeof(f->version));
	word_of(j, "mode", f->mode, sizeof(f->mode));
	word_of(j, "cookies", f->cookies, sizeof(f->cookies));
	f->attack = state && !strcmp(state, "attack");
	f->for_ms = number_of(j, "for_ms");
	f->uptime_ms = number_of(j, "uptime_ms");
	words_of(json_object_get(j, "why_words"), f->why, sizeof(f->why));
	if (!f->why[0])
		words_of(json_object_get(j, "why"), f->why, sizeof(f->why));
	words_of(attacked, f->attacked, sizeof(f->attacked));
	f->n_attacked = json_array_size(attacked);
	f->spoofed = json_is_true(spoofed)    ? SPOOFED_SAID_YES
		     : json_is_false(spoofed) ? SPOOFED_SAID_NO
					      : SPOOFED_UNSAID;
	f->ready = !json_is_false(json_object_get(j, "ready"));
	read_interfaces(f, json_object_get(j, "interfaces"));
	word_of(policy, "file", f->policy_file, sizeof(f->policy_file));
	f->policy_generation = number_of(policy, "generation");
}

static s64 sum(s64 a, s64 b)
{
	return a < 0 ? b : b < 0 ? a : a + b;
}

static void read_totals(struct top_frame *f, const json_t *j)
{
	json_t *totals = json_object_get(j, "totals"), *lost = json_object_get(j, "lost");
	json_t *half_open = json_object_get(j, "half_open");
	json_t *sources = json_object_get(j, "top_sources");

	read_rates(&f->totals, totals);
	f->flows = number_of(totals, "flows");
	f->open = number_of(totals, "open");
	f->max_flows = number_of(totals, "max_flows");
	f->services_total = number_of(j, "services_total");
	f->half_open_total = number_of(half_open, "total");
	f->listed_ms_ago = number_of(half_open, "listed_ms_ago");
	f->sampled = number_of(sources, "samples");
	f->sampled_ms = number_of(sources, "over_ms");
	f->lost = sum(number_of(lost, "limited"), number_of(lost, "ring"));
}

/* ---- the whole ---- */

static void read_lists(struct top_frame *f, const json_t *j)
{
	json_t *services = json_object_get(j, "services");
	json_t *half_open = json_object_get(json_object_get(j, "half_open"), "connections");
	json_t *sources = json_object_get(json_object_get(j, "top_sources"), "sources");
	json_t *verdicts = json_object_get(j, "verdicts");
	size_t i;

	if (room(services, (void **)&f->services, &f->n_services, sizeof(*f->services)))
		for (i = 0; i < f->n_services; i++)
			read_service(&f->services[i], json_array_get(services, i));
	if (room(half_open, (void **)&f->half_open, &f->n_half_open, sizeof(*f->half_open)))
		for (i = 0; i < f->n_half_open; i++)
			read_half_open(&f->half_open[i], json_array_get(half_open, i));
	if (room(sources, (void **)&f->sources, &f->n_sources, sizeof(*f->sources)))
		for (i = 0; i < f->n_sources; i++)
			read_source(&f->sources[i], json_array_get(sources, i));
	if (room(verdicts, (void **)&f->verdicts, &f->n_verdicts, sizeof(*f->verdicts)))
		for (i = 0; i < f->n_verdicts; i++)
			read_verdict(&f->verdicts[i], json_array_get(verdicts, i));
}

struct top_frame *frame_read(const json_t *j)
{
	struct top_frame *f =
		json_is_string(json_object_get(j, "state")) ? calloc(1, sizeof(*f)) : NULL;

	if (f) {
		read_head(f, j);
		read_totals(f, j);
		read_lists(f, j);
	}
	return f;
}

void frame_free(struct top_frame *f)
{
	if (!f)
		return;
	free(f->services);
	free(f->half_open);
	free(f->sources);
	free(f->verdicts);
	free(f);
}

const struct frame_service *frame_service(const struct top_frame *f, const char *name)
{
	size_t i;

	for (i = 0; i < f->n_services; i++)
		if (!strcmp(f->services[i].name, name))
			return &f->services[i];
	return NULL;
}
