/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * `synstile doctor`: looks at what synstile meets on this host, changes nothing, and says what
 * is well, what is not and by which command it is mended. Each doctor_*() looks at one thing.
 */
#ifndef SYNSTILE_DOCTOR_H
#define SYNSTILE_DOCTOR_H

#include <jansson.h>

#include "instance.h"
#include "log.h"
#include "netlink.h"
#include "ports.h"
#include "probe.h"
#include "state.h"

enum health {
	HEALTH_OK,
	HEALTH_WARN, /* it works, but not as well, or not for everyone */
	HEALTH_FAIL  /* attach refuses, or clients are refused under attack */
};

struct finding {
	enum health health;
	const char *check; /* "kernel", "interface" ... */
	char *subject;     /* what it is about: "eth0", "*:22 (sshd)" ... */
	char *text;
	char *mend; /* a command, or NULL */
};

struct doctor {
	struct instance in;
	struct state st; /* what is attached; no interface if nothing is */
	struct features features;
	bool freplace;
	bool conntrack;         /* programs can make its entries */
	char ifaces[256];       /* those that were looked at: "eth0 eth1" */
	struct ports listening; /* for others than the host itself */
	struct finding *findings;
	size_t n, room;
	bool no_memory;
};

/* Adds a finding. */
void doctor_say(struct doctor *d, enum health health, const char *check, const char *subject,
		const char *fmt, ...) PRINTF(5, 6);
/* The command for the last one: as it is, to be run in the network namespace, or one of synstile's
 * own ("attach eth0"). */
void doctor_mend(struct doctor *d, const char *fmt, ...) PRINTF(2, 3);
void doctor_mend_inside(struct doctor *d, const char *fmt, ...) PRINTF(2, 3);
void doctor_mend_synstile(struct doctor *d, const char *fmt, ...) PRINTF(2, 3);
/* If err: a failure, with the reason that fail() recorded. True if there was none. */
bool doctor_check(struct doctor *d, int err, const char *check, const char *subject);
enum health doctor_verdict(const struct doctor *d);
void doctor_print(const struct doctor *d);
/* A list of {check, subject, verdict, text, mend}. */
json_t *doctor_json(const struct doctor *d);
void doctor_free(struct doctor *d);

void doctor_kernel(struct doctor *d);
void doctor_bpffs(struct doctor *d);
/* All that are up if there are no names. */
void doctor_interfaces(struct doctor *d, char **names, int n);
void doctor_sysctls(struct doctor *d);
/* Before doctor_firewall(), which asks who listens. */
void doctor_listeners(struct doctor *d);
void doctor_firewall(struct doctor *d);

#endif
