/* SPDX-License-Identifier: GPL-2.0-only */
/* The agent from within: for cmd_agent.c, which runs it, and for what answers questions about it.
 */
#ifndef SYNSTILE_USER_AGENT_INSIDE_H
#define SYNSTILE_USER_AGENT_INSIDE_H

#include <sys/stat.h>

#include "api.h"
#include "detect.h"
#include "flow_count.h"
#include "half_open.h"
#include "history.h"
#include "inforce.h"
#include "instance.h"
#include "list_api.h"
#include "listeners.h"
#include "live.h"
#include "loop.h"
#include "maps.h"
#include "published.h"
#include "rates.h"
#include "service_json.h"
#include "state.h"
#include "stream.h"
#include "timeouts.h"

struct agent {
	struct instance in;
	struct state st;
	struct stat state_file;
	struct maps maps;
	struct inforce inforce;
	struct listeners *listeners;
	struct published *published;
	struct half_open *half_open;
	struct timeouts *timeouts;
	struct detect *detect;
	struct stream *stream;
	struct rates *rates;
	struct services_now *services;
	struct list_api *lists;
	struct flow_count flows;
	struct history *history;
	struct live *live;
	struct api *api;
	struct loop *loop;
	struct watch *tick, *second, *on_term, *on_int, *on_hup;
	int pid_fd, sweep, forget, alarm, monitor;
	unsigned int seconds;
	u64 since; /* when it started, monotonic ns */
	/* the last error of each that was logged */
	int tick_trouble, reap_trouble, detect_trouble;
	int second_trouble, adapt_trouble, sweep_trouble, rates_trouble;
	bool reloaded; /* the state, since the last second */
	bool changed;  /* links or addresses, since the last second */
	bool started, done;
	bool lost; /* ... because no interface is left, or the namespace is gone */
};

/* What there is to ask; ends with one without a path. */
extern const struct api_route agent_routes[];

/* A command may have changed the record of what is attached just now. */
void agent_follow_state(struct agent *a);
/* Another policy may be in force. */
void agent_follow_policy(struct agent *a);

#endif
