// SPDX-License-Identifier: GPL-2.0-only
/*
 * The Internet checksum against a plain implementation of RFC 1071, 16 bits at a time.
 */
#include "unit.h"
#include "csum.h"

static u16 reference(const u8 *p, unsigned int len)
{
	u32 sum = 0;

	for (unsigned int i = 0; i < len; i += 2) {
		u16 word;

		memcpy(&word, p + i, 2);
		sum += word;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return ~sum;
}

static u64 sum32(const u8 *p, unsigned int len)
{
	u64 sum = 0;
	u32 word;

	for (unsigned int i = 0; i < len; i += 4) {
		memcpy(&word, p + i, 4);
		sum += word;
	}
	return sum;
}

/* The header that textbooks use: 4500 0073 0000 4000 4011 (b861) c0a8 0001 c0a8 00c7. */
static void test_known_header(void **state)
{
	u8 header[20] = {0x45, 0, 0,    0x73, 0, 0, 0x40, 0,    0x40, 0x11,
			 0,    0, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0,    0xc7};
	u16 csum = csum_fold(sum32(header, sizeof(header)));

	(void)state;
	assert_memory_equal(&csum, "\xb8\x61", 2);
	memcpy(header + 10, &csum, 2);
	assert_int_equal(csum_fold(sum32(header, sizeof(header))), 0);
}

/* One's complement carries: sums around each power that a fold could lose. */
static void test_fold_carries(void **state)
{
	static const u64 near[] = {0,          0xffff,         0x10000,
				   0xffffffff, 0x100000000ULL, 0xffffffffffffULL};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(near); i++) {
		for (int delta = -70000; delta <= 70000; delta += 7) {
			u64 sum = near[i] + delta;
			/* a one's complement sum is the number modulo 2^16 - 1, and 0 only if all
			 * was 0 */
			u16 expected = sum % 0xffff;

			if ((s64)sum < 0)
				continue;
			if (!expected && sum)
				expected = 0xffff;
			assert_int_equal(csum_fold(sum), (u16)~expected);
		}
	}
}

static void test_random_buffers(void **state)
{
	u64 seed = 1071;
	u8 buf[2048];

	(void)state;
	for (int run = 0; run < 20000; run++) {
		unsigned int len = 4 * random_below(&seed, sizeof(buf) / 4 + 1);
		u8 ones = run % 3 ? 0 : 0xff;

		for (unsigned int i = 0; i < len; i++)
			buf[i] = random64(&seed) >> 56 | ones;
		assert_int_equal(csum_fold(sum32(buf, len)), reference(buf, len));
	}
}

static void test_addresses(void **state)
{
	struct addr v4 = {
		.b = {[10] = 0xff, [11] = 0xff, [12] = 198, [13] = 51, [14] = 100, [15] = 7}};
	struct addr v6;
	u64 seed = 6;

	(void)state;
	/* only the IPv4 address itself is in the pseudo-header, not its mapped form */
	assert_int_equal(csum_fold(csum_addr(&v4, true)), reference(v4.b + 12, 4));
	for (int run = 0; run < 1000; run++) {
		for (unsigned int i = 0; i < sizeof(v6.b); i++)
			v6.b[i] = random64(&seed) >> 56;
		assert_int_equal(csum_fold(csum_addr(&v6, false)), reference(v6.b, 16));
	}
	/* every byte of an IPv6 address counts */
	memset(&v6, 0, sizeof(v6));
	for (unsigned int i = 0; i < sizeof(v6.b); i++) {
		v6.b[i] = 1;
		assert_int_not_equal(csum_addr(&v6, false), 0);
		v6.b[i] = 0;
	}
}

/* A header of each legal length; each bit of it counts, and none behind it. */
static void test_ipv4_header(void **state)
{
	u64 seed = 791;
	u8 p[64];
	u16 csum;

	(void)state;
	for (u32 words = 5; words <= 15; words++) {
		u32 w[16];

		for (u32 i = 0; i < sizeof(p); i++)
			p[i] = random64(&seed) >> 56;
		memset(p + 10, 0, 2);
		csum = reference(p, 4 * words);
		memcpy(p + 10, &csum, 2);
		for (u32 bit = 0; bit < 8 * sizeof(p); bit++) {
			p[bit / 8] ^= 1 << bit % 8;
			memcpy(w, p, sizeof(w));
			assert_int_equal(csum_ipv4_ok(w, words), bit >= 32 * words);
			p[bit / 8] ^= 1 << bit % 8;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_header),   cmocka_unit_test(test_fold_carries),
		cmocka_unit_test(test_random_buffers), cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_ipv4_header),
	};

	return cmocka_run_group_tests_name("checksum", tests, NULL, NULL);
}
