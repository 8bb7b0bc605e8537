// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <time.h>

#include "clock.h"
#include "moment.h"

static u64 ns_of(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * NS_PER_SEC + t.tv_nsec;
}

u64 monotonic_now(void)
{
	return ns_of(CLOCK_MONOTONIC);
}

u64 cpu_now(void)
{
	return ns_of(CLOCK_THREAD_CPUTIME_ID);
}

struct moment moment_now(void)
{
	u64 before = ns_of(CLOCK_MONOTONIC), real = ns_of(CLOCK_REALTIME);

	/* read between two readings of the other, so that an interruption counts half */
	return (struct moment){before + (ns_of(CLOCK_MONOTONIC) - before) / 2, real};
}

u64 moment_ms_since(const struct moment *m, u64 then)
{
	return elapsed(m->monotonic, then) / NS_PER_MS;
}

const char *moment_timestamp(const struct moment *m, u64 then, char buf[TIMESTAMP_SIZE])
{
	u64 ns = m->real - (s64)(m->monotonic - then);
	time_t seconds = ns / NS_PER_SEC;
	char day[24];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf, TIMESTAMP_SIZE, "%s.%06u+0000", day, (u32)(ns % NS_PER_SEC / 1000));
	return buf;
}

const char *duration_text(u64 ms, char buf[DURATION_SIZE])
{
	const u64 s = ms / 1000, m = s / 60, h = m / 60;

	if (s < 10)
		snprintf(buf, DURATION_SIZE, "%llu.%03llus", s, ms % 1000);
	else if (m < 1)
		snprintf(buf, DURATION_SIZE, "%llu.%llus", s, ms % 1000 / 100);
	else if (h < 1)
		snprintf(buf, DURATION_SIZE, "%llum%02llus", m, s % 60);
	else if (h < 24)
		snprintf(buf, DURATION_SIZE, "%lluh%02llum", h, m % 60);
	else
		snprintf(buf, DURATION_SIZE, "%llud%02lluh", h / 24, h % 24);
	return buf;
}
