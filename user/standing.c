// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "standing.h"

const char *policy_file_name(const struct policy *p)
{
	return p->n_files ? p->files[0].name : NULL;
}

bool policy_same_files(const struct policy *a, const struct policy *b)
{
	size_t i;

	if (a->n_files != b->n_files)
		return false;
	for (i = 0; i < a->n_files; i++)
		if (strcmp(a->files[i].name, b->files[i].name) ||
		    a->files[i].size != b->files[i].size ||
		    memcmp(a->files[i].text, b->files[i].text, a->files[i].size))
			return false;
	return true;
}

void policy_take_options(struct policy *p, const struct state *st)
{
	if (st->mode_given)
		policy_set_option(p, SV_MODE, st->mode);
	if (st->key_life_given)
		policy_set_host_option(p, HV_KEY_LIFE, (u64)st->key_life * 1000);
	if (st->max_flows_given)
		policy_set_host_option(p, HV_MAX_FLOWS, st->max_flows);
}

static int check_wscale(const struct policy *p, const struct value *v)
{
	const struct origin *at = &v[SV_WSCALE].origin;

	if (at->from != ORIGIN_FILE)
		return 0;
	return fail(EINVAL,
		    "%s:%u:%u: synack.window_scale: the cookies here are the kernel's, which "
		    "announce the kernel's own window scale; leave it out (`synstile doctor` says "
		    "what own cookies need)",
		    p->files[at->file].name, at->line, at->column);
}

int policy_suits(const struct policy *p, const struct state *st)
{
	int err = st->kernel_cookies ? check_wscale(p, p->defaults) : 0;
	size_t i;

	for (i = 0; !err && st->kernel_cookies && i < p->n_services; i++)
		err = check_wscale(p, p->services[i].v);
	return err;
}

/* ---- the file ---- */

static json_t *pack(const struct standing *s)
{
	json_t *j = policy_bundle(s->policy);
	const char *file = policy_file_name(s->policy);

	json_object_set_new(j, "generation", json_integer(s->generation));
	json_object_set_new(j, "applied", json_string(s->applied));
	json_object_set_new(j, "file", file ? json_string(file) : json_null());
	return j;
}

int standing_save(const struct instance *in, const struct standing *now,
		  const struct standing *next)
{
	json_t *records = json_array(), *root;
	int err;

	if (now)
		json_array_append_new(records, pack(now));
	json_array_append_new(records, pack(next));
	root = json_pack("{s:I, s:o}", "netns_cookie", (json_int_t)in->cookie, "policies", records);
	err = root ? state_write(root, in->policy) : -ENOMEM;
	json_decref(root);
	return err;
}

json_t *standing_record(const struct instance *in, u32 generation)
{
	json_t *root = json_load_file(in->policy, 0, NULL), *j, *found = NULL;
	size_t i;

	if ((u64)json_integer_value(json_object_get(root, "netns_cookie")) == in->cookie)
		json_array_foreach (json_object_get(root, "policies"), i, j)
			if (json_integer_value(json_object_get(j, "generation")) == generation)
				found = j;
	json_incref(found);
	json_decref(root);
	return found;
}

static int read_record(struct standing *s, const json_t *record)
{
	const char *applied = json_string_value(json_object_get(record, "applied"));
	struct policy_errors errors = {0};
	int err;

	snprintf(s->applied, sizeof(s->applied), "%s", applied ? applied : "");
	if (!json_array_size(json_object_get(record, "files"))) {
		s->policy = policy_built_in();
		return s->policy ? 0 : -ENOMEM;
	}
	err = policy_read_bundle(record, &s->policy, &errors);
	if (err && errors.n)
		err = fail(-err, "%s", errors.at[0]);
	policy_errors_free(&errors);
	return err;
}

int standing_load(struct standing *s, const struct instance *in, u32 generation)
{
	json_t *record = standing_record(in, generation);
	int err;

	*s = (struct standing){.generation = generation};
	if (!record)
		return fail(ENOENT, "%s has no record of the policy in force (generation %u)",
			    in->policy, generation);
	err = read_record(s, record);
	json_decref(record);
	return err;
}

void standing_free(struct standing *s)
{
	policy_free(s->policy);
	s->policy = NULL;
}
