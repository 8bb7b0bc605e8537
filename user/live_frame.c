// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "agent_inside.h"
#include "conn_json.h"
#include "datapath.h"
#include "event_names.h"
#include "expiry.h"
#include "flow_id.h"
#include "keys.h"
#include "live_frame.h"
#include "log.h"
#include "moment.h"
#include "netlink.h"

#define FRAME_TOP 10 /* prefixes */

/* A frame in the making. */
struct frame {
	struct live_parts *parts;
	struct agent *agent;
	struct moment now;
	struct settings set; /* without the keys */
	u16 order[SYNSTILE_MAX_SERVICES];
	size_t n;
	size_t services, half_open; /* that are wanted */
	json_t *j;
};

static void put(struct frame *f, const char *name, json_t *value)
{
	json_object_set_new(f->j, name, value);
}

static json_t *number(bool known, u64 n)
{
	return known ? json_integer(n) : json_null();
}

/* ---- the state of all ---- */

static void follow(struct overall *o, bool attacked, u64 first, u64 last)
{
	struct moment now;

	if (attacked == o->attacked && o->since)
		return;
	o->attacked = attacked;
	o->since = attacked ? first : last;
	now = moment_now(); /* once: the same text as long as it lasts */
	moment_timestamp(&now, o->since, o->stamp);
}

/* Since when `p` is in its state, among those in the same: an attack began with the first of them,
 * it was over with the last. */
static void note(const struct pressure *p, bool *attacked, u64 *first, u64 *last)
{
	if (p->state == PRESSURE_ATTACK) {
		*first = !*attacked || p->since < *first ? p->since : *first;
		*attacked = true;
	} else if (p->attacks && p->since > *last) {
		*last = p->since;
	}
}

void overall_follow(struct overall *o, const struct rates *r)
{
	bool attacked = false;
	u64 first = 0, last = 0;
	u16 i;

	for (i = 1; i < rates_end(r); i++)
		if (rates_pressure(r, i))
			note(rates_pressure(r, i), &attacked, &first, &last);
	follow(o, attacked, first, last);
}

/* The same as it is now. */
static void follow_now(struct overall *o, const struct services_now *s)
{
	bool attacked = false;
	u64 first = 0, last = 0;
	u16 i;

	for (i = 1; i < SYNSTILE_MAX_SERVICES; i++)
		if (service_record(s, i)->used)
			note(service_pressure(s, i), &attacked, &first, &last);
	follow(o, attacked, first, last);
}

static void put_state(struct frame *f)
{
	const struct overall *o = &f->parts->overall;

	put(f, "state", json_string(o->attacked ? "attack" : "calm"));
	put(f, "since", o->since ? json_string(o->stamp) : json_null());
	put(f, "for_ms", number(o->since, moment_ms_since(&f->now, o->since)));
}

static void put_why(struct frame *f)
{
	json_t *names = json_array(), *words = json_array(), *attacked = json_array();
	u32 reasons = 0, bit;
	size_t k;

	/* they come first */
	for (k = 0; k < f->n && service_attacked(f->parts->services, f->order[k]); k++) {
		reasons |= service_reasons(f->parts->services, f->order[k]);
		json_array_append_new(
			attacked,
			json_string(service_record(f->parts->services, f->order[k])->name));
	}
	for (bit = 0; bit < ATTACK_REASONS; bit++) {
		if (!(reasons & 1u << bit))
			continue;
		json_array_append_new(names, json_string(reason_names[bit]));
		json_array_append_new(words, json_string(reason_words[bit]));
	}
	put(f, "why", names);
	put(f, "why_words", words);
	put(f, "attacked", attacked);
}

/* ---- what is attached ---- */

static json_t *iface_json(const struct instance *in, const struct attachment *at)
{
	struct link link = {0};
	bool there = !netlink_link(at->ifindex, &link);
	const char *xdp = !there                        ? "gone"
			  : !datapath_xdp_there(in, at) ? "missing"
			  : at->skb                     ? "skb"
							: "native";

	return json_pack("{s:s, s:s, s:s}", "name", there ? link.name : at->name, "xdp", xdp, "tc",
			 there && datapath_tc_there(in, at) ? tc_name(at->tc) : "missing");
}

static void put_attached(struct frame *f)
{
	const struct state *st = &f->agent->st;
	json_t *ifaces = json_array();
	size_t i;

	put(f, "mode", json_string(mode_name(st->mode)));
	put(f, "cookies", json_string(st->kernel_cookies ? "kernel" : "own"));
	put(f, "ready", json_boolean(f->set.flags & SET_READY));
	put(f, "uptime_ms", json_integer(moment_ms_since(&f->now, f->parts->began)));
	for (i = 0; i < st->n_ifaces; i++)
		json_array_append_new(ifaces, iface_json(&f->agent->in, &st->ifaces[i]));
	put(f, "interfaces", ifaces);
	put(f, "policy",
	    json_pack("{s:I, s:s?}", "generation", (json_int_t)f->agent->inforce.now.generation,
		      "file", policy_file_name(f->agent->inforce.now.policy)));
}

