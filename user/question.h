/* SPDX-License-Identifier: GPL-2.0-only */
/* Numbers and switches in the query of a request. */
#ifndef SYNSTILE_USER_QUESTION_H
#define SYNSTILE_USER_QUESTION_H

#include <stdbool.h>

#include <synstile/types.h>

/* What is larger than `max` is `max`. -EINVAL with a reason: it is no number. */
int question_count(const char *name, const char *text, u64 max, u64 *n);
/* 0 or 1. */
int question_switch(const char *name, const char *text, bool *on);

#endif
