// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <time.h>

#include "adopt.h"
#include "log.h"
#include "netlink.h"

struct adoption {
	const struct maps *maps;
	const struct listeners *listeners;
	u64 now;
	size_t n;
};

static const struct {
	u8 state, flags;
} by_tcp_state[] = {
	[TCP_ESTABLISHED] = {FLOW_OPEN, 0},
	[TCP_SYN_SENT] = {FLOW_OPEN, 0}, /* the answer to the host's own SYN must pass */
	[TCP_SYN_RECV] = {FLOW_HALF_OPEN, 0},
	[TCP_FIN_WAIT1] = {FLOW_CLOSING, FLOW_FIN_LOCAL},
	[TCP_FIN_WAIT2] = {FLOW_CLOSING, FLOW_FIN_LOCAL},
	[TCP_TIME_WAIT] = {FLOW_CLOSED, FLOW_FIN_LOCAL | FLOW_FIN_REMOTE},
	[TCP_CLOSE_WAIT] = {FLOW_CLOSING, FLOW_FIN_REMOTE},
	[TCP_LAST_ACK] = {FLOW_CLOSED, FLOW_FIN_LOCAL | FLOW_FIN_REMOTE},
	[TCP_CLOSING] = {FLOW_CLOSED, FLOW_FIN_LOCAL | FLOW_FIN_REMOTE},
};

static int on_socket(const struct tcp_socket *sk, void *arg)
{
	struct adoption *a = arg;
	struct flow_key key = {.remote = sk->remote,
			       .local = sk->local,
			       .remote_port = sk->remote_port,
			       .local_port = sk->local_port};
	struct flow f = {.since = a->now, .seen = a->now, .admission = ADMIT_ADOPTED};
	int err;

	f.service = listeners_service(a->listeners, sk->local_port);
	if (!f.service || addr_is_loopback(&sk->local) ||
	    sk->state >= sizeof(by_tcp_state) / sizeof(*by_tcp_state) ||
	    !by_tcp_state[sk->state].state)
		return 0;
	f.state = by_tcp_state[sk->state].state;
	f.flags = by_tcp_state[sk->state].flags;
	err = maps_add_flow(a->maps, &key, &f);
	if (err == -E2BIG)
		return fail(
			E2BIG,
			"the host has more connections than the flow table can hold; attach with "
			"a larger --max-flows");
	if (err)
		return fail(-err, "cannot enter a connection into the flow table: %s",
			    strerror(-err));
	a->n++;
	return 0;
}

int adopt(const struct maps *m, const struct listeners *l, size_t *n)
{
	struct adoption a = {.maps = m, .listeners = l};
	const u32 new_syn_recv = 1 << 12; /* request sockets, for kernels that name them apart */
	struct timespec now;
	u32 states = new_syn_recv;
	size_t i;
	int err;

	for (i = TCP_ESTABLISHED; i < sizeof(by_tcp_state) / sizeof(*by_tcp_state); i++)
		states |= by_tcp_state[i].state ? 1 << i : 0;
	/* the datapath's clock, which may be a jiffy behind CLOCK_MONOTONIC */
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	a.now = now.tv_sec * 1000000000ULL + now.tv_nsec;
	err = netlink_sockets(states, on_socket, &a);
	*n = a.n;
	return err;
}
