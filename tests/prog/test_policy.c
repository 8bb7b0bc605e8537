// SPDX-License-Identifier: GPL-2.0-only
/*
 * The two slots of a policy: nothing of the one that is being written is seen before it is put in
 * force, and everything at once then. What a service may override in a SYN-ACK. Services by
 * interface.
 */
#include "check.h"

#define OTHER 2 /* another service */

static struct frame frame;
static struct run result;

static enum synstile_verdict syn(const struct spec *s)
{
	run_spec(&result, &frame, s);
	return result.verdict;
}

static void put_service(u32 slot, u32 index, const struct service *s)
{
	assert_int_equal(maps_set_service(prog_maps(), slot, index, s), 0);
}

static void put_generation(u32 generation)
{
	prog_settings()->generation = generation;
	prog_put_settings();
}

static u64 syns_of(u32 service)
{
	u64 sum[LOAD_KINDS];

	assert_int_equal(maps_load(prog_maps(), service, sum), 0);
	return sum[LOAD_SYNS];
}

/* The listener's entries of both families, and the port's. */
static void put_entries(u16 service0, u16 service1, bool quick)
{
	const struct listen_entry entry = {.service = {service0, service1}, .window = WINDOW};
	struct port_entry port = {.flags = PORT_ANY};
	struct flow_key key;

	for (u32 ipv6 = 0; ipv6 < 2; ipv6++) {
		prog_key(&key, &(struct spec){.ipv6 = ipv6});
		prog_put_listener(&(struct listener_key){.addr = key.local, .port = key.local_port},
				  &entry);
		if (!ipv6 && quick) {
			port.addr4 = key.local.w[3];
			port.quick = entry;
		}
	}
	prog_put_port(PORT, &port);
}

/* Service, mode and rules of each generation's slot, and of no other. */
static void test_generation(void **state)
{
	const struct prefix_key all[] = {{.bits = 96, .addr.b = {[10] = 0xff, [11] = 0xff}},
					 {.bits = 0}};
	const u32 deny[] = {PREFIX_DENY, PREFIX_DENY};

	(void)state;
	for (u32 n = 0; n < 4; n++) {
		struct spec s = {.ipv6 = n & 1, .flags = SYN, .sport = 1};
		struct service service;
		u64 before;

		prog_reset(MODE_AUTO);
		prog_get_service(&service);
		put_entries(SERVICE, OTHER, n & 2);
		service.mode = MODE_ALWAYS;
		put_service(1, OTHER, &service);
		put_service(1, SERVICE, &(struct service){.used = 1});
		put_service(0, OTHER, &(struct service){.used = 1});
		before = syns_of(OTHER);

		assert_int_equal(syn(&s), V_SYN_CALM);
		put_generation(1);
		s.sport++;
		assert_int_equal(syn(&s), V_SYN_COOKIE);
		assert_int_equal(syns_of(OTHER), before + 1);
		assert_int_equal(syns_of(SERVICE), 1);

		prog_prefixes(0, all, deny, 2); /* of the next policy, not in force yet */
		prog_rules(0, &(struct rules){.flags = RULES_PREFIXES});
		assert_int_equal(syn(&s), V_SYN_COOKIE);
		put_generation(2);
		assert_int_equal(syn(&s), V_SYN_DENIED);
		prog_prefixes(1, all, deny, 2); /* which the rules of that slot do not ask for */
		put_generation(7);
		assert_int_equal(syn(&s), V_SYN_COOKIE);
	}
	prog_reset(MODE_AUTO);
	put_service(0, OTHER, &(struct service){0});
	put_service(1, OTHER, &(struct service){0});
	put_service(1, SERVICE, &(struct service){0});
}

/* An address and port may be of no service in one policy: 0. */
static void test_service_of_one_slot_only(void **state)
{
	(void)state;
	for (u32 n = 0; n < 4; n++) {
		struct spec s = {.ipv6 = n & 1, .flags = SYN, .sport = 1};

		prog_reset(MODE_AUTO);
		put_entries(0, SERVICE, n & 2);
		assert_int_equal(syn(&s), V_NOT_SERVICE);
		put_entries(SERVICE, 0, n & 2);
		assert_int_equal(syn(&s), V_SYN_CALM);
		put_generation(1);
		s.sport++;
		assert_int_equal(syn(&s), V_NOT_SERVICE);
	}
}

