// SPDX-License-Identifier: GPL-2.0-only
/*
 * The agent keeps the maps true to the host: listeners and addresses four times
 * a second; sysctls, MTUs, cookie keys and expired flows once. It passes the datapath's events on
 * and answers questions (see the routes). The defence itself does not need it: when it is
 * killed, packets are treated as before.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent.h"
#include "agent_inside.h"
#include "capabilities.h"
#include "cmd.h"
#include "datapath.h"
#include "doubts.h"
#include "keys.h"
#include "log.h"
#include "moment.h"
#include "netlink.h"
#include "notify.h"
#include "sysctls.h"
#include "teardown.h"

#define TICK_MS   250
#define FILES_MAX 4096 /* connections to us, above all */

/* Holds a lock on its process id's file as long as it lives: see instance_agent(). Whoever looks
 * for an agent holds it too, for a moment. */
static int hold_pid(const struct instance *in)
{
	int tries, fd = open(in->pid, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return fail(errno, "cannot open %s: %s", in->pid, strerror(errno));
	for (tries = 0; flock(fd, LOCK_EX | LOCK_NB); tries++) {
		if (errno != EWOULDBLOCK || tries == 50) {
			close(fd);
			return fail(EEXIST, "another agent runs already");
		}
		usleep(2000);
	}
	if (ftruncate(fd, 0) || dprintf(fd, "%d\n", getpid()) < 0) {
		close(fd);
		return fail(EIO, "cannot write %s: %s", in->pid, strerror(errno));
	}
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
	int err;

	state_free(&a->st);
	if (stat(a->in.state, &a->state_file))
		return -ENOENT;
	err = state_load(&a->st, a->in.state);
	sysctls_remember(&a->st);
	if (a->inforce.now.policy)
		state_follow(&a->st, a->inforce.now.policy);
	if (a->listeners)
		listeners_set_state(a->listeners, &a->st);
	return err;
}

static int begin(struct agent *a)
{
	int err = load_state(a);

	if (!err)
		err = datapath_maps(&a->in, &a->maps);
	if (err)
		return err == -ENOENT ? fail(ENOENT, "nothing is attached") : err;
	err = inforce_open(&a->inforce, &a->in, &a->st, &a->maps);
	if (err)
		return err;
	a->listeners = listeners_new(&a->maps, &a->st, a->inforce.now.policy);
	a->published = published_new();
	if (!a->listeners || !a->published)
		return -ENOMEM;
	a->inforce.listeners = a->listeners;
	listeners_set_published(a->listeners, a->published, published_refresh(a->published));
	a->sweep = datapath_open_sweep(&a->in);
	if (a->sweep < 0)
		return fail(-a->sweep, "cannot open the sweep program: %s", strerror(-a->sweep));
	a->forget = datapath_open_forget(&a->in);
	if (a->forget < 0)
		return fail(-a->forget, "cannot open the forget program: %s", strerror(-a->forget));
	a->alarm = datapath_open_alarm(&a->in);
	if (a->alarm < 0)
		return fail(-a->alarm, "cannot open the alarm program: %s", strerror(-a->alarm));
	sysctls_open();
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
	a->done = a->lost = true;
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
		if (!a->st.ifaces[i].complete || a->st.ifaces[i].leaving)
			continue; /* a command is at work */
		err = netlink_link(a->st.ifaces[i].ifindex, &link);
		if (err == -ENODEV)
			return prune(a, false);
		if (!err)
			err = datapath_set_iface(&a->in, &a->st.ifaces[i], link.mtu);
	}
	return err;
}

/* The settings as they should be now. */
static int renewed_settings(struct agent *a, struct settings *set, bool *changed)
{
	struct settings was;
	int err = maps_settings(&a->maps, &was);

	*set = was;
	if (!err && a->st.n_ifaces)
		err = sysctls_settings(set, a->st.mode, a->st.ifaces[0].name);
	/* the clock as late as possible: see keys.h */
	if (!err && !a->st.kernel_cookies && keys_due(set, a->st.key_life, monotonic_now()))
		err = keys_make_next(set, monotonic_now());
	if (!err && !a->st.kernel_cookies)
		keys_step(set, monotonic_now());
	*changed = memcmp(set, &was, sizeof(was));
	keys_forget(&was);
	return err;
}

static int refresh_settings(struct agent *a)
{
	struct settings set;
	bool changed;
	int err = renewed_settings(a, &set, &changed);

	if (!err && changed) {
		/* attach writes them too, and it may have read them already */
		err = instance_trylock(&a->in, "agent");
		if (!err) {
			err = renewed_settings(a, &set, &changed);
			if (!err)
				err = maps_set_settings(&a->maps, &set);
			instance_unlock(&a->in, false);
		} else if (err == -EBUSY) {
			err = 0; /* the next second comes soon */
		}
	}
	keys_forget(&set);
	return err;
}

