// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/genetlink.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/inet_diag.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <net/if_arp.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <libmnl/libmnl.h>

#include "log.h"
#include "netlink.h"

#define BUFFER 32768

/* idiag_timer, as inet_sk_diag_fill() and inet_req_diag_fill() of net/ipv4/inet_diag.c set it:
 * the retransmission of segments, or of a request socket's SYN-ACK. */
#define TIMER_RETRANSMIT 1

/* A dump: what to call for each message, and what it returned when it stopped. */
struct dump {
	union {
		socket_fn socket;
		address_fn address;
		link_fn link;
		filter_fn filter;
	} fn;
	void *arg;
	int result;
};

struct addr addr_v4(__be32 a)
{
	return (struct addr){.w = {0, 0, htonl(0xffff), a}};
}

bool addr_is_v4(const struct addr *a)
{
	return !a->w[0] && !a->w[1] && a->w[2] == htonl(0xffff);
}

bool addr_is_any(const struct addr *a)
{
	return !a->w[0] && !a->w[1] && !a->w[3] && (!a->w[2] || a->w[2] == htonl(0xffff));
}

bool addr_is_loopback(const struct addr *a)
{
	if (addr_is_v4(a))
		return a->b[12] == 127;
	return !a->w[0] && !a->w[1] && !a->w[2] && a->w[3] == htonl(1);
}

const char *addr_text(const struct addr *a, char *buf)
{
	if (addr_is_v4(a))
		return inet_ntop(AF_INET, &a->w[3], buf, INET6_ADDRSTRLEN);
	return inet_ntop(AF_INET6, a->b, buf, INET6_ADDRSTRLEN);
}

static int receive(struct mnl_socket *nl, u32 seq, mnl_cb_t each, struct dump *d)
{
	char *buf = malloc(BUFFER);
	int run = MNL_CB_OK;
	ssize_t n;

	if (!buf)
		return -ENOMEM;
	while (run > MNL_CB_STOP) {
		n = mnl_socket_recvfrom(nl, buf, BUFFER);
		run = n < 0 ? -1 : mnl_cb_run(buf, n, seq, mnl_socket_get_portid(nl), each, d);
	}
	n = run < 0 ? -errno : d->result;
	free(buf);
	return n;
}

/* Sends one dump request and hands each answer to `each`. */
static int dump(int bus, struct nlmsghdr *request, mnl_cb_t each, struct dump *d)
{
	struct mnl_socket *nl = mnl_socket_open2(bus, SOCK_CLOEXEC);
	int err;

	if (!nl)
		return -errno;
	d->result = 0;
	request->nlmsg_seq = time(NULL);
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(nl, request, request->nlmsg_len) < 0)
		err = -errno;
	else
		err = receive(nl, request->nlmsg_seq, each, d);
	mnl_socket_close(nl);
	return err;
}

/* ---- sockets ---- */

static struct addr diag_addr(u8 family, const __be32 *words)
{
	struct addr a;

	if (family == AF_INET)
		return addr_v4(words[0]);
	memcpy(a.b, words, sizeof(a.b));
	return a;
}

static bool is_mptcp(const struct nlattr *ulp)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested (a, ulp) {
		if (mnl_attr_get_type(a) == INET_ULP_INFO_NAME)
			return !strcmp(mnl_attr_get_str(a), "mptcp");
	}
	return false;
}

