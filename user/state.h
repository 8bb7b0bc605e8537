/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an instance must remember to be shown, carried on and undone by another
 * process: STATE_DIR/<instance>.json. It is written before the machine is changed,
 * so that whatever a killed command leaves behind can be found. It outlives a reboot, after
 * which nothing in it is true any more: such a record counts as none.
 */
#ifndef SYNSTILE_STATE_H
#define SYNSTILE_STATE_H

#include <net/if.h>

#include <jansson.h>
#include <synstile/service.h>
#include <synstile/types.h>

#define MAX_IFACES  64
#define MAX_SYSCTLS 8

enum xdp_via {
	VIA_NONE,
	VIA_LINK,
	VIA_LIBXDP,
	VIA_NETLINK
};
enum tc_via {
	TC_NONE,
	TC_TCX,
	TC_CLSACT
};

struct attachment {
	char name[IF_NAMESIZE]; /* when it was attached; it may have been renamed since */
	u32 ifindex;
	bool complete; /* false: the attach that wrote this did not finish */
	bool leaving;  /* a detach has begun: there is no way back */
	bool skb;      /* generic XDP */
	enum xdp_via via;
	u32 xdp_id; /* program id */
	enum tc_via tc;
	bool made_clsact; /* the qdisc is ours to remove */
	u32 tc_ids[2];    /* program ids: ingress, egress */
};

struct saved_sysctl {
	char name[64]; /* below /proc/sys, with slashes */
	int was;
	int set;
	/* In force until `set` replaced it: a command that was killed between recording `set` and
	 * writing it leaves this one. At first the same as `was`. */
	int before;
};

struct state {
	u64 cookie;             /* of the network namespace */
	enum service_mode mode; /* of the defaults in force */
	bool kernel_cookies;
	char why[160]; /* ... and the reason for that choice */
	char *ports;   /* the argument of --ports, or NULL: every listening port */
	u32 max_flows;
	u32 key_life; /* s; see keys.h */
	/* Chosen on the command line, and not by the policy. */
	bool mode_given, key_life_given, max_flows_given;
	size_t n_ifaces;
	struct attachment ifaces[MAX_IFACES];
	size_t n_sysctls;
	struct saved_sysctl sysctls[MAX_SYSCTLS];
};

/* 0; -ENOENT if there is none, or only one of another boot; -errno with a reason. */
int state_load(struct state *st, const char *path);
int state_save(const struct state *st, const char *path);
/* Replaces a file below STATE_DIR, all or nothing, also when the machine loses its power. */
int state_write(const json_t *root, const char *path);
void state_free(struct state *st);

/* The entry for an interface of this name or index, or NULL. */
struct attachment *state_find(struct state *st, const char *name);
struct attachment *state_find_index(struct state *st, u32 ifindex);
struct attachment *state_add(struct state *st, const char *name, u32 ifindex);
void state_drop(struct state *st, struct attachment *at);

const char *mode_name(enum service_mode mode);
const char *via_name(enum xdp_via via);
const char *tc_name(enum tc_via tc);
/* -EINVAL if `text` is no mode. */
int mode_parse(const char *text, enum service_mode *mode);

#endif
