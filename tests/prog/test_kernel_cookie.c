// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's cookies: made in XDP, recognised in XDP, handed on by TC; and what the
 * kernel will read from the echoed timestamp (net/ipv4/syncookies.c: TS_OPT_*).
 */
#include <poll.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

static struct frame frame;
static struct run result;

static void make(struct spec *syn, struct answer *a, u8 offered, u16 mss)
{
	offer_options(syn, offered, mss, 9);
	run_spec(&result, &frame, syn);
	expect(&result, V_SYN_COOKIE, XDP_TX);
	check_synack(a, &frame, syn, &result, offered);
}

static void test_round_trip(void **state)
{
	(void)state;
	for (u32 n = 0; n < 2 * 3 * 16; n++) {
		u8 offered = n / 6;
		struct spec syn = {
			.ipv6 = n & 1, .vlans = n / 2 % 3, .flags = SYN, .seq = n * 77777};
		struct spec ack;
		struct answer a;
		struct flow f;

		prog_reset(MODE_ALWAYS);
		make(&syn, &a, offered, 1400);
		/* without timestamps the kernel keeps no option but the MSS */
		assert_int_equal(a.features, offered & TCP_TSTAMP ? offered : 0);
		if (offered & TCP_TSTAMP) {
			u8 bits = (offered & TCP_WSCALE ? 9 : 15) |
				  (offered & TCP_SACK ? 1 << 4 : 0) |
				  (offered & TCP_ECN ? 1 << 5 : 0);

			assert_int_equal(a.tsval & 63, bits);
			/* never ahead of the kernel's clock, in ms */
			assert_in_range((u32)(prog_now() / 1000000 + 50) - a.tsval, 0, 1000);
		}
		ack = next_segment(&syn, &a, ACK, 0);
		run_spec(&result, &frame, &ack);
		expect(&result, V_COOKIE_VALID, XDP_PASS);
		assert_true(prog_flow(&f, &syn));
		assert_int_equal(flow_phase(f.word), FLOW_PROVEN);
		assert_int_equal(f.side[LOCAL].isn, a.seq);
	}
}

/* Only for the largest of the kernel's 4 MSS values. Its cookie adds the client's ISN to
 * the index of the MSS, so that for the others a sequence number one lower passes
 * for an ACK to a cookie of the next MSS: a gap of that format. */
static void test_keepalive(void **state)
{
	(void)state;
	for (u32 n = 0; n < 4; n++) {
		struct spec syn = {.ipv6 = n & 1, .flags = SYN, .seq = 5}, probe;
		struct answer a, answer;

		prog_reset(MODE_ALWAYS);
		make(&syn, &a, n & 2 ? TCP_TSTAMP : 0, 9000);
		probe = next_segment(&syn, &a, ACK, 0);
		probe.seq--;
		run_spec(&result, &frame, &probe);
		expect(&result, V_COOKIE_PROBE, XDP_TX);
		check_answer(&answer, &frame, &probe, &result);
		assert_int_equal(answer.seq, a.seq);
		assert_int_equal(answer.ack, syn.seq + 1);
		assert_int_equal(answer.flags, ACK);
	}
}

/* The low 3 bits choose among the 4 MSS values, and keepalives of them (see above). */
static void test_altered(void **state)
{
	(void)state;
	for (u32 n = 4 * 3; n < 4 * 32; n++) {
		struct spec syn = {.ipv6 = n & 1, .flags = SYN, .seq = 7}, ack;
		struct answer a;

		prog_reset(MODE_ALWAYS);
		make(&syn, &a, 0, 1400);
		ack = next_segment(&syn, &a, ACK, 0);
		if (n & 2)
			ack.ack ^= 1u << n / 4;
		else
			ack.seq ^= 1u << n / 4;
		run_spec(&result, &frame, &ack);
		expect(&result, V_COOKIE_INVALID, XDP_DROP);
		assert_int_equal(prog_flows(), 0);
	}
}

static void test_forged(void **state)
{
	u64 seed = 31;

	(void)state;
	prog_reset(MODE_ALWAYS);
	prog_cookies_out();
	for (u32 n = 0; n < 20000; n++) {
		const struct spec ack = {.ipv6 = n & 1,
					 .flags = ACK,
					 .seq = random64(&seed),
					 .ack = random64(&seed),
					 .client = n & 255};

		run_spec(&result, &frame, &ack);
		expect(&result, V_COOKIE_INVALID, XDP_DROP);
	}
}

