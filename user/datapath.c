// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <xdp/libxdp.h>

#include "datapath.h"
#include "log.h"
#include "netlink.h"
#include "probe.h"
#include "synstile_sweep.skel.h"
#include "synstile_tc.skel.h"
#include "synstile_xdp.skel.h"

/* Missing from the headers of libbpf 1.1 (Debian 12). */
#define TCX_INGRESS 46
#define TCX_EGRESS  47

#define XDP_PROGRAM     "synstile_xdp"
#define TC_PROGRAM      "synstile_tc"
#define DISPATCHER      "xdp_dispatcher"
#define DEFAULT_FLOWS   262144
#define DEFAULT_SOURCES 65536
#define TC_PRIORITY     49500
#define TC_HANDLE       1
#define LIBXDP_PRIORITY 10 /* before programs with libxdp's default, 50 */
#define WORDS           65536
#define SHOWN_LINES     25

struct datapath {
	const struct instance *in;
	struct datapath_options opts;
	char dir[600]; /* pins of this interface */
	struct synstile_xdp *xdp;
	struct synstile_tc *tc;
};

static const char *const tc_pins[2] = {"tc_ingress_link", "tc_egress_link"};
static const char *const tc_sides[2] = {"ingress", "egress"};

/* ---- what the libraries say ---- */

static char words[WORDS];
static size_t n_words;

/* Keeps the last WORDS bytes: the end of a verifier log is what matters. */
static void keep(const char *fmt, va_list args)
{
	int n;

	if (n_words > WORDS / 2) {
		memmove(words, words + n_words - WORDS / 4, WORDS / 4 + 1);
		n_words = WORDS / 4;
	}
	n = vsnprintf(words + n_words, WORDS - n_words, fmt, args);
	n_words += n < 0 ? 0 : (size_t)n < WORDS - n_words ? (size_t)n : WORDS - n_words - 1;
}

static int on_libbpf(enum libbpf_print_level level, const char *fmt, va_list args)
{
	if (log_verbose && level != LIBBPF_DEBUG)
		return vfprintf(stderr, fmt, args);
	if (level == LIBBPF_WARN)
		keep(fmt, args);
	return 0;
}

static int on_libxdp(enum libxdp_print_level level, const char *fmt, va_list args)
{
	if (log_verbose && level != LIBXDP_DEBUG)
		return vfprintf(stderr, fmt, args);
	if (level == LIBXDP_WARN)
		keep(fmt, args);
	return 0;
}

void datapath_init(void)
{
	libbpf_set_print(on_libbpf);
	libxdp_set_print(on_libxdp);
}

static void forget_words(void)
{
	n_words = 0;
	words[0] = 0;
}

/* The last lines of what the libraries said, for people who must find out why. */
static void show_words(void)
{
	const char *at = words + n_words;
	int lines = 0;

	while (at > words && lines <= SHOWN_LINES)
		lines += *--at == '\n';
	if (n_words)
		fprintf(stderr, "%s%s", *at == '\n' ? at + 1 : at,
			words[n_words - 1] == '\n' ? "" : "\n");
	forget_words();
}

/* What the kernel said about the last netlink request, or NULL. */
static const char *kernel_words(void)
{
	static const char mark[] = "Kernel error message: ";
	static char said[200];
	char *at = words, *last = NULL;

	while ((at = strstr(at, mark))) {
		at += strlen(mark);
		last = at;
	}
	if (!last)
		return NULL;
	snprintf(said, sizeof(said), "%.*s", (int)strcspn(last, "\n"), last);
	return said;
}

/* ---- pins ---- */

static int pin_path(char *buf, size_t size, const char *dir, const char *name)
{
	return format(buf, size, "%s/%s", dir, name);
}

static int iface_dir(char *buf, size_t size, const struct instance *in, const char *ifname)
{
	/* an interface may bear the name of a map */
	static const char *const taken[] = {
		"flows",    "filter",  "listeners", "ports",   "services", "pressure",  "load",
		"settings", "shared",  "sweep",     "census",  "events",   "lost",      "limits",
		"oddities", "scratch", "doubts",    "forget",  "alarm",    "rules",     "prefixes",
		"verified", "limit",   "distinct",  "samples", "listed",   "handshakes"};
	char encoded[64];
	bool clash = false;
	size_t i;
	int err = encode_name(encoded, sizeof(encoded), ifname);

	for (i = 0; i < sizeof(taken) / sizeof(*taken); i++)
		clash |= !strcmp(taken[i], encoded);
	return err ? err : format(buf, size, "%s/%s%s", in->pins, clash ? "%" : "", encoded);
}

static int make_dir(const char *path)
{
	if (mkdir(path, 0700) && errno != EEXIST)
		return fail(errno, "cannot create %s: %s", path, strerror(errno));
	return 0;
}

