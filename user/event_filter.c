// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "event_filter.h"
#include "event_names.h"
#include "flow_id.h"
#include "log.h"

int event_filter_types(struct event_filter *f, const char *list)
{
	char word[32];
	size_t n;
	int type;

	do {
		n = strcspn(list, ",");
		if (n >= sizeof(word))
			n = sizeof(word) - 1; /* no type is as long */
		memcpy(word, list, n);
		word[n] = 0;
		type = event_type_parse(word);
		if (type < 0)
			return type;
		f->types |= 1u << type;
		list += strcspn(list, ",");
	} while (*list++);
	return 0;
}

int event_filter_port(struct event_filter *f, const char *text)
{
	char *end;
	unsigned long port = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end || !port || port > 65535)
		return fail(EINVAL, "\"%.40s\" is not a port (1 to 65535)", text);
	f->port = port;
	return 0;
}

int event_filter_host(struct event_filter *f, const char *text)
{
	struct in_addr v4;

	memset(&f->host, 0, sizeof(f->host));
	if (inet_pton(AF_INET, text, &v4) == 1) {
		f->host.w[2] = htonl(0xffff);
		f->host.w[3] = v4.s_addr;
	} else if (inet_pton(AF_INET6, text, &f->host) != 1) {
		return fail(EINVAL, "\"%.60s\" is not an IPv4 or IPv6 address", text);
	}
	f->has_host = true;
	return 0;
}

int event_filter_flow(struct event_filter *f, const char *text)
{
	char *end;

	f->flow = strtoull(text, &end, 10);
	f->has_flow = text[0] >= '0' && text[0] <= '9' && !*end;
	return f->has_flow ? 0
			   : fail(EINVAL,
				  "\"%.40s\" is not a flow_id, as events and `conns -j` "
				  "have it",
				  text);
}

/* Is it a name at all? Which services there are may change any moment. */
int event_filter_service(struct event_filter *f, const char *text)
{
	size_t n =
		strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");

	if (!n || text[n] || n >= sizeof(f->service))
		return fail(
			EINVAL,
			"\"%.40s\" is not the name of a service (1 to %zu letters, digits, '-', "
			"'_' and '.')",
			text, sizeof(f->service) - 1);
	memcpy(f->service, text, n + 1);
	return 0;
}

/* Those that tell of a connection. */
#define OF_FLOWS                                                                                   \
	(1u << EVENT_TCP_STATE | 1u << EVENT_HALF_OPEN_TIMEOUT | 1u << EVENT_RETRANSMISSION |      \
	 1u << EVENT_KEEPALIVE)

u32 event_filter_mask(const struct event_filter *f)
{
	u32 types = f->types ? f->types : EVENT_TYPES_DEFAULT;

	return f->has_flow ? types & (OF_FLOWS | 1u << EVENT_LOST) : types;
}

static bool same_addr(const struct addr *a, const struct addr *b)
{
	return !memcmp(a, b, sizeof(*a));
}

bool event_filter_same(const struct event_filter *a, const struct event_filter *b)
{
	return event_filter_mask(a) == event_filter_mask(b) && a->port == b->port &&
	       a->has_host == b->has_host && (!a->has_host || same_addr(&a->host, &b->host)) &&
	       a->has_flow == b->has_flow && (!a->has_flow || a->flow == b->flow) &&
	       !strcmp(a->service, b->service);
}

bool event_filter_match(const struct event_filter *f, const struct event *e, u16 service_port,
			const char *service)
{
	if (!(event_filter_mask(f) & 1u << e->type))
		return false;
	if (f->has_flow && flow_id(&e->key, e->opened) != f->flow)
		return false;
	if (f->service[0] && strcmp(f->service, service))
		return false;
	if (f->port && f->port != ntohs(e->key.remote_port) &&
	    f->port != ntohs(e->key.local_port) && f->port != service_port)
		return false;
	return !f->has_host || same_addr(&f->host, &e->key.remote) ||
	       same_addr(&f->host, &e->key.local);
}
