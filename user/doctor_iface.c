// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include <sched.h>
#include <stdlib.h>

#include <bpf/bpf.h>

#include "datapath.h"
#include "bridged.h"
#include "doctor.h"
#include "doctor_needs.h"

/* One page holds the frame, its headroom and what the kernel keeps behind it; drivers that give
 * XDP one buffer a frame refuse a larger MTU. */
#define ONE_BUFFER_MTU 3498
#define MAX_TCX        64

static const char interface[] = "interface";

struct looked_at {
	struct doctor *d;
	const char *name;
	struct link link;
	char driver[32];
	bool veth;
	bool native, frags, known; /* what its XDP can do */
};

static void look_at_driver(struct looked_at *l)
{
	u64 features = 0;

	probe_driver(l->name, l->driver);
	if (!l->driver[0])
		strcpy(l->driver, "unknown");
	l->veth = !strcmp(l->driver, "veth");
	l->known = !netlink_xdp_features(l->link.ifindex, &features);
	l->native = features & XDP_CAN_NATIVE;
	l->frags = features & XDP_CAN_FRAGS;
	if (l->veth)
		doctor_say(l->d, HEALTH_WARN, interface, l->name,
			   "driver veth: generic XDP, which costs more for each packet; a native "
			   "reply "
			   "is delivered only if the other end has NAPI on (an XDP program there): "
			   "then --xdp native");
	else if (!l->known)
		doctor_say(
			l->d, HEALTH_OK, interface, l->name,
			"driver %s; whether it has native XDP shows when attaching (Linux 6.3 and "
			"later tell)",
			l->driver);
	else if (l->native)
		doctor_say(l->d, HEALTH_OK, interface, l->name, "driver %s: native XDP", l->driver);
	else
		doctor_say(l->d, HEALTH_WARN, interface, l->name,
			   "driver %s has no native XDP: generic XDP, which costs more for each "
			   "packet",
			   l->driver);
}

static void look_at_queues(struct looked_at *l)
{
	u32 cpus, want;
	struct queues q;
	cpu_set_t set;

	probe_queues(l->name, &q);
	cpus = sched_getaffinity(0, sizeof(set), &set) ? 1 : CPU_COUNT(&set);
	if (!q.rx || l->veth)
		return;
	if (q.rx >= cpus || q.rx >= q.rx_max) {
		doctor_say(
			l->d, HEALTH_OK, interface, l->name,
			"%u receive queue%s for %u CPUs (at most %u); %u frames each (at most %u)",
			q.rx, q.rx == 1 ? "" : "s", cpus, q.rx_max, q.ring, q.ring_max);
		return;
	}
	want = cpus < q.rx_max ? cpus : q.rx_max;
	doctor_say(l->d, HEALTH_WARN, interface, l->name,
		   "%u receive queue%s for %u CPUs: so many of them share the work of a flood",
		   q.rx, q.rx == 1 ? "" : "s", cpus);
	doctor_mend_inside(l->d, "ethtool -L %s combined %u", l->name, want);
}

/* What drivers refuse native XDP for. */
static void look_at_merging(struct looked_at *l)
{
	static const struct {
		const char *feature, *option, *words;
	} merging[] = {{"rx-lro", "lro", "LRO"}, {"rx-gro-hw", "rx-gro-hw", "hardware GRO"}};
	bool fixed;
	size_t i;

	for (i = 0; i < 2; i++) {
		if (!probe_offload(l->name, merging[i].feature, &fixed))
			continue;
		doctor_say(
			l->d, HEALTH_WARN, interface, l->name,
			"%s is on: the card joins segments, and its driver may refuse native XDP",
			merging[i].words);
		if (!fixed)
			doctor_mend_inside(l->d, "ethtool -K %s %s off", l->name,
					   merging[i].option);
	}
}

static void look_at_tags(struct looked_at *l)
{
	bool fixed;

	if (needs_vlan_tags(l->name, l->link.ifindex)) {
		doctor_say(l->d, HEALTH_WARN, interface, l->name, VLAN_TAGS_WORDS);
		doctor_mend_inside(l->d, VLAN_TAGS_MEND, l->name);
	} else if (probe_offload(l->name, "rx-vlan-hw-parse", &fixed) && !l->veth) {
		doctor_say(l->d, HEALTH_OK, interface, l->name,
			   "VLAN tags may be stripped by the card, but no VLAN interface is on it");
	}
}

/* The stack trusts the card's word; synstile looks at no checksum but passes it on. */
static void look_at_checksums(struct looked_at *l)
{
	bool fixed;

	if (probe_offload(l->name, "rx-checksum", &fixed) || l->veth)
		return;
	if (fixed) /* a bond, a VLAN: those below it decide */
		return;
	doctor_say(l->d, HEALTH_WARN, interface, l->name,
		   "receive checksums are computed by the CPU");
	doctor_mend_inside(l->d, "ethtool -K %s rx on", l->name);
}

static void look_at_bridge(struct looked_at *l)
{
	if (!bridged(l->link.ifindex))
		return;
	doctor_say(
		l->d, HEALTH_WARN, interface, l->name,
		"it is a port of a bridge, which own cookies do not survive: attached here, "
		"synstile uses the kernel's, which keep fewer TCP options; attached to the bridge "
		"itself it can use its own");
}

