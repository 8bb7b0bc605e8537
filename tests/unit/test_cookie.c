// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cookies: what goes in comes out, nothing is promised that was not offered, and
 * what is altered, too old or signed by an old key is refused. How many forgeries are
 * accepted is counted in test_odds.c.
 */
#include "client.h"
#include "clock.h"

static const u16 least_mss[2] = {1220, 536};

static void assert_carried(const struct client *c, const struct cookie_offer *back, u16 mss,
			   u8 wscale, u8 features)
{
	bool tstamp = features & TCP_TSTAMP;

	/* never more than was offered; below the least MSS that the kernel takes, that one */
	assert_false(back->features & ~features);
	assert_true(back->mss <= mss || back->mss == least_mss[c->pkt.ipv4]);
	if (back->features & TCP_WSCALE)
		assert_true(back->wscale <= wscale);
	else
		assert_int_equal(back->wscale, COOKIE_NO_WSCALE);
	/* what the SYN-ACK said is what the connection gets */
	assert_int_equal(back->features, c->sent.features);
	assert_int_equal(back->wscale, c->sent.wscale);
	assert_int_equal(back->features & TCP_TSTAMP, features & TCP_TSTAMP);
	if (tstamp) { /* everything fits */
		assert_int_equal(back->features, features);
		assert_int_equal(back->wscale, wscale);
		assert_int_equal(back->tsval, c->sent.tsval);
	}
}

/* The largest value of the table that is not above mss, or its least. */
static u16 rounded(const u16 *table, u16 mss)
{
	u16 best = table[0];

	for (int i = 0; i < 8; i++)
		if (table[i] <= mss)
			best = table[i];
	return best;
}

static void round_trips(const struct settings *set, bool ipv4, u16 mss)
{
	const u16 *table = ipv4 ? cookie_sizes.mss4 : cookie_sizes.mss6;
	u16 few[8];

	for (unsigned int i = 0; i < 8; i++) /* without timestamps only four are known */
		few[i] = table[cookie_sizes.few[i / 2]];
	for (unsigned int n = 0; n < 16 * 8; n++) {
		u8 wscale = n & 15, features = (n >> 4 & 1) * TCP_SACK | (n >> 5 & 1) * TCP_ECN |
					       (n >> 6 & 1) * TCP_TSTAMP |
					       (wscale != COOKIE_NO_WSCALE) * TCP_WSCALE;
		struct client c = client_new(ipv4, 1 + n + mss);
		struct cookie_offer back;

		client_syn(&c, set, mss, wscale, features, CLIENT_T0 + n * 7919 * NS_PER_MS);
		assert_true(client_ack(&c, set, CLIENT_T0 + n * 7919 * NS_PER_MS, &back));
		assert_carried(&c, &back, mss, wscale, features);
		if (features & TCP_TSTAMP)
			assert_int_equal(back.mss, rounded(table, mss));
		else
			assert_true(back.mss <= rounded(few, mss));
	}
}

static void test_every_combination_round_trips(void **state)
{
	const struct settings set = client_settings(1);
	static const u16 other[] = {0, 1, 88, 535, 1219, 65535};

	(void)state;
	for (int ipv4 = 0; ipv4 < 2; ipv4++) {
		const u16 *table = ipv4 ? cookie_sizes.mss4 : cookie_sizes.mss6;

		for (int i = 0; i < 8; i++)
			for (int delta = -1; delta <= 1; delta++)
				round_trips(&set, ipv4, table[i] + delta);
		for (unsigned int i = 0; i < ARRAY_SIZE(other); i++)
			round_trips(&set, ipv4, other[i]);
	}
}

