// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "question.h"

int question_count(const char *name, const char *text, u64 max, u64 *n)
{
	char *end;

	*n = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end)
		return fail(EINVAL, "%s=%.40s: a number is expected", name, text);
	*n = *n > max ? max : *n;
	return 0;
}

int question_switch(const char *name, const char *text, bool *on)
{
	if (strcmp(text, "0") && strcmp(text, "1"))
		return fail(EINVAL, "%s=%.40s: 0 or 1 is expected", name, text);
	*on = text[0] == '1';
	return 0;
}
