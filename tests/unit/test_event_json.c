// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events as JSON: each line is read back with jansson and compared with what it must say,
 * whole; and none is longer than it may be, or leaves JSON, whatever the event holds.
 */
#include <arpa/inet.h>
#include <jansson.h>

#include "unit.h"
#include "attack_json.h"
#include "clock.h"
#include "event_json.h"
#include "event_names.h"
#include "flow_id.h"
#include "packet.h"

/* 2026-11-22 08:22:22.123456789 UTC */
#define NOW_WALL 1795335742123456789ULL
#define NOW      (5 * NS_PER_SEC)

static const struct event_context context = {
	.offset = (s64)(NOW_WALL - NOW), .iface = "\"eth0\"", .service = "443"};

static struct addr v4(const char *text)
{
	struct addr a = {.w[2] = htonl(0xffff)};

	assert_int_equal(inet_pton(AF_INET, text, &a.w[3]), 1);
	return a;
}

static struct addr v6(const char *text)
{
	struct addr a;

	assert_int_equal(inet_pton(AF_INET6, text, &a), 1);
	return a;
}

/* A client far away, the host the server. */
static struct event event_of(u8 type)
{
	return (struct event){.time = NOW,
			      .opened = NOW - NS_PER_SEC,
			      .key = {.remote = v4("198.18.0.7"),
				      .local = v4("198.18.0.1"),
				      .remote_port = htons(50096),
				      .local_port = htons(443)},
			      .ifindex = 2,
			      .type = type,
			      .side = REMOTE,
			      .admission = ADMIT_COOKIE,
			      .service = 3};
}

static json_t *parsed(const struct event *e, const struct event_context *c)
{
	char line[EVENT_LINE_MAX + 1];
	json_error_t problem;
	size_t n;
	json_t *j;

	memset(line, 'x', sizeof(line));
	n = event_json(e, c, line);
	assert_in_range(n, 2, EVENT_LINE_MAX - 1); /* full: perhaps cut */
	assert_int_equal(line[n - 1], '\n');
	assert_null(memchr(line, '\n', n - 1));
	assert_int_equal(line[n], 'x');
	j = json_loadb(line, n, JSON_REJECT_DUPLICATES, &problem);
	if (!j)
		fail_msg("%s: %.*s", problem.text, (int)n, line);
	return j;
}

static void check_in(const struct event *e, const struct event_context *c, const char *expected)
{
	json_t *is = parsed(e, c), *must = json_loads(expected, 0, NULL);
	char *text = json_dumps(is, JSON_COMPACT | JSON_PRESERVE_ORDER);

	assert_non_null(must);
	/* the same number for every event of a connection, exact in a double */
	if (json_object_get(is, "flow_id")) {
		json_int_t id = json_integer_value(json_object_get(is, "flow_id"));

		assert_true(id == (json_int_t)flow_id(&e->key, e->opened));
		assert_in_range(id, 1, (1ULL << 53) - 1);
		json_object_del(is, "flow_id");
	}
	if (!json_equal(is, must))
		fail_msg("is:   %s\nmust: %s", text, expected);
	free(text);
	json_decref(is);
	json_decref(must);
}

#define check(e, expected) check_in(e, &context, expected)

#define HEAD(type)                                                                                 \
	"{\"timestamp\":\"2026-11-22T08:22:22.123456+0000\",\"event_type\":\"" type                \
	"\",\"in_iface\":\"eth0\","
#define ENDS                                                                                       \
	"\"src_ip\":\"198.18.0.7\",\"src_port\":50096,\"dest_ip\":\"198.18.0.1\","                 \
	"\"dest_port\":443,\"proto\":\"TCP\","
#define OURS "\"synstile\":{\"schema\":1,\"service\":\"443\",\"admission\":\"cookie\""