static void look_at_mtu(struct looked_at *l)
{
	if (l->link.mtu <= ONE_BUFFER_MTU || l->frags || l->veth || (l->known && !l->native)) {
		doctor_say(l->d, HEALTH_OK, interface, l->name, "MTU %u", l->link.mtu);
		return;
	}
	doctor_say(
		l->d, HEALTH_WARN, interface, l->name,
		"MTU %u: this driver may not give XDP frames of several buffers, and refuse native "
		"XDP above some %d bytes",
		l->link.mtu, ONE_BUFFER_MTU);
	doctor_mend_inside(l->d, "ip link set dev %s mtu %d", l->name, ONE_BUFFER_MTU);
}

/* ---- who else is there ---- */

/* True if synstile itself holds XDP there. */
static bool look_at_own(struct looked_at *l)
{
	struct attachment *at = state_find_index(&l->d->st, l->link.ifindex);

	if (!at || !at->complete)
		return false;
	if (datapath_xdp_there(&l->d->in, at) && datapath_tc_there(&l->d->in, at)) {
		doctor_say(l->d, HEALTH_OK, interface, l->name,
			   "synstile is attached: %s XDP, TC by %s", at->skb ? "generic" : "native",
			   tc_name(at->tc));
		return true;
	}
	doctor_say(l->d, HEALTH_FAIL, interface, l->name, "somebody removed synstile's programs");
	doctor_mend_synstile(l->d, "attach %s", l->name);
	return datapath_xdp_there(&l->d->in, at);
}

static void look_at_xdp(struct looked_at *l)
{
	bool dispatcher;
	int err;

	if (look_at_own(l))
		return;
	err = datapath_in_the_way(l->link.ifindex, l->name, l->d->freplace, &dispatcher);
	if (!doctor_check(l->d, err, interface, l->name))
		doctor_mend_inside(l->d, "ip link set dev %s xdp off", l->name);
	else if (dispatcher)
		doctor_say(l->d, HEALTH_OK, interface, l->name,
			   "libxdp's dispatcher is there, and takes synstile in");
	else
		doctor_say(l->d, HEALTH_OK, interface, l->name, "no other XDP program");
}

static bool is_ours(const char *program)
{
	return !strncmp(program, "synstile_tc", 11);
}

static void foreign_tc(struct looked_at *l, bool ingress, const char *what, const char *name)
{
	doctor_say(
		l->d, HEALTH_WARN, interface, l->name,
		"TC %s: %s%s%s runs too; packets that it drops, redirects or takes for good do not "
		"come to synstile's program behind it",
		ingress ? "ingress" : "egress", what, name[0] ? " " : "", name);
}

static void look_at_tcx(struct looked_at *l, bool ingress)
{
	u32 ids[MAX_TCX], n = MAX_TCX, i;
	char name[BPF_OBJ_NAME_LEN];

	if (datapath_tcx_programs(l->link.ifindex, ingress, ids, &n))
		return;
	for (i = 0; i < n; i++) {
		if (!datapath_program_name(ids[i], name) || is_ours(name))
			continue;
		foreign_tc(l, ingress, "TCX program", name);
		doctor_mend_inside(l->d, "bpftool net show dev %s", l->name);
	}
}

static int on_filter(const struct filter *f, void *arg)
{
	struct looked_at *l = arg;

	if (!f->handle || is_ours(f->name))
		return 0;
	foreign_tc(l, f->ingress, f->kind, f->name);
	doctor_mend_inside(l->d, "tc filter show dev %s %s", l->name,
			   f->ingress ? "ingress" : "egress");
	return 0;
}

/* ---- all of it ---- */

static void look_at(struct doctor *d, const char *name)
{
	struct looked_at l = {.d = d, .name = name};
	size_t n;

	if (!doctor_check(d, needs_interface(&d->in, name, &l.link), interface, name))
		return;
	n = strlen(d->ifaces);
	if (n + strlen(name) + 2 < sizeof(d->ifaces)) /* else: enough for an example */
		snprintf(d->ifaces + n, sizeof(d->ifaces) - n, "%s%s", n ? " " : "", name);
	if (!l.link.up) {
		doctor_say(d, HEALTH_WARN, interface, name, "is down");
		doctor_mend_inside(d, "ip link set dev %s up", name);
	}
	look_at_driver(&l);
	look_at_queues(&l);
	look_at_merging(&l);
	look_at_tags(&l);
	look_at_checksums(&l);
	look_at_bridge(&l);
	look_at_mtu(&l);
	look_at_xdp(&l);
	look_at_tcx(&l, true);
	look_at_tcx(&l, false);
	netlink_filters(l.link.ifindex, on_filter, &l);
}

/* Dumps do not nest: first the names. */
struct up {
	char (*names)[IF_NAMESIZE];
	size_t n, room;
};

static int collect(const struct link *link, void *arg)
{
	struct up *up = arg;
	void *more;

	if (!link->up || !link->ethernet)
		return 0;
	if (up->n == up->room) {
		more = reallocarray(up->names, up->room * 2 + 16, sizeof(*up->names));
		if (!more)
			return -ENOMEM;
		up->names = more;
		up->room = up->room * 2 + 16;
	}
	strcpy(up->names[up->n++], link->name);
	return 0;
}

void doctor_interfaces(struct doctor *d, char **names, int n)
{
	struct up up = {0};
	size_t k;
	int i;

	for (i = 0; i < n; i++)
		look_at(d, names[i]);
	if (n)
		return;
	doctor_check(d, netlink_links(collect, &up), interface, "all");
	for (k = 0; k < up.n; k++)
		look_at(d, up.names[k]);
	if (!up.n)
		doctor_say(d, HEALTH_WARN, interface, "none", "no Ethernet interface is up");
	free(up.names);
}
