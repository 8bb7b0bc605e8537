// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "event_text.h"

#define TOP_SHOWN 3 /* prefixes, of ten */

static const char *text_of(json_t *j, const char *key)
{
	return json_string_value(json_object_get(j, key));
}

static long long int_of(json_t *j, const char *key)
{
	return json_integer_value(json_object_get(j, key));
}

static const char *plural(long long n)
{
	return n == 1 ? "" : "s";
}

/* ---- time ---- */

bool event_date(json_t *event, struct tm *date)
{
	const char *text = text_of(event, "timestamp");
	struct tm utc = {0};
	time_t t;

	if (!text || !strptime(text, "%Y-%m-%dT%H:%M:%S", &utc))
		return false;
	t = timegm(&utc);
	return localtime_r(&t, date);
}

static void print_time(FILE *to, json_t *event)
{
	const char *text = text_of(event, "timestamp"), *dot = text ? strchr(text, '.') : NULL;
	struct tm tm;

	if (event_date(event, &tm))
		fprintf(to, "%02d:%02d:%02d%.7s", tm.tm_hour, tm.tm_min, tm.tm_sec, dot ? dot : "");
	else
		fputs("--:--:--.------", to);
}

/* 999us, 1.5ms, 63.0s */
static void print_us(FILE *to, long long us)
{
	if (us < 1000)
		fprintf(to, "%lldus", us);
	else if (us < 1000000)
		fprintf(to, "%.1fms", us / 1e3);
	else
		fprintf(to, "%.1fs", us / 1e6);
}

/* ---- who ---- */

static void print_end(FILE *to, const char *ip, long long port)
{
	if (!ip)
		ip = "?";
	fprintf(to, strchr(ip, ':') ? "[%s]:%lld" : "%s:%lld", ip, port);
}

/* " client > server service"; a service that is named by its port needs no second word */
static void print_ends(FILE *to, json_t *event)
{
	const char *service = text_of(json_object_get(event, "synstile"), "service");
	bool ends = text_of(event, "src_ip");
	char port[24];

	snprintf(port, sizeof(port), "%lld", int_of(event, "dest_port"));
	if (ends) {
		fputc(' ', to);
		print_end(to, text_of(event, "src_ip"), int_of(event, "src_port"));
		fputs(" > ", to);
		print_end(to, text_of(event, "dest_ip"), int_of(event, "dest_port"));
	}
	if (service && (!ends || strcmp(service, port)))
		fprintf(to, ends ? " %s" : " service %s", service);
}

/* ---- what ---- */

static void print_state(FILE *to, const char *old, const char *now)
{
	if (old)
		fprintf(to, "%s>", old);
	fputs(now ? now : "?", to);
}

static void print_states(FILE *to, json_t *event)
{
	json_t *tcp = json_object_get(event, "tcp");

	fputc(' ', to);
	print_state(to, text_of(tcp, "old_client_state"), text_of(tcp, "client_state"));
	fputs(" | ", to);
	print_state(to, text_of(tcp, "old_server_state"), text_of(tcp, "server_state"));
}

