/* SPDX-License-Identifier: GPL-2.0-only */
/* What is wrong with a policy: collected while it is read, told all at once by position. */
#ifndef SYNSTILE_USER_POLICY_ERRORS_H
#define SYNSTILE_USER_POLICY_ERRORS_H

#include "log.h"
#include "policy.h"

#define POLICY_ERRORS_MOST 100 /* further ones are not told */

struct complaint {
	struct origin at;
	size_t number; /* in the order of discovery */
	char *text;
};

struct complaints {
	struct complaint at[POLICY_ERRORS_MOST];
	size_t n;
	bool more;
	bool no_memory;
};

void complain(struct complaints *c, const struct origin *at, const char *fmt, ...) PRINTF(3, 4);
/* Moves what was said to `out`. */
void complaints_tell(struct complaints *c, const struct policy_file *files,
		     struct policy_errors *out);
void complaints_free(struct complaints *c);

/* A piece of the file as it may be shown on a terminal: in quotation marks, not too long. */
#define SHOWN_SIZE 192
const char *shown(const char *text, char buf[SHOWN_SIZE]);
/* Is there anything in it that a terminal obeys? */
bool has_control(const char *text);

#endif
