// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
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
		if (!at->complete || at->leaving)
			warn("%s: clearing away what an interrupted %s left", at->name,
			     at->leaving ? "detach" : "attach");
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

/* 0: something is attached, as `st` says. */
static int clear_stale(const struct instance *in, struct state *st)
{
	int err = state_load(st, in->state);
	size_t n;

	if (err) {
		if (datapath_exists(in))
			clear_unknown(in);
		fail_clear();
		return -ENOENT;
	}
	if (st->cookie != in->cookie) {
		clear_former(in);
		return -ENOENT;
	}
	n = st->n_ifaces;
	clear_ifaces(in, st);
	if (st->n_ifaces)
		return n == st->n_ifaces ? 0 : state_save(st, in->state);
	instance_stop_agent(in);
	teardown_instance(in, st);
	return -ENOENT;
}

int teardown_stale(const struct instance *in, struct state *st)
{
	int err = clear_stale(in, st);

	if (err != -ENOENT)
		return err;
	state_free(st);
	memset(st, 0, sizeof(*st));
	instance_drop_records(in);
	return -ENOENT;
}

/* Nobody can enter it any more to ask for its end: its namespace is gone, or its boot is over. */
static bool is_left_behind(const struct instance *other)
{
	struct state st;
	bool stale = state_load(&st, other->state) == -ENOENT;

	if (!stale)
		state_free(&st);
	fail_clear();
	return (stale || instance_vanished(other)) && !instance_agent(other);
}

/* Somebody at work on it, such as its agent that has just seen its end, needs no help. */
static void clear_vanished(struct instance *other)
{
	bool dead;

	if (!is_left_behind(other) || instance_trylock(other, "attach"))
		return;
	/* who had the lock until now may have attached it anew */
	dead = is_left_behind(other);
	if (dead) {
		debug("%s: its namespace is gone, or its boot is over; forgetting it", other->name);
		datapath_remove(other);
	}
	instance_unlock(other, dead);
}

void teardown_vanished(const struct instance *in)
{
	static struct instance other;
	struct dirent *d;
	DIR *dir = opendir(STATE_DIR);

	while (dir && (d = readdir(dir)))
		if (!instance_of_record(&other, d->d_name) && strcmp(other.name, in->name))
			clear_vanished(&other);
	if (dir)
		closedir(dir);
	fail_clear();
}
