// SPDX-License-Identifier: GPL-2.0-only
/*
 * The SYN-ACK, byte by byte, for every mixture of options; the ACK that follows it and
 * the flow that this makes; keepalives; forged, altered and expired cookies.
 */
#include "check.h"

static struct frame frame;
static struct run result;

/* The flow of a proven client says what the SYN-ACK said. */
static void check_flow(const struct spec *syn, const struct answer *a, u16 mss, u8 wscale)
{
	struct flow f;

	assert_true(prog_flow(&f, syn));
	assert_int_equal(flow_phase(f.word), FLOW_PROVEN);
	assert_int_equal(f.admission, ADMIT_COOKIE);
	assert_int_equal(f.service, SERVICE);
	assert_int_equal(f.side[LOCAL].isn, a->seq);
	assert_int_equal(f.side[REMOTE].isn, syn->seq);
	assert_int_equal(f.handed, 0);
	assert_int_equal(f.flags & TCP_FEATURES, a->features);
	assert_true(f.mss[REMOTE] <= mss || f.mss[REMOTE] == (syn->ipv6 ? 1220 : 536));
	assert_true(f.mss[REMOTE] >= (syn->ipv6 ? 1220 : 536));
	if (a->features & TCP_WSCALE) {
		assert_true(f.side[REMOTE].wscale <= wscale);
		assert_int_equal(f.side[LOCAL].wscale, RCV_WSCALE);
	}
	if (a->features & TCP_TSTAMP && a->features & TCP_WSCALE)
		assert_int_equal(f.side[REMOTE].wscale, wscale);
}

/* SYN, SYN-ACK, ACK for one client. */
static void handshake(struct spec *syn, u8 features, u16 mss, u8 wscale)
{
	struct answer a;
	struct spec ack;

	syn->flags = SYN;
	offer_options(syn, features, mss, wscale);
	run_spec(&result, &frame, syn);
	expect(&result, V_SYN_COOKIE, XDP_TX);
	check_synack(&a, &frame, syn, &result, features);
	if (mss)
		assert_int_equal(a.mss, syn->ipv6 ? MSS6 : MSS4);
	ack = next_segment(syn, &a, ACK, 0);
	run_spec(&result, &frame, &ack);
	expect(&result, V_COOKIE_VALID, XDP_PASS);
	check_flow(syn, &a, mss ? mss : syn->ipv6 ? 1220 : 536, wscale);
}

static void test_every_mixture_of_options(void **state)
{
	static const u16 sizes[] = {0, 536, 1220, 1400, 1460, 8960};
	static const u8 scales[] = {0, 2, 7, 8, 10, 14};

	(void)state;
	for (u32 n = 0; n < 16 * 6 * 6 * 2; n++) {
		struct spec syn = {
			.ipv6 = n & 1, .vlans = n % 3, .seq = n * 0x9e3779b9, .sport = n + 1};

		prog_reset(MODE_ALWAYS);
		handshake(&syn, n / 2 % 16, sizes[n / 32 % 6], scales[n / 192]);
	}
}

/* Payload, IP options, extension headers, padding: nothing of it comes back. */
static void test_long_syns(void **state)
{
	(void)state;
	for (u32 n = 0; n < 2 * 3 * 40; n++) {
		struct spec syn = {.ipv6 = n & 1, .vlans = n / 2 % 3, .seq = n, .padding = n % 5};

		syn.payload = n / 6 * n / 6 * 5; /* to 7,605 bytes: over several buffers, too */
		syn.ip_options = syn.ipv6 ? 0 : n / 6 % 11 * 4;
		syn.exts = syn.ipv6 ? n / 6 % 8 : 0;
		syn.ext_words = n / 6 % 3;
		memset(syn.ext, DESTINATION, sizeof(syn.ext));
		prog_reset(MODE_ALWAYS);
		handshake(&syn, n % 16, 1460, 7);
	}
}

/* Options that we do not know, or do not speak: never echoed, the others are kept. */
static void test_unknown_options(void **state)
{
	static const u8 layouts[][24] = {
		{34, 2, 1, 1, 4, 2, 2, 4, 5, 180, 1, 1},                    /* Fast Open request */
		{30, 12, 0, 1, 9, 9, 9, 9, 9, 9, 9, 9, 4, 2, 2, 4, 5, 180}, /* MPTCP */
		{253, 4, 0xf9, 0x89, 4, 2, 2, 4, 5, 180, 14, 3, 1},         /* experimental */
		{19, 18, 1,  2,  3,  4,  5,  6, 7, 8, 9,
		 10, 11, 12, 13, 14, 15, 16, 4, 2, 1, 1}, /* MD5 */
		{4, 2, 2, 4, 5, 180, 4, 2, 2, 4, 5, 180}, /* twice */
	};

	(void)state;
	for (u32 n = 0; n < 2 * ARRAY_SIZE(layouts); n++) {
		struct spec syn = {.ipv6 = n & 1, .flags = SYN, .options_len = 24};
		struct answer a;

		memcpy(syn.options, layouts[n / 2], 24);
		run_spec(&result, &frame, &syn);
		expect(&result, V_SYN_COOKIE, XDP_TX);
		check_synack(&a, &frame, &syn, &result, TCP_SACK);
		assert_true(a.features & TCP_SACK);
	}
}

