/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What synstile says to people, and small things with text.
 *
 * Functions below a command return -errno and record the reason with fail();
 * the command prints it once, where it ends. The first reason stands until
 * fail_clear(), so that what goes wrong while unwinding does not hide the cause.
 */
#ifndef SYNSTILE_LOG_H
#define SYNSTILE_LOG_H

#include <stdbool.h>
#include <stddef.h>

#define PRINTF(f, a) __attribute__((format(printf, f, a)))

extern bool log_verbose;

/* Records why, and returns -err. */
int fail(int err, const char *fmt, ...) PRINTF(2, 3);
void fail_clear(void);
/* The recorded reason, or the text of -err if there is none. */
const char *fail_reason(int err);

/* Something to know that does not end the command: stderr, or syslog in the agent. */
void warn(const char *fmt, ...) PRINTF(1, 2);
/* Only with -v. */
void debug(const char *fmt, ...) PRINTF(1, 2);
/* From now on warnings go to syslog. */
void log_to_syslog(const char *instance);

/* As snprintf, but -ENAMETOOLONG when it does not fit, 0 when it does. */
int format(char *buf, size_t size, const char *fmt, ...) PRINTF(3, 4);
/* The candidate that `word` was probably meant to be, or NULL. */
const char *nearest(const char *word, const char *const *candidates, size_t n);

#endif
