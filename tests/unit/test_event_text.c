// SPDX-License-Identifier: GPL-2.0-only
/* Events for people: the line for each kind, made from its JSON. */
#include <arpa/inet.h>
#include <jansson.h>

#include "unit.h"
#include "clock.h"
#include "event_json.h"
#include "event_names.h"
#include "event_text.h"
#include "packet.h"

/* 2026-11-22 08:22:22.123456789 UTC */
#define NOW_WALL 1795335742123456789ULL
#define NOW      (5 * NS_PER_SEC)

static const struct event_context context = {
	.offset = (s64)(NOW_WALL - NOW), .iface = "\"eth0\"", .service = "443"};

static void check_text(const char *json, size_t n, const char *expected)
{
	json_t *j = json_loadb(json, n, 0, NULL);
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(j);
	event_text(f, j);
	fclose(f);
	assert_int_equal(text[size - 1], '\n');
	text[size - 1] = 0;
	assert_string_equal(text, expected);
	free(text);
	json_decref(j);
}

static void check(const struct event *e, const char *expected)
{
	char line[EVENT_LINE_MAX];

	check_text(line, event_json(e, &context, line), expected);
}

static struct event event_of(u8 type)
{
	struct event e = {.time = NOW,
			  .opened = 1,
			  .key = {.remote_port = htons(50096), .local_port = htons(443)},
			  .ifindex = 2,
			  .type = type,
			  .admission = ADMIT_COOKIE,
			  .service = 3};

	e.key.remote.w[2] = e.key.local.w[2] = htonl(0xffff);
	e.key.remote.w[3] = htonl(0xc6120007);
	e.key.local.w[3] = htonl(0xc6120001);
	return e;
}

#define TIME "\"timestamp\":\"2026-11-22T08:22:22.123456+0000\""
#define WHO  "08:22:22.123456 198.18.0.7:50096 > 198.18.0.1:443 "

static void test_tcp_state(void **state)
{
	struct event e = event_of(EVENT_TCP_STATE);

	(void)state;
	e.state.old[REMOTE] = ST_SYN_SENT;
	e.state.old[LOCAL] = ST_SYN_RECEIVED;
	e.state.new[REMOTE] = e.state.new[LOCAL] = ST_ESTABLISHED;
	e.state.rtt_us = 412;
	check(&e, WHO "SYN-SENT>ESTABLISHED | SYN-RECEIVED>ESTABLISHED rtt 412us cookie");
	/* a side that did not change shows its state alone; the RTT was told */
	e.state.old[REMOTE] = e.state.old[LOCAL] = ST_ESTABLISHED;
	e.state.new[LOCAL] = ST_FIN_WAIT_1;
	e.admission = ADMIT_UNKNOWN;
	check(&e, WHO "ESTABLISHED | ESTABLISHED>FIN-WAIT-1");
	e.state.new[REMOTE] = e.state.new[LOCAL] = ST_CLOSED;
	e.end = END_RST_CLIENT;
	check(&e, WHO "ESTABLISHED>CLOSED | ESTABLISHED>CLOSED (reset by the client)");
	e.state.old[REMOTE] = ST_SYN_SENT;
	e.state.old[LOCAL] = ST_LISTEN;
	e.end = END_RST_SERVER;
	e.state.rtt_us = 0;
	check(&e, WHO "SYN-SENT>CLOSED | LISTEN>CLOSED (refused by the server)");
}

/* A service has a word of its own only if that says more than the port. */
static void test_service_name(void **state)
{
	static const char line[] =
		"{\"timestamp\":\"2026-11-22T08:22:22.123456+0000\",\"event_type\":\"tcp_state\","
		"\"src_ip\":\"198.18.0.7\",\"src_port\":50096,\"dest_ip\":\"198.18.0.1\","
		"\"dest_port\":443,\"tcp\":{\"client_state\":\"SYN-SENT\",\"server_state\":"
		"\"LISTEN\"},\"synstile\":{\"service\":\"web\"}}";

	(void)state;
	check_text(line, strlen(line), WHO "web SYN-SENT | LISTEN");
}

/* Each end is put in words: none comes through as it is in JSON. */
static void test_ends(void **state)
{
	struct event e = event_of(EVENT_TCP_STATE);
	char line[EVENT_LINE_MAX], *text, raw[64];
	size_t size;

	(void)state;
	for (e.end = END_NONE + 1; e.end < END_COUNT; e.end++) {
		json_t *j = json_loadb(line, event_json(&e, &context, line), 0, NULL);
		FILE *f = open_memstream(&text, &size);

		event_text(f, j);
		fclose(f);
		snprintf(raw, sizeof(raw), "(%s)", end_names[e.end]);
		assert_non_null(strchr(text, '('));
		assert_null(strstr(text, raw));
		free(text);
		json_decref(j);
	}
}

