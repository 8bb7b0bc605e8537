/* SPDX-License-Identifier: GPL-2.0-only */
/* What is known of an attack beyond the datapath's own figures. */
#ifndef SYNSTILE_USER_ATTACK_H
#define SYNSTILE_USER_ATTACK_H

#include "judge.h"
#include "top_sources.h"

struct attack_facts {
	u32 reasons;    /* enum attack_reason: the bounds that were reached */
	u64 syn_rate;   /* per second, now; as it begins: since it began */
	u64 peak_rate;  /* ... at its worst */
	u64 syns;       /* new ones since it began */
	u64 completed;  /* handshakes since it began */
	int completion; /* percent; -1: unknown */
	u64 sources;    /* different ones a second; at its end: at its worst */
	u64 overflows;  /* of the kernel's request queue, since it began */
	struct detect_bounds bounds;
	enum spoofed spoofed;
	const char *why; /* ... is that so */
	struct top_sources top;
};

#endif
