// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "instance.h"
#include "keys.h"
#include "log.h"
#include "state.h"

static const char *const mode_names[] = {"observe", "auto", "always"};
static const char *const via_names[] = {"none", "link", "libxdp", "netlink"};
static const char *const tc_names[] = {"none", "tcx", "clsact"};

#define N(array) (sizeof(array) / sizeof(*(array)))

static int index_of(const char *const *names, size_t n, const char *text)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!strcmp(names[i], text))
			return i;
	return -EINVAL;
}

const char *mode_name(enum service_mode mode)
{
	return mode < N(mode_names) ? mode_names[mode] : "?";
}

const char *via_name(enum xdp_via via)
{
	return via < N(via_names) ? via_names[via] : "?";
}

const char *tc_name(enum tc_via tc)
{
	return tc < N(tc_names) ? tc_names[tc] : "?";
}

int mode_parse(const char *text, enum service_mode *mode)
{
	int i = index_of(mode_names, N(mode_names), text);

	if (i < 0)
		return i;
	*mode = i;
	return 0;
}

/* Random, and another one after each boot; "" if the kernel does not say. */
static const char *boot_id(void)
{
	static char id[64];
	int fd;

	if (id[0])
		return id;
	fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && read(fd, id, sizeof(id) - 1) < 0)
		id[0] = 0;
	if (fd >= 0)
		close(fd);
	id[strcspn(id, "\n")] = 0;
	return id;
}

static json_t *pack_iface(const struct attachment *at)
{
	return json_pack("{s:s, s:I, s:b, s:b, s:b, s:s, s:I, s:s, s:b, s:[I, I]}", "name",
			 at->name, "ifindex", (json_int_t)at->ifindex, "complete", at->complete,
			 "leaving", at->leaving, "skb", at->skb, "via", via_name(at->via), "xdp_id",
			 (json_int_t)at->xdp_id, "tc", tc_name(at->tc), "made_clsact",
			 at->made_clsact, "tc_ids", (json_int_t)at->tc_ids[0],
			 (json_int_t)at->tc_ids[1]);
}

static json_t *pack(const struct state *st)
{
	json_t *ifaces = json_array(), *sysctls = json_array();
	size_t i;

	for (i = 0; i < st->n_ifaces; i++)
		json_array_append_new(ifaces, pack_iface(&st->ifaces[i]));
	for (i = 0; i < st->n_sysctls; i++)
		json_array_append_new(
			sysctls, json_pack("{s:s, s:i, s:i, s:i}", "name", st->sysctls[i].name,
					   "was", st->sysctls[i].was, "set", st->sysctls[i].set,
					   "before", st->sysctls[i].before));
	return json_pack("{s:s, s:I, s:s, s:b, s:s, s:s*, s:I, s:I, s:[b, b, b], s:o, s:o}",
			 "boot_id", boot_id(), "netns_cookie", (json_int_t)st->cookie, "mode",
			 mode_name(st->mode), "kernel_cookies", st->kernel_cookies, "why", st->why,
			 "ports", st->ports, "max_flows", (json_int_t)st->max_flows, "key_life_s",
			 (json_int_t)st->key_life, "given", st->mode_given, st->key_life_given,
			 st->max_flows_given, "interfaces", ifaces, "sysctls", sysctls);
}

static int sync_dir(const char *path)
{
	int err = 0, fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd))
		err = -errno;
	if (fd >= 0)
		close(fd);
	return err;
}

/* Not json_dumpfd(), which writes word by word. */
static int write_file(const json_t *root, const char *path)
{
	int err = 0, fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

	if (!f) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	errno = 0;
	if (json_dumpf(root, f, JSON_INDENT(1)) || fflush(f) || fsync(fd))
		err = errno ? -errno : -EIO;
	fclose(f);
	return err;
}

int state_write(const json_t *root, const char *path)
{
	char tmp[600];
	int tries, err = format(tmp, sizeof(tmp), "%s.new", path);

	if (err)
		return err;
	/* again, if another instance ends and takes the empty folder away in between */
	for (tries = 0, err = -ENOENT; err == -ENOENT && tries < 10; tries++) {
		if (mkdir(STATE_DIR, 0700) && errno != EEXIST)
			return fail(errno, "cannot create %s: %s", STATE_DIR, strerror(errno));
		err = write_file(root, tmp);
	}
	if (!err && rename(tmp, path))
		err = -errno;
	if (!err)
		return sync_dir(STATE_DIR);
	unlink(tmp);
	return fail(-err, "cannot write %s: %s", path, strerror(-err));
}

int state_save(const struct state *st, const char *path)
{
	json_t *root = pack(st);
	int err = root ? state_write(root, path) : -ENOMEM;

	json_decref(root);
	return err;
}

