/* SPDX-License-Identifier: GPL-2.0-only */
/* Small questions to nftables, for which its library would fetch all of its rules. */
#ifndef SYNSTILE_USER_NFNETLINK_H
#define SYNSTILE_USER_NFNETLINK_H

#include <stdbool.h>

#include <libmnl/libmnl.h>

#include <synstile/types.h>

/* Sends a request (NFT_MSG_...) and calls fn for each message of the answer, until MNL_CB_STOP.
 * False: the kernel refuses, or has no nftables. */
bool nfnetlink_ask(u16 type, bool dump, mnl_cb_t fn, void *arg);
/* Changes with each change of a rule in this namespace; 0: there are none, or no nftables. */
u32 nfnetlink_generation(void);

#endif
