/* SPDX-License-Identifier: GPL-2.0-only */
/* Addresses in a policy: what is listened at, and prefixes; as text and back. */
#ifndef SYNSTILE_USER_POLICY_ADDRESS_H
#define SYNSTILE_USER_POLICY_ADDRESS_H

#include "policy.h"

#define ADDRESS_WHY_SIZE 512

/* "192.0.2.1:80-89"; 0, or -EINVAL with what is wrong in `why`. Leaves `origin` alone. */
int listen_parse(const char *text, struct policy_listen *l, char why[ADDRESS_WHY_SIZE]);
/* "192.0.2.0/24", "2001:db8::1"; the same. */
int prefix_parse(const char *text, struct policy_prefix *p, char why[ADDRESS_WHY_SIZE]);

#define ADDRESS_TEXT_SIZE 72
const char *listen_text(const struct policy_listen *l, char buf[ADDRESS_TEXT_SIZE]);
const char *prefix_text(const struct policy_prefix *p, char buf[ADDRESS_TEXT_SIZE]);

/* By address, then length: a prefix comes before all that lies in it. */
int prefix_compare(const struct policy_prefix *a, const struct policy_prefix *b);
/* Does `inner` lie in `outer`, or is it the same? IPv4 addresses lie in no IPv6 prefix. */
bool prefix_contains(const struct policy_prefix *outer, const struct policy_prefix *inner);

bool addr_is_ipv4(const struct addr *a);

#endif