static int each_second(struct agent *a, bool changed)
{
	bool reload = state_changed(a) || a->reloaded;
	int err = 0;

	if (!datapath_exists(&a->in) || access(a->in.state, F_OK)) {
		a->done = true; /* detached */
		return 0;
	}
	/* for a namespace without a name this looks at every process: not so often */
	if ((a->in.netns[0] || a->seconds++ % 5 == 0) && !instance_alive(&a->in))
		return prune(a, true);
	a->reloaded = false;
	if (reload)
		err = load_state(a);
	if (!err && (reload || changed))
		err = refresh_ifaces(a);
	listeners_see_hindrance(a->listeners);
	listeners_set_published(a->listeners, a->published, published_refresh(a->published));
	listeners_rest(a->listeners);
	return err || a->done ? err : refresh_settings(a);
}

void agent_follow_state(struct agent *a)
{
	if (!state_changed(a))
		return;
	a->reloaded = true; /* the rest is done by the second */
	if (load_state(a))
		fail_clear();
}

/* Says what goes wrong, once. */
static void tell(int err, int *trouble)
{
	if (err && err != *trouble)
		warn("%s; trying again", fail_reason(err));
	*trouble = err;
	fail_clear();
}

static void on_tick(void *arg)
{
	struct agent *a = arg;
	bool moved = netlink_changed(a->monitor) || !a->started;
	int err;

	a->started = true;
	a->changed |= moved;
	if (moved) {
		stream_links_changed(a->stream);
		listeners_set_state(a->listeners, &a->st);
	}
	err = listeners_refresh(a->listeners, moved);
	tell(err ? err : inforce_settle(&a->inforce), &a->tick_trouble);
	tell(timeouts_reap(a->timeouts, &a->st), &a->reap_trouble);
	detect_follow(a->detect, a->listeners);
	tell(detect_look(a->detect), &a->detect_trouble);
}

static int sweep(struct agent *a)
{
	int err = datapath_sweep(a->sweep, false);

	if (!err)
		err = doubts_settle(&a->maps, &a->st, a->forget);
	return err ? err : half_open_check(a->half_open);
}

/* Whatever goes wrong before: without the sweep the table would fill up. */
static void on_second(void *arg)
{
	struct agent *a = arg;

	tell(each_second(a, a->changed), &a->second_trouble);
	a->changed = false;
	if (!a->done) {
		tell(timeouts_adapt(a->timeouts, &a->in, &a->st), &a->adapt_trouble);
		tell(timeouts_reap(a->timeouts, &a->st), &a->reap_trouble);
		tell(sweep(a), &a->sweep_trouble);
	}
	tell(rates_look(a->rates), &a->rates_trouble);
	history_each_second(a->history);
	stream_each_second(a->stream);
	live_each_second(a->live);
	notify_alive(&a->st, a->detect,
		     !a->tick_trouble && !a->second_trouble && !a->sweep_trouble);
	if (a->done)
		loop_end(a->loop);
}

static void on_stop(void *arg)
{
	struct agent *a = arg;

	loop_end(a->loop);
}

/* Tells those who go by the policy. */
void agent_follow_policy(struct agent *a)
{
	timeouts_follow(a->timeouts, a->inforce.now.policy);
}

static void on_reload(void *arg)
{
	struct agent *a = arg;

	notify_reloading();
	inforce_reload(&a->inforce);
	agent_follow_policy(a);
	notify_ready(&a->st, a->detect);
}

static int serve(struct agent *a)
{
	a->half_open = half_open_new(&a->maps);
	a->timeouts = timeouts_new(&a->maps, a->forget, a->sweep);
	a->loop = loop_new();
	if (!a->half_open || !a->timeouts || !a->loop)
		return -ENOMEM;
	a->detect = detect_new(&a->maps, a->alarm);
	if (!a->detect)
		return -ENOMEM;
	a->stream = stream_new(a->loop, &a->in, &a->st, &a->maps, a->detect);
	if (!a->stream)
		return -ENOMEM;
	a->rates = rates_new(&a->maps, &a->in, &a->st, a->half_open);
	a->history = a->rates ? history_new(&a->in, a->rates) : NULL;
	a->live = live_new(a);
	a->services = services_now_new(&a->maps, a->listeners, a->rates, a->detect);
	a->lists = list_api_new(a->loop, a->in.name);
	if (!a->rates || !a->history || !a->live || !a->services || !a->lists)
		return -ENOMEM;
	a->api = api_new(a->loop, a->in.sock, agent_routes, a);
	if (!a->api)
		return -ENOMEM;
	a->tick = watch_timer(a->loop, on_tick, a);
	a->second = watch_timer(a->loop, on_second, a);
	a->on_term = watch_signal(a->loop, SIGTERM, on_stop, a);
	a->on_int = watch_signal(a->loop, SIGINT, on_stop, a);
	a->on_hup = watch_signal(a->loop, SIGHUP, on_reload, a);
	agent_follow_policy(a);
	return a->tick && a->second && a->on_term && a->on_int && a->on_hup ? 0 : -ENOMEM;
}

