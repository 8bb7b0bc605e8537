// SPDX-License-Identifier: GPL-2.0-only
/* Which events someone asked for: arguments, and what they let through. */
#include <arpa/inet.h>
#include <errno.h>

#include "log.h" /* before cmocka, which has a macro of the name of fail() */
#include "unit.h"
#include "event_filter.h"
#include "flow_id.h"

static void refused(int err, const char *words)
{
	assert_int_equal(err, -EINVAL);
	if (!strstr(fail_reason(err), words))
		fail_msg("\"%s\" is not in: %s", words, fail_reason(err));
	fail_clear();
}

static void test_types(void **state)
{
	struct event_filter f = {0};

	(void)state;
	assert_int_equal(event_filter_mask(&f), EVENT_TYPES_ALL & ~(1u << EVENT_STATS));
	assert_int_equal(event_filter_types(&f, "lost,tcp_state"), 0);
	assert_int_equal(event_filter_mask(&f), 1u << EVENT_LOST | 1u << EVENT_TCP_STATE);
	assert_int_equal(event_filter_types(&f, "stats"), 0);
	assert_int_equal(event_filter_mask(&f),
			 1u << EVENT_LOST | 1u << EVENT_TCP_STATE | 1u << EVENT_STATS);
	refused(event_filter_types(&f, "tcp_stat"), "\"tcp_state\"?");
	refused(event_filter_types(&f, "tcp_stat"), "half_open_timeout");
	refused(event_filter_types(&f, ""), "\"\"");
	refused(event_filter_types(&f, "lost,"), "\"\"");
	refused(event_filter_types(&f, "a_word_that_is_longer_than_any_type_there_could_be,lost"),
		"a_word_that");
}

static void test_ports(void **state)
{
	struct event_filter f = {0};

	(void)state;
	assert_int_equal(event_filter_port(&f, "65535"), 0);
	assert_int_equal(f.port, 65535);
	refused(event_filter_port(&f, "65536"), "65536");
	refused(event_filter_port(&f, "0"), "1 to 65535");
	refused(event_filter_port(&f, ""), "1 to 65535");
	refused(event_filter_port(&f, "-1"), "-1");
	refused(event_filter_port(&f, "80x"), "80x");
	refused(event_filter_port(&f, "99999999999999999999999"), "1 to 65535");
}

static void test_hosts(void **state)
{
	struct event_filter f = {0};

	(void)state;
	assert_int_equal(event_filter_host(&f, "198.18.0.7"), 0);
	assert_int_equal(f.host.w[3], htonl(0xc6120007));
	assert_int_equal(f.host.w[2], htonl(0xffff));
	assert_int_equal(event_filter_host(&f, "2001:db8::1"), 0);
	assert_int_equal(f.host.w[0], htonl(0x20010db8));
	refused(event_filter_host(&f, "198.18.0"), "198.18.0");
	refused(event_filter_host(&f, "localhost"), "localhost");
	refused(event_filter_host(&f, "198.18.0.0/16"), "/16");
}

static void test_match(void **state)
{
	struct event e = {.type = EVENT_TCP_STATE,
			  .key = {.remote_port = htons(50096), .local_port = htons(80)}};
	struct event_filter f = {0};

	(void)state;
	e.key.remote.w[2] = e.key.local.w[2] = htonl(0xffff);
	e.key.remote.w[3] = htonl(0xc6120007);
	e.key.local.w[3] = htonl(0xc6120001);
	assert_true(event_filter_match(&f, &e, 80, "web"));
	f.port = 50096;
	assert_true(event_filter_match(&f, &e, 80, "web"));
	f.port = 80;
	assert_true(event_filter_match(&f, &e, 0, "web"));
	f.port = 81;
	assert_false(event_filter_match(&f, &e, 80, "web"));
	assert_true(event_filter_match(&f, &e, 81, "web")); /* an attack on a service has no ends */
	f.port = 0;
	event_filter_host(&f, "198.18.0.7");
	assert_true(event_filter_match(&f, &e, 80, "web"));
	event_filter_host(&f, "198.18.0.1");
	assert_true(event_filter_match(&f, &e, 80, "web"));
	event_filter_host(&f, "198.18.0.2");
	assert_false(event_filter_match(&f, &e, 80, "web"));
	f.has_host = false;
	e.type = EVENT_STATS;
	assert_false(event_filter_match(&f, &e, 80, "web"));
}

/* Of one connection, and of one service. */
static void test_flow_and_service(void **state)
{
	struct event e = {.type = EVENT_TCP_STATE, .opened = 5, .key = {.local_port = htons(80)}};
	struct event_filter f = {0};
	char text[24];

	(void)state;
	snprintf(text, sizeof(text), "%llu", (unsigned long long)flow_id(&e.key, e.opened));
	assert_int_equal(event_filter_flow(&f, text), 0);
	assert_true(event_filter_match(&f, &e, 80, "web"));
	e.opened = 6; /* another one with the same addresses and ports */
	assert_false(event_filter_match(&f, &e, 80, "web"));
	e.opened = 5;
	e.type = EVENT_ATTACK_START; /* not of a connection */
	assert_false(event_filter_match(&f, &e, 80, "web"));
	assert_int_equal(event_filter_mask(&f) & 1u << EVENT_VERDICT, 0);
	assert_int_not_equal(event_filter_mask(&f) & 1u << EVENT_LOST, 0);
	refused(event_filter_flow(&f, ""), "flow_id");
	refused(event_filter_flow(&f, "-1"), "-1");
	refused(event_filter_flow(&f, "12x"), "12x");

	f = (struct event_filter){0};
	assert_int_equal(event_filter_service(&f, "website"), 0);
	assert_int_equal(event_filter_service(&f, "web"), 0);
	assert_true(event_filter_match(&f, &e, 80, "web"));
	assert_false(event_filter_match(&f, &e, 80, "website"));
	assert_false(event_filter_match(&f, &e, 80, ""));
	assert_true(event_filter_same(&f, &f));
	assert_false(event_filter_same(&f, &(struct event_filter){0}));
	assert_false(event_filter_same(&f, &(struct event_filter){.service = "web", .port = 1}));
	assert_true(event_filter_same(
		&f, &(struct event_filter){.service = "web", .types = EVENT_TYPES_DEFAULT}));
	refused(event_filter_service(&f, ""), "1 to 31");
	refused(event_filter_service(&f, "a&type=stats"), "a&type");
	refused(event_filter_service(&f, "12345678901234567890123456789012"), "1 to 31");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_flow_and_service),
	};

	return cmocka_run_group_tests_name("event filters", tests, NULL, NULL);
}
