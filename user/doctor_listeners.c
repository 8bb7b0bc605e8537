// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doctor.h"
#include "sysctls.h"

/* What listen() took for plenty before Linux 5.4 (SOMAXCONN). */
#define ENOUGH 128

static const char listener[] = "listener";

struct heard {
	struct tcp_socket sk;
	char program[16]; /* as /proc/PID/comm, or "" */
};

struct hearing {
	struct heard *at;
	size_t n, room;
};

static int on_listener(const struct tcp_socket *sk, void *arg)
{
	struct hearing *h = arg;
	struct heard *more;

	if (addr_is_loopback(&sk->local))
		return 0;
	if (h->n == h->room) {
		more = reallocarray(h->at, h->room * 2 + 64, sizeof(*more));
		if (!more)
			return -ENOMEM;
		h->at = more;
		h->room = h->room * 2 + 64;
	}
	h->at[h->n++] = (struct heard){.sk = *sk};
	return 0;
}

/* ---- whose they are ---- */

static int by_inode(const void *a, const void *b)
{
	const struct heard *x = a, *y = b;

	return (x->sk.inode > y->sk.inode) - (x->sk.inode < y->sk.inode);
}

/* Notes the program in every listener that it has open. */
static void look_at_process(struct hearing *h, const char *pid)
{
	struct heard *found, key = {0};
	char path[300], target[64], program[16] = "";
	struct dirent *d;
	ssize_t n;
	FILE *f;
	DIR *fds;

	snprintf(path, sizeof(path), "/proc/%.16s/comm", pid);
	f = fopen(path, "re");
	if (!f || !fgets(program, sizeof(program), f))
		strcpy(program, "?");
	program[strcspn(program, "\n")] = 0;
	if (f)
		fclose(f);
	snprintf(path, sizeof(path), "/proc/%.16s/fd", pid);
	fds = opendir(path);
	while (fds && (d = readdir(fds))) {
		n = readlinkat(dirfd(fds), d->d_name, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = 0;
		if (sscanf(target, "socket:[%u]", &key.sk.inode) != 1)
			continue;
		found = bsearch(&key, h->at, h->n, sizeof(key), by_inode);
		/* the one that started last is as good as any: workers share it */
		if (found && !found->program[0])
			strcpy(found->program, program);
	}
	if (fds)
		closedir(fds);
}

static void name_programs(struct hearing *h)
{
	struct dirent *d;
	DIR *proc = opendir("/proc");

	if (h->n)
		qsort(h->at, h->n, sizeof(*h->at), by_inode);
	while (proc && h->n && (d = readdir(proc)))
		if (isdigit((unsigned char)d->d_name[0]))
			look_at_process(h, d->d_name);
	if (proc)
		closedir(proc);
}

/* "*:22 (sshd)" */
static void name_listener(const struct heard *l, char *buf, size_t size)
{
	char addr[INET6_ADDRSTRLEN] = "*";
	bool any = addr_is_any(&l->sk.local);

	if (!any)
		addr_text(&l->sk.local, addr);
	snprintf(buf, size, strchr(addr, ':') ? "[%s]:%u%s%s%s" : "%s:%u%s%s%s", addr,
		 ntohs(l->sk.local_port), l->program[0] ? " (" : "", l->program,
		 l->program[0] ? ")" : "");
}

/* ---- how they are ---- */

/* Sockets of both families, or that share a port, are one to people. */
static bool same(const struct heard *a, const struct heard *b)
{
	bool any = addr_is_any(&a->sk.local) && addr_is_any(&b->sk.local);

	return a->sk.local_port == b->sk.local_port && a->sk.backlog == b->sk.backlog &&
	       a->sk.mptcp == b->sk.mptcp && !strcmp(a->program, b->program) &&
	       (any || !memcmp(&a->sk.local, &b->sk.local, sizeof(a->sk.local)));
}

static bool seen_before(const struct hearing *h, size_t i)
{
	size_t k;

	for (k = 0; k < i; k++)
		if (same(&h->at[k], &h->at[i]))
			return true;
	return false;
}

static void small_backlog(struct doctor *d, const struct heard *l, const char *name)
{
	long somaxconn = sysctls_read("net/core/somaxconn", 4096);

	doctor_say(d, HEALTH_WARN, listener, name,
		   "backlog %u bounds half-open connections, and those that wait for accept(); %s",
		   l->sk.backlog,
		   l->sk.backlog == somaxconn
			   ? "net.core.somaxconn allows no more; restart the program "
			     "after it"
			   : "raise it in the program");
	if (l->sk.backlog == somaxconn)
		doctor_mend_inside(d, "sysctl net.core.somaxconn=4096");
}

/* If the last ACK of a cookie handshake is lost, only the client's next segment mends it. */
static bool speaks_first(const struct doctor *d, __be16 port)
{
	static const u16 ports[] = {21, 22, 25, 110, 143, 587, 3306};
	bool found = false;
	size_t i;

	for (i = 0; i < sizeof(ports) / sizeof(*ports); i++)
		found |= ntohs(port) == ports[i];
	return found && d->st.n_ifaces && d->st.mode == MODE_ALWAYS;
}

/* Returns false if there is nothing wrong with it. */
static bool look_at(struct doctor *d, const struct heard *l)
{
	bool small = l->sk.backlog<ENOUGH, full = l->sk.waiting> l->sk.backlog;
	bool mptcp = l->sk.mptcp && d->features.assign_reqsk;
	bool docker = !strcmp(l->program, "docker-proxy");
	bool first = speaks_first(d, l->sk.local_port);
	char name[96];

	name_listener(l, name, sizeof(name));
	if (small)
		small_backlog(d, l, name);
	if (full)
		doctor_say(
			d, HEALTH_WARN, listener, name,
			"%u connections wait for accept(), its backlog is %u: the program is too "
			"slow, and new clients are refused with or without an attack",
			l->sk.waiting, l->sk.backlog);
	if (mptcp) {
		doctor_say(d, HEALTH_WARN, listener, name,
			   "speaks Multipath TCP: with own cookies it is only observed; turn MPTCP "
			   "off in "
			   "the program, or attach with --cookies kernel");
		doctor_mend_synstile(d, "attach %s --cookies kernel", d->ifaces);
	}
	if (docker)
		doctor_say(d, HEALTH_WARN, listener, name,
			   "stands for a container's published port, and is not the server: leave "
			   "it out "
			   "by --ports, and protect the container with `synstile -n`");
	if (first)
		doctor_say(d, HEALTH_WARN, listener, name,
			   "the server speaks first there: in mode always a client whose last ACK "
			   "is lost "
			   "waits in vain; mode auto lets SYNs pass while calm");
	return small || full || mptcp || docker || first;
}

static void note_port(struct doctor *d, __be16 port)
{
	u16 p = ntohs(port);

	d->listening.bits[p / 8] |= 1 << p % 8;
}

static void count_ports(struct doctor *d)
{
	u32 port, n = 0;

	for (port = 1; port < 65536; port++)
		n += ports_has(&d->listening, port);
	if (n >= SYNSTILE_MAX_SERVICES)
		doctor_say(d, HEALTH_WARN, listener, "all",
			   "%u ports listen, and %d can be protected; choose with --ports", n,
			   SYNSTILE_MAX_SERVICES - 1);
}

void doctor_listeners(struct doctor *d)
{
	struct hearing h = {0};
	size_t i, fine = 0;

	if (!doctor_check(d, netlink_sockets(1 << TCP_LISTEN, on_listener, &h), listener, "all"))
		return;
	name_programs(&h);
	for (i = 0; i < h.n; i++) {
		note_port(d, h.at[i].sk.local_port);
		if (!seen_before(&h, i))
			fine += !look_at(d, &h.at[i]);
	}
	if (!h.n)
		doctor_say(d, HEALTH_OK, listener, "none",
			   "nothing listens for others; what will is protected within a second");
	else if (fine)
		doctor_say(d, HEALTH_OK, listener, "others", "%zu with a backlog of %d or more",
			   fine, ENOUGH);
	count_ports(d);
	free(h.at);
}
