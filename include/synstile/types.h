/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The integer types that the headers of this folder use, from wherever this
 * side gets them: vmlinux.h in BPF programs, <linux/types.h> in user space.
 */
#ifndef SYNSTILE_TYPES_H
#define SYNSTILE_TYPES_H

#ifdef __bpf__
#include "vmlinux.h"
#else
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;
#endif

/* The options of a connection, the same bits wherever they are kept. */
enum tcp_feature {
	TCP_TSTAMP = 1 << 0,
	TCP_SACK = 1 << 1,
	TCP_WSCALE = 1 << 2,
	TCP_ECN = 1 << 3,
	TCP_FEATURES = (1 << 4) - 1,
};

/* An IPv6 address, or an IPv4 one as ::ffff:a.b.c.d (RFC 4291 2.5.5.2). */
struct addr {
	union {
		u8 b[16];
		__be32 w[4]; /* no wider view: keys of addresses and ports must have no padding */
	};
};

_Static_assert(sizeof(struct addr) == 16, "addresses are map keys");

#endif
