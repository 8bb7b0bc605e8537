// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCP options: reading, against a plain parser written from RFC 9293 3.1, over all
 * small layouts and many random ones; writing those of a SYN-ACK.
 */
#include "unit.h"
#include "frame.h"
#include "tcp_options.h"

/* What the options say; false if one of them is malformed. Steps from option to option. */
static bool reference(struct tcp_options *o, const u8 *p, u32 len)
{
	memset(o, 0, sizeof(*o));
	for (u32 i = 0; i < len && p[i] != 0;) {
		u32 size = i + 1 < len ? p[i + 1] : 0;

		if (p[i] == 1) {
			i++;
			continue;
		}
		if (size < 2 || i + size > len)
			return false;
		if (p[i] == 2 && size == 4)
			o->mss = get16(p + i + 2);
		if (p[i] == 3 && size == 3) {
			o->wscale = p[i + 2] > 14 ? 14 : p[i + 2];
			o->features |= TCP_WSCALE;
		}
		if (p[i] == 4 && size == 2)
			o->features |= TCP_SACK;
		if (p[i] == 8 && size == 10) {
			o->tsval = get32(p + i + 2);
			o->tsecr = get32(p + i + 6);
			o->features |= TCP_TSTAMP;
		}
		i += size;
	}
	return true;
}

/* Read `len` bytes of options behind a header, of which `kept` bytes are in the frame. */
static bool read_options(struct tcp_options *o, const u8 *options, u32 len, u32 kept)
{
	u8 *segment = malloc(20 + kept);
	const struct packet pkt = {.tcp_len = 20 + len};
	bool ok;

	memset(segment, 0, 20);
	if (kept)
		memcpy(segment + 20, options, kept);
	memset(o, 0x5a, sizeof(*o));
	ok = parse_tcp_options(o, &pkt, segment, segment + 20 + kept);
	free(segment);
	return ok;
}

static void compare(const u8 *options, u32 len)
{
	struct tcp_options o, expected;
	bool ok = read_options(&o, options, len, len), well = reference(&expected, options, len);

	if (ok != well || (ok && memcmp(&o, &expected, sizeof(o)))) {
		for (u32 i = 0; i < len; i++)
			print_error("%02x ", options[i]);
		fail_msg("options of %u bytes: read %d, expected %d", len, ok, well);
	}
}

/* Every string of `len` bytes over an alphabet of kinds and lengths that matter. */
static void every_layout(const u8 *alphabet, u32 letters, u32 len)
{
	u32 total = 1;
	u8 bytes[40];

	for (u32 i = 0; i < len; i++)
		total *= letters;
	for (u32 n = 0; n < total; n++) {
		for (u32 i = 0, rest = n; i < len; i++, rest /= letters)
			bytes[i] = alphabet[rest % letters];
		compare(bytes, len);
	}
}

static void test_every_small_layout(void **state)
{
	static const u8 wide[] = {0, 1, 2, 3, 4, 5, 6, 8, 10, 11, 15, 34, 40, 255};
	static const u8 narrow[] = {0, 1, 2, 3, 4, 8};

	(void)state;
	compare(NULL, 0);
	every_layout(wide, sizeof(wide), 4);
	every_layout(narrow, sizeof(narrow), 8);
}

static void test_random_layouts(void **state)
{
	static const u8 kinds[] = {0, 1, 1, 2, 3, 4, 8, 5, 30, 34, 254};
	static const u8 sizes[] = {2, 2, 2, 4, 3, 2, 10, 10, 12, 18, 4};
	u64 seed = 7323;

	(void)state;
	for (int run = 0; run < 300000; run++) {
		u32 len = 4 * random_below(&seed, 11);
		u8 bytes[64];

		for (u32 i = 0; i < sizeof(bytes); i++)
			bytes[i] = random64(&seed) >> 56;
		for (u32 i = 0; i < len;) {
			u32 kind = random_below(&seed, sizeof(kinds));

			bytes[i] = kinds[kind];
			bytes[i + 1] =
				random_below(&seed, 20) ? sizes[kind] : random64(&seed) >> 60;
			i += kinds[kind] < 2 ? 1 : sizes[kind];
		}
		compare(bytes, len);
	}
}

