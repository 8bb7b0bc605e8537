/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Finding what is attached, for commands that look at it. They ask the agent (client.h), which
 * takes no root; where none answers, root reads the maps.
 */
#ifndef SYNSTILE_USER_RUNNING_H
#define SYNSTILE_USER_RUNNING_H

#include <jansson.h>

#include "instance.h"
#include "maps.h"
#include "state.h"

struct running {
	struct instance in;
	struct state st;  /* root's */
	struct maps maps; /* after running_maps() */
	bool root;        /* may open them */
};

/* The instance. Root looks whether anything is attached. STATUS_OK; or says on stderr what is wrong
 * and returns the exit status: STATUS_NOT_RUNNING if nothing is attached. */
int running_find(struct running *r);
/* The same, and then opens its maps, which only root can. */
int running_maps(struct running *r);
void running_close(struct running *r);

/* STATUS_OK with the agent's answer, for the caller. STATUS_OK without one (NULL): no agent
 * answers, and as root the caller can look into the maps. Else as running_find(). */
int running_ask(struct running *r, const char *path, json_t **answer);
/* What running_ask() makes of an error of client.h, for those who ask by themselves: STATUS_OK:
 * look into the maps. */
int running_without(const struct running *r, int err);

#endif
