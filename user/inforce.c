// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "inforce.h"
#include "keys.h"
#include "log.h"
#include "rules.h"
#include "services.h"
#include "sysctls.h"

/* ---- rules of sources ---- */

/* *trie: -1 if there are no prefixes. */
static int make_trie(const struct policy *p, int *trie)
{
	struct prefix_set set;
	int err = prefix_set_make(&set, p);

	*trie = -1;
	if (!err && set.n)
		*trie = maps_new_trie(set.keys, set.actions, set.n);
	if (!err && set.n && *trie < 0)
		err = fail(-*trie, "cannot make a table of %u prefixes: %s", set.n,
			   strerror(-*trie));
	prefix_set_free(&set);
	return err;
}

static int write_rules(const struct maps *m, u32 slot, const struct policy *p, int trie)
{
	struct rules r;
	int err = maps_set_prefixes(m, slot, trie);

	rules_make(&r, p);
	if (!err)
		err = maps_set_rules(m, slot, &r);
	return err ? fail(-err, "cannot write the rules of sources: %s", strerror(-err)) : 0;
}

static void close_trie(int *trie)
{
	if (*trie >= 0)
		close(*trie);
	*trie = -1;
}

int inforce_first_rules(const struct maps *m, const struct policy *p)
{
	int trie, err = make_trie(p, &trie);
	u32 slot;

	for (slot = 0; !err && slot < POLICY_SLOTS; slot++)
		err = write_rules(m, slot, p, trie);
	close_trie(&trie);
	return err;
}

/* ---- */

bool state_follow(struct state *st, const struct policy *p)
{
	const struct state was = *st;

	st->mode = p->defaults[SV_MODE].n;
	st->key_life = p->host[HV_KEY_LIFE].n / 1000;
	return st->mode != was.mode || st->key_life != was.key_life;
}

int inforce_open(struct inforce *f, struct instance *in, struct state *st, const struct maps *m)
{
	u32 generation = 0;
	int err = maps_generation(m, &generation);

	*f = (struct inforce){.in = in, .st = st, .maps = m, .trie = -1};
	if (err)
		return fail(-err, "cannot read the generation of the policy: %s", strerror(-err));
	err = standing_load(&f->now, in, generation);
	if (err) {
		warn("%s: going on with what is built in", fail_reason(err));
		fail_clear();
		f->now.policy = policy_built_in();
	}
	if (!f->now.policy)
		return -ENOMEM;
	policy_take_options(f->now.policy, st);
	state_follow(st, f->now.policy);
	return 0;
}

void inforce_close(struct inforce *f)
{
	standing_free(&f->now);
	close_trie(&f->trie);
	free(f->trouble);
	f->trouble = NULL;
}

static u32 next_slot(const struct inforce *f)
{
	return policy_slot(f->now.generation + 1);
}

int inforce_settle(struct inforce *f)
{
	int err;

	if (!f->uneven)
		return 0;
	err = write_rules(f->maps, next_slot(f), f->now.policy, f->trie);
	if (err)
		return err;
	f->uneven = false;
	close_trie(&f->trie);
	return 0;
}

/* ---- applying ---- */

/* What the kernel must do for this policy; recorded before it is done. */
static int set_sysctls(struct inforce *f, const struct policy *p)
{
	int err = policy_protects(p) ? sysctls_plan(f->st) : 0;

	if (!err)
		err = sysctls_plan_backlogs(f->st, p);
	if (!err)
		err = state_save(f->st, f->in->state);
	if (!err)
		err = sysctls_apply(f->st);
	return err ? err : state_save(f->st, f->in->state);
}

/* All that packets do not see. */
static int prepare(struct inforce *f, const struct standing *next, int *trie)
{
	int err = listeners_prepare(f->listeners, next->policy);

	if (!err)
		err = make_trie(next->policy, trie);
	if (!err)
		err = write_rules(f->maps, next_slot(f), next->policy, *trie);
	return err ? err : standing_save(f->in, &f->now, next);
}

