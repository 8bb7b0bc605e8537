// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "adopt.h"
#include "cmd.h"
#include "datapath.h"
#include "doctor_needs.h"
#include "keys.h"
#include "listeners.h"
#include "log.h"
#include "nat.h"
#include "netlink.h"
#include "probe.h"
#include "sysctls.h"
#include "teardown.h"

enum cookie_choice {
	COOKIES_CHOOSE,
	COOKIES_OWN,
	COOKIES_KERNEL
};

/* What the command line asks for. */
struct request {
	bool mode_given;
	enum service_mode mode;
	enum cookie_choice cookies;
	const char *ports;
	u32 key_life; /* s; 0: not given */
	struct datapath_options opts;
	int n;
	char **names;
};

/* One interface on its way. */
struct target {
	const char *name;
	struct link link;
	bool dispatcher;
	struct datapath *dp;
	char note[512];
};

struct work {
	struct instance in;
	struct state st;
	struct request *req;
	struct maps maps;
	struct listeners *listeners;
	struct target targets[MAX_IFACES];
	size_t n_targets;
	size_t sysctls_before; /* changed by earlier attaches */
	size_t adopted;
};

/* ---- arguments ---- */

static int word(const char *text, const char *const *words, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!strcmp(text, words[i]))
			return i;
	return -1;
}

static bool parse_flows(const char *text, u32 *flows)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	*flows = n;
	return *text >= '0' && *text <= '9' && !*end && !errno && n >= 1024 && n <= 1 << 28;
}

/* One option; false if its argument is wrong. */
static bool set_option(struct request *r, int c)
{
	static const char *const xdp[] = {"auto", "native", "skb"};
	static const char *const tc[] = {"auto", "tcx", "clsact"};
	static const char *const cookies[] = {"auto", "own", "kernel"};
	int w;

	switch (c) {
	case 'm':
		r->mode_given = true;
		return !mode_parse(optarg, &r->mode);
	case 'p':
		r->ports = optarg;
		return true; /* parsed later, with a better message */
	case 'x':
		w = word(optarg, xdp, 3);
		r->opts.xdp = w;
		return w >= 0;
	case 't':
		w = word(optarg, tc, 3);
		r->opts.tc = w;
		return w >= 0;
	case 'c':
		w = word(optarg, cookies, 3);
		r->cookies = w;
		return w >= 0;
	case 'k':
		return !keys_parse_life(optarg, &r->key_life);
	default:
		return parse_flows(optarg, &r->opts.max_flows);
	}
}

static bool parse(struct request *r, int argc, char **argv, int *status)
{
	static const struct option options[] = {COMMON_LONG,
						{"mode", required_argument, NULL, 'm'},
						{"ports", required_argument, NULL, 'p'},
						{"xdp", required_argument, NULL, 'x'},
						{"tc", required_argument, NULL, 't'},
						{"cookies", required_argument, NULL, 'c'},
						{"key-life", required_argument, NULL, 'k'},
						{"max-flows", required_argument, NULL, 'f'},
						{}};
	static const char set[] = "mpxtckf";
	static const char *const expected[] = {
		"observe, auto or always", "ports",
		"native, skb or auto",     "tcx, clsact or auto",
		"own, kernel or auto",     "a time from 2m to 24h such as 15m",
		"1024 to 268435456"};
	struct ports ports;
	int c;

	while ((c = getopt_long(argc, argv, COMMON_SHORT "m:p:x:t:c:k:f:", options, NULL)) != -1) {
		const char *at = strchr(set, c);

		if (!at || c == '?') {
			if (common_option(c, "attach", status))
				return false;
		} else if (!set_option(r, c)) {
			*status = common_usage("attach", "-%c takes %s, not \"%s\"", c,
					       expected[at - set], optarg);
			return false;
		}
	}
	*status = STATUS_USAGE;
	r->n = argc - optind;
	r->names = argv + optind;
	if (!r->n)
		common_usage("attach", "which interface? `ip -br link` lists them");
	else if (r->n > MAX_IFACES)
		common_usage("attach", "more than %d interfaces", MAX_IFACES);
	else if (r->ports && ports_parse(&ports, r->ports))
		common_usage("attach", "%s", fail_reason(0));
	else
		return true;
	return false;
}