/* Flip each bit of a field in turn: never accepted, and accepted again once flipped back. */
static void flip(const struct client *c, const struct settings *set, void *field, size_t bytes,
		 const char *what)
{
	struct cookie_offer back;
	u8 *p = field;

	for (unsigned int bit = 0; bit < 8 * bytes; bit++) {
		p[bit / 8] ^= 1 << bit % 8;
		if (client_ack(c, set, CLIENT_T0, &back))
			fail_msg("IPv%d: accepted with bit %u of %s flipped", c->pkt.ipv4 ? 4 : 6,
				 bit, what);
		p[bit / 8] ^= 1 << bit % 8;
	}
	assert_true(client_ack(c, set, CLIENT_T0, &back));
}

static void flip_everything(struct client *c, struct settings *set)
{
	unsigned int from = c->pkt.ipv4 ? 12 : 0;
	struct cookie_offer back;

	flip(c, set, &c->pkt.ack, 4, "ack");
	flip(c, set, &c->isn, 4, "ISN");
	flip(c, set, &c->pkt.key.remote_port, 2, "remote port");
	flip(c, set, &c->pkt.key.local_port, 2, "local port");
	flip(c, set, c->pkt.key.remote.b + from, 16 - from, "remote address");
	flip(c, set, c->pkt.key.local.b + from, 16 - from, "local address");
	flip(c, set, set->key.k, 16, "key");
	/* the options that a cookie carries are signed too */
	for (u32 bit = 1; c->options.features && bit < 1u << COOKIE_TS_BITS; bit <<= 1) {
		c->options.tsecr ^= bit;
		assert_false(client_ack(c, set, CLIENT_T0, &back));
		c->options.tsecr ^= bit;
	}
	/* timestamps that were not there, or are there no longer */
	c->options.features ^= TCP_TSTAMP;
	assert_false(client_ack(c, set, CLIENT_T0, &back));
	c->options.features ^= TCP_TSTAMP;
}

static void test_every_bit_is_signed(void **state)
{
	struct settings set = client_settings(2);

	(void)state;
	for (unsigned int n = 0; n < 64; n++) {
		struct client c = client_new(n & 1, 100 + n);
		u8 features = TCP_WSCALE | (n >> 1 & 1) * TCP_TSTAMP | (n >> 2 & 1) * TCP_SACK;

		client_syn(&c, &set, 1460, 7, features, CLIENT_T0);
		flip_everything(&c, &set);
	}
}

/* Source and destination, and the two ports, are not interchangeable. */
static void test_direction_is_signed(void **state)
{
	const struct settings set = client_settings(3);
	struct cookie_offer back;

	(void)state;
	for (int n = 0; n < 4; n++) {
		struct client c = client_new(n & 1, 9 + n);

		client_syn(&c, &set, 1460, 7, n & 2 ? TCP_FEATURES : 0, CLIENT_T0);
		packet_flip(&c.pkt);
		assert_false(client_ack(&c, &set, CLIENT_T0, &back));
	}
}

/* An IPv4 client's cookie is none for the IPv6 client with the same key, and back. */
static void test_family_is_signed(void **state)
{
	const struct settings set = client_settings(4);
	struct cookie_offer back;

	(void)state;
	for (int n = 0; n < 4; n++) {
		struct client c = client_new(true, 77 + n);

		c.pkt.ipv4 = n & 1;
		client_syn(&c, &set, 1460, 7, n & 2 ? TCP_FEATURES : 0, CLIENT_T0);
		c.pkt.ipv4 ^= 1;
		assert_false(client_ack(&c, &set, CLIENT_T0, &back));
	}
}

/* A count is 64 s, to 12 millionths, after a minute and after a century of uptime. */
static void test_count(void **state)
{
	const u64 century = 3155760000ULL * NS_PER_SEC;

	(void)state;
	assert_int_equal(cookie_count(0), 0);
	for (u64 t = NS_PER_SEC; t < century; t = t * 5 / 4) {
		u64 count = cookie_count(t), exact = t / (64 * NS_PER_SEC);

		assert_in_range(count + 1, exact - exact / 80000, exact + exact / 80000 + 2);
		assert_in_range(cookie_count(t + 64 * NS_PER_SEC) - count, 1, 2);
	}
	for (u64 t = 0; t < 1000; t++)
		assert_in_range(cookie_count((t + 1) * NS_PER_SEC) - cookie_count(t * NS_PER_SEC),
				0, 1);
}

