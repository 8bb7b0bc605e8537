// SPDX-License-Identifier: GPL-2.0-only
/*
 * The nat table of legacy iptables, as the kernel hands it out: one block of entries, each with its
 * matches and its target, chains one after the other
 * (include/uapi/linux/netfilter_ipv4/ip_tables.h; IPv6 differs in the entry's head alone). libiptc
 * reads it too, but through a raw socket, for which the agent would have to keep a capability.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/netfilter/xt_multiport.h>
#include <linux/netfilter/xt_tcpudp.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>

#include "log.h"
#include "published_walk.h"

struct block {
	struct walk *w;
	bool v6;
	const u8 *at;
	u32 size;
};

/* The head of an entry, of either family. */
struct entry {
	u32 head, target, next; /* sizes, from its beginning */
	bool everything;        /* it matches every packet */
	bool tcp, from_loopback;
	struct addr to;
	int to_bits; /* -1: a mask that is no prefix, or a negation */
};

/* ---- entries ---- */

/* -1: not ones and then zeros. */
static int prefix_bits(const u32 *mask, int words)
{
	int bits = 0, i;

	for (i = 0; i < words; i++) {
		u32 m = ntohl(mask[i]);

		if ((m && bits < 32 * i) || (~m & (~m + 1)))
			return -1;
		bits += __builtin_popcount(m);
	}
	return bits;
}

static bool is_zero(const void *at, size_t n)
{
	const u8 *b = at;

	while (n && !*b)
		b++, n--;
	return !n;
}

static void read_ipv4(const struct ipt_entry *i, struct entry *e)
{
	e->head = sizeof(*i);
	e->target = i->target_offset;
	e->next = i->next_offset;
	e->everything = e->target == e->head && is_zero(&i->ip, sizeof(i->ip));
	e->tcp = !i->ip.proto || (i->ip.proto == IPPROTO_TCP) != !!(i->ip.invflags & IPT_INV_PROTO);
	e->from_loopback = !strcmp(i->ip.iniface, "lo") && !(i->ip.invflags & IPT_INV_VIA_IN);
	e->to.w[2] = htonl(0xffff);
	e->to.w[3] = i->ip.dst.s_addr;
	e->to_bits = prefix_bits(&i->ip.dmsk.s_addr, 1);
	e->to_bits = i->ip.invflags & IPT_INV_DSTIP || e->to_bits < 0 ? -1 : e->to_bits + 96;
}

static void read_ipv6(const struct ip6t_entry *i, struct entry *e)
{
	bool not = i->ipv6.invflags & IP6T_INV_PROTO;

	e->head = sizeof(*i);
	e->target = i->target_offset;
	e->next = i->next_offset;
	e->everything = e->target == e->head && is_zero(&i->ipv6, sizeof(i->ipv6));
	e->tcp = !(i->ipv6.flags & IP6T_F_PROTO) || (i->ipv6.proto == IPPROTO_TCP) != not ;
	e->from_loopback = !strcmp(i->ipv6.iniface, "lo") && !(i->ipv6.invflags & IP6T_INV_VIA_IN);
	memcpy(&e->to, &i->ipv6.dst, sizeof(e->to));
	e->to_bits =
		i->ipv6.invflags & IP6T_INV_DSTIP ? -1 : prefix_bits(i->ipv6.dmsk.s6_addr32, 4);
}

/* False at the end, or at what does not hang together. */
static bool read_entry(const struct block *b, u32 at, struct entry *e)
{
	u32 head = b->v6 ? sizeof(struct ip6t_entry) : sizeof(struct ipt_entry);

	if (at > b->size || b->size - at < head)
		return false;
	memset(e, 0, sizeof(*e));
	if (b->v6)
		read_ipv6((const void *)(b->at + at), e);
	else
		read_ipv4((const void *)(b->at + at), e);
	return e->target >= head && e->next >= e->target + sizeof(struct xt_entry_target) &&
	       e->next <= b->size - at;
}

/* ---- matches ---- */

static bool narrow_multiport(const struct xt_multiport_v1 *m, struct ports *may)
{
	struct ports to = {0};
	int i;

	if (m->flags != XT_MULTIPORT_DESTINATION)
		return true; /* the source's port may be it */
	for (i = 0; i < m->count && i < XT_MULTI_PORTS; i++) {
		u16 first = m->ports[i];

		if (m->pflags[i] && i + 1 < XT_MULTI_PORTS)
			i++;
		ports_add(&to, first, m->ports[i]);
	}
	return m->invert ? ports_take(may, &to) : ports_keep(may, &to);
}