static int on_socket(const struct nlmsghdr *nlh, void *arg)
{
	const struct inet_diag_msg *m = mnl_nlmsg_get_payload(nlh);
	struct dump *d = arg;
	const struct nlattr *a;
	const u32 *mem;
	bool whole = false;
	struct tcp_socket sk = {
		.local = diag_addr(m->idiag_family, m->id.idiag_src),
		.remote = diag_addr(m->idiag_family, m->id.idiag_dst),
		.local_port = m->id.idiag_sport,
		.remote_port = m->id.idiag_dport,
		.state = m->idiag_state,
		.v6 = m->idiag_family == AF_INET6,
		.backlog = m->idiag_wqueue,
		.waiting = m->idiag_rqueue,
		.inode = m->idiag_inode,
		.timed = m->idiag_timer == TIMER_RETRANSMIT,
		.retrans = m->idiag_retrans,
		.expires_ms = m->idiag_expires,
		.ifindex = m->id.idiag_if,
		.cookie = {m->id.idiag_cookie[0], m->id.idiag_cookie[1]},
	};

	mnl_attr_for_each (a, nlh, sizeof(*m)) {
		switch (mnl_attr_get_type(a)) {
		case INET_DIAG_SKMEMINFO:
			mem = mnl_attr_get_payload(a);
			sk.rcvbuf = mem[SK_MEMINFO_RCVBUF];
			break;
		case INET_DIAG_SKV6ONLY:
			sk.v6only = mnl_attr_get_u8(a);
			break;
		case INET_DIAG_ULP_INFO:
			sk.mptcp = is_mptcp(a);
			break;
		case INET_DIAG_SHUTDOWN:
			/* of all that are more than a request: Fast Open's are in SYN-RECV too */
			whole = true;
			break;
		}
	}
	sk.request = sk.state == TCP_SYN_RECV && !whole;
	d->result = d->fn.socket(&sk, d->arg);
	return d->result ? MNL_CB_STOP : MNL_CB_OK;
}

static int sockets_of(u8 family, u32 states, struct dump *d)
{
	char buf[256] = "";
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct inet_diag_req_v2 *req = mnl_nlmsg_put_extra_header(nlh, sizeof(*req));

	nlh->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	req->sdiag_family = family;
	req->sdiag_protocol = IPPROTO_TCP;
	req->idiag_states = states;
	if (states & 1 << TCP_LISTEN)
		/* without INFO there is no word of MPTCP */
		req->idiag_ext = 1 << (INET_DIAG_SKMEMINFO - 1) | 1 << (INET_DIAG_INFO - 1);
	return dump(NETLINK_SOCK_DIAG, nlh, on_socket, d);
}

int netlink_sockets(u32 states, socket_fn fn, void *arg)
{
	struct dump d = {.fn.socket = fn, .arg = arg};
	int err = sockets_of(AF_INET, states, &d);

	if (!err)
		err = sockets_of(AF_INET6, states, &d);
	if (err == -ENOENT && !d.result)
		err = 0; /* no IPv6 on this host */
	if (err < 0)
		fail(-err,
		     "cannot list TCP sockets (sock_diag: %s); the kernel needs CONFIG_INET_DIAG "
		     "and CONFIG_INET_TCP_DIAG (`modprobe tcp_diag`)",
		     strerror(-err));
	return err;
}

/* Appends a message that asks the kernel to destroy one. */
static void put_destroy(struct mnl_nlmsg_batch *batch, const struct tcp_socket *sk, u32 seq)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(mnl_nlmsg_batch_current(batch));
	struct inet_diag_req_v2 *req = mnl_nlmsg_put_extra_header(nlh, sizeof(*req));
	size_t from = sk->v6 ? 0 : 12, size = sk->v6 ? 16 : 4;

	nlh->nlmsg_type = SOCK_DESTROY;
	nlh->nlmsg_flags = NLM_F_REQUEST; /* without ACK: only failures are answered */
	nlh->nlmsg_seq = seq;
	req->sdiag_family = sk->v6 ? AF_INET6 : AF_INET;
	req->sdiag_protocol = IPPROTO_TCP;
	req->idiag_states = 1 << sk->state;
	req->id.idiag_sport = sk->local_port;
	req->id.idiag_dport = sk->remote_port;
	memcpy(req->id.idiag_src, sk->local.b + from, size);
	memcpy(req->id.idiag_dst, sk->remote.b + from, size);
	req->id.idiag_if = sk->ifindex;
	memcpy(req->id.idiag_cookie, sk->cookie, sizeof(sk->cookie));
	mnl_nlmsg_batch_next(batch);
}

