/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SYNSTILE_ADOPT_H
#define SYNSTILE_ADOPT_H

#include "maps.h"

/*
 * Enters the connections that the host already has on protected ports or opened
 * itself, in any TCP state, into the flow table: what the datapath does not know it would drop
 * under attack. Counts in *n those that the kernel listed.
 */
int adopt(const struct maps *m, size_t *n);

#endif
