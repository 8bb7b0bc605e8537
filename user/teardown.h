/* SPDX-License-Identifier: GPL-2.0-only */
/* Undoing: what detach, a failed attach, and the agent of a vanished interface have in common.
 * All of it under the instance's lock. */
#ifndef SYNSTILE_TEARDOWN_H
#define SYNSTILE_TEARDOWN_H

#include "instance.h"
#include "state.h"

/* Takes everything off one interface and drops it from `st`. */
void teardown_iface(const struct instance *in, struct state *st, struct attachment *at, bool tell);
/* The last interface is gone: gives back the sysctls, removes the pins. */
void teardown_instance(const struct instance *in, struct state *st);

/* Loads the state, and clears away what is left of interfaces, namespaces and commands that
 * are no more, saying so. -ENOENT: nothing is attached, and nothing is left. */
int teardown_stale(const struct instance *in, struct state *st);
/* Forgets other instances whose namespace is no more, or which were attached before the machine was
 * booted: their records, and the pins that keep their programs and maps in memory. */
void teardown_vanished(const struct instance *in);
/* Does this attachment's interface still exist, in this namespace? */
bool attachment_alive(const struct attachment *at);

#endif