static int unpack_iface(json_t *j, struct attachment *at)
{
	const char *name, *via, *tc;
	json_int_t ifindex, xdp_id, id0, id1;
	int complete, leaving, skb, made, v, t;

	if (json_unpack(j, "{s:s, s:I, s:b, s:b, s:b, s:s, s:I, s:s, s:b, s:[I, I]}", "name", &name,
			"ifindex", &ifindex, "complete", &complete, "leaving", &leaving, "skb",
			&skb, "via", &via, "xdp_id", &xdp_id, "tc", &tc, "made_clsact", &made,
			"tc_ids", &id0, &id1) ||
	    strlen(name) >= sizeof(at->name))
		return -EINVAL;
	v = index_of(via_names, N(via_names), via);
	t = index_of(tc_names, N(tc_names), tc);
	if (v < 0 || t < 0)
		return -EINVAL;
	*at = (struct attachment){.ifindex = ifindex,
				  .complete = complete,
				  .leaving = leaving,
				  .skb = skb,
				  .via = v,
				  .xdp_id = xdp_id,
				  .tc = t,
				  .made_clsact = made,
				  .tc_ids = {id0, id1}};
	strcpy(at->name, name);
	return 0;
}

static int unpack_sysctl(json_t *j, struct saved_sysctl *s)
{
	const char *name;

	if (json_unpack(j, "{s:s, s:i, s:i, s:i}", "name", &name, "was", &s->was, "set", &s->set,
			"before", &s->before) ||
	    strlen(name) >= sizeof(s->name))
		return -EINVAL;
	strcpy(s->name, name);
	return 0;
}

static int unpack(json_t *root, struct state *st)
{
	const char *mode, *why, *ports = NULL;
	json_int_t cookie, max_flows, key_life = KEY_LIFE_DEFAULT;
	json_t *ifaces, *sysctls, *j;
	int kernel, given[3];
	size_t i;

	if (json_unpack(root, "{s:I, s:s, s:b, s:s, s?:s, s:I, s?:I, s:[b, b, b], s:o, s:o}",
			"netns_cookie", &cookie, "mode", &mode, "kernel_cookies", &kernel, "why",
			&why, "ports", &ports, "max_flows", &max_flows, "key_life_s", &key_life,
			"given", &given[0], &given[1], &given[2], "interfaces", &ifaces, "sysctls",
			&sysctls) ||
	    mode_parse(mode, &st->mode) || key_life < 1 || json_array_size(ifaces) > MAX_IFACES ||
	    json_array_size(sysctls) > MAX_SYSCTLS)
		return -EINVAL;
	st->cookie = cookie;
	st->kernel_cookies = kernel;
	st->max_flows = max_flows;
	st->key_life = key_life;
	st->mode_given = given[0];
	st->key_life_given = given[1];
	st->max_flows_given = given[2];
	snprintf(st->why, sizeof(st->why), "%s", why);
	json_array_foreach (ifaces, i, j)
		if (unpack_iface(j, &st->ifaces[st->n_ifaces++]))
			return -EINVAL;
	json_array_foreach (sysctls, i, j)
		if (unpack_sysctl(j, &st->sysctls[st->n_sysctls++]))
			return -EINVAL;
	st->ports = ports ? strdup(ports) : NULL;
	return ports && !st->ports ? -ENOMEM : 0;
}

/* After a reboot nothing is attached, and the sysctls are what the boot made them. */
static bool other_boot(const json_t *root, const char *path)
{
	const char *id = json_string_value(json_object_get(root, "boot_id"));

	if (id && !strcmp(id, boot_id()))
		return false;
	debug("%s was written before the machine was booted: it counts no more", path);
	return true;
}

int state_load(struct state *st, const char *path)
{
	json_error_t problem;
	json_t *root;
	int err;

	memset(st, 0, sizeof(*st));
	if (access(path, F_OK))
		return -ENOENT;
	root = json_load_file(path, 0, &problem);
	if (!root)
		return fail(EINVAL,
			    "cannot read %s: line %d: %s; `synstile detach --all` removes what it "
			    "can find",
			    path, problem.line, problem.text);
	err = other_boot(root, path) ? -ENOENT : unpack(root, st);
	json_decref(root);
	if (err == -ENOENT)
		return err;
	if (err)
		return fail(-err, "%s is damaged; `synstile detach --all` removes what it can find",
			    path);
	return 0;
}

void state_free(struct state *st)
{
	free(st->ports);
	st->ports = NULL;
}

struct attachment *state_find_index(struct state *st, u32 ifindex)
{
	size_t i;

	for (i = 0; i < st->n_ifaces; i++)
		if (st->ifaces[i].ifindex == ifindex)
			return &st->ifaces[i];
	return NULL;
}

struct attachment *state_find(struct state *st, const char *name)
{
	u32 ifindex = if_nametoindex(name);
	struct attachment *at = ifindex ? state_find_index(st, ifindex) : NULL;
	size_t i;

	for (i = 0; !at && i < st->n_ifaces; i++)
		if (!strcmp(st->ifaces[i].name, name))
			at = &st->ifaces[i];
	return at;
}

struct attachment *state_add(struct state *st, const char *name, u32 ifindex)
{
	struct attachment *at;

	if (st->n_ifaces == MAX_IFACES) {
		fail(E2BIG, "more than %d interfaces", MAX_IFACES);
		return NULL;
	}
	at = &st->ifaces[st->n_ifaces++];
	*at = (struct attachment){.ifindex = ifindex};
	snprintf(at->name, sizeof(at->name), "%s", name);
	return at;
}

void state_drop(struct state *st, struct attachment *at)
{
	size_t i = at - st->ifaces;

	memmove(at, at + 1, (--st->n_ifaces - i) * sizeof(*at));
}
