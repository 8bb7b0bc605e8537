// SPDX-License-Identifier: GPL-2.0-only
/*
 * SipHash-2-4 against the reference vectors (vectors_sip64 in vectors.h of
 * https://github.com/veorq/SipHash; Aumasson and Bernstein 2012, appendix A has number 15):
 * key 00 01 .. 0f, message 00 01 .. of 0 to 63 bytes.
 */
#include "unit.h"
#include "siphash.h"

/* The tag of message length i, as the 64-bit number that the reference bytes spell. */
static const u64 vectors[64] = {
	0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a, 0x85676696d7fb7e2d,
	0xcf2794e0277187b7, 0x18765564cd99a68d, 0xcbc9466e58fee3ce, 0xab0200f58b01d137,
	0x93f5f5799a932462, 0x9e0082df0ba9e4b0, 0x7a5dbbc594ddb9f3, 0xf4b32f46226bada7,
	0x751e8fbc860ee5fb, 0x14ea5627c0843d90, 0xf723ca908e7af2ee, 0xa129ca6149be45e5,
	0x3f2acc7f57c29bdb, 0x699ae9f52cbe4794, 0x4bc1b3f0968dd39c, 0xbb6dc91da77961bd,
	0xbed65cf21aa2ee98, 0xd0f2cbb02e3b67c7, 0x93536795e3a33e88, 0xa80c038ccd5ccec8,
	0xb8ad50c6f649af94, 0xbce192de8a85b8ea, 0x17d835b85bbb15f3, 0x2f2e6163076bcfad,
	0xde4daaaca71dc9a5, 0xa6a2506687956571, 0xad87a3535c49ef28, 0x32d892fad841c342,
	0x7127512f72f27cce, 0xa7f32346f95978e3, 0x12e0b01abb051238, 0x15e034d40fa197ae,
	0x314dffbe0815a3b4, 0x027990f029623981, 0xcadcd4e59ef40c4d, 0x9abfd8766a33735c,
	0x0e3ea96b5304a7d0, 0xad0c42d6fc585992, 0x187306c89bc215a9, 0xd4a60abcf3792b95,
	0xf935451de4f21df2, 0xa9538f0419755787, 0xdb9acddff56ca510, 0xd06c98cd5c0975eb,
	0xe612a3cb9ecba951, 0xc766e62cfcadaf96, 0xee64435a9752fe72, 0xa192d576b245165a,
	0x0a8787bf8ecb74b2, 0x81b3e73d20b49b6f, 0x7fa8220ba3b2ecea, 0x245731c13ca42499,
	0xb78dbfaf3a8d83bd, 0xea1ad565322a1a0b, 0x60e61c23a3795013, 0x6606d7e446282b93,
	0x6ca4ecb15c5f91e1, 0x9f626da15c9625f3, 0xe51b38608ef25f57, 0x958a324ceb064572,
};

static u64 load64(const u8 *p, unsigned int n)
{
	u64 x = 0;

	for (unsigned int i = 0; i < n; i++)
		x |= (u64)p[i] << 8 * i;
	return x;
}

static u64 hash(const u64 key[2], const u8 *message, unsigned int len)
{
	struct siphash s;
	unsigned int i;

	siphash_init(&s, key);
	for (i = 0; i + 8 <= len; i += 8)
		siphash_word(&s, load64(message + i, 8));
	return siphash_final(&s, load64(message + i, len - i), len);
}

static void test_reference_vectors(void **state)
{
	u64 key[2];
	u8 bytes[64];

	(void)state;
	for (unsigned int i = 0; i < sizeof(bytes); i++)
		bytes[i] = i;
	key[0] = load64(bytes, 8);
	key[1] = load64(bytes + 8, 8);
	for (unsigned int len = 0; len < ARRAY_SIZE(vectors); len++)
		assert_int_equal(hash(key, bytes, len), vectors[len]);
}

/* The lengths that cookies have: 23 (IPv4) and 47 (IPv6), words handed over one by one. */
static void test_cookie_lengths(void **state)
{
	static const unsigned int lengths[] = {23, 47};
	const u64 key[2] = {0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL};

	(void)state;
	for (unsigned int n = 0; n < ARRAY_SIZE(lengths); n++) {
		unsigned int len = lengths[n];
		u64 word = 0x0706050403020100ULL;
		struct siphash s;

		siphash_init(&s, key);
		for (unsigned int i = 0; i < len / 8; i++, word += 0x0808080808080808ULL)
			siphash_word(&s, word);
		assert_int_equal(siphash_final(&s, word & 0xffffffffffffffULL, len), vectors[len]);
	}
}

/* Each bit of key, message and length counts. */
static void test_every_bit_counts(void **state)
{
	u64 key[2] = {0x1111222233334444ULL, 0x5555666677778888ULL}, plain;
	u8 message[47] = {1, 2, 3};

	(void)state;
	plain = hash(key, message, sizeof(message));
	for (unsigned int bit = 0; bit < 128; bit++) {
		key[bit / 64] ^= 1ULL << bit % 64;
		assert_int_not_equal(hash(key, message, sizeof(message)), plain);
		key[bit / 64] ^= 1ULL << bit % 64;
	}
	for (unsigned int bit = 0; bit < 8 * sizeof(message); bit++) {
		message[bit / 8] ^= 1 << bit % 8;
		assert_int_not_equal(hash(key, message, sizeof(message)), plain);
		message[bit / 8] ^= 1 << bit % 8;
	}
	for (unsigned int len = 0; len < sizeof(message); len++)
		assert_int_not_equal(hash(key, message, len), plain);
}

static void test_rotl64(void **state)
{
	(void)state;
	assert_int_equal(rotl64(0x8000000000000001ULL, 1), 3);
	assert_int_equal(rotl64(0x123456789abcdef0ULL, 32), 0x9abcdef012345678ULL);
	assert_int_equal(rotl64(1, 63), 1ULL << 63);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reference_vectors),
		cmocka_unit_test(test_cookie_lengths),
		cmocka_unit_test(test_every_bit_counts),
		cmocka_unit_test(test_rotl64),
	};

	return cmocka_run_group_tests_name("siphash", tests, NULL, NULL);
}
