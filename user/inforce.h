/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Putting a policy in force, on a datapath at work: all of it or nothing.
 *
 * What depends on the policy is in the maps twice (policy_slot()). A new one is written
 * into the slot that no packet looks at; then one change of settings.generation makes it the one
 * that all packets look at from there on. Whatever fails before that has changed nothing; nothing
 * can fail after it.
 */
#ifndef SYNSTILE_USER_INFORCE_H
#define SYNSTILE_USER_INFORCE_H

#include <jansson.h>

#include "instance.h"
#include "listeners.h"
#include "maps.h"
#include "standing.h"
#include "state.h"

struct inforce {
	struct instance *in;
	struct state *st;
	const struct maps *maps;
	struct listeners *listeners;
	struct standing now;
	int trie;      /* of its prefixes, as long as the other slot has another; else -1 */
	bool uneven;   /* the other slot has other rules */
	char *trouble; /* why the file was not taken when it was last read again; NULL: it was */
};

/* The policy that the maps are in the force of; `listeners` is to be set after that. What the
 * policy decides in *st is made to fit. */
int inforce_open(struct inforce *f, struct instance *in, struct state *st, const struct maps *m);
void inforce_close(struct inforce *f);

/* Makes `st` say what the policy and the options of the command line make of mode and key life.
 * True if it said something else. */
bool state_follow(struct state *st, const struct policy *p);
/* The rules of sources, in both slots: before any packet comes. */
int inforce_first_rules(const struct maps *m, const struct policy *p);

/* 0, and `next` belongs to `f`; -EBUSY: another command is at work; -errno with a reason. */
int inforce_apply(struct inforce *f, struct policy *next);
/* The same checks; changes nothing. */
int inforce_try(struct inforce *f, const struct policy *next);
/* What whoever applies `next` should know: texts. */
json_t *inforce_notes(const struct inforce *f, const struct policy *next);
/* Reads the file of the policy again, and applies it. Says in the log what came of it. */
void inforce_reload(struct inforce *f);
/* To be called now and then: makes both slots equal. */
int inforce_settle(struct inforce *f);

#endif
