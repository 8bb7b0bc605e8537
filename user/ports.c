// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "ports.h"

static int number(const char **at, const char *text, long *value)
{
	char *end;

	if (**at < '0' || **at > '9')
		return fail(EINVAL, "--ports \"%s\": a port number is expected at \"%s\"", text,
			    *at);
	*value = strtol(*at, &end, 10);
	if (*value < 1 || *value > 65535)
		return fail(EINVAL, "--ports \"%s\": %.*s is not a port (1 to 65535)", text,
			    (int)(end - *at), *at);
	*at = end;
	return 0;
}

void ports_add(struct ports *p, u16 first, u16 last)
{
	u32 port;

	for (port = first; port <= last; port++)
		p->bits[port / 8] |= 1 << port % 8;
}

int ports_parse(struct ports *p, const char *text)
{
	const char *at = text;
	long from = 0, to;
	int err;

	memset(p->bits, text ? 0 : 0xff, sizeof(p->bits));
	while (at) {
		err = number(&at, text, &from);
		to = from;
		if (!err && *at == '-') {
			at++;
			err = number(&at, text, &to);
		}
		if (err)
			return err;
		if (to < from)
			return fail(EINVAL, "--ports \"%s\": %ld-%ld runs backwards", text, from,
				    to);
		ports_add(p, from, to);
		if (!*at)
			return 0;
		if (*at++ != ',')
			return fail(EINVAL, "--ports \"%s\": a comma is expected at \"%s\"", text,
				    at - 1);
	}
	return 0;
}

bool ports_keep(struct ports *p, const struct ports *others)
{
	u8 any = 0;
	size_t i;

	for (i = 0; i < sizeof(p->bits); i++)
		any |= p->bits[i] &= others->bits[i];
	return any;
}

bool ports_take(struct ports *p, const struct ports *others)
{
	u8 any = 0;
	size_t i;

	for (i = 0; i < sizeof(p->bits); i++)
		any |= p->bits[i] &= ~others->bits[i];
	return any;
}

bool ports_has(const struct ports *p, u16 port)
{
	return p->bits[port / 8] >> port % 8 & 1;
}