/* Reads what the kernel has answered by now. Returns how many were gone already, or -errno. */
static int destroy_failures(struct mnl_socket *nl)
{
	union {
		struct nlmsghdr align;
		char bytes[4096];
	} buf;
	struct nlmsghdr *nlh;
	const struct nlmsgerr *e;
	int gone = 0, fd = mnl_socket_get_fd(nl), left;
	ssize_t n;

	while ((n = recv(fd, &buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
		left = n;
		for (nlh = &buf.align; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
			if (nlh->nlmsg_type != NLMSG_ERROR)
				continue;
			e = mnl_nlmsg_get_payload(nlh);
			/* ESTALE: its tuple has another socket */
			if (e->error && e->error != -ENOENT && e->error != -ESTALE)
				return e->error;
			gone += !!e->error;
		}
	}
	return n < 0 && errno != EAGAIN && errno != ENOBUFS ? -errno : gone;
}

int netlink_destroy(const struct tcp_socket *sk, size_t n)
{
	static char buf[NETLINK_DESTROY_MOST * 96 + 4096];
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	struct mnl_nlmsg_batch *batch = mnl_nlmsg_batch_start(buf, NETLINK_DESTROY_MOST * 96);
	size_t i;
	int err = 0;

	for (i = 0; batch && i < n && i < NETLINK_DESTROY_MOST; i++)
		put_destroy(batch, &sk[i], i + 1);
	if (!nl || !batch || mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(nl, mnl_nlmsg_batch_head(batch), mnl_nlmsg_batch_size(batch)) < 0)
		err = -errno;
	/* the kernel has done it all when sendto() returns */
	if (!err)
		err = destroy_failures(nl);
	if (batch)
		mnl_nlmsg_batch_stop(batch);
	if (nl)
		mnl_socket_close(nl);
	return err < 0 ? err : (int)n - err;
}

int netlink_can_destroy(void)
{
	/* port 0 is nobody's */
	const struct tcp_socket none = {.state = TCP_SYN_RECV, .cookie = {1, 1}};
	int err = netlink_destroy(&none, 1);

	return err < 0 ? err : 0;
}

static int on_exact(const struct nlmsghdr *nlh, void *arg)
{
	const struct inet_diag_msg *m = mnl_nlmsg_get_payload(nlh);
	struct dump *d = arg;

	/* a listener answers for connections that are none */
	d->result = m->idiag_state != TCP_LISTEN;
	return MNL_CB_STOP;
}

int netlink_has_socket(const struct flow_key *key, u32 ifindex)
{
	char buf[256] = "";
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct inet_diag_req_v2 *req = mnl_nlmsg_put_extra_header(nlh, sizeof(*req));
	bool v4 = addr_is_v4(&key->local);
	struct dump d = {0};
	int err;

	nlh->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	req->sdiag_family = v4 ? AF_INET : AF_INET6;
	req->sdiag_protocol = IPPROTO_TCP;
	req->idiag_states = -1;
	req->id.idiag_sport = key->local_port;
	req->id.idiag_dport = key->remote_port;
	memcpy(req->id.idiag_src, v4 ? &key->local.w[3] : key->local.w, v4 ? 4 : 16);
	memcpy(req->id.idiag_dst, v4 ? &key->remote.w[3] : key->remote.w, v4 ? 4 : 16);
	req->id.idiag_if = ifindex;
	req->id.idiag_cookie[0] = req->id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	err = dump(NETLINK_SOCK_DIAG, nlh, on_exact, &d);
	if (err == -ENOENT)
		return 0;
	return err < 0 ? fail(-err, "cannot ask for a TCP socket (sock_diag): %s", strerror(-err))
		       : err;
}

/* ---- addresses and links ---- */

static int on_address(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifaddrmsg *m = mnl_nlmsg_get_payload(nlh);
	const void *local = NULL, *address = NULL;
	struct dump *d = arg;
	const struct nlattr *a;
	struct addr found;

	mnl_attr_for_each (a, nlh, sizeof(*m)) {
		if (mnl_attr_get_type(a) == IFA_LOCAL)
			local = mnl_attr_get_payload(a);
		else if (mnl_attr_get_type(a) == IFA_ADDRESS)
			address = mnl_attr_get_payload(a);
	}
	/* on point-to-point links IFA_ADDRESS is the far end */
	if (!local)
		local = address;
	if (!local || (m->ifa_family != AF_INET && m->ifa_family != AF_INET6))
		return MNL_CB_OK;
	found = diag_addr(m->ifa_family, local);
	d->result = d->fn.address(&found, m->ifa_index, d->arg);
	return d->result ? MNL_CB_STOP : MNL_CB_OK;
}

int netlink_addresses(address_fn fn, void *arg)
{
	struct dump d = {.fn.address = fn, .arg = arg};
	char buf[256] = "";
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ifaddrmsg *m = mnl_nlmsg_put_extra_header(nlh, sizeof(*m));
	int err;

	nlh->nlmsg_type = RTM_GETADDR;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	m->ifa_family = AF_UNSPEC;
	err = dump(NETLINK_ROUTE, nlh, on_address, &d);
	if (err < 0 && err != -EINTR) /* EINTR: addresses changed meanwhile; ask again */
		fail(-err, "cannot list the host's addresses (rtnetlink): %s", strerror(-err));
	return err;
}

static void link_kind(const struct nlattr *info, struct link *link)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested (a, info) {
		if (mnl_attr_get_type(a) == IFLA_INFO_KIND)
			strncpy(link->kind, mnl_attr_get_str(a), sizeof(link->kind) - 1);
		if (mnl_attr_get_type(a) == IFLA_INFO_SLAVE_KIND)
			strncpy(link->port_of, mnl_attr_get_str(a), sizeof(link->port_of) - 1);
	}
}

static int on_link(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifinfomsg *m = mnl_nlmsg_get_payload(nlh);
	struct link link = {.ifindex = m->ifi_index,
			    .up = m->ifi_flags & IFF_UP,
			    .loopback = m->ifi_flags & IFF_LOOPBACK,
			    .ethernet = m->ifi_type == ARPHRD_ETHER};
	struct dump *d = arg;
	const struct nlattr *a;

	mnl_attr_for_each (a, nlh, sizeof(*m)) {
		switch (mnl_attr_get_type(a)) {
		case IFLA_IFNAME:
			strncpy(link.name, mnl_attr_get_str(a), sizeof(link.name) - 1);
			break;
		case IFLA_MTU:
			link.mtu = mnl_attr_get_u32(a);
			break;
		case IFLA_LINK:
			link.lower = mnl_attr_get_u32(a);
			break;
		case IFLA_LINK_NETNSID:
			link.netns_lower = true;
			break;
		case IFLA_LINKINFO:
			link_kind(a, &link);
			break;
		}
	}
	d->result = d->fn.link(&link, d->arg);
	return d->result ? MNL_CB_STOP : MNL_CB_OK;
}

/* ifindex 0: all links. */
static int links(u32 ifindex, struct dump *d)
{
	char buf[256] = "";
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *m = mnl_nlmsg_put_extra_header(nlh, sizeof(*m));

	nlh->nlmsg_type = RTM_GETLINK;
	/* the kernel ends a single answer with an acknowledgement only when asked */
	nlh->nlmsg_flags = NLM_F_REQUEST | (ifindex ? NLM_F_ACK : NLM_F_DUMP);
	m->ifi_family = AF_UNSPEC;
	m->ifi_index = ifindex;
	return dump(NETLINK_ROUTE, nlh, on_link, d);
}

int netlink_links(link_fn fn, void *arg)
{
	struct dump d = {.fn.link = fn, .arg = arg};
	int err = links(0, &d);

	if (err < 0 && err != -EINTR)
		fail(-err, "cannot list the host's interfaces (rtnetlink): %s", strerror(-err));
	return err;
}

static int copy_link(const struct link *link, void *arg)
{
	*(struct link *)arg = *link;
	return 0;
}

int netlink_link(u32 ifindex, struct link *link)
{
	struct dump d = {.fn.link = copy_link, .arg = link};

	return links(ifindex, &d);
}

static int on_filter(const struct nlmsghdr *nlh, void *arg)
{
	const struct tcmsg *m = mnl_nlmsg_get_payload(nlh);
	struct filter f = {.ingress = m->tcm_parent == TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS),
			   .priority = TC_H_MAJ(m->tcm_info) >> 16,
			   .handle = m->tcm_handle};
	const struct nlattr *a, *b;
	struct dump *d = arg;

	mnl_attr_for_each (a, nlh, sizeof(*m)) {
		if (mnl_attr_get_type(a) == TCA_KIND)
			strncpy(f.kind, mnl_attr_get_str(a), sizeof(f.kind) - 1);
		if (mnl_attr_get_type(a) != TCA_OPTIONS || strcmp(f.kind, "bpf"))
			continue;
		mnl_attr_for_each_nested (b, a)
			if (mnl_attr_get_type(b) == TCA_BPF_NAME)
				strncpy(f.name, mnl_attr_get_str(b), sizeof(f.name) - 1);
	}
	d->result = d->fn.filter(&f, d->arg);
	return d->result ? MNL_CB_STOP : MNL_CB_OK;
}

