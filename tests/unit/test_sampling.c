// SPDX-License-Identifier: GPL-2.0-only
/* Which SYNs are kept, and what they stand for: as the datapath and the agent do it together. */
#include <arpa/inet.h>

#include "unit.h"
#include "clock.h"
#include "sample_weights.h"
#include "sampling.h"
#include "top_sources.h"

#define SERVICE 7
#define OTHER   8

static struct load load[2];
static struct samples ring;
static u64 now; /* ns */

static void begin(void)
{
	memset(load, 0, sizeof(load));
	memset(&ring, 0, sizeof(ring));
	now = 1000 * NS_PER_SEC;
}

/* As source_count() does. */
static void syn_to(u16 service, u32 v4)
{
	struct load *l = &load[service - SERVICE];
	u32 tick = now >> LOAD_TICK_SHIFT;

	if (sampling_due(l, tick))
		ring.at[ring.n++ % SAMPLES] = (struct syn_sample){
			.addr.w = {0, 0, htonl(0xffff), htonl(v4)},
			.service = service,
			.number = (u32)l->n[LOAD_SYNS],
		};
	assert_true(l->stride & 1);
	l->n[LOAD_SYNS]++;
	l->tick = tick;
}

/* Evenly, for so many ns; the k-th is from next(k). */
static void traffic(u64 rate, u64 ns, u32 (*next)(u64 k))
{
	u64 from = now, n = rate * (ns / 1000) / 1000000;

	for (u64 k = 0; k < n; k++) {
		now = from + k * (NS_PER_SEC / rate);
		syn_to(SERVICE, next(k));
	}
	now = from + ns;
}

static struct top_sources found(void)
{
	u32 number[SYNSTILE_MAX_SERVICES] = {0}, weights[SAMPLES];
	struct sample_list list = {0};
	struct top_sources top;

	number[SERVICE] = (u32)load[0].n[LOAD_SYNS];
	number[OTHER] = (u32)load[1].n[LOAD_SYNS];
	sample_weights(&ring, number, weights);
	for (u32 i = 0; i < SAMPLES && i < ring.n; i++)
		if (ring.at[i].service == SERVICE)
			sample_list_add(&list, &ring.at[i].addr, (float)weights[i]);
	top_sources(&list, &top);
	sample_list_free(&list);
	return top;
}

static u64 weight_of_all(void)
{
	u32 number[SYNSTILE_MAX_SERVICES] = {0}, weights[SAMPLES];
	u64 sum = 0;

	number[SERVICE] = (u32)load[0].n[LOAD_SYNS];
	number[OTHER] = (u32)load[1].n[LOAD_SYNS];
	sample_weights(&ring, number, weights);
	for (u32 i = 0; i < SAMPLES; i++)
		sum += weights[i];
	return sum;
}

static u64 seed = 20261123;

static u32 one_client(u64 k)
{
	return 0xc6120101 + k % 7;
}

/* 198.19.0.0/16 at random; one in a hundred is a client. */
static u32 flood(u64 k)
{
	return k % 100 == 37 ? one_client(k) : 0xc6130000 | random64(&seed) >> 48;
}

/* Everybody counts, and nobody twice: also if nothing is left out, and for two services. */
static void test_sum(void **state)
{
	(void)state;
	begin();
	assert_int_equal(weight_of_all(), 0);
	traffic(300, NS_PER_SEC, one_client);
	assert_int_equal(weight_of_all(), 300);
	for (u32 k = 0; k < 5; k++)
		syn_to(OTHER, 1);
	traffic(50000, NS_PER_SEC / 4, flood);
	assert_int_equal(weight_of_all(), 300 + 5 + 12500);
	assert_true(ring.n < SAMPLES);
}

/* Clients that were there before a flood are no large part of it, from its first moments on. */
static void test_flood_begins(void **state)
{
	static const u64 rates[] = {2000, 20000, 200000, 1700000};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(rates); i++) {
		begin();
		traffic(20, NS_PER_SEC / 2, one_client);
		traffic(rates[i], NS_PER_SEC / 20, flood);
		for (u32 ms = 50; ms < 1000; ms += 50) {
			struct top_sources top = found();

			/* 10 of the SYNs were theirs before, and 1 % since */
			double most = 0.01 + 10.0 / (double)load[0].n[LOAD_SYNS];

			assert_true(top.n <= 1);
			if (top.n)
				assert_true(top.top[0].share < most + 0.05);
			assert_true(top.worth >= 20);
			traffic(rates[i], NS_PER_SEC / 20, flood);
		}
	}
}

/* In a second of it there are many samples of equal weight, and the ring holds them. */
static void test_flood_goes_on(void **state)
{
	static const u64 rates[] = {3000, 100000, 1000000, 15000000};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(rates); i++) {
		u32 before;

		begin();
		traffic(rates[i], NS_PER_SEC / 2, flood);
		before = ring.n;
		traffic(rates[i], NS_PER_SEC, flood);
		assert_in_range(ring.n - before, 400, 800);
		assert_in_range(found().worth, 300, SAMPLES);
	}
}

/* Bursts, and hardly anything in the spans between them: the ring lasts for seconds of it. */
static void test_bursts(void **state)
{
	const u64 span = 1ULL << SAMPLE_SPAN_SHIFT;
	u32 before = 0;

	(void)state;
	begin();
	now &= -span;
	for (u32 i = 0; i < 20; i++) {
		before = ring.n;
		traffic(1000000, span - NS_PER_MS, flood);
		assert_in_range(ring.n - before, 8, i ? 25 : 70);
		now = (now | (span - 1)) + 1;
		syn_to(SERVICE, 1);
		now += span;
	}
}

static u32 round_256(u64 k)
{
	return 0xc6130000 + (u32)(k % 256 << 8);
}

/* Senders that go round 2^n addresses are found evenly: none of 256 stands out. */
static void test_rounds(void **state)
{
	struct top_sources top;

	(void)state;
	begin();
	traffic(1000000, 2 * NS_PER_SEC, round_256);
	top = found();
	assert_int_equal(top.n, 0);
	assert_true(top.fullest < 0.025);
}

/* An index that began anew, and a ring that was written while it was read. */
static void test_odd_numbers(void **state)
{
	u32 number[SYNSTILE_MAX_SERVICES] = {0}, weights[SAMPLES];

	(void)state;
	begin();
	ring.n = 3;
	for (u32 i = 0; i < 3; i++)
		ring.at[i] = (struct syn_sample){.service = SERVICE, .number = 1000 * i};
	number[SERVICE] = 5;
	sample_weights(&ring, number, weights);
	assert_int_equal(weights[0], 1000);
	assert_int_equal(weights[1], 1000);
	assert_int_equal(weights[2], 1);
	/* numbers go round at 2^32 */
	ring.at[2].number = ~0u - 9;
	number[SERVICE] = 90;
	sample_weights(&ring, number, weights);
	assert_int_equal(weights[2], 100);
	ring.at[2].service = SYNSTILE_MAX_SERVICES;
	sample_weights(&ring, number, weights);
	assert_int_equal(weights[2], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sum),           cmocka_unit_test(test_flood_begins),
		cmocka_unit_test(test_flood_goes_on), cmocka_unit_test(test_bursts),
		cmocka_unit_test(test_rounds),        cmocka_unit_test(test_odd_numbers),
	};

	return cmocka_run_group_tests_name("sampling", tests, NULL, NULL);
}