static int make_dirs(const struct instance *in, const char *dir)
{
	int tries, err = -ENOENT;

	/* the last detach of another instance may remove PINS_DIR in between */
	for (tries = 0; err == -ENOENT && tries < 5; tries++) {
		fail_clear();
		err = make_dir(PINS_DIR);
		if (!err)
			err = make_dir(in->pins);
	}
	return err || !dir ? err : make_dir(dir);
}

static int open_pin(const char *dir, const char *name)
{
	char path[700];
	int fd, err = pin_path(path, sizeof(path), dir, name);

	if (err)
		return err;
	fd = bpf_obj_get(path);
	return fd < 0 ? -errno : fd;
}

static int put_pin(int fd, const char *dir, const char *name)
{
	char path[700];
	int err = pin_path(path, sizeof(path), dir, name);

	if (!err && bpf_obj_pin(fd, path))
		err = fail(errno, "cannot pin %s: %s", path, strerror(errno));
	return err;
}

static void drop_pin(const char *dir, const char *name)
{
	char path[700];

	if (!pin_path(path, sizeof(path), dir, name))
		unlink(path);
}

static bool has_pin(const char *dir, const char *name)
{
	char path[700];

	return !pin_path(path, sizeof(path), dir, name) && !access(path, F_OK);
}

/* Removes a folder of pins, and the folders in it. */
static void remove_dir(const char *path)
{
	struct dirent *d;
	char sub[1024];
	DIR *dir = opendir(path);

	while (dir && (d = readdir(dir))) {
		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, "..") ||
		    pin_path(sub, sizeof(sub), path, d->d_name))
			continue;
		if (unlink(sub) && (errno == EISDIR || errno == EPERM))
			remove_dir(sub);
	}
	if (dir)
		closedir(dir);
	rmdir(path);
}

/* ---- programs by id ---- */

static bool program_name(u32 id, char name[BPF_OBJ_NAME_LEN])
{
	struct bpf_prog_info info = {0};
	u32 len = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(id);
	bool ok = fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &len);

	if (fd >= 0)
		close(fd);
	memcpy(name, info.name, BPF_OBJ_NAME_LEN);
	return ok;
}

/* By their ids. */
static bool may_open_programs(void)
{
	int fd = bpf_prog_get_fd_by_id(0); /* there is none */

	if (fd >= 0)
		close(fd);
	return fd >= 0 || errno != EPERM;
}

static u32 program_id(int fd)
{
	struct bpf_prog_info info = {0};
	u32 len = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &len) ? 0 : info.id;
}

/* Ours? Without a known id (the state file is lost) the name must do. */
static bool is_ours(u32 id, u32 known, const char *prefix)
{
	char name[BPF_OBJ_NAME_LEN];

	if (known)
		return id == known;
	return program_name(id, name) && !strncmp(name, prefix, strlen(prefix));
}

int datapath_in_the_way(u32 ifindex, const char *ifname, bool freplace, bool *dispatcher)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, q);
	u32 ids[3], i;
	char name[BPF_OBJ_NAME_LEN];

	*dispatcher = false;
	if (bpf_xdp_query(ifindex, 0, &q))
		return fail(errno, "%s: cannot ask for XDP programs: %s", ifname, strerror(errno));
	ids[0] = q.drv_prog_id;
	ids[1] = q.skb_prog_id;
	ids[2] = q.hw_prog_id;
	for (i = 0; i < 3; i++) {
		if (!ids[i])
			continue;
		if (!program_name(ids[i], name))
			strcpy(name, "unknown");
		if (!strcmp(name, DISPATCHER) && freplace) {
			*dispatcher = true;
			continue;
		}
		return fail(
			EBUSY,
			"%s: another XDP program is attached: \"%s\", id %u%s. `bpftool net show "
			"dev %s` "
			"and `ip link show dev %s` show it; detach it first%s",
			ifname, name, ids[i],
			strcmp(name, XDP_PROGRAM) ? "" : " (of synstile, but not of this instance)",
			ifname, ifname,
			strcmp(name, DISPATCHER)
				? ""
				: " (this kernel cannot extend libxdp's dispatcher: no freplace)");
	}
	return 0;
}

int datapath_tcx_programs(u32 ifindex, bool ingress, u32 *ids, u32 *n)
{
	/* the descriptor's place in the request is the interface's index here */
	return bpf_prog_query(ifindex, ingress ? TCX_INGRESS : TCX_EGRESS, 0, NULL, ids, n) ? -errno
											    : 0;
}

bool datapath_program_name(u32 id, char name[BPF_OBJ_NAME_LEN])
{
	return program_name(id, name);
}

/* ---- loading ---- */

static u32 max_entries(int fd)
{
	struct bpf_map_info info = {0};
	u32 len = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &len) ? 0 : info.max_entries;
}

/* How large this map is to be: as large as it is, if it is there, else as asked for. */
static u32 table_size(const struct instance *in, const char *name, u32 asked, u32 usual)
{
	int fd = open_pin(in->pins, name);
	u32 n = 0;

	if (fd >= 0) {
		n = max_entries(fd);
		close(fd);
	}
	return n ? n : asked ? asked : usual;
}

