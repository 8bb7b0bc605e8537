/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Is an interface a port of a bridge (the kernel's, or Open vSwitch)?
 *
 * Then own cookies do not work: on its way to the stack a packet passes the bridge, which takes
 * from it the request socket that bpf_sk_assign_tcp_reqsk() gave it (br_pass_frame_up()), and the
 * listener answers with a RST. Attached to the bridge itself they do, and the kernel's cookies on
 * either.
 */
#ifndef SYNSTILE_USER_BRIDGED_H
#define SYNSTILE_USER_BRIDGED_H

#include "netlink.h"

/* No interface: it is none. */
bool bridged(u32 ifindex);

#endif
