// SPDX-License-Identifier: GPL-2.0-only
/*
 * For the far end of a veth pair: having an XDP program turns its NAPI on, without which XDP_TX
 * and redirected frames from the near end are lost.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

SEC("xdp.frags")
int xdp_pass(struct xdp_md *ctx __attribute__((unused)))
{
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
