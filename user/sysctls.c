// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "log.h"
#include "services.h"
#include "synack_timer.h"
#include "sysctls.h"

#define SYNCOOKIES "net/ipv4/tcp_syncookies"
#define TIMESTAMPS "net/ipv4/tcp_timestamps"

static int read_text(const char *name, char *buf, size_t size)
{
	char path[256];
	ssize_t n;
	int fd;

	if (format(path, sizeof(path), "/proc/sys/%s", name))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, buf, size - 1);
	close(fd);
	if (n < 0)
		return -errno;
	buf[n] = 0;
	return 0;
}

/* The number in column `column` (from 0). */
static int read_column(const char *name, int column, long *value)
{
	char text[128], *at = text, *end;
	int err = read_text(name, text, sizeof(text));

	if (err)
		return err;
	for (;; at = end) {
		*value = strtol(at, &end, 10);
		if (end == at)
			return -EINVAL;
		if (!column--)
			return 0;
	}
}

static long read_or(const char *name, long otherwise)
{
	long value;

	return read_column(name, 0, &value) ? otherwise : value;
}

static int write_int(const char *name, int value)
{
	char path[256];
	int fd, err = 0;

	if (format(path, sizeof(path), "/proc/sys/%s", name))
		return -ENAMETOOLONG;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || dprintf(fd, "%d\n", value) < 0)
		err = fail(errno, "cannot set %s to %d: %s; is /proc/sys writable here?", path,
			   value, strerror(errno));
	if (fd >= 0)
		close(fd);
	return err;
}

static struct saved_sysctl *recorded(const struct state *st, const char *name)
{
	size_t i;

	for (i = 0; i < st->n_sysctls; i++)
		if (!strcmp(st->sysctls[i].name, name))
			return (struct saved_sysctl *)&st->sysctls[i];
	return NULL;
}

static void drop(struct state *st, struct saved_sysctl *s)
{
	size_t i = s - st->sysctls;

	memmove(s, s + 1, (--st->n_sysctls - i) * sizeof(*s));
}

static int plan(struct state *st, const char *name, long was, int set)
{
	struct saved_sysctl *s;

	if (recorded(st, name))
		return 0; /* an earlier attach recorded the original */
	if (was == set)
		return 0;
	if (st->n_sysctls == MAX_SYSCTLS)
		return -E2BIG;
	s = &st->sysctls[st->n_sysctls++];
	snprintf(s->name, sizeof(s->name), "%s", name);
	s->was = was;
	s->before = was;
	s->set = set;
	return 0;
}

int sysctls_plan(struct state *st)
{
	long cookies, stamps;
	int err;

	if (read_column(SYNCOOKIES, 0, &cookies) || read_column(TIMESTAMPS, 0, &stamps))
		return fail(ENOENT,
			    "cannot read /proc/sys/%s; a kernel with CONFIG_SYN_COOKIES and a "
			    "mounted /proc are needed",
			    SYNCOOKIES);
	/* own cookies: with 0 the kernel resets clients that bpf_sk_assign_tcp_reqsk() brings */
	if (!st->kernel_cookies)
		return cookies ? 0 : plan(st, SYNCOOKIES, cookies, 1);
	/* kernel cookies: with 1 it refuses ACKs unless its own queue overflowed; and
	 * timestamps must carry no per-client offset, for XDP cannot compute that */
	err = plan(st, SYNCOOKIES, cookies, 2);
	return err || stamps != 1 ? err : plan(st, TIMESTAMPS, stamps, 2);
}

/* Raised to `wanted`, if that is more than the host has; 0: as the host has it. */
static int plan_at_least(struct state *st, const char *name, u64 wanted)
{
	struct saved_sysctl *s = recorded(st, name);
	long now = read_or(name, -1), was = s ? s->was : now;
	long set = wanted > (u64)was ? (long)wanted : was;

	if (now < 0 || (s && s->set == set))
		return 0;
	if (!s)
		return plan(st, name, was, set);
	s->before = s->set;
	s->set = set;
	return 0;
}

