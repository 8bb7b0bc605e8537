// SPDX-License-Identifier: GPL-2.0-only
/*
 * From frame to segment. Each frame lies in memory of exactly its size, so that the
 * address sanitizer sees a read of the byte behind it.
 */
#include "unit.h"
#include "frame.h"
#include "packet.h"

/* Parse the first len bytes. 2 bytes before the frame align the IP header, as drivers do. */
static enum synstile_verdict parse(struct packet *pkt, const u8 *bytes, u32 len)
{
	u8 *memory = malloc(len + 2);
	enum synstile_verdict v;

	memset(pkt, 0xa5, sizeof(*pkt));
	memcpy(memory + 2, bytes, len);
	v = parse_packet(pkt, memory + 2, memory + 2 + len);
	free(memory);
	return v;
}

static enum synstile_verdict parse_spec(struct packet *pkt, struct frame *f, const struct spec *s)
{
	frame_build(f, s);
	return parse(pkt, f->bytes, f->len);
}

static void assert_segment(const struct packet *pkt, const struct frame *f, const struct spec *s)
{
	u8 client[16], server[16];

	frame_addresses(s, client, server);
	assert_memory_equal(&pkt->key.remote, s->from_server ? server : client, 16);
	assert_memory_equal(&pkt->key.local, s->from_server ? client : server, 16);
	assert_memory_equal(&pkt->key.remote_port, f->bytes + f->l4, 2);
	assert_memory_equal(&pkt->key.local_port, f->bytes + f->l4 + 2, 2);
	assert_int_equal(pkt->seq, s->seq);
	assert_int_equal(pkt->ack, s->ack);
	assert_int_equal(pkt->flags, s->flags);
	assert_int_equal(pkt->l3, f->l3);
	assert_int_equal(pkt->l4, f->l4);
	assert_int_equal(pkt->tcp_len, f->tcp_len);
	assert_int_equal(pkt->payload, s->payload);
	assert_int_equal(pkt->ect, s->tos & 3);
	assert_int_equal(pkt->ipv4, !s->ipv6);
	assert_int_equal(pkt->fragment, !!s->frag && s->frag != 0x4000);
}

/* Every field of every shape of frame that is legal. */
static void test_legal_frames(void **state)
{
	static const u8 chains[][4] = {{1, HOP_BY_HOP},
				       {1, ROUTING},
				       {1, DESTINATION},
				       {2, HOP_BY_HOP, DESTINATION},
				       {3, HOP_BY_HOP, ROUTING, DESTINATION}};
	static struct frame f;
	struct packet pkt;

	(void)state;
	for (unsigned int i = 0; i < 2 * 3 * 11 * 6 * 3; i++) {
		struct spec s = {.ipv6 = i & 1,
				 .vlans = i / 2 % 3,
				 .options_len = i / 6 % 11 * 4,
				 .payload = i * 13 % 1400,
				 .padding = i % 7,
				 .tos = i,
				 .flags = i,
				 .seq = 0xfedcba98 + i,
				 .ack = 0x87654321 - i,
				 .sport = 0xfffe,
				 .dport = 0x0102};
		const u8 *chain = chains[i / 66 % 5];

		if (s.ipv6 && i / 66 % 6) {
			s.exts = chain[0];
			memcpy(s.ext, chain + 1, s.exts);
			s.ext_words = i / 396;
		}
		s.ip_options = s.ipv6 ? 0 : i / 66 % 6 * 8;
		assert_int_equal(parse_spec(&pkt, &f, &s), V_GO_ON);
		assert_segment(&pkt, &f, &s);
	}
}

static void test_fragments(void **state)
{
	static const struct {
		bool ipv6;
		u16 frag;
		enum synstile_verdict v;
	} rows[] = {
		{false, 0x4000, V_GO_ON}, /* DF */
		{false, 0x2000, V_GO_ON}, /* the first of several */
		{false, 0x2001, V_FRAGMENT}, {false, 0x0001, V_FRAGMENT},
		{false, 0x1fff, V_FRAGMENT}, {true, 0x0001, V_GO_ON},
		{true, 0x0008, V_FRAGMENT},  {true, 0x0009, V_FRAGMENT},
		{true, 0xfff8, V_FRAGMENT},
	};
	static struct frame f;
	struct packet pkt;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		struct spec s = {.ipv6 = rows[i].ipv6, .frag = rows[i].frag, .flags = SYN};

		assert_int_equal(parse_spec(&pkt, &f, &s), rows[i].v);
		if (rows[i].v == V_GO_ON)
			assert_segment(&pkt, &f, &s);
	}
	/* an atomic fragment (RFC 6946) is whole */
	parse_spec(&pkt, &f, &(struct spec){.ipv6 = true, .ext = {FRAGMENT}, .exts = 1});
	assert_false(pkt.fragment);
}

