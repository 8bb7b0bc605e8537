/* SPDX-License-Identifier: GPL-2.0-only */
/* The part of `status` about the kernel: the sysctls that synstile has changed, what it does about
 * the SYN timeouts, and listeners with small backlogs. */
#ifndef SYNSTILE_USER_STATUS_KERNEL_H
#define SYNSTILE_USER_STATUS_KERNEL_H

#include <jansson.h>

#include "state.h"

/* {"sysctls": {"net.ipv4.tcp_synack_retries": {"now": 1, "original": 5}, ...}, "timeouts":
 * (taken over; NULL: null) timeouts_json(), "small_backlogs": backlogs_json()} */
json_t *status_kernel_json(const struct state *st, json_t *timeouts);
/* A line or two of the head. */
void status_kernel_print(json_t *kernel);
/* Those below the services. */
void status_backlogs_print(json_t *kernel);

#endif