int sysctls_plan_backlogs(struct state *st, const struct policy *p)
{
	bool none = !p || !policy_protects(p);
	int err = plan_at_least(st, MAX_SYN_BACKLOG, none ? 0 : p->host[HV_SYN_BACKLOG].n);

	return err ? err : plan_at_least(st, SOMAXCONN_LIMIT, none ? 0 : p->host[HV_SOMAXCONN].n);
}

long sysctls_read(const char *name, long otherwise)
{
	return read_or(name, otherwise);
}

/* Cookies do not work without: these are set again when somebody has changed them. */
static bool is_needed(const struct saved_sysctl *s)
{
	return !strcmp(s->name, SYNCOOKIES) || !strcmp(s->name, TIMESTAMPS);
}

static bool is_foreign(const struct saved_sysctl *s, long now)
{
	return now != s->set && now != s->before;
}

static void warn_foreign(const struct saved_sysctl *s, long now)
{
	warn("%s is left at %ld: it was changed by somebody else while attached (it was %d before)",
	     s->name, now, s->was);
}

int sysctls_apply(struct state *st)
{
	struct saved_sysctl *s = st->sysctls;
	long now;
	int err = 0;

	while (!err && s < st->sysctls + st->n_sysctls) {
		now = read_or(s->name, -1);
		if (now != s->set && is_foreign(s, now) && !is_needed(s))
			warn_foreign(s, now);
		else if (now != s->set)
			err = write_int(s->name, s->set);
		if (!err && s->set == s->was)
			drop(st, s);
		else
			s++;
	}
	return err;
}

int sysctls_change(struct state *st, const char *path, const char *name, int value)
{
	struct saved_sysctl *s = recorded(st, name);
	long now = read_or(name, -1);
	int err;

	if (now < 0 || (!s && now == value))
		return 0;
	if (s && is_foreign(s, now)) {
		warn_foreign(s, now);
		drop(st, s);
		err = state_save(st, path);
		return err ? err : 1;
	}
	if (!s) {
		err = plan(st, name, now, value);
		s = recorded(st, name);
	} else {
		s->before = now;
		s->set = value;
		err = 0;
	}
	if (!err)
		err = state_save(st, path);
	if (!err)
		err = write_int(name, value);
	if (err || !s)
		return err;
	if (value == s->was)
		drop(st, s); /* given back */
	else
		s->before = value; /* from now on the other one is somebody else's */
	return state_save(st, path);
}

void sysctls_restore(struct state *st, size_t from)
{
	const struct saved_sysctl *s;
	size_t i;
	long now;

	for (i = from; i < st->n_sysctls; i++) {
		s = &st->sysctls[i];
		now = read_or(s->name, s->set);
		if (now == s->was)
			continue;
		if (is_foreign(s, now))
			warn_foreign(s, now);
		else if (write_int(s->name, s->was))
			warn("cannot give back %s = %d", s->name, s->was);
	}
	if (st->n_sysctls > from)
		st->n_sysctls = from;
}

/*
 * Before Linux 6.8, net.core.rmem_max is visible in the initial namespace only. The file stays
 * open: the agent gives up the capability to go there.
 */
static int open_initial_rmem_max(void)
{
	static int file = -1;
	int self, initial;

	if (file >= 0)
		return file;
	self = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	initial = open("/proc/1/ns/net", O_RDONLY | O_CLOEXEC);
	if (self >= 0 && initial >= 0 && !setns(initial, CLONE_NEWNET)) {
		file = open("/proc/sys/net/core/rmem_max", O_RDONLY | O_CLOEXEC);
		if (setns(self, CLONE_NEWNET)) {
			/* going on in the wrong namespace would be far worse */
			perror("synstile: cannot return to the network namespace");
			abort();
		}
	}
	if (self >= 0)
		close(self);
	if (initial >= 0)
		close(initial);
	return file;
}

static long read_rmem_max(void)
{
	long value = read_or("net/core/rmem_max", -1);
	char text[32] = "";
	int file;

	if (value >= 0)
		return value;
	file = open_initial_rmem_max();
	if (file >= 0 && pread(file, text, sizeof(text) - 1, 0) > 0)
		value = strtol(text, NULL, 10);
	return value > 0 ? value : 212992;
}

void sysctls_open(void)
{
	read_rmem_max();
}

