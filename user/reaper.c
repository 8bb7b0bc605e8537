// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "datapath.h"
#include "locate.h"
#include "log.h"
#include "moment.h"
#include "netlink.h"
#include "reaper.h"
#include "synack_timer.h"

#define AT_A_TIME 16384

struct reaping {
	const struct maps *maps;
	const struct reap_limits *limits;
	int forget;
	struct locator locator;
	u32 n;                 /* destroyed */
	struct tcp_socket *at; /* all request sockets */
	size_t n_at, room;
	struct tcp_socket batch[NETLINK_DESTROY_MOST];
	size_t n_batch;
};

static int on_socket(const struct tcp_socket *sk, void *arg)
{
	struct reaping *r = arg;
	size_t more = r->room ? r->room * 2 : 256;
	struct tcp_socket *bigger;

	if (!sk->request || addr_is_loopback(&sk->local))
		return 0;
	if (r->n_at == r->room) {
		bigger = reallocarray(r->at, more, sizeof(*bigger));
		if (!bigger)
			return -ENOMEM;
		r->at = bigger;
		r->room = more;
	}
	r->at[r->n_at++] = *sk;
	return 0;
}

static int destroy(struct reaping *r)
{
	int n = r->n_batch ? netlink_destroy(r->batch, r->n_batch) : 0;

	r->n_batch = 0;
	if (n >= 0) {
		r->n += n;
		return 0;
	}
	if (n == -EOPNOTSUPP)
		return n;
	return fail(-n, "cannot destroy the kernel's request sockets (SOCK_DESTROY): %s",
		    strerror(-n));
}

/* Is its time over? The record, if there is one, has ended then. */
static int is_over(struct reaping *r, const struct tcp_socket *sk)
{
	const struct flow_key key = {.remote = sk->remote,
				     .local = sk->local,
				     .remote_port = sk->remote_port,
				     .local_port = sk->local_port};
	struct flow f;
	u32 limit, service;

	if (maps_flow(r->maps, &key, &f)) {
		service = locate(&r->locator, &key);
		limit = r->limits->unknown_ms[service % SYNSTILE_MAX_SERVICES];
		return limit && synack_age_ms(sk->retrans, sk->expires_ms) > limit;
	}
	/* otherwise the client has answered, and it is the listener that waits: for data
	 * (TCP_DEFER_ACCEPT), or for room in its accept queue */
	if (flow_phase(f.word) != FLOW_HALF_OPEN)
		return 0;
	limit = r->limits->known_ms[f.service % SYNSTILE_MAX_SERVICES];
	if (!limit || elapsed(monotonic_now(), f.opened) <= limit * NS_PER_MS)
		return 0;
	return datapath_forget(r->forget, &key);
}

/* In small batches: between the last look at a record and the end of its socket, the client's ACK
 * could make a connection of it, which has the same cookie. */
static int destroy_overdue(struct reaping *r)
{
	size_t i;
	int err = 0;

	for (i = 0; err >= 0 && i < r->n_at && r->n < AT_A_TIME; i++) {
		err = is_over(r, &r->at[i]);
		if (err > 0)
			r->batch[r->n_batch++] = r->at[i];
		if (r->n_batch == NETLINK_DESTROY_MOST)
			err = destroy(r);
	}
	return err;
}

int reap(const struct maps *m, int forget, const struct reap_limits *limits, struct reaped *done)
{
	u64 start = cpu_now();
	struct reaping r = {.maps = m, .limits = limits, .forget = forget};
	int last, err;

	locator_begin(&r.locator, m);
	err = netlink_sockets(1 << TCP_SYN_RECV, on_socket, &r);
	done->listing_ns = elapsed(cpu_now(), start);
	if (!err)
		err = destroy_overdue(&r);
	last = destroy(&r); /* also after an error: their records have ended */
	free(r.at);
	done->n = r.n;
	return err < 0 ? err : last;
}
