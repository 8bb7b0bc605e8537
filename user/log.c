// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "log.h"

bool log_verbose;
static bool use_syslog;
static char reason[4096];

int fail(int err, const char *fmt, ...)
{
	va_list args;

	if (!reason[0]) {
		va_start(args, fmt);
		vsnprintf(reason, sizeof(reason), fmt, args);
		va_end(args);
	}
	return -err;
}

void fail_clear(void)
{
	reason[0] = 0;
}

const char *fail_reason(int err)
{
	return reason[0] ? reason : strerror(-err);
}

static void say(int priority, const char *fmt, va_list args)
{
	if (use_syslog) {
		vsyslog(priority, fmt, args);
		return;
	}
	fputs("synstile: ", stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
}

void warn(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(LOG_WARNING, fmt, args);
	va_end(args);
}

void debug(const char *fmt, ...)
{
	va_list args;

	if (!log_verbose)
		return;
	va_start(args, fmt);
	say(LOG_DEBUG, fmt, args);
	va_end(args);
}

void log_to_syslog(const char *instance)
{
	static char ident[300];

	snprintf(ident, sizeof(ident), "synstile(%s)", instance);
	openlog(ident, LOG_PID | LOG_NDELAY, LOG_DAEMON);
	use_syslog = true;
}

int format(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(buf, size, fmt, args);
	va_end(args);
	if (n < 0 || (size_t)n >= size)
		return fail(ENAMETOOLONG, "name too long: %.60s...", buf);
	return 0;
}

/* Levenshtein distance; words longer than the row are not worth guessing. */
static size_t distance(const char *a, const char *b)
{
	size_t row[64], la = strlen(a), lb = strlen(b), i, j, diagonal, above;

	if (la >= 64 || lb >= 64)
		return 64;
	for (j = 0; j <= lb; j++)
		row[j] = j;
	for (i = 1; i <= la; i++) {
		diagonal = row[0];
		row[0] = i;
		for (j = 1; j <= lb; j++) {
			above = row[j];
			row[j] = diagonal + (a[i - 1] != b[j - 1]);
			if (above + 1 < row[j])
				row[j] = above + 1;
			if (row[j - 1] + 1 < row[j])
				row[j] = row[j - 1] + 1;
			diagonal = above;
		}
	}
	return row[lb];
}

const char *nearest(const char *word, const char *const *candidates, size_t n)
{
	/* more than every second letter wrong is a different word */
	size_t best = strlen(word) / 2 + 1, d, i;
	const char *found = NULL;

	for (i = 0; i < n; i++) {
		d = distance(word, candidates[i]);
		if (d < best) {
			best = d;
			found = candidates[i];
		}
	}
	return found;
}