/* A fragment header whose length field, reserved there, is not 0. */
static void test_fragment_reserved_length(void **state)
{
	const struct spec s = {.ipv6 = true, .frag = 1};
	static struct frame f;
	struct packet pkt;

	(void)state;
	frame_build(&f, &s);
	f.bytes[f.l3 + 41] = 1;
	assert_int_equal(parse(&pkt, f.bytes, f.len), V_IPV6_MALFORMED);
}

static enum synstile_verdict truncated_verdict(const struct frame *f, const struct spec *s, u32 len)
{
	if (len < f->l3)
		return V_ETH_TRUNCATED;
	if (len < f->l3 + (s->ipv6 ? 40 : 20))
		return s->ipv6 ? V_IPV6_MALFORMED : V_IPV4_MALFORMED;
	if (s->ipv6 && len < f->l4 && s->exts) /* 8 bytes of each header are read */
		return len < f->l3 + 40 + (len - f->l3 - 40) / 8 * 8 + 8 ? V_IPV6_MALFORMED
									 : V_GO_ON;
	return len < f->l4 + 20 ? V_TCP_MALFORMED : V_GO_ON;
}

/* Cut at each length from 0: the verdict of the header that is cut. */
static void test_truncated(void **state)
{
	static struct frame f;
	struct packet pkt;

	(void)state;
	for (unsigned int i = 0; i < 18; i++) {
		struct spec s = {
			.ipv6 = i & 1, .vlans = i / 2 % 3, .flags = SYN, .options_len = 40};

		if (i >= 6)
			s.ip_options = s.ipv6 ? 0 : 40;
		if (i >= 6 && s.ipv6) {
			s.exts = 2;
			s.ext[1] = DESTINATION;
		}
		if (i >= 12)
			s.payload = 100;
		frame_build(&f, &s);
		for (u32 len = 0; len <= f.len; len++) {
			enum synstile_verdict v = parse(&pkt, f.bytes, len);

			if (v != truncated_verdict(&f, &s, len))
				fail_msg("shape %u cut at %u: verdict %d", i, len, v);
		}
	}
}

struct bent {
	const char *name;
	bool ipv6;
	u8 offset; /* from the IP header */
	u8 value;
	enum synstile_verdict v;
};

static void test_bent_headers(void **state)
{
	static const struct bent rows[] = {
		{"version 5", false, 0, 0x55, V_IPV4_MALFORMED},
		{"version 6 in IPv4", false, 0, 0x65, V_IPV4_MALFORMED},
		{"header of 16 bytes", false, 0, 0x44, V_IPV4_MALFORMED},
		{"header of 0 bytes", false, 0, 0x40, V_IPV4_MALFORMED},
		{"header longer than the datagram", false, 3, 19, V_IPV4_MALFORMED},
		{"no room for TCP", false, 3, 20, V_TCP_MALFORMED},
		{"room for 19 bytes of TCP", false, 3, 39, V_TCP_MALFORMED},
		{"room for 20 bytes of TCP", false, 3, 40, V_GO_ON},
		{"UDP", false, 9, 17, V_OTHER},
		{"ICMP", false, 9, 1, V_OTHER},
		{"TCP header of 16 bytes", false, 20 + 12, 0x40, V_TCP_MALFORMED},
		{"TCP header of 0 bytes", false, 20 + 12, 0, V_TCP_MALFORMED},
		{"TCP header past the datagram", false, 20 + 12, 0x60, V_TCP_MALFORMED},
		{"low nibble of doff means nothing", false, 20 + 12, 0x5f, V_GO_ON},
		{"version 4 in IPv6", true, 0, 0x40, V_IPV6_MALFORMED},
		{"payload length 0", true, 5, 0, V_TCP_MALFORMED},
		{"payload length 19", true, 5, 19, V_TCP_MALFORMED},
		{"payload length 20", true, 5, 20, V_GO_ON},
		{"hop-by-hop in 7 bytes", true, 6, HOP_BY_HOP, V_IPV6_MALFORMED},
		{"no next header", true, 6, NO_NEXT, V_OTHER},
		{"ICMPv6", true, 6, 58, V_OTHER},
		{"authentication header", true, 6, 51, V_OTHER},
		{"ESP", true, 6, 50, V_OTHER},
		{"TCP header of 12 bytes", true, 40 + 12, 0x30, V_TCP_MALFORMED},
		{"TCP header past the datagram", true, 40 + 12, 0xf0, V_TCP_MALFORMED},
	};
	static struct frame f;
	struct packet pkt;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct bent *r = &rows[i];
		const struct spec s = {.ipv6 = r->ipv6, .flags = SYN, .padding = 60};

		frame_build(&f, &s);
		if (r->v == V_IPV6_MALFORMED && r->value == HOP_BY_HOP)
			f.bytes[f.l3 + 5] = 7;
		f.bytes[f.l3 + r->offset] = r->value;
		if (parse(&pkt, f.bytes, f.len) != r->v)
			fail_msg("IPv%d: %s", r->ipv6 ? 6 : 4, r->name);
	}
}

