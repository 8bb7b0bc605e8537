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

/* What is attached, as root sees it. */
static int find_attached(struct running *r)
{
	int status, err = instance_bpffs(&r->in, false);

	if (err) /* no bpffs in sight: no pins, or they are hidden from us */
		return r->in.from_initial ? not_running(&r->in, "") : common_failed(err);
	status = open_state(r);
	r->root = !status;
	return status;
}

int running_find(struct running *r)
{
	int err;

	*r = (struct running){.maps = NO_MAPS};
	err = common_privileged() ? common_open(&r->in) : common_open_client(&r->in);
	if (err)
		return common_failed(err);
	return common_privileged() ? find_attached(r) : STATUS_OK;
}

int running_maps(struct running *r)
{
	int err = datapath_maps(&r->in, &r->maps);

	if (!err)
		return STATUS_OK;
	return err == -ENOENT
		       ? not_running(&r->in, ": its pins are gone; `synstile detach --all` removes "
					     "the rest")
		       : common_failed(err);
}

int running_without(const struct running *r, int err)
{
	bool none = err == -ECONNREFUSED;

	if (!r->root) {
		common_failed(err);
		return none ? STATUS_NOT_RUNNING : STATUS_FAILED;
	}
	if (!none)
		warn("%s; reading the maps instead", fail_reason(err));
	fail_clear();
	return STATUS_OK;
}

int running_ask(struct running *r, const char *path, json_t **answer)
{
	int err = client_get(&r->in, path, answer);

	if (!err)
		return STATUS_OK;
	*answer = NULL;
	return running_without(r, err);
}

void running_close(struct running *r)
{
	maps_close(&r->maps);
	state_free(&r->st);
}
