// SPDX-License-Identifier: GPL-2.0-only
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <string.h>

#include "nat.h"
#include "nfnetlink.h"

bool nat_legacy(bool v6)
{
	FILE *f = fopen(v6 ? "/proc/net/ip6_tables_names" : "/proc/net/ip_tables_names", "re");
	char line[64];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = !strcmp(line, "nat\n");
	if (f)
		fclose(f);
	return found;
}

static int on_chain(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *a;
	bool *found = arg;

	mnl_attr_for_each (a, nlh, sizeof(struct nfgenmsg)) {
		if (mnl_attr_get_type(a) == NFTA_CHAIN_TYPE)
			*found |= !strcmp(mnl_attr_get_str(a), "nat");
	}
	return *found ? MNL_CB_STOP : MNL_CB_OK;
}

/* Base chains of type nat. A kernel without nftables answers with an error: none. */
static bool nft_nat(void)
{
	bool found = false;

	nfnetlink_ask(NFT_MSG_GETCHAIN, true, on_chain, &found);
	return found;
}

bool nat_present(void)
{
	return nat_legacy(false) || nat_legacy(true) || nft_nat();
}
