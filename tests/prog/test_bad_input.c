// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bad input: truncated, contradictory and random frames. prog_xdp() checks of each
 * that exactly one verdict is counted and that the action is that verdict's (so never
 * XDP_ABORTED); here, that nothing malformed is answered and all is named rightly.
 */
#include "check.h"

static struct frame frame;
static struct run result;

static bool is_malformed(enum synstile_verdict v)
{
	return v == V_ETH_TRUNCATED || v == V_IPV4_MALFORMED || v == V_IPV6_MALFORMED ||
	       v == V_TCP_MALFORMED || v == V_TCP_OPTIONS || v == V_REPLY_FAILED;
}

/* XDP test_run takes 14 bytes at least; the unit tests begin at 0. */
static void test_truncated(void **state)
{
	(void)state;
	for (u32 n = 0; n < 2 * 3 * 4; n++) {
		struct spec s = {.ipv6 = n & 1, .vlans = n / 2 % 3, .flags = SYN, .seq = n};

		if (n / 6 & 1)
			offer_options(&s, TCP_TSTAMP | TCP_SACK | TCP_WSCALE, 1460, 7);
		if (n / 12 && s.ipv6)
			s.exts = 3, memset(s.ext, DESTINATION, 3);
		else if (n / 12)
			s.ip_options = 40;
		s.payload = n / 12 * 60;
		frame_build(&frame, &s);
		for (u32 len = 14; len < frame.len; len++) {
			prog_xdp(&result, frame.bytes, len);
			assert_true(is_malformed(result.verdict));
			assert_int_equal(result.action, XDP_DROP);
		}
		prog_xdp(&result, frame.bytes, frame.len);
		expect(&result, V_SYN_COOKIE, XDP_TX);
	}
	assert_int_equal(prog_flows(), 0);
}

static enum synstile_verdict flags_verdict(u8 flags, bool pressure)
{
	if (!(flags & (SYN | ACK | RST)) || ((flags & SYN) && (flags & (FIN | RST))))
		return V_TCP_FLAGS;
	if ((flags & (SYN | ACK)) == SYN)
		return pressure ? V_SYN_COOKIE : V_SYN_CALM;
	if (!pressure)
		return V_STRAY_CALM;
	return flags & SYN ? V_SYNACK_STRAY : flags & RST ? V_RST_STRAY : V_COOKIE_INVALID;
}

static int action_of(enum synstile_verdict v)
{
	return v == V_SYN_COOKIE                      ? XDP_TX
	       : v == V_SYN_CALM || v == V_STRAY_CALM ? XDP_PASS
						      : XDP_DROP;
}

static void test_every_flag_combination(void **state)
{
	(void)state;
	for (u32 n = 0; n < 256 * 2 * 3 * 2; n++) {
		bool pressure = n / 1536;
		struct spec s = {.flags = n, .ipv6 = n / 256 & 1, .vlans = n / 512 % 3};
		enum synstile_verdict v = flags_verdict(n, pressure);

		prog_reset(pressure ? MODE_ALWAYS : MODE_AUTO);
		prog_cookies_out();
		run_spec(&result, &frame, &s);
		expect(&result, v, action_of(v));
		assert_int_equal(prog_flows(), v == V_SYN_CALM);
	}
}

/* No flags of a packet of a known connection are answered or break the program. */
static void test_every_flag_combination_of_a_flow(void **state)
{
	(void)state;
	for (u32 n = 0; n < 256 * 2 * 5; n++) {
		struct spec s = {.flags = n, .ipv6 = n / 256 & 1, .ack = 5001, .seq = 901};
		struct flow f;

		prog_reset(MODE_ALWAYS);
		prog_make_flow(&f, FLOW_HALF_OPEN + n / 512);
		prog_put_flow(&s, &f);
		run_spec(&result, &frame, &s);
		if (flags_verdict(n, true) == V_TCP_FLAGS)
			expect(&result, V_TCP_FLAGS, XDP_DROP);
		else
			assert_int_equal(result.action, XDP_PASS);
	}
}

/* RFC 9293 3.1: no option is shorter than 2 bytes or longer than what is left. */
static bool options_malformed(const u8 *p, u32 len)
{
	for (u32 i = 0; i < len && p[i] != 0;) {
		if (p[i] == 1) {
			i++;
			continue;
		}
		if (i + 1 == len || p[i + 1] < 2 || i + p[i + 1] > len)
			return true;
		i += p[i + 1];
	}
	return false;
}

static void try_options(const u8 *options, u32 len, u32 n)
{
	struct spec s = {.ipv6 = n & 1, .flags = SYN, .options_len = len, .payload = n & 2};
	struct answer a;

	memcpy(s.options, options, len);
	run_spec(&result, &frame, &s);
	if (options_malformed(options, len)) {
		expect(&result, V_TCP_OPTIONS, XDP_DROP);
		return;
	}
	expect(&result, V_SYN_COOKIE, XDP_TX);
	check_answer(&a, &frame, &s, &result); /* whose own options are well-formed */
}

static void test_every_small_option_layout(void **state)
{
	static const u8 letters[] = {0, 1, 2, 3, 4, 5, 8, 10, 34, 255};
	u8 bytes[8];

	(void)state;
	for (u32 n = 0; n < 10000; n++) {
		for (u32 i = 0, rest = n; i < 4; i++, rest /= 10)
			bytes[i] = letters[rest % 10];
		try_options(bytes, 4, n);
		try_options(bytes, 4, n + 1);
	}
}