/* What the host does not allow is not in the answer, whoever offers it. */
static void test_host_settings(void **state)
{
	(void)state;
	for (u32 flags = 0; flags < 16; flags++) {
		for (u32 n = 0; n < 2; n++) {
			struct spec syn = {.ipv6 = n, .sport = 1 + flags};

			prog_reset(MODE_ALWAYS);
			prog_settings()->flags = flags | SET_READY;
			prog_put_settings();
			handshake(&syn, TCP_FEATURES, 1460, 7);
		}
	}
}

/* RFC 3168 6.1.1: ECN wants ECE and CWR, in a SYN that is not itself ECN-capable. */
static void test_ecn(void **state)
{
	static const struct {
		u8 flags, tos;
		bool ecn;
	} rows[] = {{SYN | ECE | CWR, 0, true},  {SYN | ECE, 0, false},
		    {SYN | CWR, 0, false},       {SYN | ECE | CWR, 1, false},
		    {SYN | ECE | CWR, 2, false}, {SYN | ECE | CWR, 3, false},
		    {SYN | ECE | CWR, 4, true},  {SYN, 0, false}};

	(void)state;
	for (u32 n = 0; n < 4 * ARRAY_SIZE(rows); n++) {
		struct spec syn = {.ipv6 = n & 1,
				   .flags = rows[n / 4].flags,
				   .tos = rows[n / 4].tos,
				   .sport = n + 1};
		u8 flags = syn.flags;
		struct answer a;

		offer_options(&syn, n & 2 ? TCP_TSTAMP | TCP_SACK | TCP_WSCALE : TCP_SACK, 1460, 7);
		syn.flags = flags;
		get_cookie(&a, &syn);
		assert_int_equal(!!(a.flags & ECE), rows[n / 4].ecn);
		assert_false(a.flags & CWR);
	}
}

/* A window of whole segments (what the stack will choose), never 0. */
static void test_window(void **state)
{
	(void)state;
	for (u32 mss = 536; mss < 9000; mss += 97) {
		struct spec syn = {.flags = SYN, .sport = mss};
		struct answer a;

		offer_options(&syn, TCP_TSTAMP, mss, 0);
		get_cookie(&a, &syn);
		assert_in_range(a.window, WINDOW - mss, WINDOW);
	}
}

/* Two SYNs of one connection (the first answer was lost): both answers are good. */
static void test_syn_twice(void **state)
{
	(void)state;
	for (u32 n = 0; n < 4; n++) {
		struct spec syn = {.ipv6 = n & 1, .flags = SYN, .seq = 77}, ack;
		struct answer a, b;

		offer_options(&syn, n & 2 ? TCP_TSTAMP : 0, 1460, 0);
		get_cookie(&a, &syn);
		get_cookie(&b, &syn);
		assert_true((s32)(b.tsval - a.tsval) >= 0);
		ack = next_segment(&syn, &a, ACK, 0);
		prog_reset(MODE_ALWAYS);
		prog_cookies_out();
		run_spec(&result, &frame, &ack);
		expect(&result, V_COOKIE_VALID, XDP_PASS);
	}
}

/* A keepalive is answered by a segment below the client's window, and what the client
 * sends upon that proves the cookie. */
static void test_keepalive(void **state)
{
	(void)state;
	for (u32 n = 0; n < 2 * 2 * 2 * 3; n++) {
		struct spec syn = {.ipv6 = n & 1, .flags = SYN, .seq = 4000, .vlans = n / 8}, probe;
		struct answer a, answer;

		prog_reset(MODE_ALWAYS);
		offer_options(&syn, n & 2 ? TCP_TSTAMP | TCP_WSCALE : TCP_SACK, 1460, 7);
		get_cookie(&a, &syn);
		probe = next_segment(&syn, &a, ACK, n >> 2 & 1);
		probe.seq--;
		run_spec(&result, &frame, &probe);
		expect(&result, V_COOKIE_PROBE, XDP_TX);
		check_answer(&answer, &frame, &probe, &result);
		assert_int_equal(answer.seq, a.seq);
		assert_int_equal(answer.ack, syn.seq + 1);
		assert_int_equal(answer.flags, ACK);
		assert_true(answer.window > 0);
		assert_int_equal(answer.features, a.features & TCP_TSTAMP);
		assert_int_equal(answer.tsval, a.tsval);
		assert_int_equal(answer.tsecr, n & 2 ? 0x11223355 : 0);
		assert_int_equal(prog_flows(), 0);
		probe = next_segment(&syn, &a, ACK, 0);
		run_spec(&result, &frame, &probe);
		expect(&result, V_COOKIE_VALID, XDP_PASS);
	}
}