/* Every length of the TCP header against every length of what the datagram has for it. */
static void test_tcp_lengths(void **state)
{
	static struct frame f;
	struct packet pkt;

	(void)state;
	for (u32 n = 0; n < 2 * 16 * 80; n++) {
		const struct spec s = {.ipv6 = n & 1, .flags = SYN, .payload = 60};
		u32 tcp_len = n / 2 % 16 * 4, room = n / 32;
		bool good = tcp_len >= 20 && tcp_len <= room;

		frame_build(&f, &s);
		f.bytes[f.l4 + 12] = tcp_len << 2;
		put16(f.bytes + f.l3 + (n & 1 ? 4 : 2), room + (n & 1 ? 0 : 20));
		assert_int_equal(parse(&pkt, f.bytes, f.len), good ? V_GO_ON : V_TCP_MALFORMED);
		if (good)
			assert_int_equal(pkt.payload, room - tcp_len);
	}
}

static void test_ethertypes(void **state)
{
	static const struct {
		u16 proto;
		u32 vlans;
		enum synstile_verdict v;
	} rows[] = {
		{0x0806, 0, V_OTHER},
		{0x88cc, 1, V_OTHER},
		{0x8100, 2, V_VLAN_DEPTH},
		{0x88a8, 2, V_VLAN_DEPTH},
		{0x8863, 2, V_OTHER},
		{0x0000, 0, V_OTHER},
		{0x0040, 0, V_OTHER} /* 802.3: a length */,
	};
	static struct frame f;
	struct packet pkt;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		frame_build(&f, &(struct spec){.vlans = rows[i].vlans});
		put16(f.bytes + f.l3 - 2, rows[i].proto);
		assert_int_equal(parse(&pkt, f.bytes, f.len), rows[i].v);
		assert_int_equal(parse(&pkt, f.bytes, f.l3), rows[i].v);
	}
}

/* Chains of 0 to 12 headers: 8 are followed, a ninth is too many. */
static void test_long_chains(void **state)
{
	static struct frame f;
	struct packet pkt;

	(void)state;
	for (u32 n = 0; n <= 12; n++) {
		struct spec s = {.ipv6 = true, .exts = n, .flags = SYN};

		memset(s.ext, DESTINATION, sizeof(s.ext));
		assert_int_equal(parse_spec(&pkt, &f, &s), n <= 8 ? V_GO_ON : V_IPV6_EXT_CHAIN);
	}
	/* TCP further into the frame than anyone would look: 2 * 2048 bytes */
	for (u32 n = 1; n <= 2; n++) {
		struct spec s = {.ipv6 = true, .exts = n, .ext_words = 255, .flags = SYN};

		assert_int_equal(parse_spec(&pkt, &f, &s), n == 1 ? V_GO_ON : V_IPV6_EXT_CHAIN);
	}
}