static void test_tcp_state(void **state)
{
	struct event e = event_of(EVENT_TCP_STATE);

	(void)state;
	e.state.old[REMOTE] = e.state.new[REMOTE] = e.state.new[LOCAL] = ST_ESTABLISHED;
	e.state.old[LOCAL] = ST_SYN_RECEIVED;
	e.state.n = 255;
	e.state.rtt_us = 412;
	e.state.age = 98765432;
	check(&e, HEAD("tcp_state") ENDS
	      "\"tcp\":{\"client_state\":\"ESTABLISHED\",\"server_state\":\"ESTABLISHED\","
	      "\"old_server_state\":\"SYN-RECEIVED\"}," OURS
	      ",\"change\":255,\"age_us\":98765,\"handshake_rtt_us\":412}}");
	e.state.old[REMOTE] = ST_CLOSE_WAIT;
	e.state.isn[REMOTE] = 4294967295u;
	e.state.isn[LOCAL] = 1;
	e.state.rtt_us = 0;
	e.end = END_RST_CLIENT;
	check(&e, HEAD("tcp_state") ENDS
	      "\"tcp\":{\"client_state\":\"ESTABLISHED\",\"server_state\":\"ESTABLISHED\","
	      "\"old_client_state\":\"CLOSE-WAIT\",\"old_server_state\":\"SYN-RECEIVED\","
	      "\"client_isn\":4294967295,\"server_isn\":1}," OURS
	      ",\"change\":255,\"age_us\":98765,\"end\":\"rst_client\"}}");
}

/* A connection that the host opened: the host is src. No service, no interface, IPv6. */
static void test_opened_by_host(void **state)
{
	const struct event_context none = {.offset = context.offset};
	struct event e = event_of(EVENT_TCP_STATE);

	(void)state;
	e.flags = FLOW_OPENED_LOCAL;
	e.admission = ADMIT_HOST;
	e.service = 0;
	e.key.remote = v6("2001:db8::7");
	e.key.local = v6("2001:db8:1:2:3:4:5:6");
	e.state.old[LOCAL] = ST_CLOSED;
	e.state.new[LOCAL] = ST_SYN_SENT;
	e.state.old[REMOTE] = e.state.new[REMOTE] = ST_LISTEN;
	e.state.isn[LOCAL] = 7;
	check_in(&e, &none,
		 "{\"timestamp\":\"2026-11-22T08:22:22.123456+0000\",\"event_type\":\"tcp_state\","
		 "\"src_ip\":\"2001:db8:1:2:3:4:5:6\",\"src_port\":443,\"dest_ip\":\"2001:db8::7\","
		 "\"dest_port\":50096,\"proto\":\"TCP\","
		 "\"tcp\":{\"client_state\":\"SYN-SENT\",\"server_state\":\"LISTEN\","
		 "\"old_client_state\":\"CLOSED\",\"client_isn\":7},"
		 "\"synstile\":{\"schema\":1,\"admission\":\"host\",\"change\":0,\"age_us\":0}}");
}

static void test_half_open_timeout(void **state)
{
	struct event e = event_of(EVENT_HALF_OPEN_TIMEOUT);

	(void)state;
	e.admission = ADMIT_CALM;
	e.ifindex = 0;
	e.end = END_SYN_TIMEOUT;
	e.state.old[REMOTE] = ST_SYN_SENT;
	e.state.old[LOCAL] = ST_SYN_RECEIVED;
	e.state.new[REMOTE] = e.state.new[LOCAL] = ST_CLOSED;
	e.state.n = 4;
	e.state.syns[REMOTE] = 1;
	e.state.syns[LOCAL] = 6;
	e.state.age = 63 * NS_PER_SEC;
	check(&e, "{\"timestamp\":\"2026-11-22T08:22:22.123456+0000\","
		  "\"event_type\":\"half_open_timeout\"," ENDS
		  "\"tcp\":{\"client_state\":\"CLOSED\",\"server_state\":\"CLOSED\","
		  "\"old_client_state\":\"SYN-SENT\",\"old_server_state\":\"SYN-RECEIVED\"},"
		  "\"half_open_timeout\":{\"age_ms\":63000,\"syns\":1,\"syn_acks\":6},"
		  "\"synstile\":{\"schema\":1,\"service\":\"443\",\"admission\":\"calm\","
		  "\"change\":4,\"end\":\"syn_timeout\"}}");
}

