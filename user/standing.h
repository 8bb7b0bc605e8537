/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The policy that is in force, as a new process finds it: struct instance.policy, a file with
 * everything that the policy was read from.
 *
 * The file has two records when it is written: the policy in force, and the one that is about to
 * be. Each has its generation, and that in the map (settings.generation) decides which of them
 * it is; so whoever is killed at whatever moment leaves a whole policy, and its record.
 */
#ifndef SYNSTILE_USER_STANDING_H
#define SYNSTILE_USER_STANDING_H

#include "instance.h"
#include "moment.h"
#include "policy.h"
#include "state.h"

struct standing {
	struct policy *policy;
	u32 generation;
	char applied[TIMESTAMP_SIZE]; /* when */
};

/* The one of this generation. -ENOENT, with a reason: there is no record of it. */
int standing_load(struct standing *s, const struct instance *in, u32 generation);
/* The record itself: {"generation":, "applied":, "file": (null: built in), "files":}; NULL: none.
 */
json_t *standing_record(const struct instance *in, u32 generation);
/* Both, before `next` is put in force; `now` is NULL for the first one. */
int standing_save(const struct instance *in, const struct standing *now,
		  const struct standing *next);
void standing_free(struct standing *s);

/* The file that a policy was read from, or NULL: built in. */
const char *policy_file_name(const struct policy *p);
bool policy_same_files(const struct policy *a, const struct policy *b);
/* What the command line said goes before what the policy says. */
void policy_take_options(struct policy *p, const struct state *st);
/* Can it be put in force here? -EINVAL with a reason, else 0. */
int policy_suits(const struct policy *p, const struct state *st);

#endif