/* Seconds that a cookie made at `sent` is accepted; once refused it stays so. */
static double lifetime(const struct settings *set, struct client *c, u64 sent)
{
	struct cookie_offer back;
	u64 life = 0;

	for (u64 age = 0; age < 700 * NS_PER_SEC; age += 50 * NS_PER_MS) {
		bool ok = client_ack(c, set, sent + age, &back);

		if (ok)
			assert_int_equal(life, age); /* no gap */
		if (ok)
			life = age + 50 * NS_PER_MS;
	}
	return (double)life / NS_PER_SEC;
}

static void test_life(void **state)
{
	const struct settings set = client_settings(5);
	static const u64 starts[] = {0, 1000000, 3155760000ULL}; /* s: boot, days, a century */

	(void)state;
	for (unsigned int i = 0; i < 3 * 4 * 33; i++) {
		struct client c = client_new(i & 1, 1 + i);
		u64 sent = (starts[i / 132] + i % 132 / 4 * 4) * NS_PER_SEC;
		double life;

		client_syn(&c, &set, 1460, 7, i & 2 ? TCP_FEATURES : TCP_SACK, sent);
		life = lifetime(&set, &c, sent);
		if (life < 60 || life > 130)
			fail_msg("sent at %llu s: lived %.2f s", sent / NS_PER_SEC, life);
	}
}

/* The ns before and after a count changes: valid through the whole next count, not longer. */
static void test_life_at_the_boundary(void **state)
{
	const struct settings set = client_settings(6);
	u64 low = CLIENT_T0, high = CLIENT_T0 + 65 * NS_PER_SEC;
	u32 count = cookie_count(low);
	struct cookie_offer back;

	(void)state;
	while (high - low > 1) {
		u64 mid = low + (high - low) / 2;

		*(cookie_count(mid) == count ? &low : &high) = mid;
	}
	for (int n = 0; n < 4; n++) {
		struct client c = client_new(n & 1, 50 + n);

		client_syn(&c, &set, 1460, 7, n & 2 ? TCP_FEATURES : 0, low);
		assert_true(client_ack(&c, &set, low, &back));
		assert_true(client_ack(&c, &set, high, &back));
		assert_true(client_ack(&c, &set, high + 63 * NS_PER_SEC, &back));
		assert_false(client_ack(&c, &set, high + 65 * NS_PER_SEC, &back));
		/* and none from the future */
		client_syn(&c, &set, 1460, 7, n & 2 ? TCP_FEATURES : 0, high + 65 * NS_PER_SEC);
		assert_false(client_ack(&c, &set, low, &back));
	}
}

/* The first count after boot is 0, and the one before it wraps. */
static void test_count_wraps_at_boot(void **state)
{
	struct settings set = client_settings(7);
	struct client c = client_new(true, 5);
	struct cookie_offer back;

	(void)state;
	client_syn(&c, &set, 1460, 7, TCP_SACK, NS_PER_SEC);
	assert_true(client_ack(&c, &set, 2 * NS_PER_SEC, &back));
	/* count -1 is before key.from = 0: the previous key would have signed it */
	c.pkt.ack = (cookie_mac(&set, &c.pkt, c.isn, -1, 0) << 6 | 1 << COOKIE_COUNT_BIT) + 1;
	assert_true(client_ack(&c, &set, NS_PER_SEC, &back));
	set.previous.k[0] ^= 1;
	assert_false(client_ack(&c, &set, NS_PER_SEC, &back));
}

