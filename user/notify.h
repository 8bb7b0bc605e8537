/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the agent tells the service manager that started it (sd_notify(3)): that protection is on,
 * that it gets round, and in one line for `systemctl status` what it protects and what is under
 * attack. Without a service manager, nothing.
 */
#ifndef SYNSTILE_USER_NOTIFY_H
#define SYNSTILE_USER_NOTIFY_H

#include "detect.h"
#include "state.h"

/* Protection is on. */
void notify_ready(const struct state *st, const struct detect *d);
/* Once a second. `well`: what the agent is for was done; else the watchdog (WatchdogSec= in the
 * unit) is left waiting, and the manager starts another agent if that lasts. */
void notify_alive(const struct state *st, const struct detect *d, bool well);
/* Another policy is being read; notify_ready() when that is over. */
void notify_reloading(void);
void notify_stopping(void);

#endif
