// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "adopt.h"
#include "agent.h"
#include "backlogs.h"
#include "bridged.h"
#include "cmd.h"
#include "datapath.h"
#include "doctor_needs.h"
#include "inforce.h"
#include "keys.h"
#include "listeners.h"
#include "log.h"
#include "nat.h"
#include "netlink.h"
#include "probe.h"
#include "published.h"
#include "services.h"
#include "start_agent.h"
#include "sysctls.h"
#include "teardown.h"

enum cookie_choice {
	COOKIES_CHOOSE,
	COOKIES_OWN,
	COOKIES_KERNEL
};

/* What the command line asks for. */
struct request {
	const char *command;
	bool run; /* be the agent, in the foreground */
	bool mode_given;
	enum service_mode mode;
	enum cookie_choice cookies;
	const char *ports, *policy;
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
	struct standing standing; /* generation 0: nothing is in force yet */
	struct listeners *listeners;
	struct published *published;
	struct agent *agent; /* of run */
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
	case 'P':
		r->policy = optarg;
		return true; /* read later */
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
						{"policy", required_argument, NULL, 'P'},
						{"xdp", required_argument, NULL, 'x'},
						{"tc", required_argument, NULL, 't'},
						{"cookies", required_argument, NULL, 'c'},
						{"key-life", required_argument, NULL, 'k'},
						{"max-flows", required_argument, NULL, 'f'},
						{}};
	static const char set[] = "mpPxtckf";
	static const char *const expected[] = {"observe, auto or always",
					       "ports",
					       "a file",
					       "native, skb or auto",
					       "tcx, clsact or auto",
					       "own, kernel or auto",
					       "a time from 2m to 24h such as 15m",
					       "1024 to 268435456"};
	struct ports ports;
	int c;

	while ((c = getopt_long(argc, argv, COMMON_SHORT "m:p:P:x:t:c:k:f:", options, NULL)) !=
	       -1) {
		const char *at = strchr(set, c);

		if (!at || c == '?') {
			if (common_option(c, r->command, status))
				return false;
		} else if (!set_option(r, c)) {
			*status = common_usage(r->command, "-%c takes %s, not \"%s\"", c,
					       expected[at - set], optarg);
			return false;
		}
	}
	*status = STATUS_USAGE;
	r->n = argc - optind;
	r->names = argv + optind;
	if (!r->n)
		common_usage(r->command, "which interface? `ip -br link` lists them");
	else if (r->n > MAX_IFACES)
		common_usage(r->command, "more than %d interfaces", MAX_IFACES);
	else if (r->ports && ports_parse(&ports, r->ports))
		common_usage(r->command, "%s", fail_reason(0));
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
		printf("%s: attached already; its agent had ended and %s\n", name,
		       w->req->run ? "this one takes its work up" : "is started again");
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

/* The first of these interfaces that is the port of a bridge, or NULL. */
static const char *find_port(const struct request *r)
{
	int i;

	for (i = 0; i < r->n; i++)
		if (bridged(if_nametoindex(r->names[i])))
			return r->names[i];
	return NULL;
}

static int refuse_port(const char *port)
{
	return fail(EOPNOTSUPP,
		    "%s is a port of a bridge, and with that the kernel resets the clients of own "
		    "cookies; attach to the bridge instead, or use --cookies kernel (after "
		    "`synstile detach --all`, if another interface is attached)",
		    port);
}

static int choose_cookies(struct state *st, const struct request *r, bool protects,
			  const struct features *f)
{
	enum cookie_choice choice = r->cookies;
	const char *port = find_port(r);
	bool nat = nat_present();
	int err = needs_cookies(f);

	if (err)
		return err;
	if (choice == COOKIES_OWN && !f->assign_reqsk)
		return fail(EOPNOTSUPP,
			    "--cookies own: this kernel has no bpf_sk_assign_tcp_reqsk(), which "
			    "Linux 6.9 and later have; use --cookies kernel");
	if (choice == COOKIES_OWN && nat && protects)
		return fail(
			EOPNOTSUPP,
			"--cookies own: netfilter translates addresses here (`nft list ruleset`; "
			"`iptables -t nat -S`), and with that the kernel resets the clients of own "
			"cookies; use --cookies kernel");
	if (choice == COOKIES_OWN && port && protects)
		return refuse_port(port);
	st->kernel_cookies = choice == COOKIES_KERNEL ||
			     (choice == COOKIES_CHOOSE && (nat || port)) || !f->assign_reqsk;
	snprintf(st->why, sizeof(st->why), "%s",
		 choice != COOKIES_CHOOSE ? "asked for"
		 : !f->assign_reqsk       ? "the kernel has no bpf_sk_assign_tcp_reqsk(), Linux 6.9"
		 : nat  ? "netfilter translates addresses here, which own cookies do not survive"
		 : port ? "the port of a bridge is attached, which own cookies do not survive"
			: "the kernel has bpf_sk_assign_tcp_reqsk()");
	return 0;
}

/* ---- the policy ---- */

