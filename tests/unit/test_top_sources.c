// SPDX-License-Identifier: GPL-2.0-only
/* The top prefixes of samples, and the words of the kernel's queues. */
#include <arpa/inet.h>
#include <errno.h>

#include "unit.h"
#include "overflow.h"
#include "top_sources.h"

static struct addr v4(u32 host)
{
	return (struct addr){.w[2] = htonl(0xffff), .w[3] = htonl(host)};
}

static struct addr v6(u32 high, u32 subnet, u32 low)
{
	return (struct addr){.w = {htonl(high), htonl(subnet), 0, htonl(low)}};
}

static void add(struct sample_list *list, struct addr a, u32 times)
{
	while (times--)
		sample_list_add(list, &a, 1);
}

/* A share as so many of all samples, which weigh the same here. */
static u32 as_samples(const struct top_sources *top, double share)
{
	return (u32)(share * top->samples + 0.5);
}

static void check_top(const struct top_sources *top, u32 i, const char *prefix, u32 n)
{
	char text[PREFIX_TEXT_SIZE];

	assert_true(i < top->n);
	assert_string_equal(top_prefix_text(&top->top[i], text), prefix);
	assert_int_equal(top->top[i].n, n);
	assert_int_equal(as_samples(top, top->top[i].share), n);
}

static void test_none(void **state)
{
	struct sample_list list = {0};
	struct top_sources top;

	(void)state;
	top_sources(&list, &top);
	assert_int_equal(top.samples, 0);
	assert_int_equal(top.n, 0);
	add(&list, v4(0xc6336401), 1);
	top_sources(&list, &top);
	assert_int_equal(top.samples, 1);
	assert_int_equal(top.n, 0); /* one is chance */
	assert_int_equal(as_samples(&top, top.few), 0);
	assert_int_equal(as_samples(&top, top.fullest), 1);
	sample_list_free(&list);
}

/* Both families, most first; an IPv4 /24 and an IPv6 /64 count as a whole. */
static void test_mixture(void **state)
{
	struct sample_list list = {0};
	struct top_sources top;

	(void)state;
	for (u32 i = 0; i < 50; i++) {
		add(&list, v4(0xc6336400 + i), 1);            /* 198.51.100.0/24 */
		add(&list, v6(0x20010db8, 0x00070000, i), 2); /* 2001:db8:7::/64 */
		add(&list, v4(0x0a000000 + (i << 8)), 1);     /* all over */
	}
	add(&list, v4(0xc0000201), 30);
	top_sources(&list, &top);
	assert_int_equal(top.samples, 230);
	assert_int_equal(top.worth, 230);
	assert_int_equal(top.n, 3);
	check_top(&top, 0, "2001:db8:7::/64", 100);
	check_top(&top, 1, "198.51.100.0/24", 50);
	check_top(&top, 2, "192.0.2.0/24", 30);
	assert_int_equal(as_samples(&top, top.fullest), 100);
	assert_int_equal(as_samples(&top, top.few),
			 130); /* the /64 and the one address; nobody else came twice */
	sample_list_free(&list);
}

/* The right ones, most first; below three percent none. */
static void test_bounds(void **state)
{
	struct sample_list list = {0};
	struct top_sources top;

	(void)state;
	for (u32 i = 1; i <= 20; i++)
		add(&list, v4(0x0a000000 + (i << 8)), i);
	top_sources(&list, &top);
	assert_int_equal(top.n, 20 - (TOP_LEAST - 1));
	for (u32 i = 0; i < top.n; i++)
		assert_int_equal(top.top[i].n, 20 - i);
	assert_int_equal(as_samples(&top, top.few), 20 * 21 / 2 - 1 - 2 - 3 - 4);
	for (u32 i = 0; i < 900; i++)
		add(&list, v4(0x0b000000 + (i << 8)), 1);
	top_sources(&list, &top);
	assert_int_equal(top.samples, 1110);
	assert_int_equal(top.n, 0); /* 20 of 1110 is less than 3 % */
	sample_list_free(&list);
}

