/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel tells over netlink: TCP sockets, addresses, links, filters. */
#ifndef SYNSTILE_NETLINK_H
#define SYNSTILE_NETLINK_H

#include <net/if.h>

#include <synstile/flow.h>

/* Addresses as in maps: IPv4 is ::ffff:a.b.c.d, and its wildcard ::ffff:0.0.0.0. */
struct tcp_socket {
	struct addr local, remote;
	__be16 local_port, remote_port;
	u8 state;    /* TCP_ESTABLISHED ... of <netinet/tcp.h> */
	bool v6;     /* an IPv6 socket */
	bool v6only; /* LISTEN: takes no IPv4 */
	bool mptcp;  /* LISTEN: speaks Multipath TCP */
	u32 backlog; /* LISTEN: as given to listen(), capped by somaxconn */
	u32 waiting; /* LISTEN: connections that accept() has not fetched yet */
	u32 rcvbuf;  /* LISTEN: bytes */
	u32 inode;   /* LISTEN: as /proc/PID/fd shows it */
	/* the timer that repeats what was not answered */
	bool timed;     /* it runs */
	u8 retrans;     /* SYN-RECV, SYN-SENT: SYN-ACKs or SYNs repeated so far */
	u32 expires_ms; /* from now; 0: it is due */
	bool request;   /* SYN-RECV: a request socket, whose client has yet to answer */
	u32 ifindex;    /* it is bound to this interface; 0: to none */
	u32 cookie[2];  /* the kernel's name for it; a connection inherits its request socket's */
};

typedef int (*socket_fn)(const struct tcp_socket *sk, void *arg);
/* Calls fn for every socket in one of `states` (1 << TCP_...); stops at the first non-zero
 * result, and returns it. Sockets that come and go meanwhile may be missed. */
int netlink_sockets(u32 states, socket_fn fn, void *arg);

/* 1 if the stack has a socket for exactly this connection, in any state; 0 if not. Sockets that
 * are bound to a device are found only if that is `ifindex`; 0: none is. */
int netlink_has_socket(const struct flow_key *key, u32 ifindex);

#define NETLINK_DESTROY_MOST 64
/* Destroys these sockets, NETLINK_DESTROY_MOST at most; whoever is at the far end hears nothing of
 * it if they are request sockets. Returns how many, or -errno; -EOPNOTSUPP: this kernel cannot
 * (CONFIG_INET_DIAG_DESTROY). Those that have gone meanwhile are no error. */
int netlink_destroy(const struct tcp_socket *sk, size_t n);
/* Is there anything that netlink_destroy() can do? 0; -errno as above. */
int netlink_can_destroy(void);

typedef int (*address_fn)(const struct addr *address, u32 ifindex, void *arg);
int netlink_addresses(address_fn fn, void *arg);

struct link {
	char name[IF_NAMESIZE];
	u32 ifindex;
	u32 lower; /* the link below (a VLAN's device), or 0 */
	u32 mtu;
	bool up;
	bool loopback;
	bool ethernet;    /* its packets begin with an Ethernet header */
	bool netns_lower; /* `lower` is in another namespace */
	char kind[16];    /* "veth", "vlan", ... or "" */
	char port_of[16]; /* kind of the device that it is a port of: "bridge", "bond", ... or "" */
};

typedef int (*link_fn)(const struct link *link, void *arg);
int netlink_links(link_fn fn, void *arg);
/* -ENODEV if there is none. */
int netlink_link(u32 ifindex, struct link *link);

/* What XDP in the driver can do. -errno where the kernel does not tell (before Linux 6.3). */
#define XDP_CAN_NATIVE 1u  /* NETDEV_XDP_ACT_BASIC */
#define XDP_CAN_FRAGS  32u /* NETDEV_XDP_ACT_RX_SG: frames of several buffers */
int netlink_xdp_features(u32 ifindex, u64 *features);

struct filter {
	bool ingress;
	u32 priority;
	u32 handle;    /* 0: not a filter, but the head of a list of them */
	char kind[16]; /* "bpf", "flower", ... */
	char name[64]; /* a BPF program's, or "" */
};

/* The filters of an interface's clsact or ingress qdisc. */
typedef int (*filter_fn)(const struct filter *filter, void *arg);
int netlink_filters(u32 ifindex, filter_fn fn, void *arg);
/* 1 if the clsact qdisc of this interface holds a filter, 0 if not. */
int netlink_has_filters(u32 ifindex);

/* A socket that becomes readable when a link or an address changes; closed by close(). */
int netlink_monitor(void);
/* Has anything changed since the last call? */
bool netlink_changed(int monitor);

struct addr addr_v4(__be32 a);
bool addr_is_v4(const struct addr *a);
bool addr_is_any(const struct addr *a);      /* of either family */
bool addr_is_loopback(const struct addr *a); /* of either family */
/* `buf` holds at least INET6_ADDRSTRLEN. */
const char *addr_text(const struct addr *a, char *buf);

#endif
