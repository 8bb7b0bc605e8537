// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "client.h"
#include "cmd.h"
#include "log.h"
#include "policy.h"
#include "policy_address.h"
#include "policy_view.h"
#include "running.h"

#define NOTES_SAID     20
#define PREFIXES_SHOWN 100 /* of each list, by `show` without -j */

enum action {
	CHECK,
	SHOW,
	DIFF,
	APPLY,
	N_ACTIONS
};

static const char *const actions[N_ACTIONS] = {"check", "show", "diff", "apply"};

static void print_json(json_t *j)
{
	json_dumpf(j, stdout, JSON_PRESERVE_ORDER | JSON_INDENT(2));
	printf("\n");
	json_decref(j);
}

/* ---- reading the file ---- */

static int read_or_say(const char *file, struct policy **p)
{
	struct policy_errors errors;
	int err = policy_read(file, p, &errors);
	size_t i;

	for (i = 0; i < errors.n; i++)
		fprintf(stderr, "%s\n", errors.at[i]);
	policy_errors_free(&errors);
	if (!err)
		return STATUS_OK;
	return err == -EINVAL ? STATUS_FAILED : common_failed(err);
}

static void doubt(json_t *doubts, json_t *text)
{
	json_array_append_new(doubts, text);
}

static void doubt_prefixes(json_t *doubts, const struct policy *p,
			   const struct policy_prefixes *set, const char *then)
{
	const struct policy_prefix *x;
	char text[ADDRESS_TEXT_SIZE];
	size_t i;

	for (i = 0; i < set->n; i++) {
		x = &set->at[i];
		if (x->bits == (addr_is_ipv4(&x->addr) ? 96 : 0))
			doubt(doubts, json_sprintf("%s:%u:%u: %s: %s",
						   p->files[x->origin.file].name, x->origin.line,
						   x->origin.column, prefix_text(x, text), then));
	}
}

static void doubt_denied(json_t *doubts, const struct policy *p, const struct policy_prefix *d,
			 const struct policy_prefix *outer)
{
	char text[ADDRESS_TEXT_SIZE], other[ADDRESS_TEXT_SIZE];
	const struct origin *o = &outer->origin;

	doubt(doubts, json_sprintf("%s:%u:%u: %s is not denied: it lies in %s, which is allowed "
				   "(%s:%u:%u)",
				   p->files[d->origin.file].name, d->origin.line, d->origin.column,
				   prefix_text(d, text), prefix_text(outer, other),
				   p->files[o->file].name, o->line, o->column));
}

/* Allowing wins, so a denied prefix inside an allowed one does nothing. Both lists are in the order
 * of addresses, where a prefix comes before all that lies in it. */
static void doubt_useless(json_t *doubts, const struct policy *p)
{
	const struct policy_prefix *outer[2] = {}, *a, *d; /* the last one of each family */
	size_t i = 0, j;
	bool ipv4;

	for (j = 0; j < p->deny.n; j++) {
		d = &p->deny.at[j];
		for (; i < p->allow.n && prefix_compare(&p->allow.at[i], d) < 0; i++) {
			a = &p->allow.at[i];
			ipv4 = addr_is_ipv4(&a->addr);
			if (!outer[ipv4] || !prefix_contains(outer[ipv4], a))
				outer[ipv4] = a;
		}
		ipv4 = addr_is_ipv4(&d->addr);
		if (outer[ipv4] && prefix_contains(outer[ipv4], d))
			doubt_denied(doubts, p, d, outer[ipv4]);
	}
}

/* What is no error, and yet probably not what was meant: texts. */
static json_t *doubts_of(const struct policy *p)
{
	json_t *doubts = json_array();
	struct stat st;
	size_t i;

	for (i = 0; i < p->n_files; i++)
		if (!stat(p->files[i].name, &st) && S_ISREG(st.st_mode) && st.st_mode & S_IWOTH)
			doubt(doubts, json_sprintf("%s: everybody may write it; chmod o-w",
						   p->files[i].name));
	doubt_prefixes(doubts, p, &p->deny, "every client of this family is denied");
	doubt_prefixes(doubts, p, &p->allow, "every client of this family passes, whatever comes");
	doubt_useless(doubts, p);
	return doubts;
}

static void say_doubts(const json_t *doubts)
{
	const json_t *d;
	size_t i;

	json_array_foreach (doubts, i, d) {
		if (i == NOTES_SAID) {
			warn("and %zu more like this", json_array_size(doubts) - i);
			break;
		}
		warn("%s", json_string_value(d));
	}
}

/* ---- check ---- */

static void print_read(const char *file, const struct policy *p)
{
	printf("%s: ok: %zu service%s, %zu allowed and %zu denied prefixes\n", file, p->n_services,
	       p->n_services == 1 ? "" : "s", p->allow.n, p->deny.n);
}

static json_t *errors_json(const struct policy_errors *errors, int err)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < errors->n; i++)
		json_array_append_new(list, json_string(errors->at[i]));
	if (err && !errors->n)
		json_array_append_new(list, json_string(fail_reason(err)));
	return list;
}