/* TC lets it pass to the listener, which checks it itself, and counts it once. */
static void test_finished(void **state)
{
	(void)state;
	for (u32 n = 0; n < 4; n++) {
		struct spec syn = {.ipv6 = n & 1, .disguised = true, .flags = SYN}, ack;
		int fd = n & 2 ? prog_listen(n & 1) : -1;
		struct answer a;

		prog_reset(MODE_ALWAYS);
		make(&syn, &a, TCP_TSTAMP | TCP_WSCALE, 1400);
		ack = next_segment(&syn, &a, ACK, 0);
		run_spec(&result, &frame, &ack);
		expect(&result, V_COOKIE_VALID, XDP_PASS);
		prog_tc_ingress(&result, &frame);
		expect(&result, fd < 0 ? V_FINISH_NO_LISTENER : V_FINISHED, TC_GO_ON);
		prog_tc_ingress(&result, &frame);
		assert_int_equal(result.verdict, V_COUNT);
		if (fd >= 0)
			close(fd);
	}
}

/* A listener that has no room for more than one connection that nobody accepted, and that. */
static void fill_queue(int listener, bool ipv6, int *client)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = host_to_be16(PORT)};
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = host_to_be16(PORT)};

	assert_int_equal(listen(listener, 0), 0);
	six.sin6_addr = in6addr_loopback;
	four.sin_addr.s_addr = host_to_be32(INADDR_LOOPBACK);
	*client = socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
	assert_int_equal(ipv6 ? connect(*client, (void *)&six, sizeof(six))
			      : connect(*client, (void *)&four, sizeof(four)),
			 0);
	/* connect() returns with the SYN-ACK: the client's ACK may still be on its way */
	assert_int_equal(poll(&(struct pollfd){.fd = listener, .events = POLLIN}, 1, 10000), 1);
}

/* A listener without room drops what it is handed: said, held against it, and tried again. */
static void test_queue_full(void **state)
{
	const struct timespec pause = {.tv_nsec = 80000000}; /* longer than HANDED_NS */

	(void)state;
	for (u32 n = 0; n < 2; n++) {
		struct spec syn = {.ipv6 = n, .disguised = true, .flags = SYN}, ack;
		int fd = prog_listen(n), client, accepted;
		struct answer a;
		struct flow f;

		prog_reset(MODE_ALWAYS);
		fill_queue(fd, n, &client);
		make(&syn, &a, TCP_TSTAMP | TCP_WSCALE, 1400);
		ack = next_segment(&syn, &a, ACK, 0);
		run_spec(&result, &frame, &ack);
		expect(&result, V_COOKIE_VALID, XDP_PASS);
		prog_tc_ingress(&result, &frame);
		expect(&result, V_FINISH_QUEUE_FULL, TC_GO_ON);
		assert_true(prog_flow(&f, &syn));
		assert_int_equal(flow_phase(f.word), FLOW_PROVEN);
		assert_int_equal(flow_state(f.word, REMOTE), ST_ESTABLISHED);
		assert_int_equal(flow_state(f.word, LOCAL), ST_SYN_RECEIVED);
		accepted = accept(fd, NULL, NULL);
		nanosleep(&pause, NULL);
		prog_tc_ingress(&result, &frame);
		expect(&result, V_FINISHED, TC_GO_ON);
		assert_true(prog_flow(&f, &syn));
		assert_int_equal(flow_phase(f.word), FLOW_PROVEN); /* until the host speaks */
		assert_int_equal(flow_state(f.word, LOCAL), ST_ESTABLISHED);
		close(accepted);
		close(client);
		close(fd);
	}
}

static int open_programs(void **state)
{
	(void)state;
	prog_open(KERNEL_COOKIES, 1024);
	prog_addresses();
	assert_true(prog_has_tc());
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
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_keepalive),
		cmocka_unit_test(test_altered),    cmocka_unit_test(test_forged),
		cmocka_unit_test(test_finished),   cmocka_unit_test(test_queue_full),
	};

	return cmocka_run_group_tests_name("kernel cookies", tests, open_programs, close_programs);
}