/* ---- how much ---- */

static void add_census(struct census *sum, const struct maps *m)
{
	static struct census all[SYNSTILE_MAX_SERVICES];
	u32 i;

	if (maps_censuses(m, all))
		debug("cannot read the census");
	for (i = 0; i < SYNSTILE_MAX_SERVICES; i++) {
		sum->unanswered += all[i].unanswered;
		sum->answered += all[i].answered;
		sum->established += all[i].established;
		sum->other += all[i].other;
	}
}

static u64 half_open_bound(const struct frame *f)
{
	u64 bound = 0;
	size_t k;

	for (k = 0; k < f->n; k++) {
		const struct service *s = service_record(f->parts->services, f->order[k]);

		bound += s->mode == MODE_OBSERVE ? 0 : s->half_open_attack_above;
	}
	return bound;
}

static void put_totals(struct frame *f, const struct census *c)
{
	u64 half_open = (u64)c->unanswered + c->answered;
	struct rate all = {0};
	bool known = rates_of(f->agent->rates, RATES_ALL, &all);
	json_t *j = json_object();

	json_object_set_new(j, "syn_rate", number(known, all.per_s[LOAD_SYNS]));
	json_object_set_new(j, "cookie_rate", number(known, all.per_s[LOAD_COOKIES]));
	json_object_set_new(j, "validated_rate", number(known, all.per_s[LOAD_VALIDATED]));
	json_object_set_new(j, "completed_rate", number(known, all.per_s[LOAD_COMPLETED]));
	json_object_set_new(j, "dropped_rate", number(known, rates_dropped(f->agent->rates)));
	json_object_set_new(j, "half_open", json_integer(all.half_open));
	json_object_set_new(j, "half_open_bound", json_integer(half_open_bound(f)));
	json_object_set_new(
		j, "kernel_half_open",
		number(known && all.kernel_half_open != UINT32_MAX, all.kernel_half_open));
	json_object_set_new(j, "flows", json_integer(half_open + c->established + c->other));
	json_object_set_new(j, "open", json_integer(c->established));
	json_object_set_new(j, "max_flows", json_integer(f->agent->st.max_flows));
	put(f, "totals", j);
}

/* ---- services ---- */

/* What is found of several attacks: null if it is not the same of all. */
static void add_spoofed(json_t **all, json_t *service)
{
	json_t *attack = json_object_get(service, "attack");
	json_t *one = json_object_get(attack, "spoofed");

	if (!one)
		return;
	if (!*all || json_is_true(one)) /* one that is spoofed is bad enough */
		*all = one;
	else if (!json_is_true(*all) && !json_equal(*all, one))
		*all = json_null();
}

static void put_services(struct frame *f)
{
	json_t *list = json_array(), *spoofed = NULL, *service;
	size_t k;

	for (k = 0; k < f->n && k < f->services; k++) {
		service = service_json(f->parts->services, f->order[k], false);
		add_spoofed(&spoofed, service);
		json_array_append_new(list, service);
	}
	json_object_set(f->j, "spoofed", spoofed ? spoofed : json_null());
	put(f, "services_total", json_integer(f->n));
	put(f, "services", list);
}

/* ---- half-open connections ---- */

static u64 left_ms(const struct frame *f, const struct flow *flow)
{
	u16 i = flow->service % SYNSTILE_MAX_SERVICES;
	u64 limit = flow_syn_ns(flow, service_record(f->parts->services, i),
				service_pressure(f->parts->services, i), &f->set);
	u64 age = elapsed(f->now.monotonic, flow->opened);

	return age < limit ? (limit - age) / NS_PER_MS : 0;
}

static json_t *half_open_conn_json(const struct frame *f, const struct half_open_conn *at)
{
	const struct conn c = {at->key, at->flow};
	const struct service *s =
		service_record(f->parts->services, c.flow.service % SYNSTILE_MAX_SERVICES);
	bool local = c.flow.flags & FLOW_OPENED_LOCAL, met = c.flow.flags & FLOW_JOINED;
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];
	struct conn_end client, server;
	json_t *j;

	conn_ends(&c, &client, &server);
	j = json_pack("{s:I, s:s, s:i, s:s, s:i, s:s?, s:s}", "flow_id",
		      (json_int_t)flow_id(&c.key, c.flow.opened), "src_ip",
		      addr_text(&client.addr, src), "src_port", client.port, "dest_ip",
		      addr_text(&server.addr, dst), "dest_port", server.port, "service",
		      c.flow.service && s->used ? s->name : NULL, "host_is",
		      local ? "client" : "server");
	/* one that was met in mid-stream is older, and had more of both */
	json_object_set_new(j, "age_ms", number(!met, moment_ms_since(&f->now, c.flow.opened)));
	json_object_set_new(j, "left_ms", json_integer(left_ms(f, &c.flow)));
	json_object_set_new(j, "syns", number(!met, conn_client(&c)->syns));
	json_object_set_new(j, "syn_acks", number(!met, conn_server(&c)->syns));
	return j;
}

