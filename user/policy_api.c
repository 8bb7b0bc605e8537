// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include <sys/queue.h>

#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include "log.h"
#include "policy_api.h"

/* The value of name=, or NULL; "1" is all that there is to say yes. */
static bool is_set(const struct evkeyvalq *query, const char *name)
{
	const char *value = evhttp_find_header(query, name);

	return value && !strcmp(value, "1");
}

json_t *policy_api_brief(const struct inforce *f)
{
	const struct standing *s = &f->now;

	return json_pack("{s:I, s:s, s:s?, s:s?}", "generation", (json_int_t)s->generation,
			 "applied", s->applied, "file", policy_file_name(s->policy), "trouble",
			 f->trouble);
}

void policy_api_get(struct inforce *f, struct evhttp_request *req, const struct evkeyvalq *query)
{
	json_t *j = api_head(f->in->name);

	json_object_update_new(j, policy_api_brief(f));
	if (!is_set(query, "brief"))
		json_object_set_new(j, "policy", policy_json(f->now.policy));
	api_reply(req, HTTP_OK, j);
}

/* The policy in the body; NULL: answered with why not. */
static struct policy *read_body(struct evhttp_request *req)
{
	struct policy_errors errors = {0};
	struct policy *p = NULL;
	json_t *bundle = api_body(req);
	int err;

	if (!bundle)
		return NULL;
	err = policy_read_bundle(bundle, &p, &errors);
	json_decref(bundle);
	if (err) {
		api_error(req, HTTP_BADREQUEST, errors.n ? errors.at[0] : fail_reason(err),
			  "`synstile policy check FILE` lists all errors");
		fail_clear();
		p = NULL;
	}
	policy_errors_free(&errors);
	return p;
}

static void refuse(struct evhttp_request *req, int err)
{
	if (err == -EBUSY)
		api_error(req, HTTP_SERVUNAVAIL, "another command is at work", "try again");
	else if (err == -EINVAL || err == -ENOSPC || err == -E2BIG)
		api_error(req, 409, fail_reason(err), "nothing has been changed");
	else
		api_error(req, HTTP_INTERNAL, fail_reason(err), "nothing has been changed");
	fail_clear();
}

void policy_api_put(struct inforce *f, struct evhttp_request *req, const struct evkeyvalq *query)
{
	struct policy *next = read_body(req);
	json_t *changes = NULL, *notes = NULL, *j;
	int err;

	if (!next)
		return;
	policy_take_options(next, f->st);
	err = inforce_try(f, next);
	if (!err) {
		changes = policy_diff(f->now.policy, next);
		notes = inforce_notes(f, next);
	}
	if (!err && !is_set(query, "dry_run")) {
		err = inforce_apply(f, next);
		next = err ? next : NULL;
	}
	policy_free(next);
	if (err) {
		json_decref(changes);
		json_decref(notes);
		refuse(req, err);
		return;
	}
	j = api_head(f->in->name);
	json_object_update_new(j, json_pack("{s:I, s:o, s:o}", "generation",
					    (json_int_t)f->now.generation, "changes", changes,
					    "notes", notes));
	api_reply(req, HTTP_OK, j);
}
