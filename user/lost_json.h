/* SPDX-License-Identifier: GPL-2.0-only */
/* Events of type `lost`, which the agent makes: what could not be told, by type and stage. */
#ifndef SYNSTILE_USER_LOST_JSON_H
#define SYNSTILE_USER_LOST_JSON_H

#include <synstile/event.h>

/* All are lines to be freed, with '\n' at the end; `wall` is ns since 1970. NULL: nothing was lost,
 * or no memory. */

/* {"lost": {"tcp_state": {"ring": 12}}} for types in `mask`; `n` is indexed as the map is. */
char *lost_line(u64 wall, const u64 n[EVENT_COUNT * LOST_STAGES], u32 mask, bool since_attach);

#define LOST_UNKNOWN UINT64_MAX
/* {"lost": {"any": {"backlog": 57}}, "synstile": {"after": id}}: so many after `id` are no longer
 * kept, of whatever type. LOST_UNKNOWN: null. `id` may be NULL. */
char *lost_line_after(u64 wall, u64 n, const char *id);

#endif