static void refused(const struct frame *f)
{
	prog_xdp(&result, f->bytes, f->len);
	expect(&result, V_COOKIE_INVALID, XDP_DROP);
	assert_int_equal(prog_flows(), 0);
}

/* Flip each of the low `n` bits of a field of `bits` at `offset`. */
static void flip_bits(struct frame *f, u32 offset, u32 bits, u32 n)
{
	for (u32 bit = 0; bit < n; bit++) {
		f->bytes[offset + (bits - 1 - bit) / 8] ^= 1 << bit % 8;
		refused(f);
		f->bytes[offset + (bits - 1 - bit) / 8] ^= 1 << bit % 8;
	}
}

/* One bit of the ACK, or of what it belongs to, is another. */
static void test_altered(void **state)
{
	(void)state;
	for (u32 n = 0; n < 4; n++) {
		/* an odd ISN: no flipped bit of ISN + 1 makes a keepalive of the ACK */
		struct spec syn = {.ipv6 = n & 1, .flags = SYN, .seq = 0x12345677}, ack;
		struct answer a;

		prog_reset(MODE_ALWAYS);
		offer_options(&syn, n & 2 ? TCP_TSTAMP | TCP_SACK | TCP_WSCALE : TCP_SACK, 1460, 7);
		get_cookie(&a, &syn);
		ack = next_segment(&syn, &a, ACK, 0);
		frame_build(&frame, &ack);
		flip_bits(&frame, frame.l4 + 8, 32, 32);
		flip_bits(&frame, frame.l4 + 4, 32, 32);
		flip_bits(&frame, frame.l4, 16, 16);
		flip_bits(&frame, frame.l3 + (n & 1 ? 8 : 12), n & 1 ? 128 : 32, n & 1 ? 128 : 32);
		if (n & 2) {
			flip_bits(&frame, frame.l4 + 20 + 8, 32, COOKIE_TS_BITS);
			frame.bytes[frame.l4 + 22] = 30; /* its timestamps are gone */
			refused(&frame);
			frame.bytes[frame.l4 + 22] = 8;
		}
		prog_xdp(&result, frame.bytes, frame.len);
		expect(&result, V_COOKIE_VALID, XDP_PASS);
	}
}

/* The ACK that proves a cookie of `age` counts ago, as its maker would have signed it. */
static void signed_ack(struct spec *ack, const struct spec *syn, int age, u64 now)
{
	const struct settings *set = prog_settings();
	struct packet pkt = {.ipv4 = !syn->ipv6, .seq = syn->seq};
	bool tstamp = syn->options_len;
	u32 count = cookie_count(now) - age, bits = tstamp ? 0x1b7 : 3;
	struct answer a = {.features = tstamp ? TCP_TSTAMP : 0, .tsval = 0xabcd0000 | bits};

	prog_key(&pkt.key, syn);
	if (tstamp)
		a.seq = cookie_mac(set, &pkt, syn->seq, count, bits | 1 << COOKIE_TS_BITS) << 1 |
			(count & 1);
	else
		a.seq = cookie_mac(set, &pkt, syn->seq, count, bits) << 6 |
			(count & 1) << COOKIE_COUNT_BIT | bits;
	*ack = next_segment(syn, &a, ACK, 0);
}

/* Cookies of this count and the one before are taken, of no other, past or future. */
static void test_age(void **state)
{
	(void)state;
	for (u32 n = 0; n < 4; n++) {
		for (int age = -8; age <= 100; age++) {
			struct spec syn = {.ipv6 = n & 1, .seq = 99, .sport = 2000 + age}, ack;
			bool good = age == 0 || age == 1;
			u64 now;

			offer_options(&syn, n & 2 ? TCP_TSTAMP : 0, 0, 0);
			prog_reset(MODE_ALWAYS);
			prog_cookies_out();
			now = prog_now();
			signed_ack(&ack, &syn, age, now);
			run_spec(&result, &frame, &ack);
			if (cookie_count(prog_now()) != cookie_count(now)) {
				age--; /* the count changed meanwhile: once more */
				continue;
			}
			expect(&result, good ? V_COOKIE_VALID : V_COOKIE_INVALID,
			       good ? XDP_PASS : XDP_DROP);
		}
	}
}