static int read_policy(struct work *w, const char *file)
{
	struct policy_errors errors = {0};
	char *path = realpath(file, NULL); /* the agent will read it again by its name */
	size_t i;
	int err;

	if (!path)
		return fail(errno, "--policy %s: %s", file, strerror(errno));
	err = policy_read(path, &w->standing.policy, &errors);
	for (i = 0; i < errors.n; i++)
		fprintf(stderr, "%s\n", errors.at[i]);
	if (errors.n)
		err = fail(EINVAL, "nothing is attached: the policy in %s has %zu error%s", path,
			   errors.n, errors.n == 1 ? "" : "s");
	policy_errors_free(&errors);
	free(path);
	return err;
}

/* That which is asked for is the one in force? */
static int check_same_policy(struct work *w)
{
	struct policy *now = w->standing.policy;
	bool same;
	int err;

	if (!w->req->policy)
		return 0;
	err = read_policy(w, w->req->policy);
	if (err)
		return err;
	same = policy_same_files(now, w->standing.policy);
	policy_free(w->standing.policy);
	w->standing.policy = now;
	return same ? 0
		    : fail(EINVAL,
			   "--policy %s: another policy is in force already (%s); use `synstile "
			   "policy apply %s`",
			   w->req->policy, policy_file_name(now) ?: "what is built in",
			   w->req->policy);
}

/* That in force, if there is one; else the one asked for, or that of the usual place. */
static int choose_policy(struct work *w)
{
	struct maps m = NO_MAPS;
	u32 generation = 0;
	int err = datapath_maps(&w->in, &m);

	if (!err)
		err = maps_generation(&m, &generation);
	maps_close(&m);
	if (err && err != -ENOENT)
		return err;
	if (generation) {
		err = standing_load(&w->standing, &w->in, generation);
		return err ? err : check_same_policy(w);
	}
	if (w->req->policy || !access(POLICY_DEFAULT_FILE, F_OK))
		return read_policy(w, w->req->policy ?: POLICY_DEFAULT_FILE);
	w->standing.policy = policy_built_in();
	return w->standing.policy ? 0 : -ENOMEM;
}

/* The first policy of an instance is in force before any packet comes. */
static int record_policy(struct work *w)
{
	struct moment now = moment_now();

	if (w->standing.generation)
		return 0;
	w->standing.generation = 1;
	moment_timestamp(&now, now.monotonic, w->standing.applied);
	return standing_save(&w->in, NULL, &w->standing);
}

