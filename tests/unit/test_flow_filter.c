// SPDX-License-Identifier: GPL-2.0-only
/*
 * The counting filter's hash: within its bounds, blind to nothing that tells clients
 * apart, and spread over all counters for the clients that there are.
 */
#include "unit.h"
#include "bytes.h"
#include "synstile/flow_filter.h"

#define SLOTS (FLOW_FILTER_LINES * FLOW_FILTER_SLOTS)

/* Of SLOTS flows, how many counters stay 0? 1/e of them, 24,109, if the hash is good. */
static u32 empty(void (*client)(struct flow_key *k, u32 n))
{
	static u16 n[SLOTS];
	u32 zero = 0;

	memset(n, 0, sizeof(n));
	for (u32 i = 0; i < SLOTS; i++) {
		struct flow_key k = {0};
		u32 hash;

		client(&k, i);
		hash = flow_filter_hash(&k);
		assert_in_range(hash, 0, SLOTS - 1);
		n[hash]++;
	}
	for (u32 i = 0; i < SLOTS; i++)
		zero += !n[i];
	return zero;
}

/* All ports of one address */
static void ports(struct flow_key *k, u32 n)
{
	k->remote.w[2] = host_to_be32(0xffff);
	k->remote.w[3] = host_to_be32(0xc6336407);
	k->remote_port = n;
}

/* Neighbours in a network, each with few ports */
static void neighbours(struct flow_key *k, u32 n)
{
	k->remote.w[2] = host_to_be32(0xffff);
	k->remote.w[3] = host_to_be32(0x0a000000 + n / 4);
	k->remote_port = host_to_be16(32768 + n % 4);
}

/* Anybody */
static void anybody(struct flow_key *k, u32 n)
{
	u64 seed = n + 1;

	for (int i = 0; i < 4; i++)
		random64(&seed);
	k->remote.w[2] = host_to_be32(0xffff);
	k->remote.w[3] = random64(&seed) >> 32;
	k->remote_port = random64(&seed) >> 48;
}

/* IPv6 hosts of one /64 */
static void hosts6(struct flow_key *k, u32 n)
{
	u64 seed = n + 1;

	for (int i = 0; i < 4; i++)
		random64(&seed);
	k->remote.w[0] = host_to_be32(0x20010db8);
	k->remote.w[2] = random64(&seed) >> 32;
	k->remote.w[3] = random64(&seed) >> 32;
	k->remote_port = host_to_be16(40000);
}

static void test_spread(void **state)
{
	(void)state;
	/* less evenly, but not all in a few lines that every CPU would then write to */
	assert_in_range(empty(ports), 0, 50000);
	assert_in_range(empty(neighbours), 0, 50000);
	assert_in_range(empty(anybody), 23000, 25000);
	assert_in_range(empty(hosts6), 23000, 25000);
}

/* Each word of the address, and the port, counts. */
static void test_every_part_counts(void **state)
{
	struct flow_key k = {0};
	u32 plain;

	(void)state;
	for (int i = 0; i < 16; i++)
		k.remote.b[i] = i * 37 + 5;
	k.remote_port = 4711;
	plain = flow_filter_hash(&k);
	for (int bit = 0; bit < 128; bit += 3) {
		k.remote.b[bit / 8] ^= 1 << bit % 8;
		assert_int_not_equal(flow_filter_hash(&k), plain);
		k.remote.b[bit / 8] ^= 1 << bit % 8;
	}
	k.remote_port++;
	assert_int_not_equal(flow_filter_hash(&k), plain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spread),
		cmocka_unit_test(test_every_part_counts),
	};

	return cmocka_run_group_tests_name("flow filter", tests, NULL, NULL);
}