static bool narrow_tcp(const struct xt_tcp *m, struct ports *may)
{
	struct ports to = {0};

	ports_add(&to, m->dpts[0], m->dpts[1]);
	return m->invflags & XT_TCP_INV_DSTPT ? ports_take(may, &to) : ports_keep(may, &to);
}

/* False: no packet to a local address is meant. */
static bool narrow(struct block *b, u32 at, const struct entry *e, struct ports *may)
{
	const struct xt_entry_match *m;
	u32 off;

	if (!e->tcp || e->from_loopback)
		return false;
	if (e->to_bits > (b->v6 ? 0 : 96) && !walk_local(b->w, &e->to, e->to_bits))
		return false;
	for (off = e->head; off + sizeof(*m) <= e->target; off += m->u.match_size) {
		m = (const void *)(b->at + at + off);
		if (m->u.match_size < sizeof(*m) || off + m->u.match_size > e->target)
			return true;
		if (!strcmp(m->u.user.name, "tcp") &&
		    m->u.match_size >= sizeof(*m) + sizeof(struct xt_tcp) &&
		    !narrow_tcp((const void *)m->data, may))
			return false;
		if (!strcmp(m->u.user.name, "multiport") && m->u.user.revision == 1 &&
		    m->u.match_size >= sizeof(*m) + sizeof(struct xt_multiport_v1) &&
		    !narrow_multiport((const void *)m->data, may))
			return false;
	}
	return true;
}

/* ---- chains ---- */

static bool leads_elsewhere(const char *target)
{
	return !strcmp(target, "DNAT") || !strcmp(target, "REDIRECT") || !strcmp(target, "NETMAP");
}

static void walk_from(struct block *b, u32 at, const struct ports *in, int depth)
{
	const struct xt_standard_target *t;
	struct ports may;
	struct entry e;
	size_t i;

	for (; depth <= WALK_DEPTH && ++b->w->steps < WALK_STEPS && read_entry(b, at, &e);
	     at += e.next) {
		t = (const void *)(b->at + at + e.target);
		may = *in;
		if (!narrow(b, at, &e, &may))
			continue;
		if (leads_elsewhere(t->target.u.user.name)) {
			for (i = 0; i < sizeof(may.bits); i++)
				b->w->found.bits[i] |= may.bits[i];
		} else if (!t->target.u.user.name[0] && e.next >= e.target + sizeof(*t)) {
			/* a jump, or the end of this chain */
			if (t->verdict >= 0 && (u32)t->verdict != at + e.next)
				walk_from(b, t->verdict, &may, depth + 1);
			else if (t->verdict < 0 && e.everything)
				return;
		}
	}
}

/* ---- */

/* The two families have the same two questions, numbers and answers, at two levels. */
static int read_block(int fd, int level, struct ipt_getinfo *info, struct ipt_get_entries **block)
{
	socklen_t len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	strcpy(info->name, "nat");
	if (getsockopt(fd, level, IPT_SO_GET_INFO, info, &len))
		return -errno;
	len = sizeof(**block) + info->size;
	*block = calloc(1, len);
	if (!*block)
		return -ENOMEM;
	strcpy((*block)->name, "nat");
	(*block)->size = info->size;
	return getsockopt(fd, level, IPT_SO_GET_ENTRIES, *block, &len) ? -errno : 0;
}

int published_walk_legacy(struct walk *w, bool v6)
{
	struct ipt_get_entries *block = NULL;
	struct ipt_getinfo info;
	struct block b = {.w = w, .v6 = v6};
	struct ports all;
	int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int err = fd < 0 ? -errno : read_block(fd, v6 ? SOL_IPV6 : SOL_IP, &info, &block);

	if (!err && block && info.valid_hooks & 1 << NF_INET_PRE_ROUTING) {
		b.at = (const u8 *)block->entrytable;
		b.size = info.size;
		memset(&all, 0xff, sizeof(all));
		walk_from(&b, info.hook_entry[NF_INET_PRE_ROUTING], &all, 0);
	}
	free(block);
	if (fd >= 0)
		close(fd);
	return err == -ENOENT ? 0 : err;
}