static int set_sizes(struct bpf_object *obj, const struct instance *in,
		     const struct datapath_options *opts)
{
	const struct {
		const char *name;
		u32 size;
	} all[] = {{"flows", table_size(in, "flows", opts ? opts->max_flows : 0, DEFAULT_FLOWS)},
		   {"verified",
		    table_size(in, "verified", opts ? opts->max_verified : 0, DEFAULT_SOURCES)}};
	struct bpf_map *map;
	int err = 0;
	size_t i;

	for (i = 0; !err && i < sizeof(all) / sizeof(*all); i++) {
		map = bpf_object__find_map_by_name(obj, all[i].name);
		err = map ? bpf_map__set_max_entries(map, all[i].size) : 0;
		if (err)
			return fail(-err, "map %s: %s", all[i].name, strerror(-err));
	}
	return 0;
}

static bool of_interface(const char *map)
{
	return !strcmp(map, "counters") || !strcmp(map, "iface");
}

/* Gives every map of the object its size and its pin, which libbpf takes up or creates. */
static int share_maps(struct bpf_object *obj, const struct instance *in, const char *dir,
		      const struct datapath_options *opts)
{
	struct bpf_map *map;
	const char *name;
	char path[700];
	int err = 0;

	bpf_object__for_each_map (map, obj) {
		name = bpf_map__name(map);
		if (bpf_map__is_internal(map) || (!dir && of_interface(name)))
			continue;
		err = pin_path(path, sizeof(path), of_interface(name) ? dir : in->pins, name);
		if (!err)
			err = bpf_map__set_pin_path(map, path);
		if (err)
			return fail(-err, "map %s: %s", name, strerror(-err));
	}
	return set_sizes(obj, in, opts);
}

static int other_version(void)
{
	return fail(EINVAL,
		    "maps of another version of synstile are in use; `synstile detach --all`, then "
		    "attach again");
}

static int load_failed(int err, const char *what)
{
	bool mismatch = strstr(words, "parameter mismatch");
	bool verifier = strstr(words, "BEGIN PROG LOAD LOG"); /* then no map was too large */

	show_words();
	if (err == -EINVAL && mismatch)
		return other_version();
	if (!verifier && (err == -ENOMEM || err == -E2BIG))
		return fail(-err, "cannot load the %s program: %s; try a smaller --max-flows", what,
			    strerror(-err));
	return fail(
		-err,
		"cannot load the %s program: %s; the lines above are the kernel's reason (-v shows "
		"more)",
		what, strerror(-err));
}

static int open_xdp(struct synstile_xdp **xdp, const struct datapath *dp)
{
	*xdp = synstile_xdp__open();
	if (!*xdp)
		return fail(errno, "cannot open the XDP object: %s", strerror(errno));
	(*xdp)->rodata->cookie_backend = dp->opts.kernel_cookies;
	return share_maps((*xdp)->obj, dp->in, dp->dir, &dp->opts);
}

static int load_xdp(struct datapath *dp)
{
	int err = open_xdp(&dp->xdp, dp);

	if (err)
		return err;
	forget_words();
	err = synstile_xdp__load(dp->xdp);
	return err ? load_failed(err, "XDP") : 0;
}

static int load_tc(struct datapath *dp)
{
	int err;

	dp->tc = synstile_tc__open();
	if (!dp->tc)
		return fail(errno, "cannot open the TC object: %s", strerror(errno));
	dp->tc->rodata->cookie_backend = dp->opts.kernel_cookies;
	dp->tc->rodata->has_conntrack = probe_conntrack();
	err = share_maps(dp->tc->obj, dp->in, dp->dir, &dp->opts);
	if (err)
		return err;
	forget_words();
	err = synstile_tc__load(dp->tc);
	return err ? load_failed(err, "TC") : 0;
}

int datapath_load(struct datapath **out, const struct instance *in, const char *ifname,
		  const struct datapath_options *opts)
{
	struct datapath *dp = calloc(1, sizeof(*dp));
	int err;

	if (!dp)
		return -ENOMEM;
	dp->in = in;
	dp->opts = *opts;
	err = iface_dir(dp->dir, sizeof(dp->dir), in, ifname);
	if (!err)
		err = make_dirs(in, dp->dir);
	if (!err)
		err = load_tc(dp);
	if (!err)
		err = load_xdp(dp);
	if (err) {
		datapath_close(dp);
		return err;
	}
	*out = dp;
	return 0;
}

void datapath_close(struct datapath *dp)
{
	if (!dp)
		return;
	synstile_xdp__destroy(dp->xdp);
	synstile_tc__destroy(dp->tc);
	free(dp);
}