static void put_half_open(struct frame *f, const struct census *c)
{
	size_t n = oldest_sort(f->parts->oldest), i;
	json_t *list = json_array();

	for (i = 0; i < n && i < f->half_open; i++)
		json_array_append_new(list, half_open_conn_json(f, oldest_at(f->parts->oldest, i)));
	put(f, "half_open",
	    json_pack("{s:I, s:I, s:o}", "total", (json_int_t)c->unanswered + c->answered,
		      "listed_ms_ago", (json_int_t)oldest_ms_ago(f->parts->oldest), "connections",
		      list));
}

/* ---- the rest ---- */

json_t *source_top_json(const struct source_top *top, size_t max)
{
	char text[PREFIX_TEXT_SIZE];
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < top->found.n && i < max; i++) {
		const struct top_prefix *p = &top->found.top[i];

		/* more digits would be noise: see top_sources.h */
		json_array_append_new(
			list, json_pack("{s:s, s:f, s:I}", "prefix", top_prefix_text(p, text),
					"percent", (int)(p->share * 1000 + 0.5) / 10.0, "syn_rate",
					(json_int_t)(p->share * (double)top->syn_rate + 0.5)));
	}
	return json_pack("{s:I, s:I, s:I, s:o}", "over_ms", (json_int_t)top->over_ms, "samples",
			 (json_int_t)top->found.samples, "syn_rate", (json_int_t)top->syn_rate,
			 "sources", list);
}

static void put_sources(struct frame *f)
{
	static struct source_top top;

	syn_sources_top(f->parts->sources, 0, &top);
	put(f, "top_sources", source_top_json(&top, FRAME_TOP));
}

/* Highest rate first; of equal rates the higher total. */
static int compare_verdicts(const void *l, const void *r, void *arg)
{
	const struct verdict_rate *all = arg;
	const struct verdict_rate *a = &all[*(const int *)l], *b = &all[*(const int *)r];

	if (a->per_s != b->per_s)
		return a->per_s > b->per_s ? -1 : 1;
	return a->total > b->total ? -1 : a->total < b->total;
}

static void put_verdicts(struct frame *f)
{
	struct verdict_rate all[SYNSTILE_COUNTERS];
	int order[SYNSTILE_COUNTERS], n = 0, i;
	json_t *list = json_array();

	memcpy(all, rates_verdicts(f->agent->rates), sizeof(all));
	for (i = 0; i < SYNSTILE_COUNTERS; i++)
		if (all[i].total)
			order[n++] = i;
	qsort_r(order, n, sizeof(*order), compare_verdicts, all);
	for (i = 0; i < n; i++)
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:I, s:I}", "verdict",
					verdict_names[order[i] % V_COUNT], "what",
					order[i] / V_COUNT == BANK_DONE ? "done" : "observed",
					"rate", (json_int_t)all[order[i]].per_s, "total",
					(json_int_t)all[order[i]].total));
	put(f, "verdicts", list);
}

static void put_lost(struct frame *f)
{
	u64 n[EVENT_COUNT * LOST_STAGES] = {0}, limited = 0, ring = 0;
	int i;

	if (maps_lost(&f->agent->maps, n))
		debug("cannot read the lost events");
	for (i = 0; i < EVENT_COUNT; i++) {
		limited += n[i * LOST_STAGES + LOST_LIMITED];
		ring += n[i * LOST_STAGES + LOST_RING];
	}
	put(f, "lost",
	    json_pack("{s:I, s:I}", "limited", (json_int_t)limited, "ring", (json_int_t)ring));
}

static void put_head(struct frame *f, u64 seq)
{
	char host[HOST_NAME_MAX + 1] = "", stamp[TIMESTAMP_SIZE];

	gethostname(host, sizeof(host) - 1);
	f->j = json_pack("{s:i, s:s, s:s, s:s, s:s, s:I}", "schema", 1, "instance",
			 f->agent->in.name, "timestamp",
			 moment_timestamp(&f->now, f->now.monotonic, stamp), "version", VERSION,
			 "hostname", host, "seq", (json_int_t)seq);
}

json_t *live_frame(struct live_parts *l, u64 seq, size_t services, size_t half_open)
{
	static struct frame f;
	struct census sum = {0};

	f = (struct frame){
		.parts = l, .agent = l->agent, .services = services, .half_open = half_open};
	if (services_now_read(l->services)) {
		debug("%s", fail_reason(0));
		fail_clear();
	}
	if (maps_settings(&l->agent->maps, &f.set))
		debug("cannot read the settings");
	keys_forget(&f.set);
	follow_now(&l->overall, l->services);
	f.n = services_now_busiest(l->services, f.order);
	f.now = moment_now();
	add_census(&sum, &l->agent->maps);
	put_head(&f, seq);
	put_state(&f);
	put_why(&f);
	put_attached(&f);
	put_totals(&f, &sum);
	put_services(&f);
	put_half_open(&f, &sum);
	put_sources(&f);
	put_verdicts(&f);
	put_lost(&f);
	return f.j;
}
