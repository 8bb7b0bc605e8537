// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "adopt.h"
#include "locate.h"
#include "log.h"
#include "netlink.h"
#include "synack_timer.h"
#include "tcp_state.h"

#define NEW_SYN_RECV 12 /* request sockets, for kernels that name them apart */

struct adoption {
	const struct maps *maps;
	struct locator locator;
	u64 now;
	size_t n;
	bool listens[65536]; /* by port, host order: somebody does, protected or not */
};

static int on_listener(const struct tcp_socket *sk, void *arg)
{
	struct adoption *a = arg;

	a->listens[ntohs(sk->local_port)] = true;
	return 0;
}

/* Of a protected service, or opened by the host? Connections to other listeners are not ours. */
static bool is_followed(const struct adoption *a, const struct tcp_socket *sk, u16 service)
{
	return !addr_is_loopback(&sk->local) && (service || !a->listens[ntohs(sk->local_port)]);
}

/* How long this handshake has lasted, at most, if it is one, ns. Its timeout goes on from there. */
static u64 handshake_age(const struct tcp_socket *sk)
{
	if ((sk->state != TCP_SYN_RECV && sk->state != NEW_SYN_RECV) || !sk->timed)
		return 0;
	return synack_age_ms(sk->retrans, sk->expires_ms) * 1000000;
}

static int on_socket(const struct tcp_socket *sk, void *arg)
{
	struct adoption *a = arg;
	struct flow_key key = {.remote = sk->remote,
			       .local = sk->local,
			       .remote_port = sk->remote_port,
			       .local_port = sk->local_port};
	struct flow f = {.opened = a->now - handshake_age(sk)};
	int err;

	f.service = locate(&a->locator, &key);
	if (!is_followed(a, sk, f.service))
		return 0;
	f.flags = f.service ? 0 : FLOW_OPENED_LOCAL;
	f.side[REMOTE].entered = f.side[LOCAL].entered = a->now;
	tcp_adopt(&f, sk->state);
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

int adopt(const struct maps *m, size_t *n)
{
	struct adoption *a = calloc(1, sizeof(*a));
	/* all but those that are closed or listen */
	const u32 states = ((2 << NEW_SYN_RECV) - 1) & ~(1 << TCP_LISTEN | 1 << TCP_CLOSE);
	struct timespec now;
	int err;

	if (!a)
		return -ENOMEM;
	a->maps = m;
	locator_begin(&a->locator, m);
	/* the datapath's clock, which may be a jiffy behind CLOCK_MONOTONIC */
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	a->now = now.tv_sec * 1000000000ULL + now.tv_nsec;
	err = netlink_sockets(1 << TCP_LISTEN, on_listener, a);
	if (!err)
		err = netlink_sockets(states, on_socket, a);
	*n = a->n;
	free(a);
	return err;
}
