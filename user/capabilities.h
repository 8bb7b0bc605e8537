/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SYNSTILE_USER_CAPABILITIES_H
#define SYNSTILE_USER_CAPABILITIES_H

/*
 * For the agent, once everything is open that needs more: keeps the few capabilities of the table
 * in capabilities.c in the permitted and effective sets, nothing in the others, and lets no program
 * that it might start gain any (PR_SET_NO_NEW_PRIVS). What the kernel does not let go of stays, and
 * is said with -v. From here on root reads only what belongs to root or what everybody may read.
 */
void capabilities_drop(void);

#endif
