// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "nfnetlink.h"

#define BUFFER 32768

bool nfnetlink_ask(u16 type, bool dump, mnl_cb_t fn, void *arg)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	char request[256] = "", *answer = malloc(BUFFER);
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(request);
	struct nfgenmsg *m = mnl_nlmsg_put_extra_header(nlh, sizeof(*m));
	unsigned int seq = time(NULL);
	int run = nl && answer ? MNL_CB_OK : MNL_CB_ERROR;
	ssize_t n;

	nlh->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | type;
	nlh->nlmsg_flags = NLM_F_REQUEST | (dump ? NLM_F_DUMP : 0);
	nlh->nlmsg_seq = seq;
	m->nfgen_family = AF_UNSPEC;
	m->version = NFNETLINK_V0;
	if (run > 0 && (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
			mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0))
		run = MNL_CB_ERROR;
	while (run > MNL_CB_STOP) {
		n = mnl_socket_recvfrom(nl, answer, BUFFER);
		run = n < 0 ? MNL_CB_ERROR
			    : mnl_cb_run(answer, n, seq, mnl_socket_get_portid(nl), fn, arg);
	}
	free(answer);
	if (nl)
		mnl_socket_close(nl);
	return run == MNL_CB_STOP;
}

static int on_generation(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *a;
	u32 *generation = arg;

	mnl_attr_for_each (a, nlh, sizeof(struct nfgenmsg)) {
		if (mnl_attr_get_type(a) == NFTA_GEN_ID)
			*generation = ntohl(mnl_attr_get_u32(a));
	}
	return MNL_CB_STOP;
}

u32 nfnetlink_generation(void)
{
	u32 generation = 0;

	nfnetlink_ask(NFT_MSG_GETGEN, false, on_generation, &generation);
	return generation;
}
