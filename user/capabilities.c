// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>

#include <cap-ng.h>

#include "capabilities.h"
#include "log.h"

#ifndef CAP_BPF /* Linux 5.8 */
#define CAP_BPF 39
#endif

/* Found by taking each away from an agent at work, with kernel.unprivileged_bpf_disabled = 2. */
static const struct {
	unsigned int number;
	const char *why;
} needed[] = {
	{CAP_BPF, "the tables of a new policy's prefixes; before Linux 5.19 every use of a map"},
	{CAP_NET_ADMIN, "the rules of netfilter, closing half-open connections, and taking off XDP "
			"and TC when a namespace ends"},
};

#define N (sizeof(needed) / sizeof(*needed))

/* Nothing but those needed that we have. */
static void choose(void)
{
	bool has[N];
	size_t i;

	for (i = 0; i < N; i++)
		has[i] = capng_have_capability(CAPNG_PERMITTED, needed[i].number);
	capng_clear(CAPNG_SELECT_ALL);
	for (i = 0; i < N; i++) {
		if (has[i])
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED,
				     needed[i].number);
		else
			debug("capability %s is missing, which is for: %s",
			      capng_capability_to_name(needed[i].number), needed[i].why);
	}
}

void capabilities_drop(void)
{
	if (capng_get_caps_process()) {
		debug("the agent keeps its capabilities: they cannot be read");
		return;
	}
	choose();
	/* the bounding set first, for that takes CAP_SETPCAP */
	if (capng_apply(CAPNG_SELECT_BOUNDS))
		debug("the bounding set of capabilities stays: %s", strerror(errno));
	if (capng_apply(CAPNG_SELECT_CAPS))
		debug("the agent keeps its capabilities: %s", strerror(errno));
	/* those that the process inherits at an exec() fell with the inheritable set */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		debug("PR_SET_NO_NEW_PRIVS: %s", strerror(errno));
}