/* A length of an extension header that points past the datagram, or past the frame. */
static void test_chain_past_the_end(void **state)
{
	static struct frame f;
	struct packet pkt;

	(void)state;
	for (u32 words = 0; words < 256; words++) {
		const struct spec s = {
			.ipv6 = true, .exts = 1, .ext = {DESTINATION}, .flags = SYN, .payload = 92};
		u32 room = 8 + 20 + 92;
		enum synstile_verdict v;

		frame_build(&f, &s);
		f.bytes[f.l3 + 41] = words;
		v = parse(&pkt, f.bytes, f.len);
		if ((words + 1) * 8 > room)
			assert_int_equal(v, V_IPV6_MALFORMED);
		else if (words && (words + 1) * 8 + 20 > room)
			assert_int_equal(v, V_TCP_MALFORMED);
		else if (!words)
			assert_int_equal(v, V_GO_ON);
		/* the datagram says that there is more than the frame has */
		put16(f.bytes + f.l3 + 4, 0xffff);
		v = parse(&pkt, f.bytes, f.len);
		if (f.l3 + 40 + (words + 1) * 8 + 20 > f.len)
			assert_true(v == V_TCP_MALFORMED || v == V_IPV6_MALFORMED ||
				    v == V_IPV6_EXT_CHAIN);
	}
}

static void test_routing(void **state)
{
	const struct spec s = {.ipv6 = true, .exts = 1, .ext = {ROUTING}, .flags = SYN};
	static struct frame f;
	struct packet pkt;

	(void)state;
	for (u32 left = 0; left < 256; left++) {
		frame_build(&f, &s);
		f.bytes[f.l3 + 43] = left;
		assert_int_equal(parse(&pkt, f.bytes, f.len), left ? V_ROUTED : V_GO_ON);
	}
}

/* ::ffff:0:0/96 is how IPv4 clients are kept; it must not come in over IPv6. */
static void test_mapped_source(void **state)
{
	static struct frame f;
	struct packet pkt;

	(void)state;
	frame_build(&f, &(struct spec){.ipv6 = true, .flags = SYN});
	memset(f.bytes + f.l3 + 8, 0, 10);
	memset(f.bytes + f.l3 + 18, 0xff, 2);
	assert_int_equal(parse(&pkt, f.bytes, f.len), V_IPV6_MALFORMED);
}

static void test_flip(void **state)
{
	static struct frame f;
	struct packet in, out;

	(void)state;
	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		parse_spec(&in, &f, &(struct spec){.ipv6 = ipv6});
		parse_spec(&out, &f, &(struct spec){.ipv6 = ipv6, .from_server = true});
		assert_memory_not_equal(&in.key, &out.key, sizeof(in.key));
		packet_flip(&out);
		assert_memory_equal(&in.key, &out.key, sizeof(in.key));
	}
}

/* Random changes to good frames: never a read outside, never a header that is not there. */
static void test_random_damage(void **state)
{
	static struct frame f;
	struct packet pkt;
	u64 seed = 14;

	(void)state;
	for (int run = 0; run < 300000; run++) {
		struct spec s = {.ipv6 = run & 1, .vlans = run / 2 % 3, .options_len = run % 41};
		u32 len;

		s.exts = s.ipv6 ? random_below(&seed, 4) : 0;
		frame_build(&f, &s);
		for (u32 n = random_below(&seed, 5); n; n--)
			f.bytes[12 + random_below(&seed, f.len - 12)] = random64(&seed) >> 56;
		len = random_below(&seed, 4) ? f.len : random_below(&seed, f.len);
		if (parse(&pkt, f.bytes, len) != V_GO_ON)
			continue;
		assert_true(pkt.l4 >= pkt.l3 + (pkt.ipv4 ? 20 : 40));
		assert_in_range(pkt.tcp_len, 20, 60);
		assert_true(pkt.l4 + 20u <= len && pkt.l4 <= L4_OFFSET_MAX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_legal_frames),
		cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_fragment_reserved_length),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_bent_headers),
		cmocka_unit_test(test_tcp_lengths),
		cmocka_unit_test(test_ethertypes),
		cmocka_unit_test(test_long_chains),
		cmocka_unit_test(test_chain_past_the_end),
		cmocka_unit_test(test_routing),
		cmocka_unit_test(test_mapped_source),
		cmocka_unit_test(test_flip),
		cmocka_unit_test(test_random_damage),
	};

	return cmocka_run_group_tests_name("packet", tests, NULL, NULL);
}
