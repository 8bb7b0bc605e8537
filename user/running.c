// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>

#include "client.h"
#include "cmd.h"
#include "datapath.h"
#include "log.h"
#include "running.h"

static int not_running(const struct instance *in, const char *more)
{
	fprintf(stderr, "synstile: nothing is attached (instance \"%s\")%s\n", in->name, more);
	return STATUS_NOT_RUNNING;
}

/* The record of what is attached. */
static int open_state(struct running *r)
{
	int err = state_load(&r->st, r->in.state);

	if (err == -ENOENT)
		return not_running(
			&r->in, datapath_exists(&r->in)
					? ", but there are pins without a record; `synstile detach "
					  "--all` removes them"
					: "");
	if (err)
		return common_failed(err);
	if (r->st.cookie == r->in.cookie)
		return STATUS_OK;
	state_free(&r->st);
	return not_running(&r->in, "; what is left is of an earlier namespace of this name");
}

int running_open(struct running *r)
{
	int status, err = common_open(&r->in);

	if (err)
		return common_failed(err);
	err = instance_bpffs(&r->in, false);
	if (err) /* no bpffs in sight: no pins, or they are hidden from us */
		return r->in.from_initial ? not_running(&r->in, "") : common_failed(err);
	status = open_state(r);
	if (status)
		return status;
	err = datapath_maps(&r->in, &r->maps);
	if (!err)
		return STATUS_OK;
	state_free(&r->st);
	return err == -ENOENT
		       ? not_running(&r->in, ": its pins are gone; `synstile detach --all` removes "
					     "the rest")
		       : common_failed(err);
}

static json_t *ask_agent(const struct running *r, const char *path)
{
	json_t *answer;

	if (!instance_agent(&r->in))
		return json_null();
	if (!client_get(&r->in, path, &answer))
		return answer;
	debug("%s", fail_reason(0));
	fail_clear();
	return json_null();
}

json_t *running_half_open(const struct running *r)
{
	return ask_agent(r, "/v1/half-open");
}

json_t *running_detection(const struct running *r)
{
	return ask_agent(r, "/v1/detection");
}

json_t *running_timeouts(const struct running *r)
{
	return ask_agent(r, "/v1/timeouts");
}

void running_close(struct running *r)
{
	maps_close(&r->maps);
	state_free(&r->st);
}