static void test_retransmission(void **state)
{
	struct event e = event_of(EVENT_RETRANSMISSION);

	(void)state;
	e.rtx.seq = 4294967295u;
	e.rtx.len = 2896;
	e.rtx.segments = 2;
	e.rtx.total = 7;
	check(&e, HEAD("retransmission") ENDS
	      "\"retransmission\":{\"side\":\"client\",\"seq\":4294967295,\"len\":2896,"
	      "\"segments\":2,\"total\":7}," OURS "}}");
	e.side = LOCAL;
	e.rtx.len = 0;
	e.rtx.syn = 1;
	e.rtx.syns = 2;
	check(&e, HEAD("retransmission") ENDS
	      "\"retransmission\":{\"side\":\"server\",\"seq\":4294967295,\"len\":0,"
	      "\"segments\":2,\"total\":7,\"syn\":true,\"syns\":2}," OURS "}}");
}

static void test_keepalive(void **state)
{
	struct event e = event_of(EVENT_KEEPALIVE);

	(void)state;
	e.side = LOCAL;
	e.keepalive.unanswered = 2;
	e.keepalive.total = 9;
	check(&e, HEAD("keepalive") ENDS
	      "\"keepalive\":{\"side\":\"server\",\"unanswered\":2,\"total\":9}," OURS "}}");
}

static void test_attack(void **state)
{
	struct event e = {.time = NOW, .service = 3, .type = EVENT_ATTACK_START};

	(void)state;
	e.attack.rate = 300000;
	e.attack.rate_bound = 5000;
	e.attack.half_open = 64;
	e.attack.half_open_bound = 256;
	e.attack.attacks = 2;
	e.attack.since = NOW - 1500 * NS_PER_MS;
	e.attack.reasons = ATTACK_RATE;
#define FIGURES                                                                                    \
	"\"syn_rate\":300000,\"syn_rate_bound\":5000,\"half_open\":64,"                            \
	"\"half_open_bound\":256,\"attacks\":2},\"synstile\":{\"schema\":1,\"service\":\"443\"}}"
	check(&e, "{\"timestamp\":\"2026-11-22T08:22:22.123456+0000\","
		  "\"event_type\":\"attack_start\",\"attack\":{\"reasons\":[\"syn_rate\"],"
		  "\"since\":\"2026-11-22T08:22:20.623456+0000\",\"duration_ms\":1500," FIGURES);
	e.type = EVENT_ATTACK_END;
	e.attack.since = 3 * NS_PER_SEC; /* how long it lasted */
	e.attack.reasons = 0;
	check(&e, "{\"timestamp\":\"2026-11-22T08:22:22.123456+0000\","
		  "\"event_type\":\"attack_end\",\"attack\":{\"reasons\":[],"
		  "\"since\":\"2026-11-22T08:22:19.123456+0000\",\"duration_ms\":3000," FIGURES);
	e.type = EVENT_ATTACK_PROGRESS;
	e.attack.since = NOW + 5; /* the clocks of two CPUs */
	e.attack.reasons = ATTACK_RATE | ATTACK_HALF_OPEN;
	check(&e, "{\"timestamp\":\"2026-11-22T08:22:22.123456+0000\","
		  "\"event_type\":\"attack_progress\","
		  "\"attack\":{\"reasons\":[\"half_open\",\"syn_rate\"],"
		  "\"since\":\"2026-11-22T08:22:22.123456+0000\",\"duration_ms\":0," FIGURES);
}

