// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "top_text.h"

const char *number_text(s64 n, char buf[NUMBER_SIZE])
{
	static const char units[] = " kMGTPE";
	s64 tenths;
	int unit = 1;

	if (n < 0) {
		snprintf(buf, NUMBER_SIZE, "-");
		return buf;
	}
	if (n < 10000) {
		snprintf(buf, NUMBER_SIZE, "%lld", (long long)n);
		return buf;
	}
	for (tenths = n / 100; tenths >= 10000; unit++)
		tenths /= 1000; /* cut, not rounded: 999.9k must not become 1000k */
	if (tenths < 1000)
		snprintf(buf, NUMBER_SIZE, "%lld.%lld%c", tenths / 10, tenths % 10, units[unit]);
	else
		snprintf(buf, NUMBER_SIZE, "%lld%c", tenths / 10, units[unit]);
	return buf;
}

const char *axis_text(s64 n, char buf[NUMBER_SIZE])
{
	static const char units[] = " kMGTPE";
	int unit = 0;

	if (n < 1000) {
		snprintf(buf, NUMBER_SIZE, "%lld", (long long)n);
		return buf;
	}
	while (n >= 1000000) {
		n /= 1000;
		unit++;
	}
	if (n % 1000)
		snprintf(buf, NUMBER_SIZE, "%lld.%lld%c", n / 1000, n % 1000 / 100,
			 units[unit + 1]);
	else
		snprintf(buf, NUMBER_SIZE, "%lld%c", n / 1000, units[unit + 1]);
	return buf;
}

const char *age_short(s64 ms, char buf[AGE_SIZE])
{
	const long long s = ms / 1000, m = s / 60, h = m / 60;

	if (ms < 0)
		snprintf(buf, AGE_SIZE, "-");
	else if (s < 10)
		snprintf(buf, AGE_SIZE, "%lld.%llds", s, ms % 1000 / 100);
	else if (s < 100)
		snprintf(buf, AGE_SIZE, "%llds", s);
	else if (h < 1)
		snprintf(buf, AGE_SIZE, "%lldm%02llds", m, s % 60);
	else if (h < 24)
		snprintf(buf, AGE_SIZE, "%lldh%02lldm", h, m % 60);
	else
		snprintf(buf, AGE_SIZE, "%lldd%02lldh", h / 24, h % 24);
	return buf;
}

s64 timestamp_ms(const char *text)
{
	struct tm utc = {0};
	const char *rest = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &utc) : NULL;
	double fraction;

	if (!rest)
		return -1;
	fraction = *rest == '.' ? strtod(rest, NULL) : 0;
	return timegm(&utc) * 1000LL + (s64)(fraction * 1000);
}

const char *clock_text(s64 ms, char buf[AGE_SIZE])
{
	time_t t = ms / 1000;
	struct tm tm;

	if (ms < 0 || !localtime_r(&t, &tm))
		snprintf(buf, AGE_SIZE, "--:--:--");
	else
		strftime(buf, AGE_SIZE, "%H:%M:%S", &tm);
	return buf;
}

/* ---- what a filter matches ---- */

bool contains(const char *text, const char *part)
{
	return strcasestr(text, part) != NULL;
}

static bool same_bits(const u8 *a, const u8 *b, unsigned long bits)
{
	if (memcmp(a, b, bits / 8))
		return false;
	return !(bits % 8) || !((a[bits / 8] ^ b[bits / 8]) >> (8 - bits % 8));
}

bool in_prefix(const char *address, const char *filter)
{
	const char *slash = strchr(filter, '/');
	char net[INET6_ADDRSTRLEN];
	u8 a[16], b[16];
	unsigned long bits;
	char *end;
	int family;

	if (!slash || slash - filter >= (int)sizeof(net))
		return false;
	memcpy(net, filter, slash - filter);
	net[slash - filter] = 0;
	family = strchr(net, ':') ? AF_INET6 : AF_INET;
	bits = strtoul(slash + 1, &end, 10);
	if (end == slash + 1 || *end || bits > (family == AF_INET ? 32 : 128))
		return false;
	if (inet_pton(family, net, b) != 1 || inet_pton(family, address, a) != 1)
		return false;
	return same_bits(a, b, bits);
}
