/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Half-open connections as the flow table has them, beside the kernel's request sockets (SYN-RECV)
 * and connecting sockets (SYN-SENT): what one has and the other has not, and why that may be.
 *
 * Neither can be read in one moment. A difference counts only if one side had the connection
 * before and after it was looked for on the other.
 */
#ifndef SYNSTILE_USER_HALF_OPEN_LIST_H
#define SYNSTILE_USER_HALF_OPEN_LIST_H

#include "conns.h"
#include "locate.h"
#include "netlink.h"

/* Why only one of them has it. X(ID, words) */
// clang-format off
#define HALF_OPEN_WHYS(X)                                                                       \
	X(DROPPED, "the kernel has not answered: its queue was full, or a firewall took the SYN") \
	X(FORGOTTEN, "the kernel answered and holds no socket: it used its own SYN cookies, or gave " \
		     "up early, as it does when its queue is half full")                        \
	X(GIVEN_UP, "the kernel gave up first, as net.ipv4.tcp_synack_retries has it now")      \
	X(ADOPTED, "half-open before synstile came, and no longer in the kernel")               \
	X(EXPIRED, "the SYN timeout is over; the agent removes them within a second, if it runs") \
	X(ABANDONED, "the program gave up connecting")                                          \
	X(COMPLETED, "the client's ACK was seen, but the kernel waits: the accept queue is full, " \
		     "or the listener wants data first (TCP_DEFER_ACCEPT)")                     \
	X(LATE, "the SYN timeout is over, but the kernel waits on: the client's SYNs started its " \
		"timer again")                                                                  \
	X(UNSEEN, "the SYN came by an interface without synstile, or before it, or beyond the bound " \
		  "of what is followed")                                                        \
	X(UNSENT, "no SYN left by an interface with synstile: another route, or no neighbour yet")
// clang-format on

enum half_open_why {
	WHY_BOTH, /* both have it */
#define X(id, words) WHY_##id,
	HALF_OPEN_WHYS(X)
#undef X
	WHY_COUNT
};

struct half_open_entry {
	struct conn conn; /* flow.opened 0: there is no record, but `flags` and `service` hold */
	bool here;        /* half-open in the flow table */
	bool kernel;      /* and here is its socket: */
	struct tcp_socket socket;
	enum half_open_why why;
};

struct half_open_entries {
	struct half_open_entry *at;
	size_t n, room;
};

struct half_open_list {
	const struct maps *maps;
	struct half_open_entries found; /* by key, once compared */
	struct locator locator;
	struct service services[SYNSTILE_MAX_SERVICES];
	struct pressure pressure[SYNSTILE_MAX_SERVICES];
	struct settings settings;
	u64 kernel_wait_ms; /* as the sysctl has it now */
	/* the walk */
	struct flow_key position;
	bool begun;
};

struct half_open_list *half_open_list_new(const struct maps *m);
void half_open_list_free(struct half_open_list *l);

/* The kernel's request sockets by service; index 0 is not counted. */
int half_open_count_kernel(struct half_open_list *l, u32 counts[SYNSTILE_MAX_SERVICES]);

/* Walks on through the flow table, for about `ns` (0: to its end). 1: at the end; 0: not yet. */
int half_open_walk(struct half_open_list *l, u64 ns);
/* After the walk: asks the kernel. The next walk begins afresh. */
int half_open_compare(struct half_open_list *l);

/* How long the handshake of a record may still take, ms. */
u64 half_open_left_ms(const struct half_open_list *l, const struct flow *f, u64 now);

/* What was found for one service, or for index 0, what the host opens. */
struct half_open_tally {
	u32 here, kernel; /* all of either */
	u32 by_why[WHY_COUNT];
};

void half_open_count(struct half_open_tally *t, const struct half_open_entry *e);
u32 half_open_only_here(const struct half_open_tally *t);
u32 half_open_only_kernel(const struct half_open_tally *t);
/* "3: words; 1: words", with what the listener's queues say; "" if both agree. `port` in network
 * order, 0: connections that the host opens. True: somebody should hear of it; false: so it goes.
 */
bool half_open_words(const struct half_open_tally *t, __be16 port, char *buf, size_t size);
/* Index: enum half_open_why; [WHY_BOTH] is NULL. */
extern const char *const half_open_whys[WHY_COUNT];

#endif
