/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The BPF programs of an instance: loading, attaching, pinning, removing. Only
 * datapath.c knows skeletons, libxdp, links and pins.
 *
 * Pins, below in->pins:
 *	flows listeners ...		maps of the instance (bpf/maps.bpf.h)
 *	sweep, forget, alarm		programs that the agent runs (bpf/synstile_sweep.bpf.c)
 *	<iface>/counters, iface		maps of one interface
 *	<iface>/xdp_link | xdp_prog	how XDP is held there, unless libxdp holds it
 *	<iface>/tc_ingress_link ...	TCX links, where the kernel has them
 */
#ifndef SYNSTILE_DATAPATH_H
#define SYNSTILE_DATAPATH_H

#include "instance.h"
#include "maps.h"
#include "state.h"

enum xdp_choice {
	XDP_CHOOSE,
	XDP_NATIVE,
	XDP_GENERIC
};
enum tc_choice {
	TC_CHOOSE,
	TC_ONLY_TCX,
	TC_ONLY_CLSACT
};

struct datapath_options {
	enum xdp_choice xdp;
	enum tc_choice tc;
	bool kernel_cookies;
	bool freplace; /* libxdp's dispatcher works here */
	u32 max_flows; /* 0: the default, or what the instance has */
	u32 max_verified;
};

/* The programs of one interface, loaded and not yet attached. */
struct datapath;

/* Quiet unless -v: libbpf's and libxdp's words are kept, and shown when a load fails. */
void datapath_init(void);

/* -EBUSY, with who it is and how to see it, if a foreign XDP program is on this interface.
 * `dispatcher`: one of libxdp's, which takes us in. */
int datapath_in_the_way(u32 ifindex, const char *ifname, bool freplace, bool *dispatcher);

/* Programs at a TCX hook, ours too: at most *n ids. -EINVAL if the kernel has no TCX. */
int datapath_tcx_programs(u32 ifindex, bool ingress, u32 *ids, u32 *n);
/* False if there is no such program (any more). */
bool datapath_program_name(u32 id, char name[16]);

/* Loads the programs and creates and pins the maps that are not there yet. */
int datapath_load(struct datapath **dp, const struct instance *in, const char *ifname,
		  const struct datapath_options *opts);
void datapath_close(struct datapath *dp);
/* Loads and pins the sweep; opening the pin gives its descriptor. */
int datapath_load_sweep(const struct instance *in);
int datapath_open_sweep(const struct instance *in);
/* `between`: besides the one a second, which also tells of attacks. */
int datapath_sweep(int fd, bool between);
/* The program that ends the record of a connection which the stack does not have any more, or which
 * it is about to lose since its SYN timeout is over. 1: ended; 0: it lives. */
int datapath_open_forget(const struct instance *in);
int datapath_forget(int fd, const struct flow_key *key);
/* The program that tells the datapath of an attack on this service: it holds for
 * PRESSURE_ALARM_NS (bpf/pressure.h). `reasons`: enum attack_reason. -ENOENT: no such service. */
int datapath_open_alarm(const struct instance *in);
int datapath_alarm(int fd, u32 service, u32 reasons);

/* Each attaches, pins, and notes in `at` how. `note` says why that way ("" if there is
 * nothing to say). On failure nothing stays attached. */
int datapath_attach_tc(struct datapath *dp, struct attachment *at);
int datapath_attach_xdp(struct datapath *dp, struct attachment *at, char *note, size_t size);

/* Opens the instance's maps. -ENOENT if they are not there. */
int datapath_maps(const struct instance *in, struct maps *m);
u32 datapath_max_flows(const struct maps *m);
u32 datapath_max_verified(const struct maps *m);
/* The counters of an interface: a descriptor, or -errno. */
int datapath_counters(const struct instance *in, const struct attachment *at);
/* Tells the datapath the interface's MTU. */
int datapath_set_iface(const struct instance *in, const struct attachment *at, u32 mtu);
/* Is our XDP program (and TC programs) still where we put it? */
bool datapath_xdp_there(const struct instance *in, const struct attachment *at);
bool datapath_tc_there(const struct instance *in, const struct attachment *at);

/* Takes everything off one interface, and removes its pins. Goes on over what is
 * missing already, and says so if `tell`. Foreign programs stay. */
void datapath_detach(const struct instance *in, const struct attachment *at, bool tell);
/* Removes the instance's pins. */
void datapath_remove(const struct instance *in);
bool datapath_exists(const struct instance *in);
/* Without a state file: finds in the pins what is attached where. */
void datapath_recover(const struct instance *in, struct state *st);

#endif