static void test_ipv6(void **state)
{
	struct event e = event_of(EVENT_TCP_STATE);

	(void)state;
	inet_pton(AF_INET6, "2001:db8::7", &e.key.remote);
	inet_pton(AF_INET6, "2001:db8::1", &e.key.local);
	e.flags = FLOW_OPENED_LOCAL;
	e.admission = ADMIT_HOST;
	e.state.new[LOCAL] = ST_SYN_SENT;
	e.state.old[LOCAL] = ST_CLOSED;
	e.state.new[REMOTE] = e.state.old[REMOTE] = ST_LISTEN;
	check(&e, "08:22:22.123456 [2001:db8::1]:443 > [2001:db8::7]:50096 443 "
		  "CLOSED>SYN-SENT | LISTEN host");
}

static void test_half_open_timeout(void **state)
{
	struct event e = event_of(EVENT_HALF_OPEN_TIMEOUT);

	(void)state;
	e.state.old[REMOTE] = ST_SYN_SENT;
	e.state.old[LOCAL] = ST_SYN_RECEIVED;
	e.state.new[REMOTE] = e.state.new[LOCAL] = ST_CLOSED;
	e.state.syns[REMOTE] = 1;
	e.state.syns[LOCAL] = 6;
	e.state.age = 63 * NS_PER_SEC;
	check(&e, WHO "SYN-SENT>CLOSED | SYN-RECEIVED>CLOSED half-open timeout after 63.0s: 1 SYN, "
		      "6 SYN-ACKs");
}

static void test_segments(void **state)
{
	struct event e = event_of(EVENT_RETRANSMISSION);

	(void)state;
	e.rtx.seq = 4294967295u;
	e.rtx.len = 1448;
	e.rtx.segments = 1;
	e.rtx.total = 3;
	check(&e,
	      WHO "retransmission by the client: 1 segment, 1448 bytes at 4294967295 (3 so far)");
	e.rtx.len = 0;
	check(&e, WHO "retransmission by the client: FIN at 4294967295 (3 segments so far)");
	e.side = LOCAL;
	e.rtx.syn = 1;
	e.rtx.syns = 2;
	check(&e, WHO "retransmission by the server: SYN-ACK, number 2");
	e = event_of(EVENT_KEEPALIVE);
	e.keepalive.unanswered = 2;
	e.keepalive.total = 5;
	check(&e, WHO "keepalive by the client: 2 unanswered, 5 so far");
}

static void test_attack(void **state)
{
	struct event e = {.time = NOW, .service = 3, .type = EVENT_ATTACK_START};

	(void)state;
	e.attack.rate = 300000;
	e.attack.rate_bound = 5000;
	e.attack.half_open = 300;
	e.attack.half_open_bound = 256;
	e.attack.since = NOW - 20 * NS_PER_MS;
	e.attack.reasons = ATTACK_RATE | ATTACK_HALF_OPEN;
#define FIGURES "300000 SYN/s (bound 5000), 300 half-open (bound 256)"
	check(&e, "08:22:22.123456 service 443 ATTACK begins: " FIGURES
		  "; bound reached: half_open and syn_rate");
	e.type = EVENT_ATTACK_PROGRESS;
	e.attack.reasons = ATTACK_RATE;
	check(&e, "08:22:22.123456 service 443 attack goes on: " FIGURES
		  ", for 20.0ms; bound reached: syn_rate");
	e.type = EVENT_ATTACK_END;
	e.attack.since = 2 * NS_PER_SEC;
	e.attack.reasons = 0;
	check(&e, "08:22:22.123456 service 443 attack is over: " FIGURES ", it lasted 2.0s");
}