int netlink_filters(u32 ifindex, filter_fn fn, void *arg)
{
	static const u32 parents[] = {TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS),
				      TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS)};
	int err = 0;
	size_t i;

	for (i = 0; !err && i < 2; i++) {
		char buf[256] = "";
		struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
		struct tcmsg *m = mnl_nlmsg_put_extra_header(nlh, sizeof(*m));
		struct dump d = {.fn.filter = fn, .arg = arg};

		nlh->nlmsg_type = RTM_GETTFILTER;
		nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
		m->tcm_family = AF_UNSPEC;
		m->tcm_ifindex = ifindex;
		m->tcm_parent = parents[i];
		err = dump(NETLINK_ROUTE, nlh, on_filter, &d);
	}
	return err;
}

static int any_filter(const struct filter *f, void *arg)
{
	(void)f;
	(void)arg;
	return 1;
}

int netlink_has_filters(u32 ifindex)
{
	return netlink_filters(ifindex, any_filter, NULL);
}

/* ---- XDP features: generic netlink's family "netdev", which Debian 12's headers lack ---- */

#define NETDEV_CMD_DEV_GET        1
#define NETDEV_A_DEV_IFINDEX      1
#define NETDEV_A_DEV_XDP_FEATURES 3

/* The attribute of `type`, of 2 or 8 bytes, of a generic answer. */
struct wanted {
	u16 type;
	u64 value;
};

