// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "bridged.h"
#include "log.h"

bool bridged(u32 ifindex)
{
	struct link link;

	if (!ifindex || netlink_link(ifindex, &link)) {
		fail_clear();
		return false;
	}
	return !strcmp(link.port_of, "bridge") || !strcmp(link.port_of, "openvswitch");
}
