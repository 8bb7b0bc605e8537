// SPDX-License-Identifier: GPL-2.0-only
/* What others can ask the agent. */
#include <errno.h>
#include <string.h>

#include "agent_inside.h"
#include "conns_api.h"
#include "keys.h"
#include "log.h"
#include "metrics.h"
#include "moment.h"
#include "policy_api.h"
#include "status_doc.h"

static void get_policy(struct evhttp_request *req, const struct evkeyvalq *query, void *arg)
{
	struct agent *a = arg;

	policy_api_get(&a->inforce, req, query);
}

static void put_policy(struct evhttp_request *req, const struct evkeyvalq *query, void *arg)
{
	struct agent *a = arg;

	policy_api_put(&a->inforce, req, query);
	agent_follow_policy(a);
}

static void get_events(struct evhttp_request *req, const struct evkeyvalq *query, void *arg)
{
	struct agent *a = arg;

	stream_get(a->stream, req, query);
}

static void get_live(struct evhttp_request *req, const struct evkeyvalq *query, void *arg)
{
	struct agent *a = arg;

	live_get(a->live, req, query);
}

static void get_sources(struct evhttp_request *req, const struct evkeyvalq *query, void *arg)
{
	struct agent *a = arg;

	live_get_sources(a->live, req, query);
}

static void get_history(struct evhttp_request *req, const struct evkeyvalq *query, void *arg)
{
	struct agent *a = arg;

	history_get(a->history, req, query);
}

static void get_metrics(struct evhttp_request *req, const struct evkeyvalq *query, void *arg)
{
	struct agent *a = arg;

	(void)query;
	metrics_get(a, req);
}

/* With the head that all answers have. Takes over `body`. */
static void reply(struct evhttp_request *req, const struct agent *a, json_t *body)
{
	json_t *j = api_head(a->in.name);

	json_object_update_new(j, body);
	api_reply(req, HTTP_OK, j);
}

static void get_status(struct evhttp_request *req, const struct evkeyvalq *query, void *arg)
{
	struct agent *a = arg;
	struct status_parts parts;

	(void)query;
	agent_follow_state(a);
	parts = (struct status_parts){.since = a->since,
				      .flows = &a->flows,
				      .half_open = half_open_json(a->half_open),
				      .detection = detect_json(a->detect),
				      .timeouts = timeouts_json(a->timeouts),
				      .policy = policy_api_brief(&a->inforce)};
	api_reply(req, HTTP_OK, status_doc(&a->in, &a->st, &a->maps, &parts));
}

static void get_services(struct evhttp_request *req, const struct evkeyvalq *query, void *arg)
{
	u16 order[SYNSTILE_MAX_SERVICES];
	json_t *list = json_array();
	struct agent *a = arg;
	size_t i, n;

	(void)query;
	if (services_now_read(a->services)) {
		api_error(req, HTTP_INTERNAL, fail_reason(0), "try again");
		fail_clear();
		json_decref(list);
		return;
	}
	n = services_now_busiest(a->services, order);
	for (i = 0; i < n; i++)
		json_array_append_new(list, service_json(a->services, order[i], true));
	reply(req, a, json_pack("{s:o}", "services", list));
}

static void get_half_open(struct evhttp_request *req, const struct evkeyvalq *query, void *arg)
{
	struct agent *a = arg;

	if (conns_api_wants_list(query))
		conns_api_get_half_open(a->lists, &a->maps, half_open_json(a->half_open), req,
					query);
	else
		reply(req, a, half_open_json(a->half_open));
}

static void get_conns(struct evhttp_request *req, const struct evkeyvalq *query, void *arg)
{
	struct agent *a = arg;

	conns_api_get(a->lists, &a->maps, req, query);
}

static void get_timeouts(struct evhttp_request *req, const struct evkeyvalq *query, void *arg)
{
	struct agent *a = arg;

	(void)query;
	reply(req, a, timeouts_json(a->timeouts));
}

static void get_detection(struct evhttp_request *req, const struct evkeyvalq *query, void *arg)
{
	struct agent *a = arg;

	(void)query;
	reply(req, a, detect_json(a->detect));
}