static int check_json(const char *file)
{
	struct policy_errors errors;
	struct policy *p;
	int err = policy_read(file, &p, &errors);
	json_t *j = json_pack("{sssbso}", "file", file, "ok", !err, "errors",
			      errors_json(&errors, err));

	if (p) {
		json_object_set_new(j, "warnings", doubts_of(p));
		json_object_set_new(j, "services", json_integer(p->n_services));
		json_object_set_new(j, "allow", json_integer(p->allow.n));
		json_object_set_new(j, "deny", json_integer(p->deny.n));
	}
	print_json(j);
	policy_errors_free(&errors);
	policy_free(p);
	return err ? STATUS_FAILED : STATUS_OK;
}

static int check(const char *file, bool json)
{
	struct policy *p;
	json_t *doubts;
	int status;

	if (json)
		return check_json(file);
	status = read_or_say(file, &p);
	if (status)
		return status;
	doubts = doubts_of(p);
	say_doubts(doubts);
	json_decref(doubts);
	print_read(file, p);
	policy_free(p);
	return STATUS_OK;
}

/* ---- what the agent has, or is to have ---- */

static const char *text_of(const json_t *j, const char *name, const char *otherwise)
{
	const char *text = json_string_value(json_object_get(j, name));

	return text ? text : otherwise;
}

static void print_shown(const json_t *answer)
{
	printf("# generation %lld",
	       (long long)json_integer_value(json_object_get(answer, "generation")));
	printf(", applied %s, %s\n", text_of(answer, "applied", "at attach"),
	       text_of(answer, "file", "no file"));
	policy_print(stdout, json_object_get(answer, "policy"), PREFIXES_SHOWN);
}

static int show(const struct instance *in, bool json)
{
	json_t *answer;
	int err = client_get(in, "/v1/policy", &answer);

	if (err)
		return common_failed(err);
	if (json) {
		print_json(answer);
		return STATUS_OK;
	}
	print_shown(answer);
	json_decref(answer);
	return STATUS_OK;
}

static void print_changed(const json_t *answer, bool dry)
{
	const json_t *notes = json_object_get(answer, "notes"), *note;
	size_t i;

	policy_print_changes(stdout, json_object_get(answer, "changes"));
	json_array_foreach (notes, i, note) {
		if (i == NOTES_SAID) {
			printf("note: and %zu more; -j tells all\n", json_array_size(notes) - i);
			break;
		}
		printf("note: %s\n", json_string_value(note));
	}
	if (!dry)
		printf("applied: generation %lld\n",
		       (long long)json_integer_value(json_object_get(answer, "generation")));
}

static int put(const struct instance *in, const struct policy *p, bool dry, bool json)
{
	json_t *bundle = policy_bundle(p), *answer;
	int err = bundle ? client_put(in, dry ? "/v1/policy?dry_run=1" : "/v1/policy", bundle,
				      &answer)
			 : fail(EINVAL, "%s cannot be passed on: is its name UTF-8?",
				p->files[0].name);

	json_decref(bundle);
	if (err)
		return common_failed(err);
	if (json) {
		print_json(answer);
		return STATUS_OK;
	}
	print_changed(answer, dry);
	json_decref(answer);
	return STATUS_OK;
}

/* The file is read here, so that what is wrong with it is said even if nothing runs. */
static int with_agent(enum action action, const char *file, bool json)
{
	struct policy *p = NULL;
	struct running r;
	json_t *doubts;
	int status = action == SHOW ? STATUS_OK : read_or_say(file, &p);

	if (status)
		return status;
	if (p) {
		doubts = doubts_of(p);
		say_doubts(doubts);
		json_decref(doubts);
	}
	status = running_find(&r);
	if (!status) {
		status = p ? put(&r.in, p, action == DIFF, json) : show(&r.in, json);
		running_close(&r);
	}
	policy_free(p);
	return status;
}

/* ---- the command ---- */

static int find_action(const char *text)
{
	int i;

	for (i = 0; i < N_ACTIONS; i++)
		if (!strcmp(text, actions[i]))
			break;
	return i;
}

static int wrong_action(const char *text)
{
	const char *guess = nearest(text, actions, N_ACTIONS);

	return common_usage("policy", "\"%.40s\" is none of check, show, diff, apply%s%s%s", text,
			    guess ? "; did you mean \"" : "", guess ? guess : "",
			    guess ? "\"?" : "");
}

int cmd_policy(int argc, char **argv)
{
	static const struct option options[] = {COMMON_LONG, {"json", no_argument, NULL, 'j'}, {}};
	const char *file = POLICY_DEFAULT_FILE;
	bool json = false;
	int c, status, action, words;

	while ((c = getopt_long(argc, argv, COMMON_SHORT "j", options, NULL)) != -1) {
		if (c == 'j')
			json = true;
		else if (common_option(c, "policy", &status))
			return status;
	}
	if (optind == argc)
		return common_usage("policy", "check, show, diff or apply?");
	action = find_action(argv[optind]);
	if (action == N_ACTIONS)
		return wrong_action(argv[optind]);
	words = action == SHOW ? 1 : 2;
	if (optind + words < argc)
		return common_usage("policy", "nothing expected at \"%s\"", argv[optind + words]);
	if (optind + 1 < argc)
		file = argv[optind + 1];
	return action == CHECK ? check(file, json) : with_agent(action, file, json);
}
