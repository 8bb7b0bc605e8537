// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cmd.h"
#include "doctor.h"

static bool parse(bool *json, int argc, char **argv, int *status)
{
	static const struct option options[] = {COMMON_LONG, {"json", no_argument, NULL, 'j'}, {}};
	int c;

	while ((c = getopt_long(argc, argv, COMMON_SHORT "j", options, NULL)) != -1) {
		if (c == 'j')
			*json = true;
		else if (common_option(c, "doctor", status))
			return false;
	}
	return true;
}

/* The groups, in the order in which they are shown. */
static int examine(struct doctor *d, char **names, int n)
{
	int err = state_load(&d->st, d->in.state);

	if (err && err != -ENOENT)
		return err;
	if (!err && d->st.cookie != d->in.cookie) { /* of a namespace that had this name */
		state_free(&d->st);
		memset(&d->st, 0, sizeof(d->st));
	}
	probe_features(&d->features);
	d->freplace = probe_freplace();
	d->conntrack = probe_conntrack();
	doctor_kernel(d);
	doctor_bpffs(d);
	doctor_interfaces(d, names, n);
	if (!d->ifaces[0])
		strcpy(d->ifaces, "IFACE");
	doctor_sysctls(d);
	doctor_listeners(d);
	doctor_firewall(d);
	return d->no_memory ? -ENOMEM : 0;
}

static int show(const struct doctor *d, bool json)
{
	json_t *list;

	if (!json) {
		doctor_print(d);
		return 0;
	}
	list = doctor_json(d);
	if (!list)
		return -ENOMEM;
	json_dumpf(list, stdout, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
	putchar('\n');
	json_decref(list);
	return 0;
}

int cmd_doctor(int argc, char **argv)
{
	static struct doctor d;
	enum health verdict;
	bool json = false;
	int status, err;

	if (!parse(&json, argc, argv, &status))
		return status;
	err = common_open(&d.in);
	if (!err)
		err = examine(&d, argv + optind, argc - optind);
	if (!err)
		err = show(&d, json);
	verdict = doctor_verdict(&d);
	doctor_free(&d);
	if (err)
		return common_failed(err);
	return verdict == HEALTH_FAIL ? STATUS_FAILED : STATUS_OK;
}
