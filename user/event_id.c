// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "event_id.h"
#include "moment.h"

void epoch_new(char epoch[EPOCH_SIZE])
{
	u64 random;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
		random = moment_now().real;
	snprintf(epoch, EPOCH_SIZE, "%012llx", (unsigned long long)(random & ((1ULL << 48) - 1)));
}

const char *event_id_text(const char *epoch, u64 n, char buf[EVENT_ID_SIZE])
{
	snprintf(buf, EVENT_ID_SIZE, "%s-%llu", epoch, (unsigned long long)n);
	return buf;
}

bool event_id_parse(const char *text, struct event_id *id)
{
	size_t digits = strspn(text, "0123456789abcdef");
	const char *n = text + digits + 1;

	if (digits != EPOCH_SIZE - 1 || text[digits] != '-' || !*n || strlen(n) > 20 ||
	    strspn(n, "0123456789") != strlen(n))
		return false;
	memcpy(id->epoch, text, digits);
	id->epoch[digits] = 0;
	id->n = strtoull(n, NULL, 10);
	return true;
}