int datapath_load_sweep(const struct instance *in)
{
	struct synstile_sweep *sweep;
	int err;

	if (has_pin(in->pins, "sweep") && has_pin(in->pins, "forget") && has_pin(in->pins, "alarm"))
		return 0;
	sweep = synstile_sweep__open();
	if (!sweep)
		return fail(errno, "cannot open the sweep object: %s", strerror(errno));
	err = share_maps(sweep->obj, in, NULL, NULL);
	if (!err) {
		forget_words();
		err = synstile_sweep__load(sweep);
		if (err)
			load_failed(err, "sweep");
	}
	if (!err)
		err = put_pin(bpf_program__fd(sweep->progs.synstile_sweep), in->pins, "sweep");
	if (!err)
		err = put_pin(bpf_program__fd(sweep->progs.synstile_forget), in->pins, "forget");
	if (!err)
		err = put_pin(bpf_program__fd(sweep->progs.synstile_alarm), in->pins, "alarm");
	synstile_sweep__destroy(sweep);
	return err;
}

int datapath_open_sweep(const struct instance *in)
{
	return open_pin(in->pins, "sweep");
}

int datapath_open_forget(const struct instance *in)
{
	return open_pin(in->pins, "forget");
}

int datapath_open_alarm(const struct instance *in)
{
	return open_pin(in->pins, "alarm");
}

int datapath_alarm(int fd, u32 service, u32 reasons)
{
	struct service_alarm a = {.service = service, .reasons = reasons};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &a, .ctx_size_in = sizeof(a));

	if (bpf_prog_test_run_opts(fd, &opts))
		return -errno;
	return opts.retval ? -ENOENT : 0;
}

int datapath_forget(int fd, const struct flow_key *key)
{
	struct flow_key ctx = *key;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &ctx, .ctx_size_in = sizeof(ctx));

	return bpf_prog_test_run_opts(fd, &opts) ? -errno : (int)opts.retval;
}

int datapath_sweep(int fd, bool between)
{
	struct sweep_order order = {.between = between};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &order, .ctx_size_in = sizeof(order));

	return bpf_prog_test_run_opts(fd, &opts) ? -errno : 0;
}

/* ---- TC ---- */

static int attach_tcx(struct datapath *dp, struct attachment *at, const int progs[2])
{
	static const int types[2] = {TCX_INGRESS, TCX_EGRESS};
	int i, fd, err = 0;

	for (i = 0; !err && i < 2; i++) {
		fd = bpf_link_create(progs[i], at->ifindex, types[i], NULL);
		if (fd < 0) {
			err = -errno;
			break;
		}
		err = put_pin(fd, dp->dir, tc_pins[i]);
		close(fd); /* unpinned, the link ends here */
	}
	for (i = 0; err && i < 2; i++)
		drop_pin(dp->dir, tc_pins[i]);
	if (!err)
		at->tc = TC_TCX;
	return err;
}

static int clsact_failed(int err, const struct attachment *at, int side)
{
	const char *said = kernel_words();

	/* that qdisc has one list of filters: our own ingress filter is what is met here */
	if (err == -EEXIST && side == 1)
		return fail(EEXIST,
			    "%s: an `ingress` qdisc stands in the way of clsact (`tc qdisc show "
			    "dev %s`); replace "
			    "it, or use --tc tcx if the kernel has it (Linux 6.6)",
			    at->name, at->name);
	if (err == -EEXIST)
		return fail(EEXIST,
			    "%s: TC ingress already has a filter with priority %d, handle %d; `tc "
			    "filter show "
			    "dev %s ingress` shows it",
			    at->name, TC_PRIORITY, TC_HANDLE, at->name);
	return fail(-err, "%s: cannot attach to TC %s: %s%s%s", at->name, tc_sides[side],
		    strerror(-err), said ? ": " : "", said ? said : "");
}

static void detach_clsact(const struct attachment *at, bool tell)
{
	static const enum bpf_tc_attach_point points[2] = {BPF_TC_INGRESS, BPF_TC_EGRESS};
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = at->ifindex);
	int i;

	for (i = 0; i < 2; i++) {
		LIBBPF_OPTS(bpf_tc_opts, o, .handle = TC_HANDLE, .priority = TC_PRIORITY);

		hook.attach_point = points[i];
		if (bpf_tc_query(&hook, &o) || !is_ours(o.prog_id, at->tc_ids[i], TC_PROGRAM)) {
			if (tell)
				warn("%s: the TC %s program was gone already", at->name,
				     tc_sides[i]);
			continue;
		}
		o.prog_fd = o.prog_id = o.flags = 0;
		if (bpf_tc_detach(&hook, &o))
			warn("%s: cannot remove the TC %s program: %s", at->name, tc_sides[i],
			     strerror(errno));
	}
	if (at->made_clsact && !netlink_has_filters(at->ifindex)) {
		hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
		bpf_tc_hook_destroy(&hook);
	}
}

