// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "moment.h"
#include "nat.h"
#include "netlink.h"
#include "nfnetlink.h"
#include "published.h"
#include "published_walk.h"
#include "ruleset.h"

#define AGAIN_NS   10000000000ULL
#define SHARE      50 /* of the time that reading takes: it rests this many times as long */
#define MAX_TABLES 64

struct published {
	struct ports ports;
	u32 generation;
	bool read, timed; /* ... and something is in it that has no generation */
	u64 read_at;      /* monotonic, ns */
	u64 rest_until;
};

struct table {
	const char *family;
	char name[128];
};

struct tables {
	struct table at[MAX_TABLES];
	size_t n;
};

struct addresses {
	struct addr *at;
	size_t n, room;
};

/* ---- what there is to read ---- */

static int on_address(const struct addr *a, u32 ifindex, void *arg)
{
	struct addresses *all = arg;
	struct addr *more;

	(void)ifindex;
	if (addr_is_loopback(a))
		return 0;
	if (all->n == all->room) {
		all->room = all->room ? 2 * all->room : 64;
		more = reallocarray(all->at, all->room, sizeof(*all->at));
		if (!more)
			return -ENOMEM;
		all->at = more;
	}
	all->at[all->n++] = *a;
	return 0;
}

static const char *family_name(u8 family)
{
	return family == NFPROTO_IPV4   ? "ip"
	       : family == NFPROTO_IPV6 ? "ip6"
	       : family == NFPROTO_INET ? "inet"
					: NULL;
}

/* The hook of a base chain, or -1. */
static int hook_of(const struct nlattr *nest)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested (a, nest) {
		if (mnl_attr_get_type(a) == NFTA_HOOK_HOOKNUM)
			return ntohl(mnl_attr_get_u32(a));
	}
	return -1;
}

static int on_chain(const struct nlmsghdr *nlh, void *arg)
{
	const struct nfgenmsg *m = mnl_nlmsg_get_payload(nlh);
	const char *table = NULL, *type = "", *family = family_name(m->nfgen_family);
	struct tables *t = arg;
	const struct nlattr *a;
	int hook = -1;
	size_t i;

	mnl_attr_for_each (a, nlh, sizeof(*m)) {
		if (mnl_attr_get_type(a) == NFTA_CHAIN_TABLE)
			table = mnl_attr_get_str(a);
		if (mnl_attr_get_type(a) == NFTA_CHAIN_TYPE)
			type = mnl_attr_get_str(a);
		if (mnl_attr_get_type(a) == NFTA_CHAIN_HOOK)
			hook = hook_of(a);
	}
	if (!family || !table || strcmp(type, "nat") || hook != NF_INET_PRE_ROUTING ||
	    t->n == MAX_TABLES)
		return MNL_CB_OK;
	for (i = 0; i < t->n; i++)
		if (t->at[i].family == family && !strcmp(t->at[i].name, table))
			return MNL_CB_OK;
	if (!format(t->at[t->n].name, sizeof(t->at[t->n].name), "%s", table))
		t->at[t->n++].family = family;
	return MNL_CB_OK;
}

static int walk_tables(struct walk *w)
{
	struct tables t = {0};
	json_t *rules;
	size_t i;
	int err = 0;

	nfnetlink_ask(NFT_MSG_GETCHAIN, true, on_chain, &t);
	for (i = 0; !err && i < t.n; i++) {
		err = ruleset_read_table(t.at[i].family, t.at[i].name, &rules);
		if (!err)
			err = published_walk_table(w, rules, t.at[i].family, t.at[i].name);
		json_decref(rules);
	}
	return err;
}

static int read_all(struct walk *w, bool legacy4, bool legacy6)
{
	struct addresses all = {0};
	int err = netlink_addresses(on_address, &all);

	w->local = all.at;
	w->n_local = all.n;
	if (!err)
		err = walk_tables(w);
	if (!err && legacy4)
		err = published_walk_legacy(w, false);
	if (!err && legacy6)
		err = published_walk_legacy(w, true);
	if (w->steps >= WALK_STEPS)
		debug("netfilter has more rules about published ports than are looked at");
	free(all.at);
	return err;
}

/* ---- */

bool published_refresh(struct published *p)
{
	bool legacy4 = nat_legacy(false), legacy6 = nat_legacy(true), changed;
	u32 generation = nfnetlink_generation();
	u64 now = monotonic_now();
	struct walk *w;
	int err;

	if (p->read && now < p->rest_until)
		return false;
	if (p->read && generation == p->generation &&
	    (!(p->timed || legacy4 || legacy6) || now < p->read_at + AGAIN_NS))
		return false;
	w = calloc(1, sizeof(*w));
	err = w ? read_all(w, legacy4, legacy6) : -ENOMEM;
	p->rest_until = now + (monotonic_now() - now) * SHARE;
	if (err) { /* what was known stands; it is tried again */
		debug("published ports: %s", fail_reason(err));
		fail_clear();
		free(w);
		return false;
	}
	changed = memcmp(&p->ports, &w->found, sizeof(p->ports));
	p->ports = w->found;
	p->generation = generation;
	p->timed = w->by_address || legacy4 || legacy6; /* so that their end is seen too */
	p->read = true;
	p->read_at = now;
	free(w);
	return changed;
}

bool published_has(const struct published *p, u16 port)
{
	return ports_has(&p->ports, port);
}

const struct ports *published_ports(const struct published *p)
{
	return &p->ports;
}

struct published *published_new(void)
{
	return calloc(1, sizeof(struct published));
}

void published_free(struct published *p)
{
	free(p);
}
