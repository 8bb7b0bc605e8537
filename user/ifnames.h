/* SPDX-License-Identifier: GPL-2.0-only */
/* The names of interfaces, for those who need them 100,000 times a second. */
#ifndef SYNSTILE_USER_IFNAMES_H
#define SYNSTILE_USER_IFNAMES_H

#include <synstile/types.h>

struct ifnames;

struct ifnames *ifnames_new(void);
void ifnames_free(struct ifnames *names);
/* As a JSON string, quotes included; NULL if the kernel does not know it. The name of one that is
 * gone is remembered. */
const char *ifnames_json(struct ifnames *names, u32 ifindex);
/* Some may have changed: ask the kernel again. */
void ifnames_check(struct ifnames *names);

#endif
