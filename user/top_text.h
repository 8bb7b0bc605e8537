/* SPDX-License-Identifier: GPL-2.0-only */
/* Numbers and times for narrow columns. UNKNOWN_NUMBER is "-". */
#ifndef SYNSTILE_USER_TOP_TEXT_H
#define SYNSTILE_USER_TOP_TEXT_H

#include <stdbool.h>

#include <synstile/types.h>

#define UNKNOWN_NUMBER (-1)
#define NUMBER_SIZE    24
#define AGE_SIZE       24

/* 9999, 10.0k, 123k, 1.2M, 12.3M: never more than five characters. Returns buf. */
const char *number_text(s64 n, char buf[NUMBER_SIZE]);
/* The same, cut after what an axis needs: 5k, 1M, 250. */
const char *axis_text(s64 n, char buf[NUMBER_SIZE]);
/* 0.4s, 12s, 4m05s, 3h12m, 5d03h. Not the digits that only flicker. */
const char *age_short(s64 ms, char buf[AGE_SIZE]);
/* Of a timestamp as all JSON has it: ms since 1970; -1: it is none. */
s64 timestamp_ms(const char *text);
/* The local time of day, HH:MM:SS. */
const char *clock_text(s64 ms, char buf[AGE_SIZE]);

/* Does `text` contain `part`, whatever the case? */
bool contains(const char *text, const char *part);
/* Is `filter` a prefix such as 198.18.0.0/15 or 2001:db8::/32, and the address in it? */
bool in_prefix(const char *address, const char *filter);

#endif
