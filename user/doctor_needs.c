// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>

#include "doctor_needs.h"
#include "log.h"

int needs_btf(const struct features *f)
{
	if (f->btf)
		return 0;
	return fail(ENOENT,
		    "this kernel has no type information (/sys/kernel/btf/vmlinux is missing); "
		    "use one with CONFIG_DEBUG_INFO_BTF=y, as distributions' kernels are");
}

int needs_cookies(const struct features *f)
{
	if (f->raw_cookies)
		return 0;
	return fail(EOPNOTSUPP,
		    "this kernel is too old: bpf_tcp_raw_gen_syncookie_ipv4() is missing, "
		    "which Linux 6.0 and later have");
}

struct names {
	const char *list[256];
	char text[256][IF_NAMESIZE];
	size_t n;
};

static int collect_name(const struct link *link, void *arg)
{
	struct names *n = arg;

	if (n->n < 256 && link->ethernet) {
		strcpy(n->text[n->n], link->name);
		n->list[n->n] = n->text[n->n];
		n->n++;
	}
	return 0;
}

static int no_such_interface(const struct instance *in, const char *name)
{
	struct names names = {0};
	const char *guess;

	netlink_links(collect_name, &names);
	guess = nearest(name, names.list, names.n);
	return fail(ENODEV, "no interface \"%s\"%s%s%s%s%s; `ip %s%s%slink` lists them", name,
		    in->netns[0] ? " in namespace " : "", in->netns,
		    guess ? "; did you mean \"" : "", guess ? guess : "", guess ? "\"?" : "",
		    in->netns[0] ? "-n " : "", in->netns, in->netns[0] ? " " : "");
}

int needs_interface(const struct instance *in, const char *name, struct link *link)
{
	link->ifindex = strlen(name) < IF_NAMESIZE ? if_nametoindex(name) : 0;
	if (!link->ifindex || netlink_link(link->ifindex, link))
		return no_such_interface(in, name);
	if (link->loopback)
		return fail(EINVAL, "%s: a loopback interface carries no traffic from outside",
			    name);
	if (!link->ethernet)
		return fail(EINVAL,
			    "%s: its packets have no Ethernet header (a tunnel, such as tun or "
			    "WireGuard): synstile cannot read them; attach to the interface that "
			    "faces the clients",
			    name);
	return 0;
}

static int find_vlan(const struct link *link, void *arg)
{
	return !strcmp(link->kind, "vlan") && !link->netns_lower && link->lower == *(u32 *)arg;
}

bool needs_vlan_tags(const char *name, u32 ifindex)
{
	return probe_strips_vlan(name) && netlink_links(find_vlan, &ifindex) == 1;
}
