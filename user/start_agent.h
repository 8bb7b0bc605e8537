/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SYNSTILE_USER_START_AGENT_H
#define SYNSTILE_USER_START_AGENT_H

#include "instance.h"

/* Starts the agent of what is attached, in the background, and waits until it is at work. Whoever
 * calls it holds the instance's lock. -errno with its own words. */
int start_agent(const struct instance *in);

#endif
