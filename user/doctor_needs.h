/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What must hold before anything is attached: `attach` begins with these checks, `doctor` tells
 * them with all others. 0, or -errno with a reason.
 */
#ifndef SYNSTILE_DOCTOR_NEEDS_H
#define SYNSTILE_DOCTOR_NEEDS_H

#include "instance.h"
#include "netlink.h"
#include "probe.h"

int needs_btf(const struct features *f);
int needs_cookies(const struct features *f);
/* The interface is there, and is one that packets from outside come by. */
int needs_interface(const struct instance *in, const char *name, struct link *link);

/* VLAN interfaces are on top, and the driver takes the tags off before XDP sees them. */
bool needs_vlan_tags(const char *name, u32 ifindex);
#define VLAN_TAGS_WORDS                                                                            \
	"carries VLAN interfaces, and its driver may take the tags off before XDP sees them: "     \
	"answers would leave untagged"
#define VLAN_TAGS_MEND "ethtool -K %s rxvlan off"

#endif
