/* SPDX-License-Identifier: GPL-2.0-only */
/* Who listens, for others than the host itself: sockets, and the programs that have them open. */
#ifndef SYNSTILE_USER_HEARING_H
#define SYNSTILE_USER_HEARING_H

#include "netlink.h"

struct heard {
	struct tcp_socket sk;
	char program[16]; /* as /proc/PID/comm, or "" */
};

struct hearing {
	struct heard *at;
	size_t n, room;
};

/* All of them, without their programs. -errno with a reason. */
int hearing_read(struct hearing *h);
/* Looks at every process. */
void hearing_name_programs(struct hearing *h);
/* Sockets of both families, or that share a port, are one to people: is there one before this? */
bool hearing_repeats(const struct hearing *h, size_t i);
void hearing_free(struct hearing *h);

#define HEARD_NAME_SIZE 96
/* "*:22 (sshd)" */
void heard_name(const struct heard *l, char buf[HEARD_NAME_SIZE]);

#endif