/* key.from: which key signs a count; and counts compare as a circle. */
static void test_which_key_signs(void **state)
{
	struct settings set = client_settings(8);
	u32 count = cookie_count(CLIENT_T0);
	const struct {
		u32 from;
		bool current;
	} rows[] = {{count, true},
		    {count - 1, true},
		    {count + 1, false},
		    {count + 1000, false},
		    {0, true},
		    {count - 0x7fffffff, true},
		    {count + 0x7fffffff, false}};

	(void)state;
	for (unsigned int i = 0; i < 2 * ARRAY_SIZE(rows); i++) {
		struct client c = client_new(i & 1, 300 + i);
		u32 before = 0;

		set.key.from = rows[i / 2].from;
		client_syn(&c, &set, 1460, 7, i & 1 ? TCP_FEATURES : 0, CLIENT_T0);
		before = c.pkt.ack;
		set.key.k[1]++;
		client_syn(&c, &set, 1460, 7, i & 1 ? TCP_FEATURES : 0, CLIENT_T0);
		assert_int_equal(before != c.pkt.ack, rows[i / 2].current);
		set.previous.k[1]++;
		before = c.pkt.ack;
		client_syn(&c, &set, 1460, 7, i & 1 ? TCP_FEATURES : 0, CLIENT_T0);
		assert_int_equal(before == c.pkt.ack, rows[i / 2].current);
	}
}

/* A key change from the next count on: no cookie dies early, none is signed by the old
 * key afterwards, and the old key opens nothing new. */
static void test_key_change(void **state)
{
	const u64 second = NS_PER_SEC;
	struct settings before = client_settings(9), after = before, thief;
	u64 t = CLIENT_T0, next;
	struct cookie_offer back;

	(void)state;
	after.previous = before.key;
	after.key =
		(struct cookie_key){.k = {0x1234, 0x5678}, .from = cookie_count(t) + 1, .id = 2};
	for (next = t; cookie_count(next) == cookie_count(t);)
		next += second;
	for (int n = 0; n < 4; n++) {
		struct client c = client_new(n & 1, 400 + n);
		u8 features = n & 2 ? TCP_FEATURES : TCP_SACK;

		client_syn(&c, &before, 1460, 7, features, t);
		assert_true(client_ack(&c, &after, t, &back));
		assert_true(client_ack(&c, &after, next, &back));
		assert_true(client_ack(&c, &after, next + 60 * second, &back));
		assert_false(client_ack(&c, &after, next + 66 * second, &back));
		client_syn(&c, &after, 1460, 7, features, t); /* signed by the old key still */
		assert_true(client_ack(&c, &before, t, &back));
		client_syn(&c, &after, 1460, 7, features, next);
		assert_true(client_ack(&c, &after, next + 60 * second, &back));
		/* who has the old key makes cookies of the next count with it: refused */
		thief = before;
		client_syn(&c, &thief, 1460, 7, features, next);
		assert_false(client_ack(&c, &after, next, &back));
		assert_false(client_ack(&c, &after, next + 60 * second, &back));
	}
}

/* RFC 7323 5.4: a timestamp clock ticks once in 1 ms to 1 s, and never goes back. */
static void test_tsval_is_a_clock(void **state)
{
	const u32 bits = 0x155;
	u32 last = cookie_tsval(CLIENT_T0, 0xfffff000, bits), first = last;

	(void)state;
	for (u64 t = CLIENT_T0; t < CLIENT_T0 + 100 * NS_PER_SEC; t += 3 * NS_PER_MS) {
		u32 tsval = cookie_tsval(t, 0xfffff000, bits);

		assert_true((s32)(tsval - last) >= 0);
		assert_int_equal(tsval & COOKIE_TS_MASK, bits);
		last = tsval;
	}
	assert_in_range(last - first, 100000 / 1.06, 100000);
}

static bool promises_more(const struct cookie_row *row, u32 few, u32 wscale, u8 features)
{
	if (row->mss > few || (row->features & ~features))
		return true;
	return (row->features & TCP_WSCALE) && row->wscale > wscale;
}

