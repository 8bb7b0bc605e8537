/* SPDX-License-Identifier: GPL-2.0-only */
/* Single values of a policy: what there is to choose, as text and as numbers. */
#ifndef SYNSTILE_USER_POLICY_VALUE_H
#define SYNSTILE_USER_POLICY_VALUE_H

#include "policy.h"

struct value_type {
	const char *path;
	enum value_kind kind;
	u64 least, most, built_in;
	const char *help;
};

/* Index: enum service_value, enum host_value. */
extern const struct value_type service_types[SV_COUNT];
extern const struct value_type host_types[HV_COUNT];

#define VALUE_WHY_SIZE 384
/* 0; or -EINVAL with what is wrong in `why`. */
int value_parse(const struct value_type *t, const char *text, u64 *n, char why[VALUE_WHY_SIZE]);

/* Decimal digits without a sign or a zero in front, saturating; moves *at behind them. */
bool digits(const char **at, u64 *n);

/* What holds in place of a number if nobody chooses one ("the kernel's"), or NULL: the number. */
const char *value_follows(const struct value_type *t, char *buf, size_t size);

#endif
