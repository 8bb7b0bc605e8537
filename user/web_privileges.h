/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SYNSTILE_USER_WEB_PRIVILEGES_H
#define SYNSTILE_USER_WEB_PRIVILEGES_H

/*
 * What `synstile web` does once it listens. root becomes user `synstile`, or `nobody` where there
 * is no such user, with one group beside its own: that of the agent's socket `sock` (of an agent
 * that does not run yet: group synstile, or root's where there is no such group; without the
 * package the socket is root's, and so is its group). Anybody gives up all capabilities, and for
 * good what a program could gain (PR_SET_NO_NEW_PRIVS). -errno with a reason: better not to run.
 */
int web_drop_privileges(const char *sock);

#endif
