// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/buffer.h>

#include "agent_inside.h"
#include "clock.h"
#include "datapath.h"
#include "event_names.h"
#include "log.h"
#include "metrics.h"
#include "metrics_text.h"
#include "moment.h"
#include "netlink.h"
#include "status_doc.h"
#include "syn_timeout.h"

static const char *const half_open_bounds[] = {
#define X(us, seconds) seconds,
	HALF_OPEN_BOUNDS(X)
#undef X
};

static const char *const rtt_bounds[] = {
#define X(us, seconds) seconds,
	RTT_BOUNDS(X)
#undef X
};

static const char *const outcome_names[OUTCOMES] = {
#define X(id, name) [OUTCOME_##id] = name,
	SYNSTILE_OUTCOMES(X)
#undef X
};

static void add_number(struct metrics_text *t, const char *name, const char *type, const char *help,
		       u64 value)
{
	metrics_family(t, name, type, help);
	metrics_sample(t, name, "");
	metrics_value(t, value);
}

/* ---- the agent ---- */

static void add_agent(struct metrics_text *t, const struct agent *a)
{
	struct moment now = moment_now();

	metrics_family(t, "synstile_build_info", "gauge", "The version that runs; always 1.");
	metrics_sample(t, "synstile_build_info", "");
	metrics_label(t, "version", VERSION);
	metrics_value(t, 1);
	metrics_family(t, "synstile_agent_start_time_seconds", "gauge",
		       "When the agent began, seconds since 1970.");
	metrics_sample(t, "synstile_agent_start_time_seconds", "");
	metrics_value_us(t, (now.real - elapsed(now.monotonic, a->since)) / 1000);
	add_number(t, "synstile_policy_generation", "gauge",
		   "Counts up with each policy that is put in force.", a->inforce.now.generation);
	add_number(t, "synstile_event_subscribers", "gauge", "Who follows the events now.",
		   stream_subscribers(a->stream));
	add_number(t, "synstile_request_sockets_reaped_total", "counter",
		   "Half-open connections of the kernel that were ended since they were over age.",
		   timeouts_reaped(a->timeouts));
}

static void add_lost(struct metrics_text *t, const struct agent *a)
{
	u64 n[EVENT_COUNT * LOST_STAGES] = {0};
	int type, stage;

	if (maps_lost(&a->maps, n))
		return;
	metrics_family(
		t, "synstile_events_lost_total", "counter",
		"Events that were not told: limited (to spare everyone) or no room in the ring.");
	for (type = 0; type < EVENT_COUNT; type++) {
		for (stage = LOST_LIMITED; stage <= LOST_RING; stage++) {
			metrics_sample(t, "synstile_events_lost_total", "");
			metrics_label(t, "type", event_names[type]);
			metrics_label(t, "stage", lost_names[stage]);
			metrics_value(t, n[type * LOST_STAGES + stage]);
		}
	}
}

static void add_oddities(struct metrics_text *t, const struct agent *a)
{
	u64 n[ODD_COUNT] = {0};
	int i;

	if (maps_oddities(&a->maps, n))
		return;
	metrics_family(
		t, "synstile_oddities_total", "counter",
		"Segments that were not believed, and connections that could not be followed.");
	for (i = 0; i < ODD_COUNT; i++) {
		metrics_sample(t, "synstile_oddities_total", "");
		metrics_label(t, "kind", oddity_names[i]);
		metrics_value(t, n[i]);
	}
}

/* ---- the flow table ---- */

static void add_phase(struct metrics_text *t, const char *phase, u64 n)
{
	metrics_sample(t, "synstile_flows", "");
	metrics_label(t, "phase", phase);
	metrics_value(t, n);
}

static void add_flows(struct metrics_text *t, const struct agent *a)
{
	struct census c;

	rates_flows(a->rates, &c);
	metrics_family(t, "synstile_flows", "gauge",
		       "Connections in the flow table, those that the host opened too.");
	add_phase(t, "half_open", (u64)c.answered + c.unanswered);
	add_phase(t, "established", c.established);
	add_phase(t, "other", c.other);
	add_number(t, "synstile_flows_max", "gauge", "How many connections the flow table holds.",
		   datapath_max_flows(&a->maps));
}

