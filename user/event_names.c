// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>

#include "event_names.h"
#include "log.h"

const char *const event_names[EVENT_COUNT] = {
#define X(id, name, help) [EVENT_##id] = name,
	SYNSTILE_EVENTS(X)
#undef X
};

const char *const event_helps[EVENT_COUNT] = {
#define X(id, name, help) [EVENT_##id] = help,
	SYNSTILE_EVENTS(X)
#undef X
};

const char *const lost_names[LOST_STAGES] = {
	[LOST_LIMITED] = "limited",
	[LOST_RING] = "ring",
	[LOST_SUBSCRIBER] = "subscriber",
};

const char *const state_names[ST_COUNT] = {
#define X(id, name) [ST_##id] = name,
	SYNSTILE_TCP_STATES(X)
#undef X
};

const char *const end_names[END_COUNT] = {
#define X(id, name) [END_##id] = name,
	SYNSTILE_ENDS(X)
#undef X
};

const char *const admit_names[ADMIT_COUNT] = {
#define X(id, name) [ADMIT_##id] = name,
	SYNSTILE_ADMISSIONS(X)
#undef X
};

const char *const reason_names[ATTACK_REASONS] = {
	"half_open", "syn_rate", "completion", "distinct_sources", "queue_overflow",
};

const char *const reason_words[ATTACK_REASONS] = {
	"too many half-open connections",       "too many SYNs a second",
	"too few handshakes are completed",     "too many sources that do not complete",
	"the kernel's request queue overflows",
};

_Static_assert(ATTACK_QUEUE == 1 << (ATTACK_REASONS - 1), "the last one");

int event_type_parse(const char *text)
{
	static const char all[] =
#define X(id, name, help) " " name
		SYNSTILE_EVENTS(X)
#undef X
		;
	const char *guess;
	int i;

	for (i = 0; i < EVENT_COUNT; i++)
		if (!strcmp(event_names[i], text))
			return i;
	guess = nearest(text, event_names, EVENT_COUNT);
	return fail(EINVAL, "no event type \"%.40s\"%s%s%s; there are:%s", text,
		    guess ? "; did you mean \"" : "", guess ? guess : "", guess ? "\"?" : "", all);
}