/* ---- checks: nothing is changed before all of them passed ---- */

/* Returns 1 if the interface is attached already and that is all right. */
static int check_attached(struct work *w, const char *name)
{
	struct attachment *at = state_find(&w->st, name);

	if (!at)
		return 0;
	if (if_nametoindex(name) != at->ifindex)
		return fail(EEXIST,
			    "%s is attached as interface %u, which bears another name now; "
			    "`synstile detach %s` first",
			    at->name, at->ifindex, at->name);
	if (datapath_xdp_there(&w->in, at) && datapath_tc_there(&w->in, at)) {
		if (instance_agent(&w->in))
			return fail(EEXIST,
				    "%s: synstile is attached already (mode %s); `synstile status` "
				    "shows "
				    "it, `synstile detach %s` removes it",
				    name, mode_name(w->st.mode), name);
		return 1;
	}
	warn("%s: somebody removed synstile's programs; attaching them again", name);
	teardown_iface(&w->in, &w->st, at, false);
	return 0;
}

static int check_interface(struct work *w, const char *name)
{
	struct target *t = &w->targets[w->n_targets];
	size_t i;
	int err;

	for (i = 0; i < w->n_targets; i++)
		if (!strcmp(w->targets[i].name, name))
			return 0; /* named twice */
	t->name = name;
	err = needs_interface(&w->in, name, &t->link);
	if (err)
		return err;
	err = check_attached(w, name);
	if (err == 1)
		printf("%s: attached already; its agent had ended and is started again\n", name);
	if (err)
		return err == 1 ? 0 : err;
	err = datapath_in_the_way(t->link.ifindex, name, w->req->opts.freplace, &t->dispatcher);
	if (err)
		return err;
	if (needs_vlan_tags(name, t->link.ifindex))
		warn("%s " VLAN_TAGS_WORDS ". If so: `" VLAN_TAGS_MEND "`", name, name);
	w->n_targets++;
	return 0;
}

static int choose_cookies(struct state *st, enum cookie_choice choice, const struct features *f)
{
	bool nat = nat_present();
	int err = needs_cookies(f);

	if (err)
		return err;
	if (choice == COOKIES_OWN && !f->assign_reqsk)
		return fail(EOPNOTSUPP,
			    "--cookies own: this kernel has no bpf_sk_assign_tcp_reqsk(), which "
			    "Linux 6.9 and later have; use --cookies kernel");
	if (choice == COOKIES_OWN && nat && st->mode != MODE_OBSERVE)
		return fail(
			EOPNOTSUPP,
			"--cookies own: netfilter translates addresses here (`nft list ruleset`; "
			"`iptables -t nat -S`), and with that the kernel resets the clients of own "
			"cookies; use --cookies kernel");
	st->kernel_cookies = choice == COOKIES_KERNEL || !f->assign_reqsk || nat;
	snprintf(st->why, sizeof(st->why), "%s",
		 choice != COOKIES_CHOOSE ? "asked for"
		 : !f->assign_reqsk       ? "the kernel has no bpf_sk_assign_tcp_reqsk(), Linux 6.9"
		 : nat ? "netfilter translates addresses here, which own cookies do not survive"
		       : "the kernel has bpf_sk_assign_tcp_reqsk()");
	return 0;
}