static int attach_clsact(struct attachment *at, const int progs[2])
{
	static const enum bpf_tc_attach_point points[2] = {BPF_TC_INGRESS, BPF_TC_EGRESS};
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = at->ifindex,
		    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
	int i, err;

	forget_words();
	err = bpf_tc_hook_create(&hook);
	if (err && err != -EEXIST)
		return clsact_failed(err, at, 0);
	at->made_clsact = !err;
	at->tc = TC_CLSACT;
	at->tc_ids[0] = program_id(progs[0]);
	at->tc_ids[1] = program_id(progs[1]);
	for (i = 0, err = 0; !err && i < 2; i++) {
		LIBBPF_OPTS(bpf_tc_opts, o, .prog_fd = progs[i], .handle = TC_HANDLE,
			    .priority = TC_PRIORITY);

		hook.attach_point = points[i];
		err = bpf_tc_attach(&hook, &o);
		if (err)
			clsact_failed(err, at, i);
	}
	if (err) {
		detach_clsact(at, false);
		at->tc = TC_NONE;
	}
	return err;
}

int datapath_attach_tc(struct datapath *dp, struct attachment *at)
{
	const int progs[2] = {bpf_program__fd(dp->tc->progs.synstile_tc_ingress),
			      bpf_program__fd(dp->tc->progs.synstile_tc_egress)};
	int err;

	if (dp->opts.tc == TC_ONLY_CLSACT)
		return attach_clsact(at, progs);
	err = attach_tcx(dp, at, progs);
	/* kernels before 6.6 do not know the attach type */
	if (err == -EINVAL || err == -EOPNOTSUPP) {
		if (dp->opts.tc == TC_ONLY_TCX)
			return fail(-err, "%s: this kernel has no TCX (Linux 6.6 has)", at->name);
		return attach_clsact(at, progs);
	}
	if (err)
		fail(-err, "%s: cannot attach to TC: %s", at->name, strerror(-err));
	return err;
}

static bool link_there(const char *dir, const char *name)
{
	int fd = open_pin(dir, name);
	struct bpf_link_info info = {0};
	u32 len = sizeof(info);
	bool there;

	if (fd < 0)
		return false;
	/* a link whose interface is gone has ifindex 0; XDP and TCX links both begin with it */
	there = !bpf_obj_get_info_by_fd(fd, &info, &len) && info.xdp.ifindex;
	close(fd);
	return there;
}

bool datapath_tc_there(const struct instance *in, const struct attachment *at)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = at->ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, i, .handle = TC_HANDLE, .priority = TC_PRIORITY);
	LIBBPF_OPTS(bpf_tc_opts, e, .handle = TC_HANDLE, .priority = TC_PRIORITY);
	char dir[600];

	if (at->tc == TC_TCX)
		return !iface_dir(dir, sizeof(dir), in, at->name) && link_there(dir, tc_pins[0]) &&
		       link_there(dir, tc_pins[1]);
	if (bpf_tc_query(&hook, &i) || i.prog_id != at->tc_ids[0])
		return false;
	hook.attach_point = BPF_TC_EGRESS;
	return !bpf_tc_query(&hook, &e) && e.prog_id == at->tc_ids[1];
}

/* ---- XDP ---- */

static u32 mode_flag(bool skb)
{
	return skb ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
}

static enum xdp_attach_mode libxdp_mode(bool skb)
{
	return skb ? XDP_MODE_SKB : XDP_MODE_NATIVE;
}

/* By a pinned link; where the kernel refuses one, by netlink, which also tells why not. */
static int attach_plain(struct datapath *dp, struct attachment *at, bool skb)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = mode_flag(skb));
	int prog = bpf_program__fd(dp->xdp->progs.synstile_xdp), fd, err;

	fd = bpf_link_create(prog, at->ifindex, BPF_XDP, &opts);
	if (fd >= 0) {
		err = put_pin(fd, dp->dir, "xdp_link");
		close(fd);
		at->via = VIA_LINK;
	} else {
		err = bpf_xdp_attach(at->ifindex, prog,
				     mode_flag(skb) | XDP_FLAGS_UPDATE_IF_NOEXIST, NULL);
		if (err)
			return err;
		err = put_pin(prog, dp->dir, "xdp_prog");
		if (err)
			bpf_xdp_detach(at->ifindex, mode_flag(skb), NULL);
		at->via = VIA_NETLINK;
	}
	at->xdp_id = program_id(prog);
	return err;
}

static bool is_legacy(u32 ifindex)
{
	struct xdp_multiprog *mp = xdp_multiprog__get_from_ifindex(ifindex);
	bool legacy = !mp || libxdp_get_error(mp) || xdp_multiprog__is_legacy(mp);

	if (mp && !libxdp_get_error(mp))
		xdp_multiprog__close(mp);
	return legacy;
}

static int attach_program(struct xdp_program *p, struct attachment *at, bool skb)
{
	int err = xdp_program__set_run_prio(p, LIBXDP_PRIORITY);

	/* else the dispatcher is loaded without, and jumbo MTU is refused */
	if (!err)
		err = xdp_program__set_xdp_frags_support(p, true);
	if (!err)
		err = xdp_program__set_chain_call_enabled(p, XDP_PASS, true);
	if (!err)
		err = xdp_program__attach(p, at->ifindex, libxdp_mode(skb), 0);
	if (err)
		return err;
	at->xdp_id = xdp_program__id(p);
	/* a kernel that refused the dispatcher after all has the program alone */
	at->via = is_legacy(at->ifindex) ? VIA_NETLINK : VIA_LIBXDP;
	return 0;
}