static int put_in_force(struct inforce *f, const struct standing *next)
{
	struct settings set;
	int err = maps_settings(f->maps, &set);

	set.generation = next->generation;
	set.switched = settings_moment(monotonic_now());
	set.flags &= ~SET_OBSERVE;
	if (next->policy->defaults[SV_MODE].n == MODE_OBSERVE)
		set.flags |= SET_OBSERVE;
	if (!err)
		err = maps_set_settings(f->maps, &set);
	keys_forget(&set);
	return err ? fail(-err, "cannot put the policy in force: %s", strerror(-err)) : 0;
}

static void take_over(struct inforce *f, const struct standing *next, int trie)
{
	listeners_switch(f->listeners);
	policy_free(f->now.policy);
	close_trie(&f->trie);
	f->now = *next;
	f->trie = trie;
	f->uneven = true;
	free(f->trouble);
	f->trouble = NULL;
	state_follow(f->st, f->now.policy);
	if (state_save(f->st, f->in->state)) {
		warn("%s", fail_reason(0)); /* for `status` only */
		fail_clear();
	}
}

static void take_back(struct inforce *f, size_t sysctls)
{
	listeners_abandon(f->listeners);
	sysctls_restore(f->st, sysctls);
	if (set_sysctls(f, f->now.policy))
		debug("sysctls are not as they were");
}

static int apply(struct inforce *f, struct policy *policy)
{
	struct standing next = {.policy = policy, .generation = f->now.generation + 1};
	struct moment now = moment_now();
	size_t sysctls = f->st->n_sysctls;
	int trie = -1, err;

	moment_timestamp(&now, now.monotonic, next.applied);
	err = set_sysctls(f, policy);
	if (!err)
		err = prepare(f, &next, &trie);
	if (!err)
		err = put_in_force(f, &next);
	if (!err) {
		take_over(f, &next, trie);
		return 0;
	}
	close_trie(&trie);
	f->uneven = true; /* its rules are of neither policy */
	take_back(f, sysctls);
	return err;
}

/* Another command may have changed the record since it was read. */
static int read_state(struct inforce *f)
{
	int err;

	state_free(f->st);
	err = state_load(f->st, f->in->state);
	if (err)
		return err == -ENOENT ? fail(ENOENT, "nothing is attached any more") : err;
	sysctls_remember(f->st);
	state_follow(f->st, f->now.policy);
	return 0;
}

int inforce_apply(struct inforce *f, struct policy *next)
{
	int err = instance_trylock(f->in, "policy apply");

	if (err)
		return err;
	err = read_state(f);
	if (!err) {
		policy_take_options(next, f->st);
		err = policy_suits(next, f->st);
	}
	if (!err)
		err = inforce_settle(f);
	if (!err)
		err = apply(f, next);
	instance_unlock(f->in, false);
	return err;
}

int inforce_try(struct inforce *f, const struct policy *next)
{
	int err = policy_suits(next, f->st);

	return err ? err : listeners_try(f->listeners, next);
}

/* ---- what to know ---- */

static void note(json_t *notes, json_t *text)
{
	json_array_append_new(notes, text);
}

static bool differs(const struct policy *a, const struct policy *b, enum host_value which)
{
	return a->host[which].n != b->host[which].n;
}

static void note_tables(json_t *notes, const struct policy *now, const struct policy *next)
{
	static const enum host_value tables[] = {HV_MAX_FLOWS, HV_MAX_VERIFIED};
	size_t i;

	for (i = 0; i < sizeof(tables) / sizeof(*tables); i++)
		if (differs(now, next, tables[i]))
			note(notes, json_sprintf("%s takes effect only when all is detached and "
						 "attached again",
						 host_value_paths[tables[i]]));
}

