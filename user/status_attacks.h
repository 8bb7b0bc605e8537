/* SPDX-License-Identifier: GPL-2.0-only */
/* The part of `synstile status` about the services that are under attack. */
#ifndef SYNSTILE_USER_STATUS_ATTACKS_H
#define SYNSTILE_USER_STATUS_ATTACKS_H

#include "running.h"

/* As detect_json() tells of them; without an agent what the maps say: service, duration_ms,
 * reasons, half_open. */
json_t *status_attacks_json(const struct running *r);
/* A paragraph each. */
void status_attacks_print(json_t *attacks);

#endif