/* As tcp_select_initial_window() in net/ipv4/tcp_output.c. */
static u8 window_scale(void)
{
	unsigned long long space = 6291456, limit = 65535ULL << 14;
	long rmem = 0, rmem_max = read_rmem_max();
	int log2 = 0;

	if (!read_column("net/ipv4/tcp_rmem", 2, &rmem) && rmem > 0)
		space = rmem;
	if ((unsigned long long)rmem_max > space)
		space = rmem_max;
	if (space > limit)
		space = limit;
	while (space >>= 1)
		log2++;
	return log2 < 15 ? 0 : log2 - 15 > 14 ? 14 : log2 - 15;
}

long sysctls_original(const struct state *st, const char *name, long otherwise)
{
	const struct saved_sysctl *s = recorded(st, name);

	return s ? s->was : read_or(name, otherwise);
}

/* The host's own net.ipv4.tcp_synack_retries, if it is another one now; -1: it is not. */
static long synack_retries = -1;

void sysctls_remember(const struct state *st)
{
	const struct saved_sysctl *s = recorded(st, SYNACK_RETRIES);

	synack_retries = s ? s->was : -1;
}

u32 sysctls_syn_timeout_ms(void)
{
	long n = synack_retries >= 0 ? synack_retries : read_or(SYNACK_RETRIES, 5);

	return synack_wait_ms(n < 0 ? 0 : n);
}

/* How long connect() tries. Linux 6.5 repeats the first SYNs every second. */
static u32 syn_sent_ms(void)
{
	long n = read_or("net/ipv4/tcp_syn_retries", 6);
	long linear = read_or("net/ipv4/tcp_syn_linear_timeouts", 0);

	if (n < 0 || n > 15)
		return 86400000;
	return ((2u << n) - 1 + (linear > 0 && linear < 256 ? linear : 0)) * 1000;
}

int sysctls_settings(struct settings *set, enum service_mode mode, const char *ifname)
{
	char hops[128];

	set->flags &= SET_READY;
	set->flags |= read_or(TIMESTAMPS, 1) ? SET_TSTAMP : 0;
	set->flags |= read_or("net/ipv4/tcp_sack", 1) ? SET_SACK : 0;
	set->flags |= read_or("net/ipv4/tcp_window_scaling", 1) ? SET_WSCALE : 0;
	set->flags |= read_or("net/ipv4/tcp_ecn", 2) ? SET_ECN : 0;
	set->flags |= read_or("net/netfilter/nf_conntrack_tcp_loose", 1) ? 0 : SET_CT_ENTRY;
	set->flags |= mode == MODE_OBSERVE ? SET_OBSERVE : 0;
	set->rcv_wscale = window_scale();
	set->ttl = read_or("net/ipv4/ip_default_ttl", 64);
	set->syn_sent_ms = syn_sent_ms();
	set->keepalive_intvl_ms = read_or("net/ipv4/tcp_keepalive_intvl", 75) * 1000;
	set->keepalive_probes = read_or("net/ipv4/tcp_keepalive_probes", 9);
	if (format(hops, sizeof(hops), "net/ipv6/conf/%s/hop_limit", ifname))
		return -ENAMETOOLONG;
	set->hop_limit = read_or(hops, read_or("net/ipv6/conf/default/hop_limit", 64));
	return 0;
}

static int kernel_version(void)
{
	static int version;
	struct utsname u;
	int major = 0, minor = 0;

	if (!version && !uname(&u) && sscanf(u.release, "%d.%d", &major, &minor) == 2)
		version = major * 1000 + minor;
	return version;
}

/* As tcp_win_from_space() in include/net/tcp.h, for a socket that received nothing yet. */
u16 sysctls_window(u32 rcvbuf)
{
	long scale, window;

	if (kernel_version() >= 6010) {
		window = rcvbuf / 2;
	} else if (kernel_version() >= 6006) {
		window = (u64)rcvbuf * 65 / 256; /* (1200 << 8) / SKB_TRUESIZE(4096) */
	} else {
		scale = read_or("net/ipv4/tcp_adv_win_scale", 1);
		window = scale <= 0 ? rcvbuf >> -scale : rcvbuf - (rcvbuf >> scale);
	}
	return window > 65535 ? 65535 : window;
}