static void reply_keys(struct evhttp_request *req, const struct agent *a,
		       const struct settings *set)
{
	struct moment now = moment_now();

	reply(req, a, keys_json(set, a->st.key_life, &now));
}

static void get_keys(struct evhttp_request *req, const struct evkeyvalq *query, void *arg)
{
	struct agent *a = arg;
	struct settings set;

	(void)query;
	if (a->st.kernel_cookies)
		reply(req, a, keys_json_none());
	else if (maps_settings(&a->maps, &set))
		api_error(req, HTTP_INTERNAL, "the keys cannot be read", NULL);
	else
		reply_keys(req, a, &set);
	keys_forget(&set);
}

/* A key that waits. What follows is done second by second: see keys.h. */
static int rotate(struct agent *a, struct settings *set)
{
	int err = instance_trylock(&a->in, "agent");

	if (err)
		return err;
	err = maps_settings(&a->maps, set);
	if (!err)
		err = keys_make_next(set, monotonic_now());
	if (!err)
		err = maps_set_settings(&a->maps, set);
	instance_unlock(&a->in, false);
	return err;
}

static void post_rotate(struct evhttp_request *req, const struct evkeyvalq *query, void *arg)
{
	struct agent *a = arg;
	struct settings set;
	int err;

	(void)query;
	if (a->st.kernel_cookies) {
		api_error(req, 409, "the cookies are the kernel's, and so is their key",
			  "`synstile attach --cookies own` needs Linux 6.9");
		return;
	}
	err = rotate(a, &set);
	if (!err)
		reply_keys(req, a, &set);
	else if (err == -EBUSY)
		api_error(req, HTTP_SERVUNAVAIL, "another command is at work", "try again");
	else
		api_error(req, HTTP_INTERNAL, fail_reason(err), "try again");
	fail_clear();
	keys_forget(&set);
}

const struct api_route agent_routes[] = {
	{"/v1/status",
	 "what is protected, how it is doing, what was counted: as `synstile status -j`",
	 .get = get_status},
	{"/v1/services",
	 "each service: its rates, half-open connections, and attack, busiest first",
	 .get = get_services},
	{"/v1/events",
	 "what happens, as JSON lines or server-sent events, without end: type=A,B port=N "
	 "host=ADDRESS service=NAME flow=FLOW_ID backlog=N after=ID follow=0|1 format=json|sse",
	 .get = get_events, .endless = true},
	{"/v1/live",
	 "what a dashboard shows, a frame each second: services=N half_open=N follow=0|1 "
	 "format=json|sse",
	 .get = get_live, .endless = true},
	{"/v1/history", "the last 15 minutes, second by second: since=MS service=NAME",
	 .get = get_history},
	{"/v1/sources/top", "where new SYNs come from: limit=N service=NAME", .get = get_sources},
	{"/metrics", "for Prometheus", .get = get_metrics},
	{"/v1/conns",
	 "the connections, a page at a time: half_open=1 state=S port=N host=ADDRESS service=NAME "
	 "flow_id=N sort=age|bytes|rtx|newest limit=N cursor=C",
	 .get = get_conns},
	{"/v1/half-open",
	 "half-open connections of each service, as synstile and as the kernel count them; list=1: "
	 "one by one, with parameters as /v1/conns",
	 .get = get_half_open},
	{"/v1/timeouts",
	 "how the kernel follows the SYN timeouts, and how many of its half-open "
	 "connections were ended",
	 .get = get_timeouts},
	{"/v1/detection", "how each service is doing: calm or under attack, why, and from where",
	 .get = get_detection},
	{"/v1/keys", "keys of the cookies, newest first: state and age, never the secret",
	 .get = get_keys},
	{"/v1/keys/rotate", "makes a new key; answers as /v1/keys", .post = post_rotate},
	{"/v1/policy",
	 "the policy in force, and where each value comes from (brief=1: without them); PUT puts "
	 "another one in force (dry_run=1: says what that would change)",
	 .get = get_policy, .put = put_policy, .body_max = POLICY_BODY_MOST},
	{},
};