static const char *end_text(const char *end, bool refused)
{
	static const char *const texts[][2] = {
		{"fin", "closed by both sides"},
		{"rst_client", "reset by the client"},
		{"rst_server", "reset by the server"},
		{"syn_timeout", "the handshake was not completed in time"},
		{"close_timeout", "the last FIN was not acknowledged in time"},
		{"idle", "nothing heard for too long"},
		{"dead_peer", "the peer is dead: keepalives unanswered"},
		{"forgotten", "the host has no socket for it any more"},
		{"reused", "a new connection has its addresses and ports"},
	};
	size_t i;

	if (refused && !strcmp(end, "rst_server"))
		return "refused by the server";
	for (i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (!strcmp(texts[i][0], end))
			return texts[i][1];
	return end;
}

static bool ended_handshake(json_t *event)
{
	json_t *tcp = json_object_get(event, "tcp");
	const char *old = text_of(tcp, "old_client_state");

	if (!old)
		old = text_of(tcp, "old_server_state");
	return old && !strncmp(old, "SYN-", 4);
}

static bool ended_attempt(json_t *event)
{
	const char *old = text_of(json_object_get(event, "tcp"), "old_client_state");

	return old && !strcmp(old, "SYN-SENT");
}

static void print_tcp_state(FILE *to, json_t *event)
{
	json_t *more = json_object_get(event, "synstile");
	json_t *rtt = json_object_get(more, "handshake_rtt_us");
	const char *admission = text_of(more, "admission"), *end = text_of(more, "end");

	print_states(to, event);
	if (rtt && ended_handshake(event)) /* once, though JSON says it every time */
		fprintf(to, " rtt %lldus", (long long)json_integer_value(rtt));
	if (admission)
		fprintf(to, " %s", admission);
	if (end)
		fprintf(to, " (%s)", end_text(end, ended_attempt(event)));
}

static void print_half_open_timeout(FILE *to, json_t *event)
{
	json_t *j = json_object_get(event, "half_open_timeout");
	long long syns = int_of(j, "syns"), syn_acks = int_of(j, "syn_acks");

	print_states(to, event);
	fputs(" half-open timeout after ", to);
	print_us(to, int_of(j, "age_ms") * 1000);
	fprintf(to, ": %lld SYN%s, %lld SYN-ACK%s", syns, plural(syns), syn_acks, plural(syn_acks));
}

static bool is_client(const char *side)
{
	return side && !strcmp(side, "client");
}

static void print_retransmission(FILE *to, json_t *event)
{
	json_t *j = json_object_get(event, "retransmission");
	const char *side = text_of(j, "side");
	long long segments = int_of(j, "segments"), len = int_of(j, "len");

	fprintf(to, " retransmission by the %s: ", side ? side : "?");
	if (json_is_true(json_object_get(j, "syn")))
		fprintf(to, "%s, number %lld", is_client(side) ? "SYN" : "SYN-ACK",
			int_of(j, "syns"));
	else if (!len)
		fprintf(to, "FIN at %lld (%lld segment%s so far)", int_of(j, "seq"),
			int_of(j, "total"), plural(int_of(j, "total")));
	else
		fprintf(to, "%lld segment%s, %lld byte%s at %lld (%lld so far)", segments,
			plural(segments), len, plural(len), int_of(j, "seq"), int_of(j, "total"));
}

static void print_keepalive(FILE *to, json_t *event)
{
	json_t *j = json_object_get(event, "keepalive");
	const char *side = text_of(j, "side");

	fprintf(to, " keepalive by the %s: %lld unanswered, %lld so far", side ? side : "?",
		int_of(j, "unanswered"), int_of(j, "total"));
}

/* What synstile could not tell by itself, and older agents do not. */
static void print_attack_more(FILE *to, json_t *j)
{
	json_t *percent = json_object_get(j, "completion_percent"), *top;
	json_t *spoofed = json_object_get(j, "spoofed");
	long long sources = int_of(j, "distinct_sources");
	size_t i;

	if (json_is_integer(percent))
		fprintf(to, ", %lld %% of handshakes completed",
			(long long)json_integer_value(percent));
	if (sources)
		fprintf(to, ", %lld source%s", sources, plural(sources));
	if (int_of(j, "queue_overflows"))
		fprintf(to, ", the kernel's queue overflowed %lld times",
			int_of(j, "queue_overflows"));
	if (spoofed)
		fprintf(to, "; %s (%s)",
			json_is_true(spoofed)    ? "SPOOFED sources"
			: json_is_false(spoofed) ? "real sources"
						 : "spoofed or not: unclear",
			text_of(j, "spoofed_why") ?: "?");
	json_array_foreach (json_object_get(j, "top_sources"), i, top)
		if (i < TOP_SHOWN)
			fprintf(to, "%s %s %.0f %%", i ? "," : "; most from",
				text_of(top, "prefix") ?: "?",
				json_number_value(json_object_get(top, "share")) * 100);
}

static void print_attack(FILE *to, json_t *event)
{
	json_t *j = json_object_get(event, "attack"), *reason;
	const char *type = text_of(event, "event_type");
	bool begins = !strcmp(type, "attack_start"), over = !strcmp(type, "attack_end");
	size_t i;

	fprintf(to, " %s: %lld SYN/s (bound %lld), %lld half-open (bound %lld)",
		begins ? "ATTACK begins"
		: over ? "attack is over"
		       : "attack goes on",
		int_of(j, "syn_rate"), int_of(j, "syn_rate_bound"), int_of(j, "half_open"),
		int_of(j, "half_open_bound"));
	if (!begins) {
		fputs(over ? ", it lasted " : ", for ", to);
		print_us(to, int_of(j, "duration_ms") * 1000);
	}
	if (over && int_of(j, "peak_syn_rate"))
		fprintf(to, ", at its worst %lld SYN/s, %lld SYNs in all",
			int_of(j, "peak_syn_rate"), int_of(j, "syns"));
	json_array_foreach (json_object_get(j, "reasons"), i, reason)
		fprintf(to, "%s%s", i ? " and " : "; bound reached: ",
			json_string_value(reason) ? json_string_value(reason) : "?");
	print_attack_more(to, j);
}

static void print_verdict(FILE *to, json_t *event)
{
	const char *verdict = text_of(json_object_get(event, "synstile"), "verdict");
	json_t *tcp = json_object_get(event, "tcp"), *flag;
	size_t i;

	fprintf(to, " dropped: %s", verdict ? verdict : "?");
	if (!tcp)
		return;
	fputs(" [", to);
	json_array_foreach (json_object_get(tcp, "flags"), i, flag)
		fprintf(to, "%s%s", i ? "," : "",
			json_string_value(flag) ? json_string_value(flag) : "?");
	fprintf(to, "] seq %lld ack %lld", int_of(tcp, "seq"), int_of(tcp, "ack"));
}

static void print_stats(FILE *to, json_t *event)
{
	json_t *j = json_object_get(event, "stats"), *flows = json_object_get(j, "flows");
	json_t *packets = json_object_get(j, "packets"), *n, *service;
	const char *name;
	size_t i;

	fprintf(to, " stats: flows half-open %lld, established %lld, other %lld;",
		int_of(flows, "half_open"), int_of(flows, "established"), int_of(flows, "other"));
	json_array_foreach (json_object_get(j, "services"), i, service) {
		name = text_of(service, "service");
		fprintf(to, " %s: %lld half-open, %lld SYN/s;", name ? name : "?",
			int_of(service, "half_open"), int_of(service, "syn_rate"));
	}
	fprintf(to, " packets in %lld ms:", int_of(j, "interval_ms"));
	json_object_foreach (packets, name, n)
		fprintf(to, " %s %lld", name, (long long)json_integer_value(n));
	if (!json_object_size(packets))
		fputs(" none", to);
}

static void print_lost(FILE *to, json_t *event)
{
	const char *type, *stage;
	json_t *stages, *n;
	bool more = false;

	fputs(" LOST:", to);
	json_object_foreach (json_object_get(event, "lost"), type, stages)
		json_object_foreach (stages, stage, n) {
			fprintf(to, "%s ", more ? "," : "");
			if (json_is_null(n))
				fputs("an unknown number of", to);
			else
				fprintf(to, "%lld", (long long)json_integer_value(n));
			fprintf(to, " %s (%s)", type, stage);
			more = true;
		}
	if (text_of(json_object_get(event, "synstile"), "since"))
		fputs(" since synstile was attached", to);
	if (text_of(json_object_get(event, "synstile"), "after"))
		fprintf(to, " after %s", text_of(json_object_get(event, "synstile"), "after"));
}

static const struct {
	const char *type;
	void (*print)(FILE *to, json_t *event);
} types[] = {
	{"tcp_state", print_tcp_state},
	{"half_open_timeout", print_half_open_timeout},
	{"retransmission", print_retransmission},
	{"keepalive", print_keepalive},
	{"attack_start", print_attack},
	{"attack_progress", print_attack},
	{"attack_end", print_attack},
	{"verdict", print_verdict},
	{"stats", print_stats},
	{"lost", print_lost},
};

void event_text(FILE *to, json_t *event)
{
	const char *type = text_of(event, "event_type");
	size_t i;

	print_time(to, event);
	print_ends(to, event);
	for (i = 0; type && i < sizeof(types) / sizeof(*types); i++)
		if (!strcmp(types[i].type, type)) {
			types[i].print(to, event);
			fputc('\n', to);
			return;
		}
	fputc(' ', to);
	json_dumpf(event, to, JSON_COMPACT | JSON_PRESERVE_ORDER);
	fputc('\n', to);
}