/* A further interface shares mode, cookies, ports and tables with those attached already. */
static int check_same(const struct request *r, const struct state *st)
{
	bool kernel = r->cookies == COOKIES_KERNEL;

	if (r->mode_given && r->mode != st->mode)
		return fail(EINVAL,
			    "--mode %s: this instance runs in mode %s already; detach all first",
			    mode_name(r->mode), mode_name(st->mode));
	if (r->cookies != COOKIES_CHOOSE && kernel != st->kernel_cookies)
		return fail(EINVAL,
			    "--cookies %s: this instance uses %s cookies already; detach all first",
			    kernel ? "kernel" : "own", st->kernel_cookies ? "kernel" : "own");
	if (r->key_life && r->key_life != st->key_life)
		return fail(EINVAL,
			    "--key-life: this instance makes a new key every %u s already; detach "
			    "all first",
			    st->key_life);
	if (r->ports && (!st->ports || strcmp(r->ports, st->ports)))
		return fail(EINVAL,
			    "--ports %s: this instance protects %s%s already; detach all first",
			    r->ports, st->ports ? "ports " : "every listening port",
			    st->ports ? st->ports : "");
	if (r->opts.max_flows && r->opts.max_flows != st->max_flows)
		return fail(
			EINVAL,
			"--max-flows %u: this instance has a table of %u already; detach all first",
			r->opts.max_flows, st->max_flows);
	return 0;
}

static int settle(struct work *w, bool fresh)
{
	struct state *st = &w->st;
	struct request *r = w->req;
	struct features f;
	int err;

	probe_features(&f);
	err = needs_btf(&f);
	if (err)
		return err;
	if (!fresh) {
		err = check_same(r, st);
	} else {
		st->cookie = w->in.cookie;
		st->mode = r->mode;
		st->ports = r->ports ? strdup(r->ports) : NULL;
		st->key_life = r->key_life ? r->key_life : KEY_LIFE_DEFAULT;
		err = choose_cookies(st, r->cookies, &f);
	}
	if (!err && r->key_life && st->kernel_cookies)
		err = fail(EINVAL,
			   "--key-life: with the kernel's cookies (%s) the key is the "
			   "kernel's too",
			   st->why);
	r->opts.kernel_cookies = st->kernel_cookies;
	r->opts.freplace = probe_freplace();
	return err;
}

static int check(struct work *w, bool fresh)
{
	int i, err = settle(w, fresh);

	for (i = 0; !err && i < w->req->n; i++)
		err = check_interface(w, w->req->names[i]);
	return err;
}

/* ---- the work ---- */

static int load_programs(struct work *w)
{
	size_t i;
	int err = 0;

	for (i = 0; !err && i < w->n_targets; i++)
		err = datapath_load(&w->targets[i].dp, &w->in, w->targets[i].name, &w->req->opts);
	if (!err)
		err = datapath_load_sweep(&w->in);
	if (!err)
		err = datapath_maps(&w->in, &w->maps);
	if (!err)
		w->st.max_flows = datapath_max_flows(&w->maps);
	return err == -ENOENT ? fail(ENOENT, "maps vanished from %s meanwhile", w->in.pins) : err;
}

/* Settings and listeners, before the first packet is looked at. */
static int fill_maps(struct work *w)
{
	struct settings set;
	struct attachment *at;
	size_t i;
	int err;

	for (i = 0, err = 0; !err && i < w->n_targets; i++) {
		at = state_find_index(&w->st, w->targets[i].link.ifindex);
		err = datapath_set_iface(&w->in, at, w->targets[i].link.mtu);
	}
	if (!err)
		err = maps_settings(&w->maps, &set);
	if (!err && !set.key.id)
		err = keys_new_settings(&set, monotonic_now());
	if (!err)
		err = sysctls_settings(&set, w->st.mode, w->st.ifaces[0].name);
	if (!err)
		err = maps_set_settings(&w->maps, &set);
	keys_forget(&set);
	if (err)
		return err;
	w->listeners = listeners_new(&w->maps, &w->st);
	return w->listeners ? listeners_refresh(w->listeners, true) : -ENOMEM;
}

