/* SPDX-License-Identifier: GPL-2.0-only */
/* Which events someone wants: types, a port, an address, a connection, a service. */
#ifndef SYNSTILE_EVENT_FILTER_H
#define SYNSTILE_EVENT_FILTER_H

#include <synstile/event.h>

struct event_filter {
	u32 types; /* 1 << enum event_type; 0: EVENT_TYPES_DEFAULT */
	u16 port;  /* of either end, or of the service; 0: any */
	bool has_host;
	struct addr host; /* either end */
	bool has_flow;
	u64 flow;                        /* flow_id() of the connection */
	char service[SERVICE_NAME_SIZE]; /* "": any */
};

#define EVENT_TYPES_ALL     ((1u << EVENT_COUNT) - 1)
#define EVENT_TYPES_DEFAULT (EVENT_TYPES_ALL & ~(1u << EVENT_STATS))

/* Each reads one argument. -EINVAL with a reason. Types: a list with commas, added to others. */
int event_filter_types(struct event_filter *f, const char *list);
int event_filter_port(struct event_filter *f, const char *text);
int event_filter_host(struct event_filter *f, const char *text);
int event_filter_flow(struct event_filter *f, const char *text);
int event_filter_service(struct event_filter *f, const char *text);

/* Do both let the same through? */
bool event_filter_same(const struct event_filter *a, const struct event_filter *b);
/* 1 << enum event_type: those types that it can let through. */
u32 event_filter_mask(const struct event_filter *f);
/* The event's service: its port, host order, or 0; its name, or "". */
bool event_filter_match(const struct event_filter *f, const struct event *e, u16 service_port,
			const char *service);

#endif
