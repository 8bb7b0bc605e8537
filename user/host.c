// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"
#include "sysctls.h"

struct collection {
	struct host *host;
	const struct ports *allowed;
};

static int grow(void *array, size_t *room, size_t n, size_t size)
{
	void **at = array, *bigger;
	size_t more = *room ? *room * 2 : 64;

	if (n < *room)
		return 0;
	bigger = reallocarray(*at, more, size);
	if (!bigger)
		return -ENOMEM;
	*at = bigger;
	*room = more;
	return 0;
}

static int on_address(const struct addr *a, u32 ifindex, void *arg)
{
	struct host *h = arg;
	int err;

	(void)ifindex;
	if (addr_is_loopback(a))
		return 0;
	err = grow(&h->addresses, &h->room_addresses, h->n_addresses, sizeof(*h->addresses));
	if (!err)
		h->addresses[h->n_addresses++] = *a;
	return err;
}

static int read_addresses(struct host *h)
{
	int err, tries = 0;

	do {
		h->n_addresses = 0;
		err = netlink_addresses(on_address, h);
	} while (err == -EINTR && ++tries < 5);
	h->addresses_known = !err;
	return err == -EINTR ? 0 : err;
}

static int on_listener(const struct tcp_socket *sk, void *arg)
{
	struct collection *c = arg;
	struct host *h = c->host;
	struct host_listener *l;
	int err;

	if (!ports_has(c->allowed, ntohs(sk->local_port)) || addr_is_loopback(&sk->local))
		return 0;
	err = grow(&h->listeners, &h->room, h->n, sizeof(*h->listeners));
	if (err)
		return err;
	l = &h->listeners[h->n++];
	memset(l, 0, sizeof(*l)); /* they are compared as bytes */
	l->addr = sk->local;
	l->port = sk->local_port;
	l->window = sysctls_window(sk->rcvbuf);
	l->backlog = sk->backlog;
	l->any = addr_is_any(&sk->local);
	l->v6 = !addr_is_v4(&sk->local);
	l->v6only = sk->v6only;
	l->mptcp = sk->mptcp;
	return 0;
}

static void keep_before(struct host *h)
{
	struct host_listener *at = h->before;
	size_t room = h->room_before;

	h->before = h->listeners;
	h->n_before = h->n;
	h->room_before = h->room;
	h->listeners = at;
	h->room = room;
	h->n = 0;
}

int host_read(struct host *h, const struct ports *allowed, bool moved)
{
	struct collection c = {h, allowed};
	u32 timeout = sysctls_syn_timeout_ms();
	bool changed = moved || !h->addresses_known || timeout != h->syn_timeout_ms;
	int err = 0;

	h->syn_timeout_ms = timeout;
	if (moved || !h->addresses_known)
		err = read_addresses(h);
	keep_before(h);
	if (!err)
		err = netlink_sockets(1 << TCP_LISTEN, on_listener, &c);
	if (err)
		return err;
	changed |= h->n != h->n_before ||
		   (h->n && memcmp(h->listeners, h->before, h->n * sizeof(*h->listeners)));
	return changed;
}

bool host_set_ifaces(struct host *h, const struct state *st)
{
	struct host_iface now[MAX_IFACES] = {0};
	size_t i, n = 0;
	bool changed;

	for (i = 0; i < st->n_ifaces; i++) {
		now[n].ifindex = st->ifaces[i].ifindex;
		/* it may have been renamed; one that is gone matters no more */
		if (if_indextoname(now[n].ifindex, now[n].name))
			n++;
	}
	changed = n != h->n_ifaces || memcmp(now, h->ifaces, n * sizeof(*now));
	memcpy(h->ifaces, now, sizeof(now));
	h->n_ifaces = n;
	return changed;
}

bool host_listens_at(const struct host_listener *l, const struct addr *a)
{
	if (!l->any)
		return !memcmp(&l->addr, a, sizeof(*a));
	if (addr_is_v4(a))
		return !l->v6 || !l->v6only;
	return l->v6;
}

void host_free(struct host *h)
{
	free(h->listeners);
	free(h->before);
	free(h->addresses);
}
