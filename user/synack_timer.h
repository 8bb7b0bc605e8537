/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's timer of a request socket: the SYN-ACK is repeated after 1, 2, 4 ... s, and after
 * net.ipv4.tcp_synack_retries repetitions (for both families) and one more wait the socket goes.
 * reqsk_timer_handler() in net/ipv4/inet_connection_sock.c; pure.
 *
 * A listener that has set TCP_SYNCNT has its own number of repetitions, which the sysctl does not
 * touch.
 */
#ifndef SYNSTILE_USER_SYNACK_TIMER_H
#define SYNSTILE_USER_SYNACK_TIMER_H

#include <synstile/types.h>

#define SYNACK_WAIT_MOST_S 120 /* TCP_RTO_MAX: no single wait is longer */

/* From the first SYN-ACK to the end of the wait after `retries` repetitions, ms. */
static inline u64 synack_wait_ms(u32 retries)
{
	if (retries > 6)
		return (127 + (u64)(retries - 6) * SYNACK_WAIT_MOST_S) * 1000;
	return ((2ULL << retries) - 1) * 1000;
}

/* The number of repetitions with which the kernel's wait is the nearest to `ms`, and not longer;
 * 0, a wait of 1 s, if there is none. */
static inline u32 synack_retries_within(u64 ms)
{
	u32 n = 0;

	while (n < 255 && synack_wait_ms(n + 1) <= ms)
		n++;
	return n;
}

/* The least number with which the kernel waits as long as `ms`, or longer. */
static inline u32 synack_retries_reaching(u64 ms)
{
	u32 n = synack_retries_within(ms);

	return n < 255 && synack_wait_ms(n) < ms ? n + 1 : n;
}

/* How old a request socket is, at most, ms: the wait for its timer, less what is left of it. A SYN
 * that the client sends again counts as a repetition too, and starts the timer anew. */
static inline u64 synack_age_ms(u32 retries, u32 expires_ms)
{
	u64 wait = synack_wait_ms(retries);

	return wait > expires_ms ? wait - expires_ms : 0;
}

#endif
