/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An instance is one network namespace that synstile protects: it has a name,
 * its own pins, its own files below RUN_DIR and STATE_DIR, and one lock.
 */
#ifndef SYNSTILE_INSTANCE_H
#define SYNSTILE_INSTANCE_H

#include <limits.h>
#include <stdbool.h>

#include <synstile/types.h>

#define RUN_DIR   "/run/synstile"
#define STATE_DIR "/var/lib/synstile"
#define BPFFS     "/sys/fs/bpf"
#define PINS_DIR  BPFFS "/synstile"

struct instance {
	char name[300];    /* "host", "ns-NAME", "ns-inode-N" */
	char netns[256];   /* NAME, or "" */
	char pins[512];    /* PINS_DIR/<name>, encoded */
	char state[512];   /* STATE_DIR/<name>.json */
	char policy[512];  /* STATE_DIR/<name>.policy.json */
	char lock[512];    /* RUN_DIR/<name>.lock */
	char pid[512];     /* RUN_DIR/<name>.pid */
	char sock[108];    /* RUN_DIR/<name>.sock, control.sock of the host: the agent's API; a
			      sun_path */
	u64 cookie;        /* SO_NETNS_COOKIE: tells a namespace from a later one of that name */
	bool from_initial; /* the command was started in the initial namespace */
	int lock_fd;       /* -1: not locked */
};

/* Enters the named network namespace (NULL: stays) and fills in the names. */
int instance_open(struct instance *in, const char *netns);
/* Its names only, without entering it and without root. Who may not see which namespace this is
 * (/proc/1 is root's) is taken to be in the host's. */
int instance_named(struct instance *in, const char *netns);
/* Is bpffs there? Mounts it if `may_mount` and that makes sense. -errno with a remedy. */
int instance_bpffs(const struct instance *in, bool may_mount);
/* False once a named namespace has lost its name, or no other process is in an unnamed one. */
bool instance_alive(const struct instance *in);
/* Which instance a file in STATE_DIR is the state of: its names, without entering it. -EINVAL: of
 * none. */
int instance_of_record(struct instance *in, const char *file);
/* The same, seen from outside: is the namespace of this name or inode gone, with its agent? */
bool instance_vanished(const struct instance *in);

/* One command at a time. Waits up to 5 s; `what` is shown to others who wait.
 * instance_trylock() does not wait: -EBUSY. */
int instance_lock(struct instance *in, const char *what);
int instance_trylock(struct instance *in, const char *what);
/* `forget`: the instance is no more, leave no files. */
void instance_unlock(struct instance *in, bool forget);
/* Removes what STATE_DIR has of it. */
void instance_drop_records(const struct instance *in);

/* The agent's process id, or 0 if it does not run. */
int instance_agent(const struct instance *in);
/* Terminates the agent and waits until it is gone. */
int instance_stop_agent(const struct instance *in);

/* A file name that bpffs takes: it refuses '.'. */
int encode_name(char *buf, size_t size, const char *name);

#endif
