// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cmd.h"
#include "datapath.h"
#include "log.h"
#include "teardown.h"

static int not_running(const struct instance *in)
{
	fprintf(stderr, "synstile: nothing is attached (instance \"%s\")\n", in->name);
	return STATUS_NOT_RUNNING;
}

static int not_attached(const struct state *st, const char *name)
{
	size_t i;

	fprintf(stderr, "synstile: %s: synstile is not attached there; it is attached to:", name);
	for (i = 0; i < st->n_ifaces; i++)
		fprintf(stderr, " %s", st->ifaces[i].name);
	fputc('\n', stderr);
	return STATUS_NOT_RUNNING;
}

/* Loads what there is. Unlike attach it keeps vanished interfaces: they are named as asked. */
static int load(const struct instance *in, struct state *st)
{
	int err = state_load(st, in->state);

	if (!err && st->cookie == in->cookie)
		return 0;
	if (!err)
		state_free(st);
	fail_clear();
	return teardown_stale(in, st);
}

/* Notes which ones go before any of it is done: if this process is killed, whoever comes next
 * knows what was meant. Returns how many stay. */
static size_t mark(const struct instance *in, struct state *st, bool all, int n, char **names)
{
	size_t k, stay = 0;
	int i;

	for (i = 0; !all && i < n; i++)
		state_find(st, names[i])->leaving = true;
	for (k = 0; k < st->n_ifaces; k++) {
		st->ifaces[k].leaving |= all;
		stay += !st->ifaces[k].leaving;
	}
	if (state_save(st, in->state)) { /* such as a full disk */
		debug("%s; going on without", fail_reason(0));
		fail_clear();
	}
	return stay;
}

static int detach(struct instance *in, struct state *st, bool all, int n, char **names)
{
	struct attachment *at;
	size_t stay;
	int i, err = 0;

	for (i = 0; !all && i < n; i++)
		if (!state_find(st, names[i]))
			return not_attached(st, names[i]);
	stay = mark(in, st, all, n, names);
	/* the agent first: it would undo a vanished interface on its own account */
	if (!stay)
		err = instance_stop_agent(in);
	for (at = st->ifaces; at < st->ifaces + st->n_ifaces;) {
		if (at->leaving)
			teardown_iface(in, st, at, true);
		else
			at++;
	}
	if (stay)
		err = state_save(st, in->state);
	else
		teardown_instance(in, st);
	return err ? common_failed(err) : STATUS_OK;
}

static int run(bool all, int n, char **names)
{
	struct instance in;
	struct state st;
	bool gone, left;
	int status, err = common_open(&in);

	if (!err)
		err = instance_bpffs(&in, false);
	if (err == -ENOENT && in.from_initial && !datapath_exists(&in)) {
		fail_clear();
		err = instance_lock(&in, "detach");
		if (!err) /* no bpffs, hence no pins: only files can be left */
			instance_unlock(&in, true);
		return err ? common_failed(err) : not_running(&in);
	}
	if (!err)
		err = instance_lock(&in, "detach");
	if (err)
		return common_failed(err);
	left = datapath_exists(&in);
	err = load(&in, &st);
	if (err == -ENOENT)
		status = left ? STATUS_OK : not_running(&in); /* it was cleared away, and said */
	else
		status = err ? common_failed(err) : detach(&in, &st, all, n, names);
	gone = err == -ENOENT || (!err && !st.n_ifaces);
	state_free(&st);
	instance_unlock(&in, gone);
	return status;
}

int cmd_detach(int argc, char **argv)
{
	static const struct option options[] = {COMMON_LONG, {"all", no_argument, NULL, 'a'}, {}};
	bool all = false;
	int c, status;

	while ((c = getopt_long(argc, argv, COMMON_SHORT "a", options, NULL)) != -1) {
		if (c == 'a')
			all = true;
		else if (common_option(c, "detach", &status))
			return status;
	}
	if (all && optind < argc)
		return common_usage("detach", "either --all or interfaces (\"%s\")", argv[optind]);
	if (!all && optind == argc)
		return common_usage("detach", "which interface? Name one, or use --all");
	return run(all, argc - optind, argv + optind);
}
