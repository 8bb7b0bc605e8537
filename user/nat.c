// SPDX-License-Identifier: GPL-2.0-only
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <libmnl/libmnl.h>

#include "nat.h"

#define BUFFER 32768

/* iptables' own tables (not those that iptables-nft makes). */
static bool legacy_nat(const char *path)
{
	FILE *f = fopen(path, "re");
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
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	char request[256] = "", *answer = malloc(BUFFER);
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(request);
	struct nfgenmsg *m = mnl_nlmsg_put_extra_header(nlh, sizeof(*m));
	unsigned int seq = time(NULL);
	int run = nl && answer ? MNL_CB_OK : MNL_CB_ERROR;
	bool found = false;
	ssize_t n;

	nlh->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETCHAIN;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = seq;
	m->nfgen_family = AF_UNSPEC;
	m->version = NFNETLINK_V0;
	if (run > 0 && (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
			mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0))
		run = MNL_CB_ERROR;
	while (run > MNL_CB_STOP) {
		n = mnl_socket_recvfrom(nl, answer, BUFFER);
		run = n < 0 ? MNL_CB_ERROR
			    : mnl_cb_run(answer, n, seq, mnl_socket_get_portid(nl), on_chain,
					 &found);
	}
	free(answer);
	if (nl)
		mnl_socket_close(nl);
	return found;
}

bool nat_present(void)
{
	return legacy_nat("/proc/net/ip_tables_names") ||
	       legacy_nat("/proc/net/ip6_tables_names") || nft_nat();
}
