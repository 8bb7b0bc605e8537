// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>

#include "datapath.h"
#include "doubts.h"
#include "netlink.h"

#define AT_A_TIME 256

static int is_there(const struct flow_key *key, const struct state *st)
{
	int found = netlink_has_socket(key, 0);
	size_t i;

	for (i = 0; !found && i < st->n_ifaces; i++)
		found = netlink_has_socket(key, st->ifaces[i].ifindex);
	return found;
}

int doubts_settle(const struct maps *m, const struct state *st, int forget)
{
	struct flow_key key;
	int i, err;

	for (i = 0; i < AT_A_TIME; i++) {
		err = maps_next_doubt(m, &key);
		if (err)
			return err == -ENOENT ? 0 : err;
		err = is_there(&key, st);
		if (!err)
			err = datapath_forget(forget, &key);
		if (err < 0)
			return err;
	}
	return 0;
}
