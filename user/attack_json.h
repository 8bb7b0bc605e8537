/* SPDX-License-Identifier: GPL-2.0-only */
/* What is known of an attack, as JSON; synstile-events(5) describes it. */
#ifndef SYNSTILE_USER_ATTACK_JSON_H
#define SYNSTILE_USER_ATTACK_JSON_H

#include <jansson.h>

#include "attack.h"

/* {"peak_syn_rate":, ..., "spoofed":, "top_sources": [...], "samples":} */
json_t *attack_json(const struct attack_facts *f);

/* ["half_open", ...] of enum attack_reason. */
json_t *reasons_json(u32 reasons);

/* The same as members to put behind others: ,"peak_syn_rate":... For the caller to free; NULL: no
 * memory. */
char *attack_members(const struct attack_facts *f);

#endif