/* Through libxdp's dispatcher. It loads the object itself, as a replacement for one of the
 * dispatcher's functions, so it gets a copy of its own. */
static int attach_libxdp(struct datapath *dp, struct attachment *at, bool skb)
{
	struct synstile_xdp *copy = NULL;
	struct xdp_program *p = NULL;
	int err = open_xdp(&copy, dp);

	if (!err) {
		DECLARE_LIBXDP_OPTS(xdp_program_opts, opts, .obj = copy->obj,
				    .prog_name = XDP_PROGRAM);

		p = xdp_program__create(&opts);
		err = libxdp_get_error(p);
	}
	if (!err) {
		err = attach_program(p, at, skb);
		if (!err && at->via == VIA_NETLINK) {
			err = put_pin(xdp_program__fd(p), dp->dir, "xdp_prog");
			if (err)
				xdp_program__detach(p, at->ifindex, libxdp_mode(skb), 0);
		}
		xdp_program__close(p);
	}
	synstile_xdp__destroy(copy);
	return err;
}

static int attach_mode(struct datapath *dp, struct attachment *at, bool skb)
{
	int err;

	forget_words();
	at->skb = skb;
	err = dp->opts.freplace ? attach_libxdp(dp, at, skb) : attach_plain(dp, at, skb);
	if (err)
		at->via = VIA_NONE;
	return err;
}

/* Why the driver may have refused, in words. */
static void refusal(int err, const char *ifname, char *buf, size_t size)
{
	const char *said = kernel_words();
	char driver[32];

	probe_driver(ifname, driver);
	if (said)
		snprintf(buf, size, "driver %s: %s (%s)", driver, said, strerror(-err));
	else if (err == -EOPNOTSUPP)
		snprintf(buf, size, "driver %s has no native XDP", driver);
	else if (err == -EINVAL || err == -ERANGE)
		snprintf(buf, size,
			 "driver %s refused it (%s): often the MTU is too large for it, or LRO or "
			 "hardware GRO is on (`ethtool -K %s lro off rx-gro-hw off`)",
			 driver, strerror(-err), ifname);
	else if (err == -ENOMEM || err == -ENOSPC)
		snprintf(buf, size,
			 "driver %s refused it (%s): often too few TX queues for the CPUs "
			 "(`ethtool -l %s`)",
			 driver, strerror(-err), ifname);
	else
		snprintf(buf, size, "driver %s refused it (%s)", driver, strerror(-err));
}

static int xdp_failed(int err, const struct attachment *at, bool skb)
{
	char why[400];

	if (err == -EBUSY || err == -EEXIST)
		return fail(
			-err,
			"%s: another XDP program is attached; `bpftool net show dev %s` shows it",
			at->name, at->name);
	if (skb) {
		const char *said = kernel_words();

		if (!said)
			show_words();
		return fail(-err, "%s: cannot attach generic XDP: %s%s%s", at->name, strerror(-err),
			    said ? ": " : "", said ? said : "");
	}
	refusal(err, at->name, why, sizeof(why));
	return fail(-err, "%s: cannot attach native XDP: %s; try --xdp skb", at->name, why);
}

static const char veth_reason[] = "veth delivers native XDP replies only when its other end has "
				  "NAPI on (an XDP program there)";

int datapath_attach_xdp(struct datapath *dp, struct attachment *at, char *note, size_t size)
{
	enum xdp_choice choice = dp->opts.xdp;
	char driver[32], why[400];
	int err;

	note[0] = 0;
	probe_driver(at->name, driver);
	if (!strcmp(driver, "veth")) {
		if (choice == XDP_NATIVE)
			warn("%s: %s; without, cookie replies are lost", at->name, veth_reason);
		else if (choice == XDP_CHOOSE)
			snprintf(note, size, "%s", veth_reason);
		choice = choice == XDP_CHOOSE ? XDP_GENERIC : choice;
	}
	if (choice != XDP_GENERIC) {
		err = attach_mode(dp, at, false);
		if (!err)
			return 0;
		if (choice == XDP_NATIVE || err == -EBUSY || err == -EEXIST)
			return xdp_failed(err, at, false);
		refusal(err, at->name, why, sizeof(why));
		snprintf(note, size, "native XDP was refused: %s", why);
		fail_clear();
	}
	err = attach_mode(dp, at, true);
	return err ? xdp_failed(err, at, true) : 0;
}

bool datapath_xdp_there(const struct instance *in, const struct attachment *at)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, q);
	char dir[600], name[BPF_OBJ_NAME_LEN];
	u32 id;

	if (iface_dir(dir, sizeof(dir), in, at->name) || bpf_xdp_query(at->ifindex, 0, &q))
		return false;
	if (at->via == VIA_LINK)
		return link_there(dir, "xdp_link");
	id = at->skb ? q.skb_prog_id : q.drv_prog_id;
	if (at->via == VIA_LIBXDP && !may_open_programs())
		return id; /* the agent: whose it is takes CAP_SYS_ADMIN */
	if (at->via == VIA_LIBXDP)
		return id && program_name(id, name) && !strcmp(name, DISPATCHER) &&
		       program_name(at->xdp_id, name);
	return id && id == at->xdp_id;
}