/* ---- interfaces ---- */

/* As `synstile status` says it. */
static const char *xdp_word(const struct instance *in, const struct attachment *at, bool there)
{
	if (!there)
		return "gone";
	return !datapath_xdp_there(in, at) ? "missing" : at->skb ? "skb" : "native";
}

static void add_interface(struct metrics_text *t, const struct agent *a,
			  const struct attachment *at)
{
	struct link link = {0};
	bool there = !netlink_link(at->ifindex, &link);

	metrics_sample(t, "synstile_interface_info", "");
	metrics_label(t, "interface", there ? link.name : at->name);
	metrics_label(t, "xdp", xdp_word(&a->in, at, there));
	metrics_label(t, "tc",
		      there && datapath_tc_there(&a->in, at) ? tc_name(at->tc) : "missing");
	metrics_value(t, 1);
}

/* In mode observe all packets pass: what would have passed anyway is counted as done. */
static const bool passes[V_COUNT] = {
#define PASS                      true
#define REPLY                     false
#define DROP                      false
#define X(id, action, name, help) [V_##id] = action,
	SYNSTILE_VERDICTS(X)
#undef X
#undef PASS
#undef REPLY
#undef DROP
};

static void add_verdict(struct metrics_text *t, const char *interface, int v, const char *bank,
			u64 n)
{
	metrics_sample(t, "synstile_packets_total", "");
	metrics_label(t, "interface", interface);
	metrics_label(t, "verdict", verdict_names[v]);
	metrics_label(t, "bank", bank);
	metrics_value(t, n);
}

static void add_packets(struct metrics_text *t, const struct agent *a, const struct attachment *at)
{
	u64 sum[SYNSTILE_COUNTERS] = {0};
	struct link link = {0};
	const char *name = netlink_link(at->ifindex, &link) ? at->name : link.name;
	int fd = datapath_counters(&a->in, at), v;

	if (fd < 0)
		return; /* being detached */
	if (!maps_add_counters(fd, sum)) {
		for (v = 0; v < V_COUNT; v++) {
			add_verdict(t, name, v, "done", sum[BANK_DONE * V_COUNT + v]);
			if (!passes[v])
				add_verdict(t, name, v, "observed",
					    sum[BANK_OBSERVED * V_COUNT + v]);
		}
	}
	close(fd);
}

static void add_interfaces(struct metrics_text *t, const struct agent *a)
{
	size_t i;

	metrics_family(
		t, "synstile_interface_info", "gauge",
		"How each interface is protected; xdp or tc \"missing\" or \"gone\": it is not.");
	for (i = 0; i < a->st.n_ifaces; i++)
		add_interface(t, a, &a->st.ifaces[i]);
	metrics_family(t, "synstile_packets_total", "counter",
		       "Packets by what became of them; bank observed: what would have, in mode "
		       "observe.");
	for (i = 0; i < a->st.n_ifaces; i++)
		add_packets(t, a, &a->st.ifaces[i]);
	fail_clear();
}

/* ---- services ---- */

/* What there is to say of each service, besides what is counted. False: nothing. */
typedef bool (*gauge_fn)(const struct service *s, const struct pressure *p, const struct rate *r,
			 u64 *value);

static bool get_attack(const struct service *s, const struct pressure *p, const struct rate *r,
		       u64 *value)
{
	(void)s;
	(void)r;
	*value = p->state == PRESSURE_ATTACK;
	return true;
}

static bool get_attacks(const struct service *s, const struct pressure *p, const struct rate *r,
			u64 *value)
{
	(void)s;
	(void)r;
	*value = p->attacks;
	return true;
}

static bool get_half_open(const struct service *s, const struct pressure *p, const struct rate *r,
			  u64 *value)
{
	(void)s;
	(void)p;
	*value = r->half_open;
	return true;
}

