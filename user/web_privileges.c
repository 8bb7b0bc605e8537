// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cap-ng.h>

#include "log.h"
#include "web_privileges.h"

#define FILES_MAX 512 /* more than the connections on both sides */

static gid_t socket_group(const char *sock)
{
	const struct group *g;
	struct stat st;

	if (!stat(sock, &st))
		return st.st_gid;
	g = getgrnam("synstile");
	return g ? g->gr_gid : 0;
}

static int become_nobody(const char *sock)
{
	const struct passwd *user = getpwnam("synstile");
	gid_t group = socket_group(sock);

	if (!user)
		user = getpwnam("nobody");
	if (!user || !user->pw_uid || !user->pw_gid)
		return fail(ENOENT, "there is neither a user synstile nor nobody to become; "
				    "`adduser --system --group synstile`");
	if (setgroups(1, &group) || setresgid(user->pw_gid, user->pw_gid, user->pw_gid) ||
	    setresuid(user->pw_uid, user->pw_uid, user->pw_uid))
		return fail(errno,
			    "cannot become user %s: %s; start it as a user in group "
			    "synstile instead of root",
			    user->pw_name, strerror(errno));
	debug("user %s now, with group %u", user->pw_name, (unsigned int)group);
	return 0;
}

/* The bounding set is the only one that takes a capability to let go of. */
static int drop_bounds(void)
{
	if (!capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP))
		return 0;
	capng_clear(CAPNG_SELECT_BOUNDS);
	if (capng_apply(CAPNG_SELECT_BOUNDS))
		return fail(EPERM, "the bounding set of capabilities stays: %s", strerror(errno));
	return 0;
}

/* Who has none need not ask for it: a service's filter of system calls may forbid even that. */
static int drop_capabilities(void)
{
	if (capng_get_caps_process())
		return fail(EPERM, "the process's capabilities cannot be read");
	if (capng_have_capabilities(CAPNG_SELECT_CAPS) == CAPNG_NONE &&
	    capng_have_capabilities(CAPNG_SELECT_AMBIENT) == CAPNG_NONE)
		return 0;
	capng_clear(CAPNG_SELECT_ALL);
	if (capng_apply(CAPNG_SELECT_CAPS) || capng_apply(CAPNG_SELECT_AMBIENT))
		return fail(EPERM, "the capabilities stay: %s", strerror(errno));
	return 0;
}

int web_drop_privileges(const char *sock)
{
	const struct rlimit files = {FILES_MAX, FILES_MAX}, none = {0, 0};
	int err;

	if (capng_get_caps_process())
		return fail(EPERM, "the process's capabilities cannot be read");
	err = drop_bounds();
	if (!err && !geteuid())
		err = become_nobody(sock);
	if (err)
		return err;
	err = drop_capabilities();
	if (err)
		return err;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return fail(errno, "PR_SET_NO_NEW_PRIVS: %s", strerror(errno));
	if (setrlimit(RLIMIT_NOFILE, &files) || setrlimit(RLIMIT_CORE, &none))
		debug("limits stay: %s", strerror(errno));
	return 0;
}