/* ---- detaching ---- */

/* True if there was something to remove. */
static bool detach_link(const char *dir, const char *name)
{
	int fd = open_pin(dir, name);
	bool there = link_there(dir, name);

	if (fd >= 0) {
		bpf_link_detach(fd); /* even if somebody else holds the link open */
		close(fd);
	}
	drop_pin(dir, name);
	return there;
}

static bool detach_netlink(const struct attachment *at, const char *dir)
{
	int fd = open_pin(dir, "xdp_prog"), err;
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts, .old_prog_fd = fd);

	if (fd < 0)
		return false;
	/* only if it is still ours: the kernel compares */
	err = bpf_xdp_detach(at->ifindex, mode_flag(at->skb), &opts);
	close(fd);
	drop_pin(dir, "xdp_prog");
	return !err;
}

static bool detach_libxdp(const struct attachment *at)
{
	struct xdp_multiprog *mp = xdp_multiprog__get_from_ifindex(at->ifindex);
	struct xdp_program *p = NULL;
	bool found = false;
	int err;

	if (!mp || libxdp_get_error(mp))
		return false;
	while (!found && (p = xdp_multiprog__next_prog(p, mp)))
		found = is_ours(xdp_program__id(p), at->xdp_id, XDP_PROGRAM);
	if (found) {
		err = xdp_program__detach(p, at->ifindex, xdp_multiprog__attach_mode(mp), 0);
		if (err)
			warn("%s: libxdp cannot detach: %s; `xdp-loader status %s` shows more",
			     at->name, strerror(-err), at->name);
	}
	xdp_multiprog__close(mp);
	return found;
}

static void detach_tc(const struct attachment *at, const char *dir, bool tell)
{
	int i;

	if (at->tc == TC_CLSACT || !at->complete)
		detach_clsact(at, tell && at->complete);
	if (at->tc == TC_CLSACT)
		return;
	for (i = 0; i < 2; i++)
		if (!detach_link(dir, tc_pins[i]) && at->tc == TC_TCX && tell)
			warn("%s: the TC %s program was gone already", at->name, tc_sides[i]);
}

static bool detach_xdp(const struct attachment *at, const char *dir)
{
	bool found = false;

	/* an attach that was killed did not come to note how: try every way */
	if (!at->complete || at->via == VIA_LINK)
		found |= detach_link(dir, "xdp_link");
	if (!at->complete || at->via == VIA_NETLINK)
		found |= detach_netlink(at, dir);
	if (!found && (!at->complete || at->via == VIA_LIBXDP))
		found |= detach_libxdp(at);
	return found;
}

void datapath_detach(const struct instance *in, const struct attachment *at, bool tell)
{
	struct link link;
	char dir[600];
	bool found;

	if (iface_dir(dir, sizeof(dir), in, at->name))
		return;
	if (netlink_link(at->ifindex, &link) == -ENODEV) {
		if (tell)
			warn("%s: the interface is gone; removing what is left", at->name);
		remove_dir(dir);
		return;
	}
	/* XDP first: without TC behind it, it must not send another cookie */
	found = detach_xdp(at, dir);
	if (!found && tell && at->via != VIA_NONE)
		warn("%s: the XDP program was gone already", at->name);
	detach_tc(at, dir, tell);
	remove_dir(dir);
}

void datapath_remove(const struct instance *in)
{
	struct dirent *d;
	char dir[1024];
	DIR *pins = opendir(in->pins);

	/* links into a namespace that was replaced: no interface to name any more */
	while (pins && (d = readdir(pins))) {
		if (d->d_name[0] == '.' || pin_path(dir, sizeof(dir), in->pins, d->d_name))
			continue;
		if (has_pin(dir, "xdp_link"))
			detach_link(dir, "xdp_link");
		if (has_pin(dir, tc_pins[0]))
			detach_link(dir, tc_pins[0]);
		if (has_pin(dir, tc_pins[1]))
			detach_link(dir, tc_pins[1]);
	}
	if (pins)
		closedir(pins);
	remove_dir(in->pins);
	rmdir(PINS_DIR); /* fails while another instance lives */
}

bool datapath_exists(const struct instance *in)
{
	return !access(in->pins, F_OK);
}

static void recover_iface(const char *dir, const char *name, struct state *st)
{
	struct iface iface = {0};
	struct attachment *at;
	u32 zero = 0;
	int fd = open_pin(dir, "iface");

	if (fd < 0)
		return;
	if (!bpf_map_lookup_elem(fd, &zero, &iface)) {
		at = state_add(st, name, iface.ifindex);
		if (at) {
			at->via = has_pin(dir, "xdp_link")   ? VIA_LINK
				  : has_pin(dir, "xdp_prog") ? VIA_NETLINK
							     : VIA_LIBXDP;
			at->tc = has_pin(dir, tc_pins[0]) ? TC_TCX : TC_CLSACT;
		}
	}
	close(fd);
}

