// SPDX-License-Identifier: GPL-2.0-only
/* What a source is: the prefix of each length, against a mask made bit by bit; and its hash. */
#include "unit.h"
#include "source.h"

static void test_prefix(void **state)
{
	u64 seed = 3;

	(void)state;
	for (u32 n = 0; n < 5000; n++) {
		struct packet pkt = {.ipv4 = n % 5 == 0};
		u32 bits = n % 129, kept = pkt.ipv4 ? 128 : bits ? bits : RULES_IPV6_PREFIX;
		struct addr expected, a;

		for (int i = 0; i < 16; i++)
			pkt.key.remote.b[i] = random64(&seed) >> 56;
		expected = pkt.key.remote;
		for (u32 bit = kept; bit < 128; bit++)
			expected.b[bit / 8] &= ~(0x80 >> bit % 8);
		source_of(&a, &pkt, bits);
		assert_memory_equal(&a, &expected, sizeof(a));
	}
}

/* Any bit of the address or the key changes half the bits of the hash. */
static void test_hash(void **state)
{
	u64 seed = 8, key[2], flips = 0;
	const u32 rounds = 100;

	(void)state;
	for (u32 n = 0; n < rounds; n++) {
		struct addr a;
		u64 hash;

		key[0] = random64(&seed);
		key[1] = random64(&seed);
		for (int i = 0; i < 4; i++)
			a.w[i] = random64(&seed);
		hash = source_hash(&a, key);
		for (u32 bit = 0; bit < 256; bit++) {
			u8 *at = bit < 128 ? &a.b[bit / 8] : (u8 *)key + bit / 8 - 16;

			*at ^= 1 << bit % 8;
			flips += __builtin_popcountll(hash ^ source_hash(&a, key));
			assert_true(hash != source_hash(&a, key));
			*at ^= 1 << bit % 8;
		}
	}
	assert_in_range(flips, rounds * 256 * 31.7, rounds * 256 * 32.3);
}

static void test_filtered(void **state)
{
	(void)state;
	for (u32 facts = 0; facts < 32; facts++) {
		bool over = facts & SOURCE_OVER, verified = facts & SOURCE_VERIFIED;

		assert_int_equal(source_filtered(facts),
				 (facts & SOURCE_DENIED) != 0 || (over && !verified));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prefix),
		cmocka_unit_test(test_hash),
		cmocka_unit_test(test_filtered),
	};

	return cmocka_run_group_tests_name("source", tests, NULL, NULL);
}