/* The fast way for the layout of Linux gives what the long way gives. */
static void test_linux_syn(void **state)
{
	static const u8 linux_syn[20] = {2, 4, 0x05, 0xb4, 4, 2, 8, 10, 1, 2,
					 3, 4, 5,    6,    7, 8, 1, 3,  3, 7};
	struct tcp_options o;

	(void)state;
	assert_true(read_options(&o, linux_syn, 20, 20));
	assert_int_equal(o.mss, 1460);
	assert_int_equal(o.tsval, 0x01020304);
	assert_int_equal(o.tsecr, 0x05060708);
	assert_int_equal(o.wscale, 7);
	assert_int_equal(o.features, TCP_TSTAMP | TCP_SACK | TCP_WSCALE);
	for (u32 i = 0; i < 20; i++) {
		for (u32 value = 0; value < 256; value++) {
			u8 bent[20];

			memcpy(bent, linux_syn, 20);
			bent[i] = value;
			compare(bent, 20);
		}
	}
}

static void test_wscale_bound(void **state)
{
	(void)state;
	for (u32 shift = 0; shift < 256; shift++) {
		const u8 bytes[4] = {3, 3, shift, 1};
		struct tcp_options o;

		assert_true(read_options(&o, bytes, 4, 4));
		assert_int_equal(o.wscale, shift > 14 ? 14 : shift);
	}
}

/* A frame that ends inside the options: no byte behind it is read (the sanitizer tells). */
static void test_cut_options(void **state)
{
	u64 seed = 40;

	(void)state;
	for (int run = 0; run < 50000; run++) {
		u32 len = 4 + 4 * random_below(&seed, 10);
		struct tcp_options o;
		u8 bytes[40];

		for (u32 i = 0; i < len; i++)
			bytes[i] = random64(&seed) >> (random_below(&seed, 2) ? 56 : 60);
		read_options(&o, bytes, len, random_below(&seed, len));
	}
}

/* A client's options in some order with some padding; returns the length. */
static u32 client_options(u8 *p, u32 features, bool mss, u64 *seed)
{
	static const u8 bytes[4][10] = {{2, 4, 5, 180}, {8, 10, 9, 9, 9, 9}, {4, 2}, {3, 3, 5}};
	static const u8 size[4] = {4, 10, 2, 3};
	const u8 present = mss | features << 1;
	u32 len = 0, first = random_below(seed, 4);

	for (u32 i = 0; i < 4; i++) {
		u32 kind = (first + i) & 3;

		if (!(present >> kind & 1))
			continue;
		if (!random_below(seed, 4) && len < 16)
			p[len++] = 1;
		memcpy(p + len, bytes[kind], size[kind]);
		len += size[kind];
	}
	while (len & 3)
		p[len++] = random_below(seed, 2);
	return len;
}

/* The SYN-ACK's options fit where the SYN's were, and say exactly what they are to say. */
static void test_synack_options(void **state)
{
	u64 seed = 2018;

	(void)state;
	for (int run = 0; run < 100000; run++) {
		const struct synack_options out = {.tsval = random64(&seed),
						   .tsecr = random64(&seed),
						   .mss = random64(&seed) | 1,
						   .wscale = random_below(&seed, 15),
						   .features = run & 7};
		bool mss = run & 8;
		u8 bytes[64] = {0};
		struct tcp_options o;
		u32 w[5] = {0}, n, room;

		/* the SYN may have had more than the answer is to carry */
		room = client_options(bytes, out.features | (run >> 4 & 7), mss, &seed) / 4;
		n = synack_options_write(w, &out, room);
		assert_true(n <= 5 && n <= room);
		assert_true(reference(&o, (u8 *)w, 4 * n));
		assert_int_equal(o.features, out.features);
		if (mss)
			assert_int_equal(o.mss, out.mss);
		else
			assert_true(o.mss == 0 || o.mss == out.mss);
		if (o.features & TCP_WSCALE)
			assert_int_equal(o.wscale, out.wscale);
		if (o.features & TCP_TSTAMP)
			assert_true(o.tsval == out.tsval && o.tsecr == out.tsecr);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_small_layout), cmocka_unit_test(test_random_layouts),
		cmocka_unit_test(test_linux_syn),          cmocka_unit_test(test_wscale_bound),
		cmocka_unit_test(test_cut_options),        cmocka_unit_test(test_synack_options),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
