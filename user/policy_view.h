/* SPDX-License-Identifier: GPL-2.0-only */
/* The agent's answers about policies, as people read them. */
#ifndef SYNSTILE_USER_POLICY_VIEW_H
#define SYNSTILE_USER_POLICY_VIEW_H

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

/* policy_json(): as YAML, with the origin of each value at its right; a service without what it has
 * from the defaults. No more than `most` entries of a list, but all services. */
void policy_print(FILE *to, const json_t *policy, size_t most);
/* policy_diff(): "services.web.mode: auto -> always". */
void policy_print_changes(FILE *to, const json_t *changes);

#endif
