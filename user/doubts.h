/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SYNSTILE_DOUBTS_H
#define SYNSTILE_DOUBTS_H

#include "maps.h"
#include "state.h"

/*
 * Asks the stack about the connections that the sweep is in doubt about (bpf/expiry.h), and ends
 * the records of those that it has no socket for. `forget`: see datapath_forget(). Once a second,
 * after the sweep; answers at most 256 doubts, some 10 us each.
 */
int doubts_settle(const struct maps *m, const struct state *st, int forget);

#endif