/* What the agent has found. */
static void test_attack_facts(void **state)
{
	struct attack_facts f = {
		.peak_rate = 310000,
		.syns = 1000,
		.completed = 20,
		.completion = 2,
		.sources = 990,
		.overflows = 3,
		.bounds = {.completion_below = 20, .sources_above = 2500},
		.spoofed = SPOOFED_YES,
		.why = "because",
		.top = {.samples = 300,
			.n = 2,
			.top = {{v4("198.51.100.0"), TOP_BITS_IPV4, 126, 0.42},
				{v6("2001:db8:7::"), TOP_BITS_IPV6, 20, 0.066}}},
	};
	struct event e = {.time = NOW, .service = 3, .type = EVENT_ATTACK_END};
	struct event_context c = context;
	char *members = attack_members(&f);

	(void)state;
	c.attack = members;
	e.attack.since = NS_PER_SEC;
	e.attack.reasons = 0x1f;
#define END_FIGURES                                                                                \
	"\"since\":\"2026-11-22T08:22:21.123456+0000\",\"duration_ms\":1000,\"syn_rate\":0,"       \
	"\"syn_rate_bound\":0,\"half_open\":0,\"half_open_bound\":0,\"attacks\":0,"
	check_in(&e, &c,
		 "{\"timestamp\":\"2026-11-22T08:22:22.123456+0000\",\"event_type\":\"attack_end\","
		 "\"attack\":{\"reasons\":[\"half_open\",\"syn_rate\",\"completion\","
		 "\"distinct_sources\",\"queue_overflow\"]," END_FIGURES
		 "\"peak_syn_rate\":310000,\"syns\":1000,\"completed\":20,\"completion_percent\":2,"
		 "\"completion_bound\":20,\"distinct_sources\":990,\"distinct_sources_bound\":2500,"
		 "\"queue_overflows\":3,\"spoofed\":true,\"spoofed_why\":\"because\","
		 "\"top_sources\":[{\"prefix\":\"198.51.100.0/24\",\"share\":0.42},"
		 "{\"prefix\":\"2001:db8:7::/64\",\"share\":0.066}],\"samples\":300},"
		 "\"synstile\":{\"schema\":1,\"service\":\"443\"}}");
	free(members);
	/* nothing is known, no bound holds */
	f = (struct attack_facts){.completion = -1};
	c.attack = members = attack_members(&f);
	e.attack.reasons = 0;
	check_in(&e, &c,
		 "{\"timestamp\":\"2026-11-22T08:22:22.123456+0000\",\"event_type\":\"attack_end\","
		 "\"attack\":{\"reasons\":[]," END_FIGURES
		 "\"peak_syn_rate\":0,\"syns\":0,\"completed\":0,\"completion_percent\":null,"
		 "\"completion_bound\":null,\"distinct_sources\":0,\"distinct_sources_bound\":null,"
		 "\"queue_overflows\":0,\"spoofed\":null,\"spoofed_why\":null,\"top_sources\":[],"
		 "\"samples\":0},\"synstile\":{\"schema\":1,\"service\":\"443\"}}");
	free(members);
}

/* The longest that there may be. */
static void test_attack_fits(void **state)
{
	struct attack_facts f = {.peak_rate = INT64_MAX,
				 .syns = INT64_MAX,
				 .completed = INT64_MAX,
				 .completion = 100,
				 .sources = INT64_MAX,
				 .overflows = INT64_MAX,
				 .bounds = {~0u, ~0u, ~0u, true},
				 .why = "few complete their handshakes, but not so many addresses "
					"send much",
				 .top = {.samples = 1000, .n = TOP_SOURCES}};
	struct event_context c = context;
	struct event e;
	char *members;

	(void)state;
	for (int i = 0; i < TOP_SOURCES; i++)
		f.top.top[i] =
			(struct top_prefix){v6("2001:db80:ffff:ffff::"), TOP_BITS_IPV6, 123, 0.123};
	memset(&e, 0xff, sizeof(e));
	e.type = EVENT_ATTACK_PROGRESS;
	e.time >>= 3;
	c.service = "a-name-of-thirty-one-characters";
	c.attack = members = attack_members(&f);
	json_decref(parsed(&e, &c));
	free(members);
}

