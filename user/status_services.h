/* SPDX-License-Identifier: GPL-2.0-only */
/* `synstile status`: the policy, and its services with what they are doing. */
#ifndef SYNSTILE_USER_STATUS_SERVICES_H
#define SYNSTILE_USER_STATUS_SERVICES_H

#include <jansson.h>

#include "maps.h"

/* In the order of their ports; those without a listener are left out. */
json_t *status_services_json(const struct maps *m);
void status_services_print(const json_t *services);

/* {"generation":, "applied":, "file": (null: built in), "trouble": (null: none)}, or JSON null. */
void status_policy_print(const json_t *policy);

#endif
