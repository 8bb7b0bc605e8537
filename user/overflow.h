/* SPDX-License-Identifier: GPL-2.0-only */
/* How often the kernel's own queues of handshakes were too full, in this network namespace. */
#ifndef SYNSTILE_USER_OVERFLOW_H
#define SYNSTILE_USER_OVERFLOW_H

#include <synstile/types.h>

/* Counters of TcpExt (nstat(8) shows them); a kernel that lacks one has 0 here. */
struct overflow {
	u64 request_dropped; /* TCPReqQFullDrop: SYNs dropped, the request queue was full */
	u64 request_cookies; /* TCPReqQFullDoCookies: ... answered with the kernel's cookies */
	u64 accept;          /* ListenOverflows: the accept queue was full, the server is slow */
	u64 dropped;         /* ListenDrops: SYNs and ACKs dropped by listeners, for any reason */
};

/* -errno with a reason. */
int overflow_read(struct overflow *o);
/* From the text of /proc/net/netstat. -EINVAL: there is no TcpExt in it. */
int overflow_parse(struct overflow *o, const char *text);

#endif
