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
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api.h"
#include "cmd.h"
#include "datapath.h"
#include "doubts.h"
#include "half_open.h"
#include "keys.h"
#include "listeners.h"
#include "log.h"
#include "loop.h"
#include "netlink.h"
#include "stream.h"
#include "sysctls.h"
#include "teardown.h"

#define TICK_MS 250

struct agent {
	struct instance in;
	struct state st;
	struct stat state_file;
	struct maps maps;
	struct listeners *listeners;
	struct half_open *half_open;
	struct stream *stream;
	struct api *api;
	struct loop *loop;
	struct watch *tick, *second, *on_term, *on_int;
	int sweep, forget, monitor;
	unsigned int seconds;
	int tick_trouble, second_trouble; /* the last error that was logged */
	bool changed;                     /* links or addresses, since the last second */
	bool started, done;
};

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
	a->forget = datapath_open_forget(&a->in);
	if (a->forget < 0)
		return fail(-a->forget, "cannot open the forget program: %s", strerror(-a->forget));
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
	listeners_see_nat(a->listeners);
	if (!err && !a->done)
		err = refresh_settings(a);
	if (!err && !a->done)
		err = datapath_sweep(a->sweep);
	return err || a->done ? err : doubts_settle(&a->maps, &a->st, a->forget);
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

	a->started = true;
	a->changed |= moved;
	if (moved)
		stream_links_changed(a->stream);
	tell(listeners_refresh(a->listeners, moved), &a->tick_trouble);
}

static void on_second(void *arg)
{
	struct agent *a = arg;
	int err = each_second(a, a->changed);

	a->changed = false;
	if (!err && !a->done)
		err = half_open_check(a->half_open);
	tell(err, &a->second_trouble);
	stream_each_second(a->stream);
	if (a->done)
		loop_end(a->loop);
}

static void on_stop(void *arg)
{
	struct agent *a = arg;

	loop_end(a->loop);
}

/* ---- what others can ask ---- */

static void get_events(struct evhttp_request *req, const struct evkeyvalq *query, void *arg)
{
	struct agent *a = arg;

	stream_get(a->stream, req, query);
}

static void get_half_open(struct evhttp_request *req, const struct evkeyvalq *query, void *arg)
{
	struct agent *a = arg;

	(void)query;
	api_reply(req, HTTP_OK, half_open_json(a->half_open));
}

static void reply_keys(struct evhttp_request *req, const struct agent *a,
		       const struct settings *set)
{
	struct moment now = moment_now();

	api_reply(req, HTTP_OK, keys_json(set, a->st.key_life, &now));
}

static void get_keys(struct evhttp_request *req, const struct evkeyvalq *query, void *arg)
{
	struct agent *a = arg;
	struct settings set;

	(void)query;
	if (a->st.kernel_cookies)
		api_reply(req, HTTP_OK, keys_json_none());
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

static const struct api_route routes[] = {
	{"/v1/events", "JSON lines, without end: type=A,B port=N host=ADDRESS backlog=N follow=0|1",
	 get_events, NULL},
	{"/v1/half-open",
	 "half-open connections of each service, as synstile and as the kernel count them",
	 get_half_open, NULL},
	{"/v1/keys", "keys of the cookies, newest first: state and age, never the secret", get_keys,
	 NULL},
	{"/v1/keys/rotate", "makes a new key; answers as /v1/keys", NULL, post_rotate},
	{},
};

/* ---- */

static int serve(struct agent *a)
{
	a->half_open = half_open_new(&a->maps);
	a->loop = loop_new();
	if (!a->half_open || !a->loop)
		return -ENOMEM;
	a->stream = stream_new(a->loop, &a->in, &a->st, &a->maps);
	if (!a->stream)
		return -ENOMEM;
	a->api = api_new(a->loop, a->in.sock, routes, a);
	if (!a->api)
		return -ENOMEM;
	a->tick = watch_timer(a->loop, on_tick, a);
	a->second = watch_timer(a->loop, on_second, a);
	a->on_term = watch_signal(a->loop, SIGTERM, on_stop, a);
	a->on_int = watch_signal(a->loop, SIGINT, on_stop, a);
	return a->tick && a->second && a->on_term && a->on_int ? 0 : -ENOMEM;
}

static void run(struct agent *a)
{
	watch_every(a->tick, TICK_MS);
	watch_every(a->second, 1000);
	on_tick(a);
	on_second(a);
	if (!a->done)
		loop_run(a->loop);
}

/* In the order in which they need each other. */
static void free_all(struct agent *a)
{
	api_free(a->api);
	stream_free(a->stream);
	half_open_free(a->half_open);
	watch_free(a->tick);
	watch_free(a->second);
	watch_free(a->on_term);
	watch_free(a->on_int);
	loop_free(a->loop);
	state_free(&a->st);
	listeners_free(a->listeners);
	maps_close(&a->maps);
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
	int err = common_open(&a.in), pid_fd;

	(void)argc;
	(void)argv;
	prctl(PR_SET_NAME, "synstile"); /* not "exe", which attach started */
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	if (!err)
		err = begin(&a);
	pid_fd = err ? err : hold_pid(&a.in);
	/* one reader of events, one server: only who holds the lock */
	err = pid_fd < 0 ? pid_fd : serve(&a);
	if (err)
		return common_failed(err);
	go_silent(&a);
	run(&a);
	if (!a.done) {
		unlink(a.in.pid);
		unlink(a.in.sock);
	}
	free_all(&a);
	return STATUS_OK;
}
