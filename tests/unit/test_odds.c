// SPDX-License-Identifier: GPL-2.0-only
/*
 * How many of the 2^32 possible ISNs a blind ACK may guess: bpf/cookie.h states 64
 * without timestamps (2^-26) and 2 with (2^-31); here they are counted.
 *
 * The genuine ones are made, 64 and 2 of them, and must be accepted and distinct. That
 * there is no other: without timestamps every ISN with the low 6 bits of two of them is
 * tried (2^27), and 2^20 with those of each other one; with timestamps 2^27 in a row.
 * SYNSTILE_EXHAUSTIVE=1 tries all 2^32, which takes some minutes.
 */
#include "client.h"
#include "clock.h"

/* Of the ISNs first, first + step, ..., how many does cookie_check() accept? */
static u32 accepted(const struct settings *set, const struct client *client, u64 first, u64 step,
		    u64 tries)
{
	struct client c = *client;
	struct cookie_offer back;
	u32 n = 0;

	for (u64 i = 0; i < tries; i++) {
		c.pkt.ack = first + i * step + 1;
		n += client_ack(&c, set, CLIENT_T0, &back);
	}
	return n;
}

static bool exhaustive(void)
{
	return getenv("SYNSTILE_EXHAUSTIVE");
}

static u32 distinct(const u32 *isn, u32 n)
{
	u32 count = 0;

	for (u32 i = 0; i < n; i++) {
		bool again = false;

		for (u32 j = 0; j < i; j++)
			again |= isn[i] == isn[j];
		count += !again;
	}
	return count;
}

/* Make a cookie for each code, in this count and the one before. */
static void genuine_without_timestamps(struct settings *set, struct client *c, u32 isn[64])
{
	struct cookie_offer back;

	for (u32 i = 0; i < 64; i++) {
		memset(set->cookie_codes, i & 31, sizeof(set->cookie_codes));
		client_syn(c, set, 1460, 7, 0, CLIENT_T0 - (i >> 5) * 64 * NS_PER_SEC);
		assert_true(client_ack(c, set, CLIENT_T0, &back));
		isn[i] = c->pkt.ack - 1;
	}
	/* those of other counts are not among them */
	for (u32 i = 2; i < 100; i++) {
		client_syn(c, set, 1460, 7, 0, CLIENT_T0 - i * 64 * NS_PER_SEC);
		assert_false(client_ack(c, set, CLIENT_T0, &back));
	}
}

static void test_odds_without_timestamps(void **state)
{
	for (int ipv4 = 1; ipv4 >= !exhaustive(); ipv4--) {
		struct settings set = client_settings(11);
		struct client c = client_new(ipv4, 12);
		u32 isn[64], low = 0;

		genuine_without_timestamps(&set, &c, isn);
		assert_int_equal(distinct(isn, 64), 64);
		if (exhaustive()) {
			assert_int_equal(accepted(&set, &c, 0, 1, 1ULL << 32), 64);
			continue;
		}
		for (u32 i = 0; i < 64; i++)
			low += accepted(&set, &c, isn[i] & 63, 64, i % 32 == 7 ? 1 << 26 : 1);
		assert_in_range(low, 2, 4);
		/* the neighbourhood of each genuine one holds no other with the same low bits */
		for (u32 i = 0; i < 64; i++)
			assert_int_equal(accepted(&set, &c, isn[i] - (64ULL << 19), 64, 1 << 20),
					 1);
	}
	(void)state;
}

static void test_odds_with_timestamps(void **state)
{
	for (int ipv4 = 1; ipv4 >= !exhaustive(); ipv4--) {
		struct settings set = client_settings(13);
		struct client c = client_new(ipv4, 14);
		struct cookie_offer back;
		u32 isn[2];

		for (u32 i = 0; i < 2; i++) {
			client_syn(&c, &set, 1460, 7, TCP_FEATURES,
				   CLIENT_T0 - i * 64 * NS_PER_SEC);
			assert_true(client_ack(&c, &set, CLIENT_T0, &back));
			isn[i] = c.pkt.ack - 1;
		}
		assert_int_equal(distinct(isn, 2), 2);
		if (exhaustive()) {
			assert_int_equal(accepted(&set, &c, 0, 1, 1ULL << 32), 2);
			continue;
		}
		assert_int_equal(accepted(&set, &c, isn[0] - (1ULL << 25), 1, 1 << 26) +
					 accepted(&set, &c, isn[1] - (1ULL << 25), 1, 1 << 26),
				 2);
	}
	(void)state;
}

/* Blind ACKs with everything random: 2^26 of them, of which 1 in 2^26 is expected to be
 * accepted without timestamps. 10 would be 7 standard deviations. */
static void test_blind_acks(void **state)
{
	const struct settings set = client_settings(15);
	struct client c = client_new(true, 16);
	struct cookie_offer back;
	u32 hits = 0;
	u64 seed = 17;

	(void)state;
	for (u32 i = 0; i < 1 << 26; i++) {
		c.pkt.ack = random64(&seed);
		c.isn = random64(&seed);
		hits += client_ack(&c, &set, CLIENT_T0, &back);
	}
	assert_in_range(hits, 0, 9);
	c.options.features = TCP_TSTAMP;
	for (u32 i = 0; i < 1 << 26; i++) {
		c.pkt.ack = random64(&seed);
		c.options.tsecr = random64(&seed);
		assert_false(client_ack(&c, &set, CLIENT_T0, &back));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_odds_without_timestamps),
		cmocka_unit_test(test_odds_with_timestamps),
		cmocka_unit_test(test_blind_acks),
	};

	return cmocka_run_group_tests_name("odds", tests, NULL, NULL);
}