/* A cookie that was given under one policy is taken under the next. */
static void test_cookie_over_a_switch(void **state)
{
	struct spec s = {.flags = SYN, .sport = 1}, ack;
	struct service service;
	struct answer a;

	(void)state;
	prog_reset(MODE_ALWAYS);
	prog_get_service(&service);
	put_service(1, SERVICE, &service);
	get_cookie(&a, &s);
	put_generation(1);
	ack = next_segment(&s, &a, ACK, 0);
	run_spec(&result, &frame, &ack);
	expect(&result, V_COOKIE_VALID, XDP_PASS);
}

/* A service's own MSS, window scale and features, in the bytes of the SYN-ACK; and what the flow
 * of the client that answers it says. */
static void test_overrides(void **state)
{
	static const struct {
		u16 mss, expected4, expected6;
		u8 wscale, scale;
		u8 features;
	} rows[] = {
		{0, MSS4, MSS6, SERVICE_NO_WSCALE, RCV_WSCALE, TCP_FEATURES},
		{1000, 1000, 1000, 3, 3, TCP_FEATURES},
		{1450, 1450, MSS6, 0, 0, TCP_FEATURES & ~TCP_ECN},
		{9000, MSS4, MSS6, 14, 14, TCP_FEATURES & ~TCP_SACK}, /* never above the MTU's */
	};

	(void)state;
	for (u32 n = 0; n < 2 * ARRAY_SIZE(rows); n++) {
		struct spec s = {.ipv6 = n & 1, .flags = SYN | ECE | CWR}, ack;
		struct service service;
		struct answer a;
		struct flow f;
		u8 agreed = rows[n / 2].features;

		prog_reset(MODE_ALWAYS);
		prog_get_service(&service);
		service.mss = rows[n / 2].mss;
		service.wscale = rows[n / 2].wscale;
		service.features = agreed;
		prog_put_service(&service);
		offer_options(&s, TCP_FEATURES, 1460, 7);
		get_cookie(&a, &s);
		assert_int_equal(a.mss, s.ipv6 ? rows[n / 2].expected6 : rows[n / 2].expected4);
		assert_int_equal(a.features, agreed);
		assert_int_equal(a.wscale, rows[n / 2].scale);
		assert_int_equal(!!(a.flags & ECE), !!(agreed & TCP_ECN));
		ack = next_segment(&s, &a, ACK, 0);
		run_spec(&result, &frame, &ack);
		expect(&result, V_COOKIE_VALID, XDP_PASS);
		assert_true(prog_flow(&f, &s));
		assert_int_equal(f.side[LOCAL].wscale, rows[n / 2].scale);
		assert_int_equal(f.side[REMOTE].wscale, 7);
		assert_int_equal(f.flags & TCP_FEATURES, agreed);
	}
}

/* The same port is of one service at the interface of test_run (lo, 1), and of another elsewhere.
 */
static void test_by_interface(void **state)
{
	const struct port_entry port = {.flags = PORT_ANY | PORT_BY_INTERFACE};

	(void)state;
	for (u32 ipv6 = 0; ipv6 < 2; ipv6++) {
		struct spec s = {.ipv6 = ipv6, .flags = SYN, .sport = 1};
		struct listen_entry l = {.window = WINDOW};
		struct listener_key key = {0};
		struct flow_key flow;

		prog_reset(MODE_AUTO); /* with an entry for any interface, which is not asked for */
		prog_put_port(PORT, &port);
		assert_int_equal(syn(&s), V_NOT_SERVICE);
		prog_key(&flow, &s);
		key.addr = flow.local;
		key.port = flow.local_port;
		key.ifindex = 2;
		l.service[0] = SERVICE;
		prog_put_listener(&key, &l);
		assert_int_equal(syn(&s), V_NOT_SERVICE);
		key.ifindex = 1;
		prog_put_listener(&key, &l);
		assert_int_equal(syn(&s), V_SYN_CALM);
		l.service[0] = 0;
		prog_put_listener(&key, &l);
		s.sport++;
		assert_int_equal(syn(&s), V_NOT_SERVICE);
	}
}

static int open_programs(void **state)
{
	(void)state;
	prog_open(OWN_COOKIES, 1024);
	return 0;
}

static int close_programs(void **state)
{
	(void)state;
	prog_close();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_generation),
		cmocka_unit_test(test_service_of_one_slot_only),
		cmocka_unit_test(test_cookie_over_a_switch),
		cmocka_unit_test(test_overrides),
		cmocka_unit_test(test_by_interface),
	};

	return cmocka_run_group_tests_name("policy", tests, open_programs, close_programs);
}