static int take_connections(struct work *w)
{
	size_t n;
	int err = adopt(&w->maps, w->listeners, &n);

	if (!err)
		w->adopted = n;
	return err;
}

static int attach_programs(struct work *w)
{
	struct attachment *at;
	struct target *t;
	size_t i;
	int err = 0;

	/* TC before XDP: a cookie that comes back must find TC there */
	for (i = 0; !err && i < w->n_targets; i++) {
		at = state_find_index(&w->st, w->targets[i].link.ifindex);
		err = datapath_attach_tc(w->targets[i].dp, at);
	}
	/* a second interface meets a datapath that is READY: it must know the connections now */
	if (!err)
		err = take_connections(w);
	if (!err)
		err = state_save(&w->st, w->in.state);
	for (i = 0; !err && i < w->n_targets; i++) {
		t = &w->targets[i];
		at = state_find_index(&w->st, t->link.ifindex);
		err = datapath_attach_xdp(t->dp, at, t->note, sizeof(t->note));
	}
	return err;
}

/* Connections made since the first look were followed by TC; one list can miss some that
 * moved while the kernel made it, a second one finds those. */
static int finish(struct work *w)
{
	struct settings set = {0};
	size_t i;
	int err = take_connections(w);

	if (!err)
		err = maps_settings(&w->maps, &set);
	set.flags |= SET_READY;
	if (!err)
		err = maps_set_settings(&w->maps, &set);
	keys_forget(&set);
	for (i = 0; !err && i < w->n_targets; i++)
		state_find_index(&w->st, w->targets[i].link.ifindex)->complete = true;
	return err ? err : state_save(&w->st, w->in.state);
}

static void become_agent(const struct instance *in, int errors)
{
	int null = open("/dev/null", O_RDWR);
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	if (chdir("/") || null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(errors, 2) < 0)
		_exit(STATUS_FAILED);
	close_range(3, ~0U, 0); /* above all the instance's lock */
	if (in->netns[0])
		execl("/proc/self/exe", "synstile", "-n", in->netns, "agent", NULL);
	else
		execl("/proc/self/exe", "synstile", "agent", NULL);
	_exit(STATUS_FAILED);
}

/* The agent complains to `errors`, and closes it when it is at work. */
static int await_agent(const struct instance *in, int errors)
{
	struct pollfd p = {.fd = errors, .events = POLLIN};
	char text[512] = "";
	size_t n = 0;
	ssize_t got = 1;

	while (got > 0 && n < sizeof(text) - 1 && poll(&p, 1, 10000) == 1) {
		got = read(errors, text + n, sizeof(text) - 1 - n);
		n += got > 0 ? got : 0;
	}
	text[strcspn(text, "\n")] = 0;
	if (instance_agent(in))
		return 0;
	return fail(ECHILD, "the agent does not start: %s", text[0] ? text : "it says nothing");
}