/* A further interface shares mode, cookies, ports and tables with those attached already. */
static int check_same(const struct request *r, const struct state *st)
{
	const char *port = st->kernel_cookies ? NULL : find_port(r);
	bool kernel = r->cookies == COOKIES_KERNEL;

	if (port && st->mode != MODE_OBSERVE)
		return refuse_port(port);
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

/* What the command line says, for good. */
static void take_options(struct work *w)
{
	struct state *st = &w->st;
	struct request *r = w->req;
	const struct value *host = w->standing.policy->host;

	st->cookie = w->in.cookie;
	st->ports = r->ports ? strdup(r->ports) : NULL;
	st->mode = r->mode;
	st->mode_given = r->mode_given;
	st->key_life = r->key_life;
	st->key_life_given = r->key_life;
	st->max_flows = r->opts.max_flows;
	st->max_flows_given = r->opts.max_flows;
	policy_take_options(w->standing.policy, st);
	r->opts.max_flows = host[HV_MAX_FLOWS].n;
	r->opts.max_verified = host[HV_MAX_VERIFIED].n;
}

static int settle(struct work *w, bool fresh)
{
	struct state *st = &w->st;
	struct request *r = w->req;
	struct features f;
	int err;

	probe_features(&f);
	err = needs_btf(&f);
	if (!err)
		err = choose_policy(w);
	if (err)
		return err;
	if (fresh)
		take_options(w);
	else
		policy_take_options(w->standing.policy, st);
	/* an agent that was killed may have put a policy in force, and not come to write this */
	if (state_follow(st, w->standing.policy) && !fresh)
		err = state_save(st, w->in.state);
	if (err)
		return err;
	err = fresh ? choose_cookies(st, r, policy_protects(w->standing.policy), &f)
		    : check_same(r, st);
	if (!err)
		err = policy_suits(w->standing.policy, st);
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

static int fill_listeners(struct work *w)
{
	w->listeners = listeners_new(&w->maps, &w->st, w->standing.policy);
	w->published = published_new();
	if (!w->listeners || !w->published)
		return -ENOMEM;
	listeners_set_published(w->listeners, w->published, published_refresh(w->published));
	return listeners_refresh(w->listeners, true);
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
	if (!err && !set.generation)
		err = inforce_first_rules(&w->maps, w->standing.policy);
	set.generation = w->standing.generation;
	if (!err)
		err = maps_set_settings(&w->maps, &set);
	keys_forget(&set);
	return err ? err : fill_listeners(w);
}

static int take_connections(struct work *w)
{
	size_t n;
	int err = adopt(&w->maps, &n);

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

static int provide_agent(struct work *w)
{
	if (instance_agent(&w->in))
		return 0;
	if (!w->req->run)
		return start_agent(&w->in);
	w->agent = agent_new(&w->in);
	return w->agent ? 0 : -ENOMEM;
}

/* ---- all or nothing ---- */

static int record(struct work *w)
{
	size_t i;
	int err = policy_protects(w->standing.policy) ? sysctls_plan(&w->st) : 0;

	if (!err)
		err = sysctls_plan_backlogs(&w->st, w->standing.policy);
	for (i = 0; !err && i < w->n_targets; i++)
		if (!state_add(&w->st, w->targets[i].name, w->targets[i].link.ifindex))
			err = -E2BIG;
	if (!err)
		err = state_save(&w->st, w->in.state);
	return err ? err : record_policy(w);
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
	return err ? err : provide_agent(w);
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
	published_free(w->published);
	standing_free(&w->standing);
	maps_close(&w->maps);
}

static void report_backlogs(const struct state *st)
{
	json_t *backlogs = backlogs_json(st);

	backlogs_print(backlogs);
	json_decref(backlogs);
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
	if (policy_file_name(w->standing.policy))
		printf("policy %s\n", policy_file_name(w->standing.policy));
	printf("mode %s, %s cookies (%s)\n", mode_name(w->st.mode),
	       w->st.kernel_cookies ? "kernel" : "own", w->st.why);
	printf("%zu port%s on %zu address%s and port%s protected, %zu connection%s adopted\n",
	       services, services == 1 ? "" : "s", pairs, pairs == 1 ? "" : "es",
	       pairs == 1 ? "" : "s", w->adopted, w->adopted == 1 ? "" : "s");
	report_backlogs(&w->st);
}

/* The foreground is for one who does all of the work. */
static int check_alone(const struct work *w)
{
	const char *option = w->in.netns[0] ? " -n " : "", *name = w->req->names[0];
	int pid = instance_agent(&w->in);

	if (!pid)
		return 0;
	if (state_find((struct state *)&w->st, name))
		return fail(EEXIST,
			    "%s: agent PID %d already protects it; stop it with `kill %d` "
			    "(protection stays on), or use `synstile%s%s status`",
			    name, pid, pid, option, w->in.netns);
	return fail(EEXIST,
		    "%s: agent PID %d is at work here already, for %s; `synstile%s%s attach %s` "
		    "gives it one more interface (a unit of systemd names all of them: THE SERVICE "
		    "in synstile(8))",
		    name, pid, w->st.n_ifaces ? w->st.ifaces[0].name : "others", option,
		    w->in.netns, name);
}

static int attach(struct work *w)
{
	int err = teardown_stale(&w->in, &w->st);
	bool fresh = err == -ENOENT;

	teardown_vanished(&w->in);
	if (fresh)
		err = 0;
	sysctls_remember(&w->st);
	w->sysctls_before = w->st.n_sysctls;
	if (!err && w->req->run)
		err = check_alone(w);
	if (!err)
		err = check(w, fresh);
	if (!err)
		err = w->n_targets ? execute(w) : provide_agent(w);
	if (err)
		undo(w);
	else
		report(w);
	release(w);
	return err;
}

/* From here to the end without a break: it is done, or undone, within a second or two. */
static void hold_signals(sigset_t *before)
{
	sigset_t wait;

	sigemptyset(&wait);
	sigaddset(&wait, SIGINT);
	sigaddset(&wait, SIGTERM);
	sigaddset(&wait, SIGHUP);
	sigprocmask(SIG_BLOCK, &wait, before);
}

static int be_agent(struct agent *a)
{
	bool well = agent_run(a, true);

	agent_free(a);
	return well ? STATUS_OK : STATUS_FAILED;
}

static int attach_or_run(struct request *r, int argc, char **argv)
{
	static struct work w = {.maps = NO_MAPS};
	sigset_t signals;
	int status, err;

	if (!parse(r, argc, argv, &status))
		return status;
	w.req = r;
	err = common_open(&w.in);
	if (!err)
		err = instance_bpffs(&w.in, true);
	hold_signals(&signals);
	if (!err)
		err = instance_lock(&w.in, r->command);
	if (!err) {
		err = attach(&w);
		instance_unlock(&w.in, !w.st.n_ifaces);
	}
	state_free(&w.st);
	if (err)
		return common_failed(err);
	fflush(stdout);
	sigprocmask(SIG_SETMASK, &signals, NULL);
	return w.agent ? be_agent(w.agent) : STATUS_OK;
}

int cmd_attach(int argc, char **argv)
{
	struct request r = {.command = "attach", .mode = MODE_AUTO};

	return attach_or_run(&r, argc, argv);
}

int cmd_run(int argc, char **argv)
{
	struct request r = {.command = "run", .run = true, .mode = MODE_AUTO};

	return attach_or_run(&r, argc, argv);
}
