/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reading TCP options in a BPF program.
 */
#ifndef SYNSTILE_OPTIONS_BPF_H
#define SYNSTILE_OPTIONS_BPF_H

#include "tcp_options.h"

/* A TCP segment and what goes with it. */
struct segment {
	struct packet pkt;
	struct tcp_options options; /* once options_read() was called */
	u64 now;                    /* coarse monotonic clock, ns: one jiffy fine */
	u16 service;                /* index */
	u16 slot;                   /* of the policy: see policy_slot() */
	u32 window;                 /* see struct listen_entry */
};

/*
 * Global, not static: the verifier then checks the walk once by itself, and not for
 * each way that leads here, of which there are so many that it gives up ("BPF
 * program is too large. Processed 1000001 insn").
 */
__noinline int options_walk(struct xdp_md *ctx, struct tcp_options *o, u32 off, u32 len)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;

	if (!o)
		return 0;
	return tcp_options_walk(o, data + (off & L4_OFFSET_MAX), data_end, len);
}

/* Read the options of *pkt; false if one has a length below 2 or runs past the header. */
static __always_inline bool options_read(struct xdp_md *ctx, struct segment *seg)
{
	const struct packet *pkt = &seg->pkt;
	struct tcp_options *o = &seg->options;
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	u32 len = pkt->tcp_len - sizeof(struct tcp_header);
	struct tcp_header *tcp = tcp_at(pkt, data);

	__builtin_memset(o, 0, sizeof(*o));
	if (tcp_options_linux_syn(o, (void *)(tcp + 1), data_end, len))
		return true;
	return options_walk(ctx, o, pkt->l4 + sizeof(*tcp), len);
}

#endif