static bool get_bound(const struct service *s, const struct pressure *p, const struct rate *r,
		      u64 *value)
{
	(void)p;
	(void)r;
	*value = s->half_open_attack_above;
	return true;
}

static bool get_kernel(const struct service *s, const struct pressure *p, const struct rate *r,
		       u64 *value)
{
	(void)s;
	(void)p;
	*value = r->kernel_half_open;
	return r->kernel_half_open != UINT32_MAX;
}

/* us */
static bool get_timeout(const struct service *s, const struct pressure *p, const struct rate *r,
			u64 *value)
{
	(void)r;
	*value = syn_timeout_ms(s, p) * 1000ULL;
	return true;
}

static void add_gauge(struct metrics_text *t, const struct agent *a, const char *name,
		      const char *type, const char *help, gauge_fn get, bool us)
{
	const struct service *s;
	struct rate r;
	u64 value;
	u16 i;

	metrics_family(t, name, type, help);
	for (i = 1; i < rates_end(a->rates); i++) {
		s = rates_service(a->rates, i);
		if (!s || !rates_of(a->rates, i, &r) ||
		    !get(s, rates_pressure(a->rates, i), &r, &value))
			continue;
		metrics_sample(t, name, "");
		metrics_label(t, "service", s->name);
		if (us)
			metrics_value_us(t, value);
		else
			metrics_value(t, value);
	}
}

static void add_modes(struct metrics_text *t, const struct agent *a)
{
	const struct service *s;
	u64 n = 0;
	u16 i;

	metrics_family(t, "synstile_service_mode", "gauge",
		       "The mode that a service is in; always 1.");
	for (i = 1; i < rates_end(a->rates); i++) {
		s = rates_service(a->rates, i);
		if (!s)
			continue;
		n++;
		metrics_sample(t, "synstile_service_mode", "");
		metrics_label(t, "service", s->name);
		metrics_label(t, "mode", mode_name(s->mode));
		metrics_value(t, 1);
	}
	add_number(t, "synstile_services", "gauge", "How many services there are.", n);
}

static void add_counter(struct metrics_text *t, const struct agent *a, enum load_kind kind,
			const char *name, const char *help)
{
	struct rate r;
	u16 i;

	metrics_family(t, name, "counter", help);
	for (i = 1; i < rates_end(a->rates); i++) {
		if (!rates_of(a->rates, i, &r))
			continue;
		metrics_sample(t, name, "");
		metrics_label(t, "service", rates_service(a->rates, i)->name);
		metrics_value(t, r.total[kind]);
	}
}

static void add_counters(struct metrics_text *t, const struct agent *a)
{
	add_counter(t, a, LOAD_SYNS, "synstile_syns_total",
		    "New SYNs, without those that the rules for sources kept away.");
	add_counter(t, a, LOAD_COOKIES, "synstile_cookies_total",
		    "SYNs that were answered with a cookie.");
	add_counter(t, a, LOAD_VALIDATED, "synstile_cookies_validated_total",
		    "Cookies that came back: clients that are real.");
	add_counter(t, a, LOAD_COMPLETED, "synstile_handshakes_completed_total",
		    "Handshakes that were completed, those with cookies included.");
	add_counter(t, a, LOAD_VERIFIED, "synstile_verified_syns_total",
		    "SYNs that passed because their source had proved itself before.");
	add_counter(t, a, LOAD_DROPPED, "synstile_dropped_total",
		    "Packets to this service that were dropped.");
}

static void add_services(struct metrics_text *t, const struct agent *a)
{
	add_modes(t, a);
	add_gauge(t, a, "synstile_service_attack", "gauge", "Is the service under attack?",
		  get_attack, false);
	add_gauge(t, a, "synstile_service_attacks_total", "counter",
		  "How often the service came under attack.", get_attacks, false);
	add_counters(t, a);
	add_gauge(t, a, "synstile_half_open", "gauge",
		  "Half-open connections in the flow table, as the last sweep counted them.",
		  get_half_open, false);
	add_gauge(t, a, "synstile_half_open_bound", "gauge",
		  "Half-open connections from which on it is an attack.", get_bound, false);
	add_gauge(t, a, "synstile_kernel_half_open", "gauge",
		  "Half-open connections (request sockets) that the kernel has.", get_kernel,
		  false);
	add_gauge(t, a, "synstile_syn_timeout_seconds", "gauge",
		  "How long a handshake may take now.", get_timeout, true);
}

