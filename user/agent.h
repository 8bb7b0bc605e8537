/* SPDX-License-Identifier: GPL-2.0-only */
/* The agent, for the commands that become it: `run` in the foreground, `agent` for attach. */
#ifndef SYNSTILE_USER_AGENT_H
#define SYNSTILE_USER_AGENT_H

#include "instance.h"

struct agent;

/* Takes up the work on what is attached, and listens. NULL, with a reason: nothing is attached,
 * another agent is at work. It takes signals from here on. */
struct agent *agent_new(const struct instance *in);
/* Until SIGTERM or SIGINT, or nothing is attached any more. In the background it talks to syslog,
 * and stderr is given up: whoever started it sees by that that it is at work. False: protection
 * has ended, and nobody asked for that. */
bool agent_run(struct agent *a, bool foreground);
void agent_free(struct agent *a);

#endif