static void test_random_option_layouts(void **state)
{
	static const u8 kinds[] = {0, 1, 1, 2, 3, 4, 8, 5, 30, 34, 254};
	static const u8 sizes[] = {2, 2, 2, 4, 3, 2, 10, 10, 12, 2, 4};
	u64 seed = 793;

	(void)state;
	for (u32 n = 0; n < 100000; n++) {
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
		try_options(bytes, len, n);
	}
}

/* Chains of any length, with any lengths in them, in frames of any size. The verdict
 * is what the same parser, compiled for this machine, gives. */
static void test_extension_chains(void **state)
{
	static const u8 types[] = {HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION, DESTINATION, 51, 17};
	u64 seed = 8200;

	(void)state;
	for (u32 n = 0; n < 50000; n++) {
		struct spec s = {.ipv6 = true, .flags = SYN, .vlans = n % 3};
		enum synstile_verdict v;
		struct packet pkt;

		s.exts = random_below(&seed, 12);
		s.ext_words = random_below(&seed, 3);
		for (u32 i = 0; i < s.exts; i++)
			s.ext[i] = types[random_below(&seed, sizeof(types))];
		frame_build(&frame, &s);
		for (u32 i = random_below(&seed, 3); i; i--)
			frame.bytes[frame.l3 + 40 + random_below(&seed, 40)] =
				random64(&seed) >> 56;
		if (n & 1)
			frame.len = frame.l3 + 40 + random_below(&seed, frame.len - frame.l3 - 40);
		v = parse_packet(&pkt, frame.bytes, frame.bytes + frame.len);
		prog_xdp(&result, frame.bytes, frame.len);
		if (v != V_GO_ON)
			assert_int_equal(result.verdict, v);
		else if (result.action == XDP_TX)
			assert_true(result.verdict == V_SYN_COOKIE && frame.len >= frame.end);
	}
}

/* One bit of a SYN's IPv4 header is another: its checksum tells, and nobody is answered. */
static void test_every_bit_of_the_ipv4_header(void **state)
{
	(void)state;
	for (u32 options = 0; options <= 40; options += 4) {
		const struct spec s = {.flags = SYN, .ip_options = options, .vlans = options % 3};

		frame_build(&frame, &s);
		for (u32 bit = 0; bit < 8 * (20 + options); bit++) {
			frame.bytes[frame.l3 + bit / 8] ^= 1 << bit % 8;
			prog_xdp(&result, frame.bytes, frame.len);
			assert_int_not_equal(result.action, XDP_TX);
			frame.bytes[frame.l3 + bit / 8] ^= 1 << bit % 8;
		}
		prog_xdp(&result, frame.bytes, frame.len);
		expect(&result, V_SYN_COOKIE, XDP_TX);
	}
}

/* An IPv6 packet to the mapped form of an IPv4 service is for nobody. */
static void test_mapped_destination(void **state)
{
	const struct spec s = {.ipv6 = true, .flags = SYN};
	static const u8 mapped[16] = {[10] = 0xff, [11] = 0xff, [12] = 192, 0, 2, 1};

	(void)state;
	prog_reset(MODE_ALWAYS);
	frame_build(&frame, &s);
	memcpy(frame.bytes + frame.l3 + 24, mapped, 16);
	prog_xdp(&result, frame.bytes, frame.len);
	assert_int_not_equal(result.action, XDP_TX);
}

/* Good frames with some bytes changed, and frames of noise. */
static void test_random_frames(void **state)
{
	u64 seed = 1;

	(void)state;
	for (u32 n = 0; n < 100000; n++) {
		struct spec s = {.ipv6 = n & 1, .vlans = n % 3, .flags = n / 6, .payload = n % 11};
		enum synstile_verdict v;
		struct packet pkt;

		if (n % 100 == 0)
			prog_reset(n / 100 & 1 ? MODE_ALWAYS : MODE_AUTO);
		offer_options(&s, n / 7, n % 5 * 300, n % 15);
		frame_build(&frame, &s);
		for (u32 i = random_below(&seed, 6); i; i--)
			frame.bytes[random_below(&seed, frame.len)] = random64(&seed) >> 56;
		for (u32 i = n % 20 ? frame.len : 12; i < frame.len; i++)
			frame.bytes[i] = random64(&seed) >> 56;
		v = parse_packet(&pkt, frame.bytes, frame.bytes + frame.len);
		prog_xdp(&result, frame.bytes, frame.len);
		if (v != V_GO_ON)
			assert_int_equal(result.verdict, v);
	}
}

static int fresh(void **state)
{
	(void)state;
	prog_reset(MODE_ALWAYS);
	return 0;
}

static int open_programs(void **state)
{
	(void)state;
	prog_open(OWN_COOKIES, 65536);
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
		cmocka_unit_test_setup(test_truncated, fresh),
		cmocka_unit_test_setup(test_every_flag_combination, fresh),
		cmocka_unit_test_setup(test_every_flag_combination_of_a_flow, fresh),
		cmocka_unit_test_setup(test_every_small_option_layout, fresh),
		cmocka_unit_test_setup(test_random_option_layouts, fresh),
		cmocka_unit_test_setup(test_extension_chains, fresh),
		cmocka_unit_test_setup(test_every_bit_of_the_ipv4_header, fresh),
		cmocka_unit_test_setup(test_mapped_destination, fresh),
		cmocka_unit_test_setup(test_random_frames, fresh),
	};

	return cmocka_run_group_tests_name("bad input", tests, open_programs, close_programs);
}