static int start_agent(const struct instance *in)
{
	int pipes[2], err;
	pid_t pid;

	if (instance_agent(in))
		return 0;
	if (pipe2(pipes, O_CLOEXEC))
		return -errno;
	fflush(NULL);
	pid = fork();
	if (!pid)
		become_agent(in, pipes[1]);
	close(pipes[1]);
	if (pid < 0)
		err = fail(errno, "cannot start the agent: %s", strerror(errno));
	else
		err = await_agent(in, pipes[0]);
	close(pipes[0]);
	if (err && pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	return err;
}

/* ---- all or nothing ---- */

static int record(struct work *w)
{
	size_t i;
	int err = sysctls_plan(&w->st);

	for (i = 0; !err && i < w->n_targets; i++)
		if (!state_add(&w->st, w->targets[i].name, w->targets[i].link.ifindex))
			err = -E2BIG;
	return err ? err : state_save(&w->st, w->in.state);
}

static int execute(struct work *w)
{
	int err = record(w);

	if (!err)
		err = load_programs(w);
	if (!err)
		err = sysctls_apply(&w->st);
	if (!err)
		err = fill_maps(w);
	if (!err)
		err = attach_programs(w);
	if (!err)
		err = finish(w);
	return err ? err : start_agent(&w->in);
}

static void undo(struct work *w)
{
	struct attachment *at;
	size_t i = w->n_targets;

	while (i--) {
		at = state_find_index(&w->st, w->targets[i].link.ifindex);
		if (at)
			teardown_iface(&w->in, &w->st, at, false);
	}
	if (w->st.n_ifaces) {
		sysctls_restore(&w->st, w->sysctls_before);
		state_save(&w->st, w->in.state);
		return;
	}
	instance_stop_agent(&w->in);
	teardown_instance(&w->in, &w->st);
}

static void release(struct work *w)
{
	size_t i;

	for (i = 0; i < w->n_targets; i++)
		datapath_close(w->targets[i].dp);
	listeners_free(w->listeners);
	maps_close(&w->maps);
}

static void report(const struct work *w)
{
	size_t i, services = 0, pairs = 0;
	const struct attachment *at;
	const struct target *t;

	if (!w->n_targets)
		return;
	listeners_count(w->listeners, &services, &pairs);
	for (i = 0; i < w->n_targets; i++) {
		t = &w->targets[i];
		at = state_find_index((struct state *)&w->st, t->link.ifindex);
		printf("%s: %s XDP (%s), TC by %s\n", t->name, at->skb ? "generic" : "native",
		       at->via == VIA_LIBXDP ? "in libxdp's dispatcher"
		       : at->via == VIA_LINK ? "alone, by a link"
					     : "alone, by netlink",
		       tc_name(at->tc));
		if (t->note[0])
			printf("%*s  (%s)\n", (int)strlen(t->name), "", t->note);
	}
	if (!w->req->opts.freplace)
		printf("other XDP programs cannot share the interface: this kernel refuses "
		       "libxdp's dispatcher "
		       "(freplace)\n");
	printf("mode %s, %s cookies (%s)\n", mode_name(w->st.mode),
	       w->st.kernel_cookies ? "kernel" : "own", w->st.why);
	printf("%zu port%s on %zu address%s and port%s protected, %zu connection%s adopted\n",
	       services, services == 1 ? "" : "s", pairs, pairs == 1 ? "" : "es",
	       pairs == 1 ? "" : "s", w->adopted, w->adopted == 1 ? "" : "s");
}

static int attach(struct work *w)
{
	int err = teardown_stale(&w->in, &w->st);
	bool fresh = err == -ENOENT;

	if (fresh)
		err = 0;
	w->sysctls_before = w->st.n_sysctls;
	if (!err)
		err = check(w, fresh);
	if (!err)
		err = w->n_targets ? execute(w) : start_agent(&w->in);
	if (err)
		undo(w);
	else
		report(w);
	release(w);
	return err;
}

int cmd_attach(int argc, char **argv)
{
	struct request r = {.mode = MODE_AUTO};
	static struct work w = {.maps = NO_MAPS};
	sigset_t wait;
	int status, err;

	if (!parse(&r, argc, argv, &status))
		return status;
	w.req = &r;
	err = common_open(&w.in);
	if (!err)
		err = instance_bpffs(&w.in, true);
	/* from here to the end without a break: it is done, or undone, within a second or two */
	sigemptyset(&wait);
	sigaddset(&wait, SIGINT);
	sigaddset(&wait, SIGTERM);
	sigaddset(&wait, SIGHUP);
	sigprocmask(SIG_BLOCK, &wait, NULL);
	if (!err)
		err = instance_lock(&w.in, "attach");
	if (!err) {
		err = attach(&w);
		instance_unlock(&w.in, !w.st.n_ifaces);
	}
	state_free(&w.st);
	return err ? common_failed(err) : STATUS_OK;
}