static int on_generic(const struct nlmsghdr *nlh, void *arg)
{
	struct dump *d = arg;
	struct wanted *w = d->arg;
	const struct nlattr *a;

	mnl_attr_for_each (a, nlh, sizeof(struct genlmsghdr)) {
		if (mnl_attr_get_type(a) != w->type)
			continue;
		w->value = mnl_attr_get_payload_len(a) == 2 ? mnl_attr_get_u16(a)
							    : mnl_attr_get_u64(a);
		d->result = 1;
	}
	return MNL_CB_OK;
}

static struct nlmsghdr *generic(char *buf, u16 family, u8 command)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct genlmsghdr *g = mnl_nlmsg_put_extra_header(nlh, sizeof(*g));

	nlh->nlmsg_type = family;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	g->cmd = command;
	g->version = 1;
	return nlh;
}

int netlink_xdp_features(u32 ifindex, u64 *features)
{
	struct wanted family = {.type = CTRL_ATTR_FAMILY_ID},
		      mask = {.type = NETDEV_A_DEV_XDP_FEATURES};
	struct dump d = {.arg = &family};
	char buf[256] = "";
	struct nlmsghdr *nlh = generic(buf, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
	int err;

	mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, "netdev");
	err = dump(NETLINK_GENERIC, nlh, on_generic, &d);
	if (err == 1) {
		memset(buf, 0, sizeof(buf));
		nlh = generic(buf, family.value, NETDEV_CMD_DEV_GET);
		mnl_attr_put_u32(nlh, NETDEV_A_DEV_IFINDEX, ifindex);
		d.arg = &mask;
		err = dump(NETLINK_GENERIC, nlh, on_generic, &d);
	}
	*features = mask.value;
	return err == 1 ? 0 : err < 0 ? err : -EOPNOTSUPP;
}

/* ---- changes ---- */

int netlink_monitor(void)
{
	struct sockaddr_nl to = {.nl_family = AF_NETLINK,
				 .nl_groups =
					 RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&to, sizeof(to))) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

bool netlink_changed(int monitor)
{
	bool changed = false;
	char buf[8192];

	/* an overrun (ENOBUFS) is a change too */
	while (recv(monitor, buf, sizeof(buf), 0) >= 0 || errno == ENOBUFS)
		changed = true;
	return changed;
}
