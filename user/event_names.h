/* SPDX-License-Identifier: GPL-2.0-only */
/* The words for what the datapath tells, as they appear in JSON. */
#ifndef SYNSTILE_EVENT_NAMES_H
#define SYNSTILE_EVENT_NAMES_H

#include <synstile/event.h>

extern const char *const event_names[EVENT_COUNT];
extern const char *const event_helps[EVENT_COUNT];
extern const char *const lost_names[LOST_STAGES];
extern const char *const state_names[ST_COUNT];
extern const char *const end_names[END_COUNT];
extern const char *const admit_names[ADMIT_COUNT];
#define ATTACK_REASONS 5
/* Index: bit of enum attack_reason. */
extern const char *const reason_names[ATTACK_REASONS];
/* The same for people: "too many half-open connections". */
extern const char *const reason_words[ATTACK_REASONS];

/* enum event_type, or -EINVAL with a reason that tells what there is. */
int event_type_parse(const char *text);

#endif
