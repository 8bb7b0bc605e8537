/* SPDX-License-Identifier: GPL-2.0-only */
/* The nftables rules of the network namespace that we are in, through libnftables. */
#ifndef SYNSTILE_RULESET_H
#define SYNSTILE_RULESET_H

#include <stdbool.h>

#include <jansson.h>

/* As `nft -j list ruleset`; to be freed by json_decref(). -EOPNOTSUPP if the kernel has no
 * nftables, or -errno with a reason. */
int ruleset_read(json_t **ruleset);
/* The same of one table, as `nft -j list table`. */
int ruleset_read_table(const char *family, const char *table, json_t **ruleset);
/* One rule as people write it. False if it is not there any more, or does not fit. */
bool ruleset_rule(const char *family, const char *table, const char *chain, int handle, char *buf,
		  size_t size);

#endif
