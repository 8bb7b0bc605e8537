/* SPDX-License-Identifier: GPL-2.0-only */
/* The policy over the agent's API: /v1/policy. */
#ifndef SYNSTILE_USER_POLICY_API_H
#define SYNSTILE_USER_POLICY_API_H

#include "api.h"
#include "inforce.h"

/* A policy with its list files (policy_bundle()), as JSON. */
#define POLICY_BODY_MOST (32 << 20)

/* {"generation":, "applied":, "file": (null: built in), "trouble": (null: none)} */
json_t *policy_api_brief(const struct inforce *f);
/* {"generation":, "applied":, "file": (null: built in), "trouble": (null: none), "policy":
 * policy_json()}; ?brief=1: without the policy. */
void policy_api_get(struct inforce *f, struct evhttp_request *req, const struct evkeyvalq *query);
/* The body is a policy_bundle(): puts it in force; ?dry_run=1: only says what that would do.
 * {"generation": (what is in force then), "changes": policy_diff(), "notes": [texts]}. */
void policy_api_put(struct inforce *f, struct evhttp_request *req, const struct evkeyvalq *query);

#endif