/* ---- handshakes ---- */

static bool any(const u64 *n, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (n[i])
			return true;
	return false;
}

static void add_half_open(struct metrics_text *t, const char *service, const struct handshakes *h)
{
	struct metrics_histogram m = {.name = "synstile_half_open_duration_seconds",
				      .bounds = half_open_bounds,
				      .buckets = HALF_OPEN_BUCKETS,
				      .key = "service",
				      .value = service,
				      .key2 = "outcome"};
	int i;

	for (i = 0; i < OUTCOMES; i++) {
		m.value2 = outcome_names[i];
		m.n = h->half_open[i].n;
		m.sum_us = h->half_open[i].sum_us;
		if (any(m.n, m.buckets))
			metrics_histogram(t, &m);
	}
}

static void add_rtt(struct metrics_text *t, const char *service, const struct handshakes *h)
{
	const struct metrics_histogram m = {.name = "synstile_handshake_rtt_seconds",
					    .bounds = rtt_bounds,
					    .buckets = RTT_BUCKETS,
					    .key = "service",
					    .value = service,
					    .n = h->rtt.n,
					    .sum_us = h->rtt.sum_us};

	if (any(m.n, m.buckets))
		metrics_histogram(t, &m);
}

static void each_handshakes(struct metrics_text *t, const struct agent *a,
			    void (*add)(struct metrics_text *t, const char *service,
					const struct handshakes *h))
{
	const struct service *s;
	struct handshakes h;
	u16 i;

	for (i = 1; i < rates_end(a->rates) && i < HANDSHAKE_SERVICES; i++) {
		s = rates_service(a->rates, i);
		if (s && !maps_handshakes(&a->maps, i, &h))
			add(t, s->name, &h);
	}
	/* no service can have such a name */
	if (!maps_handshakes(&a->maps, HANDSHAKE_OTHERS, &h))
		add(t, "(others)", &h);
}

/* Only what ever happened: a thousand services would else be a hundred thousand samples. */
static void add_histograms(struct metrics_text *t, const struct agent *a)
{
	metrics_family(
		t, "synstile_half_open_duration_seconds", "histogram",
		"How long connections were half-open, and how that ended; without those that "
		"a cookie made.");
	each_handshakes(t, a, add_half_open);
	metrics_family(t, "synstile_handshake_rtt_seconds", "histogram",
		       "Round-trip times of handshakes, from SYN-ACK to ACK; without those that a "
		       "cookie made.");
	each_handshakes(t, a, add_rtt);
}

/* ---- the answer ---- */

static void free_text(const void *data, size_t n, void *arg)
{
	(void)data;
	(void)n;
	free(arg);
}

void metrics_get(struct agent *a, struct evhttp_request *req)
{
	struct evbuffer *b = evbuffer_new();
	struct metrics_text t = {0};

	add_agent(&t, a);
	add_services(&t, a);
	add_flows(&t, a);
	add_interfaces(&t, a);
	add_oddities(&t, a);
	add_lost(&t, a);
	add_histograms(&t, a);
	if (!b || t.failed || evbuffer_add_reference(b, t.at, t.n, free_text, t.at)) {
		free(t.at);
		api_error(req, HTTP_INTERNAL, "no memory", "try again");
	} else {
		evhttp_add_header(evhttp_request_get_output_headers(req), "Content-Type",
				  "text/plain; version=0.0.4; charset=utf-8");
		evhttp_send_reply(req, HTTP_OK, NULL, b);
	}
	if (b)
		evbuffer_free(b);
}
