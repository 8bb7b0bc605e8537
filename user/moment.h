/* SPDX-License-Identifier: GPL-2.0-only */
/* Times of records are CLOCK_MONOTONIC; people want the time of day, and how long ago. */
#ifndef SYNSTILE_USER_MOMENT_H
#define SYNSTILE_USER_MOMENT_H

#include <synstile/types.h>

/* One moment by both clocks, ns. */
struct moment {
	u64 monotonic;
	u64 real; /* since 1970, UTC */
};

struct moment moment_now(void);
u64 monotonic_now(void);
/* What this thread has worked, ns: on a busy machine far less than the time that it took. */
u64 cpu_now(void);

/* ms from `then` (monotonic ns) to `m`; never negative: the datapath's clock is another. */
u64 moment_ms_since(const struct moment *m, u64 then);

#define TIMESTAMP_SIZE 40
#define DURATION_SIZE  24

/* 2026-11-22T08:22:22.123456+0000 for `then` (monotonic ns). Returns buf. */
const char *moment_timestamp(const struct moment *m, u64 then, char buf[TIMESTAMP_SIZE]);
/* 0.412s, 12.3s, 4m05s, 3h12m, 5d03h. Returns buf. */
const char *duration_text(u64 ms, char buf[DURATION_SIZE]);

#endif