/* Many shells allow 1024; what is allowed at most is more. */
static void allow_files(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur >= FILES_MAX)
		return;
	files.rlim_cur = files.rlim_max < FILES_MAX ? files.rlim_max : FILES_MAX;
	if (setrlimit(RLIMIT_NOFILE, &files))
		debug("cannot open %d files: %s", FILES_MAX, strerror(errno));
}

static int open_all(struct agent *a)
{
	int err = begin(a);

	if (err)
		return err;
	allow_files();
	/* one reader of events, one server: only who holds the lock */
	a->pid_fd = hold_pid(&a->in);
	return a->pid_fd < 0 ? a->pid_fd : serve(a);
}

struct agent *agent_new(const struct instance *in)
{
	struct agent *a = calloc(1, sizeof(*a));
	int err;

	if (!a)
		return NULL;
	a->in = *in;
	a->in.lock_fd = -1;
	a->since = monotonic_now();
	a->maps = (struct maps)NO_MAPS;
	a->pid_fd = a->sweep = a->forget = a->alarm = a->monitor = -1;
	a->inforce.trie = -1;
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	err = open_all(a);
	if (!err)
		return a;
	fail(-err, "%s", strerror(-err));
	agent_free(a);
	return NULL;
}

/* In the order in which they need each other. */
void agent_free(struct agent *a)
{
	const int fds[] = {a->sweep, a->forget, a->alarm, a->monitor, a->pid_fd};
	size_t i;

	api_free(a->api);
	live_free(a->live);
	services_now_free(a->services);
	list_api_free(a->lists);
	stream_free(a->stream);
	history_free(a->history);
	rates_free(a->rates);
	detect_free(a->detect);
	half_open_free(a->half_open);
	timeouts_free(a->timeouts);
	watch_free(a->tick);
	watch_free(a->second);
	watch_free(a->on_term);
	watch_free(a->on_int);
	watch_free(a->on_hup);
	loop_free(a->loop);
	state_free(&a->st);
	listeners_free(a->listeners);
	published_free(a->published);
	inforce_close(&a->inforce);
	maps_close(&a->maps);
	for (i = 0; i < sizeof(fds) / sizeof(*fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	free(a);
}

/* With standard error closed, who started it knows that it is at work; standard input was the
 * instance's lock: see start_agent.c. */
static void go_silent(const struct agent *a)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	log_to_syslog(a->in.name);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDERR_FILENO);
		close(null);
	}
}

/* Is any interface left that no detach is at work on? */
static bool still_attached(struct agent *a)
{
	bool any = false;
	size_t i;

	if (a->done || load_state(a)) {
		fail_clear();
		return false;
	}
	for (i = 0; i < a->st.n_ifaces; i++)
		any |= !a->st.ifaces[i].leaving;
	return any;
}

static void say_farewell(struct agent *a)
{
	const char *option = a->in.netns[0] ? " -n " : "", *name;

	if (!still_attached(a)) {
		warn("the agent ends: %s", a->lost ? "nothing is left to protect" : "detached");
		return;
	}
	name = a->st.ifaces[0].name;
	warn("the agent ends; protection stays on: `synstile%s%s run %s` takes the work up "
	     "again, `synstile%s%s detach --all` takes protection off",
	     option, a->in.netns, name, option, a->in.netns);
}

bool agent_run(struct agent *a, bool foreground)
{
	capabilities_drop();
	if (!foreground)
		go_silent(a);
	watch_every(a->tick, TICK_MS);
	watch_every(a->second, 1000);
	on_tick(a);
	on_second(a);
	if (!a->done) {
		notify_ready(&a->st, a->detect);
		loop_run(a->loop);
	}
	notify_stopping();
	if (!a->done)
		timeouts_end(a->timeouts, &a->in, &a->st);
	if (foreground)
		say_farewell(a);
	if (!a->done) {
		/* last what others look at before they start another one */
		unlink(a->in.sock);
		unlink(a->in.pid);
	}
	return !a->lost;
}

int cmd_agent(int argc, char **argv)
{
	struct instance in;
	struct agent *a = NULL;
	bool well;
	int err = common_open(&in);

	(void)argc;
	(void)argv;
	prctl(PR_SET_NAME, "synstile"); /* not "exe", which attach started */
	if (!err)
		a = agent_new(&in);
	if (!a)
		return common_failed(err ? err : -ENOMEM);
	well = agent_run(a, false);
	agent_free(a);
	return well ? STATUS_OK : STATUS_FAILED;
}
