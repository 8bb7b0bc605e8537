/* SPDX-License-Identifier: GPL-2.0-only */
/* Opening an instance that is attached, for commands that look at it. */
#ifndef SYNSTILE_USER_RUNNING_H
#define SYNSTILE_USER_RUNNING_H

#include <jansson.h>

#include "instance.h"
#include "maps.h"
#include "state.h"

struct running {
	struct instance in;
	struct state st;
	struct maps maps;
};

/* STATUS_OK; or says on stderr what is wrong and returns the exit status: STATUS_NOT_RUNNING
 * if nothing is attached. */
int running_open(struct running *r);
/* What the agent has found out about half-open connections over time (half_open_json()); JSON null
 * if it does not run, or does not answer. */
json_t *running_half_open(const struct running *r);
/* The same of attacks (detect_json()). */
json_t *running_detection(const struct running *r);
/* The same of how it follows the SYN timeouts (timeouts_json()). */
json_t *running_timeouts(const struct running *r);
void running_close(struct running *r);

#endif
