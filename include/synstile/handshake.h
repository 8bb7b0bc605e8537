/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How long handshakes took: map `handshakes`, per CPU, by service. The datapath counts in it, once
 * for each handshake that the flow table followed. One that was made by a cookie is not among them:
 * nothing was kept of its SYN.
 */
#ifndef SYNSTILE_HANDSHAKE_H
#define SYNSTILE_HANDSHAKE_H

#include "types.h"

/* Services with indices as high as this, or higher, share entry 0: 170 KB are enough for a CPU.
 * (Entries made one by one, in a hash, are no way out: the kernel has not got the memory for
 * hundreds of them at once.) */
#define HANDSHAKE_SERVICES 256
#define HANDSHAKE_OTHERS   0

/* How a half-open connection ended. X(ID, name) */
// clang-format off
#define SYNSTILE_OUTCOMES(X)                                                    \
	X(COMPLETED, "completed")                                               \
	X(EXPIRED, "expired")     /* its SYN timeout was over */                \
	X(RESET, "reset")         /* by either side */                          \
	X(OTHER, "other")         /* the stack lost it, or another took its place */

/*
 * Upper bounds of the buckets: X(us, seconds). Those of whole seconds lie one second above a SYN
 * timeout that halves (3, 7, 15, 31, 63 s), since the sweep comes once a second.
 */
#define HALF_OPEN_BOUNDS(X)                                                     \
	X(1000, "0.001") X(3000, "0.003") X(10000, "0.01") X(30000, "0.03")     \
	X(100000, "0.1") X(250000, "0.25") X(500000, "0.5") X(1000000, "1")     \
	X(2000000, "2") X(4000000, "4") X(8000000, "8") X(16000000, "16")       \
	X(32000000, "32") X(64000000, "64")

/* From the server's SYN-ACK to the client's ACK, if nothing was sent twice. */
#define RTT_BOUNDS(X)                                                           \
	X(100, "0.0001") X(250, "0.00025") X(500, "0.0005") X(1000, "0.001")    \
	X(2500, "0.0025") X(5000, "0.005") X(10000, "0.01") X(25000, "0.025")   \
	X(50000, "0.05") X(100000, "0.1") X(250000, "0.25") X(500000, "0.5")    \
	X(1000000, "1") X(2500000, "2.5") X(10000000, "10")
// clang-format on

enum handshake_outcome {
#define X(id, name) OUTCOME_##id,
	SYNSTILE_OUTCOMES(X)
#undef X
	OUTCOMES
};

enum {
#define X(us, seconds) HALF_OPEN_BELOW_##us,
	HALF_OPEN_BOUNDS(X)
#undef X
	HALF_OPEN_ABOVE,
	HALF_OPEN_BUCKETS
};

enum {
#define X(us, seconds) RTT_BELOW_##us,
	RTT_BOUNDS(X)
#undef X
	RTT_ABOVE,
	RTT_BUCKETS
};

struct handshakes {
	struct {
		u64 sum_us;
		u64 n[HALF_OPEN_BUCKETS]; /* each its own, not those below it too */
	} half_open[OUTCOMES];
	struct {
		u64 sum_us;
		u64 n[RTT_BUCKETS];
	} rtt;
};

_Static_assert(sizeof(struct handshakes) == 4 * 128 + 136, "map value");

static inline __attribute__((always_inline)) u32 handshake_entry(u32 service)
{
	return service < HANDSHAKE_SERVICES ? service : HANDSHAKE_OTHERS;
}

#endif