/* The sender is src, whoever opened what; a packet without addresses has none. */
static void test_verdict(void **state)
{
	struct event e = event_of(EVENT_VERDICT);

	(void)state;
	e.admission = ADMIT_UNKNOWN;
	e.flags = FLOW_OPENED_LOCAL;
	e.verdict = V_COOKIE_INVALID;
	e.verdict_of.seq = 1;
	e.verdict_of.ack = 4294967295u;
	e.verdict_of.tcp_flags = TCP_ACK | TCP_PSH;
	check(&e, HEAD("verdict") ENDS
	      "\"tcp\":{\"tcp_flags\":\"18\",\"flags\":[\"psh\",\"ack\"],\"seq\":1,"
	      "\"ack\":4294967295},\"synstile\":{\"schema\":1,\"service\":\"443\","
	      "\"verdict\":\"cookie_invalid\"}}");
	memset(&e.key, 0, sizeof(e.key));
	e.verdict = V_IPV4_MALFORMED;
	check(&e, HEAD("verdict") "\"synstile\":{\"schema\":1,\"service\":\"443\","
				  "\"verdict\":\"ipv4_malformed\"}}");
}

/* The wall clock is the monotonic one and an offset, on both sides of a second's end. */
static void test_timestamps(void **state)
{
	static const struct {
		u64 wall;
		const char *text;
	} times[] = {
		{0, "1970-01-01T00:00:00.000000+0000"},
		{999, "1970-01-01T00:00:00.000000+0000"},
		{NOW_WALL - 123456790, "2026-11-22T08:22:21.999999+0000"},
		{NOW_WALL - 123456789, "2026-11-22T08:22:22.000000+0000"},
		{1709164799999999999ULL, "2024-02-28T23:59:59.999999+0000"},
		{1709164800000000000ULL, "2024-02-29T00:00:00.000000+0000"},
		{4102444800000001000ULL, "2100-01-01T00:00:00.000001+0000"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		json_t *j = event_json_head(times[i].wall, EVENT_LOST);

		assert_string_equal(json_string_value(json_object_get(j, "timestamp")),
				    times[i].text);
		assert_string_equal(json_string_value(json_object_get(j, "event_type")), "lost");
		json_decref(j);
	}
}

/* Whatever bytes an event holds, the line is JSON and fits. */
static void test_any_bytes(void **state)
{
	const char *const ifaces[] = {NULL, "\"eth0\"",
				      "\"\\u0001\\u0001\\u0001\\u0001\\u0001\\u0001\\u0001\\u0001"
				      "\\u0001\\u0001\\u0001\\u0001\\u0001\\u0001\\u0001\""};
	u64 seed = 20261122;

	(void)state;
	for (int i = 0; i < 30000; i++) {
		struct event_context c = {.offset = random64(&seed) >> 4,
					  .iface = ifaces[i % 3],
					  .service =
						  i % 5 ? "a-name-of-thirty-one-characters" : ""};
		u64 words[sizeof(struct event) / 8];
		struct event e;

		for (size_t w = 0; w < ARRAY_SIZE(words); w++)
			words[w] = i % 7 ? random64(&seed) : ~0ULL;
		memcpy(&e, words, sizeof(e));
		e.type = i % 11 ? e.type % EVENT_COUNT : e.type;
		e.time >>= 3;
		json_decref(parsed(&e, &c));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tcp_state),         cmocka_unit_test(test_opened_by_host),
		cmocka_unit_test(test_half_open_timeout), cmocka_unit_test(test_retransmission),
		cmocka_unit_test(test_keepalive),         cmocka_unit_test(test_attack),
		cmocka_unit_test(test_attack_facts),      cmocka_unit_test(test_attack_fits),
		cmocka_unit_test(test_verdict),           cmocka_unit_test(test_timestamps),
		cmocka_unit_test(test_any_bytes),
	};

	return cmocka_run_group_tests_name("events as JSON", tests, NULL, NULL);
}