/* With another key: what was signed before means nothing; as `previous`, it does. */
static void test_key_change(void **state)
{
	struct settings *set = prog_settings();

	(void)state;
	for (u32 n = 0; n < 4; n++) {
		struct spec syn = {.ipv6 = n & 1, .flags = SYN, .seq = 55}, ack;
		struct cookie_key old;
		struct answer a;

		prog_reset(MODE_ALWAYS);
		offer_options(&syn, n & 2 ? TCP_TSTAMP : 0, 1460, 0);
		get_cookie(&a, &syn);
		ack = next_segment(&syn, &a, ACK, 0);
		old = set->key;
		set->key = (struct cookie_key){.k = {1, 2}, .from = old.from};
		prog_put_settings();
		frame_build(&frame, &ack);
		refused(&frame);
		set->previous = old;
		set->key.from = cookie_count(prog_now()) + 2;
		prog_put_settings();
		prog_xdp(&result, frame.bytes, frame.len);
		expect(&result, V_COOKIE_VALID, XDP_PASS);
	}
}

/* Random ACKs, with and without timestamps: none is taken. */
static void test_forged(void **state)
{
	u64 seed = 29;

	(void)state;
	prog_reset(MODE_ALWAYS);
	prog_cookies_out();
	for (u32 n = 0; n < 50000; n++) {
		struct spec ack = {.ipv6 = n & 1,
				   .flags = n & 2   ? ACK
					    : n & 4 ? PSH | ACK
						    : FIN | ACK,
				   .seq = random64(&seed),
				   .ack = random64(&seed),
				   .client = random_below(&seed, 256),
				   .payload = n & 8 ? 10 : 0};

		if (n & 16)
			offer_options(&ack, TCP_TSTAMP, 0, 0);
		for (u32 i = 0; i < 8 && n & 16; i++)
			ack.options[i + 2] = random64(&seed) >> 56;
		run_spec(&result, &frame, &ack);
		expect(&result, V_COOKIE_INVALID, XDP_DROP);
	}
	assert_int_equal(prog_flows(), 0);
}

/* A good ACK once more: from elsewhere it is forged; after the connection ended, while its
 * entry is there, it belongs to that; when that is gone it is a cookie again (as the
 * kernel's, until it expires), so that a lost entry costs no client. */
static void test_replay(void **state)
{
	struct spec syn = {.flags = SYN, .seq = 31}, ack, other;
	struct answer a;

	(void)state;
	prog_reset(MODE_ALWAYS);
	get_cookie(&a, &syn);
	ack = next_segment(&syn, &a, ACK, 0);
	other = ack;
	other.client = 1;
	frame_build(&frame, &other);
	refused(&frame);
	other = ack;
	other.sport = 40001;
	frame_build(&frame, &other);
	refused(&frame);
	run_spec(&result, &frame, &ack);
	expect(&result, V_COOKIE_VALID, XDP_PASS);
	run_spec(&result, &frame, &ack);
	expect(&result, V_COOKIE_AGAIN, XDP_PASS);
}

/* No cookie was sent for two counts: nothing is hashed for strays, all are refused. */
static void test_no_cookies_out(void **state)
{
	struct spec syn = {.flags = SYN, .seq = 31}, ack;
	struct pressure p;
	struct answer a;

	(void)state;
	prog_reset(MODE_ALWAYS);
	get_cookie(&a, &syn);
	prog_get_pressure(&p);
	assert_in_range(prog_now() - p.cookie_sent, 0, NS_PER_S);
	p.cookie_sent = 0;
	prog_put_pressure(&p);
	ack = next_segment(&syn, &a, ACK, 0);
	frame_build(&frame, &ack);
	refused(&frame);
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
		cmocka_unit_test_setup(test_every_mixture_of_options, fresh),
		cmocka_unit_test_setup(test_long_syns, fresh),
		cmocka_unit_test_setup(test_unknown_options, fresh),
		cmocka_unit_test_setup(test_host_settings, fresh),
		cmocka_unit_test_setup(test_ecn, fresh),
		cmocka_unit_test_setup(test_window, fresh),
		cmocka_unit_test_setup(test_syn_twice, fresh),
		cmocka_unit_test_setup(test_keepalive, fresh),
		cmocka_unit_test_setup(test_altered, fresh),
		cmocka_unit_test_setup(test_age, fresh),
		cmocka_unit_test_setup(test_key_change, fresh),
		cmocka_unit_test_setup(test_forged, fresh),
		cmocka_unit_test_setup(test_replay, fresh),
		cmocka_unit_test_setup(test_no_cookies_out, fresh),
	};

	return cmocka_run_group_tests_name("synack", tests, open_programs, close_programs);
}
