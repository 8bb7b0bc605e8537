// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "overflow.h"

/* thread-self: the namespace that we have entered, not the one that we come from */
#define NETSTAT      "/proc/thread-self/net/netstat"
#define NETSTAT_SIZE 32768 /* about 8 KB on Linux 6 */

static const struct {
	const char *name;
	size_t offset;
} counters[] = {
	{"TCPReqQFullDrop", offsetof(struct overflow, request_dropped)},
	{"TCPReqQFullDoCookies", offsetof(struct overflow, request_cookies)},
	{"ListenOverflows", offsetof(struct overflow, accept)},
	{"ListenDrops", offsetof(struct overflow, dropped)},
};

static void take(struct overflow *o, const char *name, size_t length, u64 n)
{
	size_t i;

	for (i = 0; i < sizeof(counters) / sizeof(*counters); i++)
		if (strlen(counters[i].name) == length && !memcmp(counters[i].name, name, length))
			*(u64 *)((char *)o + counters[i].offset) = n;
}

/* A line of names and one of numbers: "TcpExt: A B\nTcpExt: 1 2\n". */
int overflow_parse(struct overflow *o, const char *text)
{
	const char *names, *numbers;
	size_t length;
	char *end;

	*o = (struct overflow){0};
	names = strstr(text, "TcpExt:");
	numbers = names ? strstr(names + 1, "TcpExt:") : NULL;
	if (!numbers)
		return -EINVAL;
	names += strlen("TcpExt:");
	numbers += strlen("TcpExt:");
	while (*names == ' ') {
		length = strcspn(++names, " \n");
		take(o, names, length, strtoull(numbers, &end, 10));
		names += length;
		numbers = end;
	}
	return 0;
}

int overflow_read(struct overflow *o)
{
	static char text[NETSTAT_SIZE];
	int fd = open(NETSTAT, O_RDONLY | O_CLOEXEC);
	ssize_t part = 1, n = 0;

	if (fd < 0)
		return fail(errno, "cannot open %s: %s", NETSTAT, strerror(errno));
	while (part > 0 && n < NETSTAT_SIZE - 1) {
		part = read(fd, text + n, NETSTAT_SIZE - 1 - n);
		n += part > 0 ? part : 0;
	}
	close(fd);
	if (part < 0)
		return fail(errno, "cannot read %s: %s", NETSTAT, strerror(errno));
	text[n] = 0;
	return overflow_parse(o, text) ? fail(EINVAL, "%s has no TcpExt", NETSTAT) : 0;
}
