// SPDX-License-Identifier: GPL-2.0-only
/*
 * The agent keeps the maps true to the host: listeners and addresses four times
 * a second; sysctls, MTUs and expired flows once. The defence itself does not need
 * it: when it is killed, packets are treated as before.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"
#include "datapath.h"
#include "listeners.h"
#include "log.h"
#include "netlink.h"
#include "sysctls.h"
#include "teardown.h"

#define TICK_MS          250
#define TICKS_PER_SECOND (1000 / TICK_MS)

struct agent {
	struct instance in;
	struct state st;
	struct stat state_file;
	struct maps maps;
	struct listeners *listeners;
	int sweep, monitor;
	unsigned int seconds;
	int trouble; /* the last error of a tick that was logged */
	bool done;
};

static volatile sig_atomic_t stop;

static void on_signal(int signal)
{
	(void)signal;
	stop = 1;
}

/* Holds a lock on its process id's file as long as it lives: see instance_agent(). */
static int hold_pid(const struct instance *in)
{
	int fd = open(in->pid, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return fail(errno, "cannot open %s: %s", in->pid, strerror(errno));
	if (ftruncate(fd, 0) || dprintf(fd, "%d\n", getpid()) < 0)
		return fail(errno, "cannot write %s: %s", in->pid, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB))
		return fail(EEXIST, "another agent runs already");
	return fd;
}

static bool state_changed(const struct agent *a)
{
	struct stat now;

	return stat(a->in.state, &now) || now.st_ino != a->state_file.st_ino ||
	       now.st_mtim.tv_sec != a->state_file.st_mtim.tv_sec ||
	       now.st_mtim.tv_nsec != a->state_file.st_mtim.tv_nsec;
}

static int load_state(struct agent *a)
{
	state_free(&a->st);
	if (stat(a->in.state, &a->state_file))
		return -ENOENT;
	return state_load(&a->st, a->in.state);
}

static int begin(struct agent *a)
{
	int err = load_state(a);

	if (!err)
		err = datapath_maps(&a->in, &a->maps);
	if (err)
		return err == -ENOENT ? fail(ENOENT, "nothing is attached") : err;
	a->listeners = listeners_new(&a->maps, &a->st);
	if (!a->listeners)
		return -ENOMEM;
	a->sweep = datapath_open_sweep(&a->in);
	if (a->sweep < 0)
		return fail(-a->sweep, "cannot open the sweep program: %s", strerror(-a->sweep));
	a->monitor = netlink_monitor();
	if (a->monitor < 0)
		return fail(-a->monitor, "cannot follow interface changes: %s",
			    strerror(-a->monitor));
	return 0;
}

/* The last interface is gone, or the namespace: leave the machine as attach found it. */
static void end_instance(struct agent *a)
{
	while (a->st.n_ifaces)
		teardown_iface(&a->in, &a->st, &a->st.ifaces[0], false);
	teardown_instance(&a->in, &a->st);
	instance_unlock(&a->in, true);
	a->done = true;
}

/* Takes interfaces that vanished off the record. A command at work has precedence:
 * the next tick comes soon. */
static int prune(struct agent *a, bool everything)
{
	struct attachment *at;
	int err = instance_trylock(&a->in, "agent");

	if (err)
		return err == -EBUSY ? 0 : err;
	err = load_state(a);
	if (err) {
		instance_unlock(&a->in, false);
		return err;
	}
	for (at = a->st.ifaces; at < a->st.ifaces + a->st.n_ifaces;) {
		if (attachment_alive(at) && !everything) {
			at++;
			continue;
		}
		if (!everything)
			warn("%s is gone: no longer protected", at->name);
		teardown_iface(&a->in, &a->st, at, false);
	}
	if (!a->st.n_ifaces) {
		warn("no interface is left: the agent ends");
		end_instance(a);
		return 0;
	}
	err = state_save(&a->st, a->in.state);
	instance_unlock(&a->in, false);
	return err;
}

static int refresh_ifaces(struct agent *a)
{
	struct link link;
	size_t i;
	int err = 0;

	for (i = 0; !err && i < a->st.n_ifaces; i++) {
		if (!a->st.ifaces[i].complete)
			continue; /* an attach is at work */
		err = netlink_link(a->st.ifaces[i].ifindex, &link);
		if (err == -ENODEV)
			return prune(a, false);
		if (!err)
			err = datapath_set_iface(&a->in, &a->st.ifaces[i], link.mtu);
	}
	return err;
}

static int refresh_settings(struct agent *a)
{
	struct settings now, was;
	int err = maps_settings(&a->maps, &was);

	now = was;
	if (!err && a->st.n_ifaces)
		err = sysctls_settings(&now, a->st.mode, a->st.ifaces[0].name);
	if (err || !memcmp(&now, &was, sizeof(now)))
		return err;
	return maps_set_settings(&a->maps, &now);
}

static int each_second(struct agent *a, bool changed)
{
	bool reload = state_changed(a);
	int err = 0;

	if (!datapath_exists(&a->in) || access(a->in.state, F_OK)) {
		a->done = true; /* detached */
		return 0;
	}
	/* for a namespace without a name this looks at every process: not so often */
	if ((a->in.netns[0] || a->seconds++ % 5 == 0) && !instance_alive(&a->in))
		return prune(a, true);
	if (reload)
		err = load_state(a);
	if (!err && (reload || changed))
		err = refresh_ifaces(a);
	if (!err && !a->done)
		err = refresh_settings(a);
	return err || a->done ? err : datapath_sweep(a->sweep);
}

static void run(struct agent *a)
{
	const struct timespec tick = {0, TICK_MS * 1000000};
	bool changed = true;
	unsigned int n;
	int err;

	for (n = 0; !stop && !a->done; n++) {
		bool moved = netlink_changed(a->monitor) || !n;

		changed |= moved;
		err = listeners_refresh(a->listeners, moved);
		if (n % TICKS_PER_SECOND == 0) {
			int second = each_second(a, changed);

			err = err ? err : second;
			changed = false;
		}
		if (err && err != a->trouble)
			warn("%s; trying again", fail_reason(err));
		a->trouble = err;
		fail_clear();
		if (!stop && !a->done)
			nanosleep(&tick, NULL);
	}
}

/* Complaints went to whoever started us; they see by the end of stderr that we are at work. */
static void go_silent(const struct agent *a)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	log_to_syslog(a->in.name);
	if (null >= 0) {
		dup2(null, STDERR_FILENO);
		close(null);
	}
}

int cmd_agent(int argc, char **argv)
{
	struct agent a = {.maps = NO_MAPS};
	struct sigaction action = {.sa_handler = on_signal};
	int err = common_open(&a.in), pid_fd;

	(void)argc;
	(void)argv;
	prctl(PR_SET_NAME, "synstile"); /* not "exe", which attach started */
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	if (!err)
		err = begin(&a);
	pid_fd = err ? err : hold_pid(&a.in);
	if (pid_fd < 0)
		return common_failed(pid_fd);
	go_silent(&a);
	run(&a);
	if (!a.done)
		unlink(a.in.pid);
	state_free(&a.st);
	listeners_free(a.listeners);
	maps_close(&a.maps);
	return STATUS_OK;
}