static void note_timeout(json_t *notes, const char *what, const struct value *v, u32 kernel_ms)
{
	char a[VALUE_TEXT_SIZE], b[VALUE_TEXT_SIZE];

	if (v[SV_SYN_CALM].origin.from == ORIGIN_BUILT_IN || v[SV_SYN_CALM].n <= kernel_ms)
		return;
	note(notes, json_sprintf("%s: syn_timeout.calm is %s, but the kernel waits only %s "
				 "(net.ipv4.tcp_synack_retries)",
				 what, value_text(KIND_TIME, v[SV_SYN_CALM].n, a),
				 value_text(KIND_TIME, kernel_ms, b)));
}

json_t *inforce_notes(const struct inforce *f, const struct policy *next)
{
	u32 kernel_ms = sysctls_syn_timeout_ms();
	json_t *notes = json_array();
	char what[64];
	size_t i;

	note_tables(notes, f->now.policy, next);
	if (f->st->kernel_cookies && differs(f->now.policy, next, HV_KEY_LIFE))
		note(notes, json_string("keys.life has no effect: the cookies are the kernel's, "
					"and so is their key"));
	note_timeout(notes, "defaults", next->defaults, kernel_ms);
	for (i = 0; i < next->n_services; i++) {
		const struct policy_service *s = &next->services[i];

		snprintf(what, sizeof(what), "service %s", s->name);
		if (s->v[SV_SYN_CALM].n != next->defaults[SV_SYN_CALM].n)
			note_timeout(notes, what, s->v, kernel_ms);
		if (!listeners_next_serves(f->listeners, i))
			note(notes, json_sprintf("%s: nothing listens at its addresses now", what));
	}
	return notes;
}

/* ---- reading the file again ---- */

static char *join(const struct policy_errors *errors)
{
	size_t i, n = 1;
	char *text;

	for (i = 0; i < errors->n; i++)
		n += strlen(errors->at[i]) + 1;
	text = calloc(1, n);
	for (i = 0; text && i < errors->n; i++)
		strcat(strcat(text, i ? "\n" : ""), errors->at[i]);
	return text;
}

static void tell_trouble(struct inforce *f, const char *file, int err,
			 const struct policy_errors *errors)
{
	size_t i;

	for (i = 0; i < errors->n; i++)
		warn("%s", errors->at[i]);
	if (!errors->n)
		warn("%s: %s", file, fail_reason(err));
	if (access(file, R_OK))
		warn("the agent has given up most of root's rights: it reads only what belongs to "
		     "root or is readable by all");
	warn("%s is not applied: the policy of generation %u stays in force", file,
	     f->now.generation);
	free(f->trouble);
	f->trouble = errors->n ? join(errors) : strdup(fail_reason(err));
	fail_clear();
}

static void tell_success(const struct inforce *f, json_t *notes)
{
	json_t *text;
	size_t i;

	warn("%s is applied: generation %u", policy_file_name(f->now.policy), f->now.generation);
	json_array_foreach (notes, i, text)
		warn("%s", json_string_value(text));
}

void inforce_reload(struct inforce *f)
{
	const char *name = policy_file_name(f->now.policy);
	char *file = strdup(name ? name : POLICY_DEFAULT_FILE);
	struct policy_errors errors = {0};
	struct policy *next = NULL;
	json_t *notes = NULL;
	int err;

	if (!file)
		return;
	err = policy_read(file, &next, &errors);
	if (!err) {
		policy_take_options(next, f->st);
		err = inforce_try(f, next);
	}
	if (!err)
		notes = inforce_notes(f, next);
	if (!err)
		err = inforce_apply(f, next);
	if (err == -EBUSY)
		fail(EBUSY, "another command is at work: try again");
	if (err) {
		tell_trouble(f, file, err, &errors);
		policy_free(next);
	} else {
		tell_success(f, notes);
	}
	json_decref(notes);
	policy_errors_free(&errors);
	free(file);
}