/* What the agent adds. */
static void test_attack_facts(void **state)
{
#define BEGINS "{" TIME ",\"event_type\":\"attack_start\",\"attack\":{\"reasons\":[\"completion\"],"
#define BEGAN                                                                                      \
	"08:22:22.123456 ATTACK begins: 0 SYN/s (bound 0), 0 half-open (bound 0); bound reached: " \
	"completion"
	static const struct {
		const char *json, *text;
	} rows[] = {
		{BEGINS
		 "\"completion_percent\":3,\"distinct_sources\":5012,\"queue_overflows\":7,"
		 "\"spoofed\":true,\"spoofed_why\":\"it is so\",\"top_sources\":["
		 "{\"prefix\":\"192.0.2.0/24\",\"share\":0.42},"
		 "{\"prefix\":\"2001:db8::/64\",\"share\":0.066},{\"prefix\":\"a\",\"share\":1},"
		 "{\"prefix\":\"b\",\"share\":1}]}}",
		 BEGAN
		 ", 3 % of handshakes completed, 5012 sources, the kernel's queue overflowed 7 "
		 "times; SPOOFED sources (it is so); most from 192.0.2.0/24 42 %, "
		 "2001:db8::/64 7 %, a 100 %"},
		{BEGINS "\"completion_percent\":null,\"distinct_sources\":1,\"spoofed\":false,"
			"\"spoofed_why\":\"it is so\",\"top_sources\":[]}}",
		 BEGAN ", 1 source; real sources (it is so)"},
		{BEGINS "\"spoofed\":null,\"spoofed_why\":\"it is so\",\"top_sources\":[3]}}",
		 BEGAN "; spoofed or not: unclear (it is so); most from ? 0 %"},
		{"{" TIME ",\"event_type\":\"attack_end\",\"attack\":{\"duration_ms\":2000,"
		 "\"peak_syn_rate\":9000,\"syns\":18000,\"spoofed\":true}}",
		 "08:22:22.123456 attack is over: 0 SYN/s (bound 0), 0 half-open (bound 0), it "
		 "lasted "
		 "2.0s, at its worst 9000 SYN/s, 18000 SYNs in all; SPOOFED sources (?)"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		check_text(rows[i].json, strlen(rows[i].json), rows[i].text);
}

static void test_verdict(void **state)
{
	struct event e = event_of(EVENT_VERDICT);

	(void)state;
	e.verdict = V_COOKIE_INVALID;
	e.verdict_of.seq = 1;
	e.verdict_of.ack = 2;
	e.verdict_of.tcp_flags = TCP_ACK | TCP_FIN;
	check(&e, WHO "dropped: cookie_invalid [fin,ack] seq 1 ack 2");
	memset(&e.key, 0, sizeof(e.key));
	e.verdict = V_IPV6_MALFORMED;
	check(&e, "08:22:22.123456 service 443 dropped: ipv6_malformed");
}

static void test_made_by_agent(void **state)
{
	static const char lost[] =
		"{" TIME ",\"event_type\":\"lost\",\"lost\":{\"tcp_state\":{\"ring\":12},"
		"\"verdict\":{\"limited\":5}},\"synstile\":{\"schema\":1}}";
	static const char stats[] =
		"{" TIME ",\"event_type\":\"stats\",\"stats\":{\"interval_ms\":1000,"
		"\"packets\":{\"known\":7},\"services\":[{\"service\":\"80\",\"state\":\"calm\","
		"\"syn_rate\":3,\"half_open\":1}],\"flows\":{\"half_open\":1,\"established\":2,"
		"\"other\":0}},\"synstile\":{\"schema\":1}}";

	(void)state;
	check_text(lost, strlen(lost),
		   "08:22:22.123456 LOST: 12 tcp_state (ring), 5 verdict (limited)");
	check_text(stats, strlen(stats),
		   "08:22:22.123456 stats: flows half-open 1, established 2, other 0; "
		   "80: 1 half-open, 3 SYN/s; packets in 1000 ms: known 7");
}

/* From an agent of another version: shown, whatever it is. */
static void test_unknown(void **state)
{
	static const char *const lines[] = {
		"{}",
		"[]",
		"{\"event_type\":3}",
		"{\"event_type\":\"tcp_state\",\"tcp\":[]}",
		"{\"event_type\":\"attack_end\",\"attack\":{\"reasons\":[1]}}",
		"{\"event_type\":\"verdict\",\"tcp\":{\"flags\":[{}]}}",
		"{\"event_type\":\"lost\",\"lost\":{\"x\":3}}",
		"{\"event_type\":\"stats\",\"stats\":{\"services\":[1]}}",
		"{\"event_type\":\"retransmission\"}"};

	(void)state;
	check_text("{\"event_type\":\"news\",\"a\":1}", 27,
		   "--:--:--.------ {\"event_type\":\"news\",\"a\":1}");
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		json_t *j = json_loads(lines[i], 0, NULL);
		FILE *f = fopen("/dev/null", "w");

		assert_non_null(j);
		event_text(f, j);
		fclose(f);
		json_decref(j);
	}
}

static void test_local_time(void **state)
{
	static const char line[] = "{" TIME "}";
	json_t *j = json_loads(line, 0, NULL);
	struct tm tm;

	(void)state;
	setenv("TZ", "XXX-17", 1); /* 17 hours east: the next day */
	tzset();
	assert_true(event_date(j, &tm));
	assert_int_equal(tm.tm_mday, 23);
	assert_int_equal(tm.tm_hour, 1);
	json_decref(j);
	check_text(line, strlen(line), "01:22:22.123456 {" TIME "}");
	setenv("TZ", "UTC", 1);
	tzset();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tcp_state),
		cmocka_unit_test(test_service_name),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_half_open_timeout),
		cmocka_unit_test(test_segments),
		cmocka_unit_test(test_attack),
		cmocka_unit_test(test_attack_facts),
		cmocka_unit_test(test_verdict),
		cmocka_unit_test(test_made_by_agent),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_local_time),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests_name("events as text", tests, NULL, NULL);
}