/* One sample may stand for more than a hundred others; but it alone is chance. */
static void test_weights(void **state)
{
	struct sample_list list = {0};
	struct addr flood = v4(0xc6130001), once = v4(0xc6140001);
	struct top_sources top;
	u32 i;

	(void)state;
	add(&list, v4(0xc6120001), 100);
	for (i = 0; i < TOP_LEAST; i++)
		sample_list_add(&list, &flood, 100);
	sample_list_add(&list, &once, 300);
	top_sources(&list, &top);
	assert_int_equal(top.samples, 100 + TOP_LEAST + 1);
	assert_int_equal(top.n, 2);
	assert_int_equal(top.top[0].share * 1200 + 0.5, 800);
	assert_int_equal(top.top[1].share * 1200 + 0.5, 100);
	assert_int_equal(top.fullest * 1200 + 0.5, 800);
	assert_int_equal(top.few * 1200 + 0.5, 900); /* who came once is none of the few */
	assert_int_equal(top.worth, 8);              /* 1200^2 / (100 + 8 * 100^2 + 300^2) = 8.5 */
	sample_list_free(&list);
}

/* A random flood has no top, and no address that comes often; from a /16 neither. */
static void test_random(void **state)
{
	static const u32 sizes[] = {100, 300, 1000, 2000};
	struct sample_list list = {0};
	struct top_sources top;
	u64 seed = 20261122;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (u32 k = 0; k < sizes[i]; k++)
			add(&list, v4(0xc6130000 | (random64(&seed) >> 48)), 1);
		top_sources(&list, &top);
		assert_int_equal(top.samples, sizes[i]);
		assert_int_equal(top.n, 0);
		assert_in_range(as_samples(&top, top.few), 0, 40);
		sample_list_free(&list);
	}
}

static void test_list_is_bounded(void **state)
{
	struct sample_list list = {0};
	struct top_sources top;

	(void)state;
	add(&list, v4(7), TOP_SAMPLES_MAX + 1000);
	top_sources(&list, &top);
	assert_in_range(top.samples, TOP_SAMPLES_MAX, TOP_SAMPLES_MAX + 999);
	check_top(&top, 0, "0.0.0.0/24", top.samples);
	sample_list_free(&list);
}

static void test_overflow(void **state)
{
	struct overflow o;

	(void)state;
	assert_int_equal(overflow_parse(&o, "TcpExt: SyncookiesSent ListenOverflows ListenDrops "
					    "TCPReqQFullDoCookies X TCPReqQFullDrop\n"
					    "TcpExt: 1 22 333 4444 5 18446744073709551615\n"
					    "IpExt: ListenDrops\nIpExt: 7\n"),
			 0);
	assert_int_equal(o.accept, 22);
	assert_int_equal(o.dropped, 333);
	assert_int_equal(o.request_cookies, 4444);
	assert_true(o.request_dropped == ~0ULL);
	/* a kernel that lacks some */
	assert_int_equal(overflow_parse(&o, "IpExt: A\nIpExt: 1\nTcpExt: ListenDrops\nTcpExt: 7"),
			 0);
	assert_int_equal(o.dropped, 7);
	assert_int_equal(o.request_dropped, 0);
	assert_int_equal(overflow_parse(&o, ""), -EINVAL);
	assert_int_equal(overflow_parse(&o, "TcpExt: ListenDrops\n"), -EINVAL);
	assert_int_equal(overflow_parse(&o, "TcpExt: ListenDrops X\nTcpExt:"), 0);
	assert_int_equal(o.dropped, 0);
	/* as this kernel has it */
	assert_int_equal(overflow_read(&o), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none),     cmocka_unit_test(test_mixture),
		cmocka_unit_test(test_bounds),   cmocka_unit_test(test_weights),
		cmocka_unit_test(test_random),   cmocka_unit_test(test_list_is_bounded),
		cmocka_unit_test(test_overflow),
	};

	return cmocka_run_group_tests_name("top sources", tests, NULL, NULL);
}