static void test_no_code_promises_more(void **state)
{
	u8 codes[256];

	(void)state;
	memset(codes, 0xff, sizeof(codes));
	cookie_fill_codes(codes);
	for (u32 few = 0; few < 4; few++) {
		for (u32 wscale = 0; wscale < 16; wscale++) {
			for (u32 n = 0; n < 4; n++) {
				u8 features = (n & 1) * TCP_SACK | (n >> 1) * TCP_ECN |
					      (wscale < 15) * TCP_WSCALE;
				u8 request = cookie_request(few, wscale, features);

				assert_in_range(codes[request], 0, 31);
				assert_false(promises_more(&cookie_rows[codes[request]], few,
							   wscale, features));
			}
		}
	}
}

/* Requests are numbered without collision. */
static void test_requests_are_distinct(void **state)
{
	bool seen[256] = {false};

	(void)state;
	for (u32 n = 0; n < 256; n++) {
		u8 features = (n & 1) * TCP_SACK | (n >> 1 & 1) * TCP_ECN;
		u8 request =
			cookie_request(n >> 6, n >> 2 & 15, features | TCP_TSTAMP | TCP_WSCALE);

		assert_false(seen[request]);
		seen[request] = true;
	}
}

/* Each mixture of window scale, SACK and ECN is carried, to clients on usual links. */
static void test_every_mixture_is_carried(void **state)
{
	u8 codes[256];

	(void)state;
	cookie_fill_codes(codes);
	for (u32 n = 0; n < 2; n++) {
		u8 wscale = n ? 7 : COOKIE_NO_WSCALE;

		for (u32 few = 2; few < 4; few++) {
			for (u32 mix = 0; mix < 4; mix++) {
				u8 features = (mix & 1) * TCP_SACK | (mix >> 1) * TCP_ECN |
					      n * TCP_WSCALE;
				u8 code = codes[cookie_request(few, wscale, features)];

				assert_int_equal(cookie_rows[code].features, features);
			}
		}
	}
}

/* The clients there are: Windows, and Linux with timestamps off, lose nothing. */
static void test_usual_clients_are_exact(void **state)
{
	static const u8 scales[] = {2, 7, 8, 10, COOKIE_NO_WSCALE};
	u8 codes[256];

	(void)state;
	cookie_fill_codes(codes);
	for (u32 few = 0; few < 4; few++) {
		for (u32 i = 0; i < ARRAY_SIZE(scales); i++) {
			u8 features = TCP_SACK | (scales[i] < 15) * TCP_WSCALE;
			const struct cookie_row *row =
				&cookie_rows[codes[cookie_request(few, scales[i], features)]];

			assert_int_equal(row->mss, few);
			assert_int_equal(row->wscale, scales[i]);
			assert_int_equal(row->features, features);
		}
	}
}

/* The rows are all different: a code is not wasted. */
static void test_rows_are_distinct(void **state)
{
	(void)state;
	for (u32 a = 0; a < 32; a++) {
		assert_int_equal(!!(cookie_rows[a].features & TCP_WSCALE),
				 cookie_rows[a].wscale < 15);
		for (u32 b = 0; b < a; b++)
			assert_memory_not_equal(&cookie_rows[a], &cookie_rows[b],
						sizeof(*cookie_rows));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_combination_round_trips),
		cmocka_unit_test(test_every_bit_is_signed),
		cmocka_unit_test(test_direction_is_signed),
		cmocka_unit_test(test_family_is_signed),
		cmocka_unit_test(test_count),
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_life_at_the_boundary),
		cmocka_unit_test(test_count_wraps_at_boot),
		cmocka_unit_test(test_which_key_signs),
		cmocka_unit_test(test_key_change),
		cmocka_unit_test(test_tsval_is_a_clock),
		cmocka_unit_test(test_no_code_promises_more),
		cmocka_unit_test(test_requests_are_distinct),
		cmocka_unit_test(test_every_mixture_is_carried),
		cmocka_unit_test(test_usual_clients_are_exact),
		cmocka_unit_test(test_rows_are_distinct),
	};

	return cmocka_run_group_tests_name("cookie", tests, NULL, NULL);
}
