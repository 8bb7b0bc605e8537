// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>

#include "datapath.h"
#include "log.h"
#include "netlink.h"
#include "sysctls.h"
#include "teardown.h"

bool attachment_alive(const struct attachment *at)
{
	struct link link;

	return netlink_link(at->ifindex, &link) != -ENODEV;
}

void teardown_iface(const struct instance *in, struct state *st, struct attachment *at, bool tell)
{
	datapath_detach(in, at, tell);
	state_drop(st, at);
}

void teardown_instance(const struct instance *in, struct state *st)
{
	sysctls_restore(st, 0);
	datapath_remove(in);
}

/* Pins without a state file, or with one that cannot be read. */
static void clear_unknown(const struct instance *in)
{
	struct state st = {0};

	warn("clearing away what is left of an instance \"%s\" whose record (%s) is lost; if "
	     "net.ipv4.tcp_syncookies or tcp_timestamps were changed, they stay so",
	     in->name, in->state);
	instance_stop_agent(in);
	datapath_recover(in, &st);
	while (st.n_ifaces)
		teardown_iface(in, &st, &st.ifaces[0], false);
	datapath_remove(in);
	fail_clear();
}

/* A namespace of the same name, deleted and made anew: its sysctls and interfaces went with it. */
static void clear_former(const struct instance *in)
{
	warn("clearing away what is left of an earlier network namespace \"%s\"", in->netns);
	instance_stop_agent(in);
	datapath_remove(in);
	fail_clear();
}

static void clear_ifaces(const struct instance *in, struct state *st)
{
	struct attachment *at = st->ifaces;

	while (at < st->ifaces + st->n_ifaces) {
		if (!at->complete)
			warn("%s: clearing away what an interrupted attach left", at->name);
		else if (!attachment_alive(at))
			warn("%s: the interface (index %u) is gone; clearing away what is left",
			     at->name, at->ifindex);
		else {
			at++;
			continue;
		}
		teardown_iface(in, st, at, false);
	}
}

int teardown_stale(const struct instance *in, struct state *st)
{
	int err = state_load(st, in->state);
	size_t n;

	if (err && datapath_exists(in))
		clear_unknown(in);
	if (err) {
		fail_clear();
		memset(st, 0, sizeof(*st));
		return -ENOENT;
	}
	if (st->cookie != in->cookie) {
		clear_former(in);
		state_free(st);
		memset(st, 0, sizeof(*st));
		return -ENOENT;
	}
	n = st->n_ifaces;
	clear_ifaces(in, st);
	if (!st->n_ifaces) {
		instance_stop_agent(in);
		teardown_instance(in, st);
		state_free(st);
		memset(st, 0, sizeof(*st));
		return -ENOENT;
	}
	return n == st->n_ifaces ? 0 : state_save(st, in->state);
}
