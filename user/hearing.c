// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hearing.h"

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

int hearing_read(struct hearing *h)
{
	h->n = 0;
	return netlink_sockets(1 << TCP_LISTEN, on_listener, h);
}

void hearing_free(struct hearing *h)
{
	free(h->at);
	*h = (struct hearing){0};
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

void hearing_name_programs(struct hearing *h)
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

void heard_name(const struct heard *l, char buf[HEARD_NAME_SIZE])
{
	char addr[INET6_ADDRSTRLEN] = "*";
	bool any = addr_is_any(&l->sk.local);

	if (!any)
		addr_text(&l->sk.local, addr);
	snprintf(buf, HEARD_NAME_SIZE, strchr(addr, ':') ? "[%s]:%u%s%s%s" : "%s:%u%s%s%s", addr,
		 ntohs(l->sk.local_port), l->program[0] ? " (" : "", l->program,
		 l->program[0] ? ")" : "");
}

static bool same(const struct heard *a, const struct heard *b)
{
	bool any = addr_is_any(&a->sk.local) && addr_is_any(&b->sk.local);

	return a->sk.local_port == b->sk.local_port && a->sk.backlog == b->sk.backlog &&
	       a->sk.mptcp == b->sk.mptcp && !strcmp(a->program, b->program) &&
	       (any || !memcmp(&a->sk.local, &b->sk.local, sizeof(a->sk.local)));
}

bool hearing_repeats(const struct hearing *h, size_t i)
{
	size_t k;

	for (k = 0; k < i; k++)
		if (same(&h->at[k], &h->at[i]))
			return true;
	return false;
}