/* Undoes encode_name() and iface_dir(). */
static void decode_name(char *name)
{
	char *to = name;
	unsigned int c;

	for (; *name; name++) {
		if (*name == '%' && sscanf(name, "%%%2x", &c) == 1 && (c == '.' || c == '%')) {
			*to++ = c;
			name += 2;
		} else if (*name != '%') {
			*to++ = *name;
		}
	}
	*to = 0;
}

void datapath_recover(const struct instance *in, struct state *st)
{
	struct dirent *d;
	char dir[1024], name[256];
	DIR *pins = opendir(in->pins);

	while (pins && (d = readdir(pins))) {
		struct stat s;

		if (d->d_name[0] == '.' || pin_path(dir, sizeof(dir), in->pins, d->d_name) ||
		    stat(dir, &s) || !S_ISDIR(s.st_mode))
			continue;
		snprintf(name, sizeof(name), "%s", d->d_name);
		decode_name(name);
		recover_iface(dir, name, st);
	}
	if (pins)
		closedir(pins);
}

/* ---- maps ---- */

/* Do its values have the size that we take them for? (Those of events have none.) */
static bool has_size(int fd, size_t value_size)
{
	struct bpf_map_info info = {0};
	u32 len = sizeof(info);

	return !bpf_obj_get_info_by_fd(fd, &info, &len) && info.value_size == value_size;
}

int datapath_maps(const struct instance *in, struct maps *m)
{
	const struct {
		const char *name;
		int *fd;
		size_t value_size;
	} all[] = {{"flows", &m->flows, sizeof(struct flow)},
		   {"filter", &m->filter, sizeof(struct flow_filter)},
		   {"listeners", &m->listeners, sizeof(struct listen_entry)},
		   {"ports", &m->ports, sizeof(struct port_entry)},
		   {"services", &m->services, sizeof(struct service)},
		   {"pressure", &m->pressure, sizeof(struct pressure)},
		   {"settings", &m->settings, sizeof(struct settings)},
		   {"shared", &m->shared, sizeof(struct shared)},
		   {"census", &m->census, sizeof(struct census)},
		   {"events", &m->events, 0},
		   {"lost", &m->lost, sizeof(u64)},
		   {"oddities", &m->oddities, sizeof(u64)},
		   {"doubts", &m->doubts, sizeof(u32)},
		   {"load", &m->load, sizeof(struct load)},
		   {"rules", &m->rules, sizeof(struct rules)},
		   {"prefixes", &m->prefixes, sizeof(u32)},
		   {"verified", &m->verified, sizeof(struct verified)},
		   {"distinct", &m->distinct, sizeof(struct distinct)},
		   {"samples", &m->samples, sizeof(struct samples)},
		   {"listed", &m->listed, sizeof(struct half_open_listed)},
		   {"handshakes", &m->handshakes, sizeof(struct handshakes)}};
	size_t i;
	int err = 0;

	*m = (struct maps)NO_MAPS;
	for (i = 0; !err && i < sizeof(all) / sizeof(*all); i++) {
		*all[i].fd = open_pin(in->pins, all[i].name);
		if (*all[i].fd == -ENOENT)
			err = i ? other_version() : -ENOENT;
		else if (*all[i].fd < 0)
			err = fail(-*all[i].fd, "cannot open %s/%s: %s", in->pins, all[i].name,
				   strerror(-*all[i].fd));
		else if (!has_size(*all[i].fd, all[i].value_size))
			err = other_version();
	}
	if (err)
		maps_close(m);
	return err;
}

u32 datapath_max_flows(const struct maps *m)
{
	return max_entries(m->flows);
}

u32 datapath_max_verified(const struct maps *m)
{
	return max_entries(m->verified);
}

int datapath_counters(const struct instance *in, const struct attachment *at)
{
	char dir[600];
	int err = iface_dir(dir, sizeof(dir), in, at->name);

	return err ? err : open_pin(dir, "counters");
}

static u16 mss(u32 mtu, u32 headers)
{
	if (mtu < headers + 64)
		return 64;
	return mtu - headers > 65535 ? 65535 : mtu - headers;
}

int datapath_set_iface(const struct instance *in, const struct attachment *at, u32 mtu)
{
	struct iface iface = {.ifindex = at->ifindex, .mss4 = mss(mtu, 40), .mss6 = mss(mtu, 60)};
	char dir[600];
	int fd, err = iface_dir(dir, sizeof(dir), in, at->name);

	if (err)
		return err;
	fd = open_pin(dir, "iface");
	if (fd < 0)
		return fail(-fd, "%s: cannot open its settings in %s: %s", at->name, dir,
			    strerror(-fd));
	err = maps_set_iface(fd, &iface);
	close(fd);
	return err;
}
