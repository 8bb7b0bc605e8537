/* SPDX-License-Identifier: GPL-2.0-only */
/* The part of `synstile status` about the services that are under attack. */
#ifndef SYNSTILE_USER_STATUS_ATTACKS_H
#define SYNSTILE_USER_STATUS_ATTACKS_H

#include <jansson.h>

#include "maps.h"

/* As detect_json() tells of them; without it (NULL) what the maps say: service, state, half_open,
 * duration_ms, reasons. */
json_t *status_attacks_json(const struct maps *m, json_t *detection);
/* A paragraph each. */
void status_attacks_print(json_t *attacks);

#endif
