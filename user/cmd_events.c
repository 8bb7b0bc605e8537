// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "cmd.h"
#include "event_filter.h"
#include "event_text.h"
#include "log.h"
#include "running.h"

#define OUTPUT_BUFFER (64 << 10)
#define FOLLOW_LINES  10 /* of what was before, as tail(1) shows */
#define ALL_LINES     "1000000"

struct options {
	bool follow, json;
	const char *lines; /* NULL: as fits `follow` */
	char query[1024];
};

struct follower {
	bool json;
	int signals; /* a signalfd */
	struct tm day;
};

enum {
	DONE = 1
}; /* of a client_stream function: nothing is wrong */

/* ---- lines ---- */

/* Times of day alone would mislead once a day is over. */
static void print_day(struct follower *f, json_t *event)
{
	struct tm day;

	if (!event_date(event, &day) ||
	    (day.tm_year == f->day.tm_year && day.tm_yday == f->day.tm_yday))
		return;
	f->day = day;
	printf("-- %04d-%02d-%02d --\n", day.tm_year + 1900, day.tm_mon + 1, day.tm_mday);
}

static int on_line(const char *line, size_t n, void *arg)
{
	struct follower *f = arg;
	json_t *event;

	if (f->json) {
		fwrite(line, 1, n, stdout);
		putchar('\n');
		return 0;
	}
	event = json_loadb(line, n, 0, NULL);
	if (!event)
		return fail(EPROTO, "the agent sent a line that is not JSON: %.*s",
			    n > 200 ? 200 : (int)n, line);
	print_day(f, event);
	event_text(stdout, event);
	json_decref(event);
	return 0;
}

static int on_pause(void *arg)
{
	(void)arg;
	if (!fflush(stdout) && !ferror(stdout))
		return 0;
	if (errno == EPIPE) /* whoever read us has enough */
		return DONE;
	return fail(errno ? errno : EIO, "cannot write the output: %s", strerror(errno));
}

/* ^C? Has the reader of our output gone? */
static int on_idle(void *arg)
{
	const struct follower *f = arg;
	struct pollfd fds[] = {{.fd = f->signals, .events = POLLIN}, {.fd = STDOUT_FILENO}};

	if (poll(fds, 2, 0) <= 0)
		return 0;
	return fds[0].revents || fds[1].revents & (POLLERR | POLLNVAL) ? DONE : 0;
}

static int take_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int show(const struct instance *in, const struct options *o)
{
	struct follower f = {.json = o->json, .signals = take_signals()};
	const struct client_stream stream = {on_line, on_pause, on_idle, f.signals, &f};
	time_t now = time(NULL);
	char path[1200];
	int err;

	localtime_r(&now, &f.day);
	snprintf(path, sizeof(path), "/v1/events?follow=%d&backlog=%s%s", o->follow,
		 o->lines    ? o->lines
		 : o->follow ? "10"
			     : ALL_LINES,
		 o->query);
	setvbuf(stdout, NULL, _IOFBF, OUTPUT_BUFFER); /* on_pause() writes whole lines */
	err = client_lines(in, path, &stream);
	if (!err && o->follow)
		err = fail(ECONNRESET, "the agent has ended");
	if (!err)
		err = on_pause(NULL);
	if (!err || err == DONE)
		return STATUS_OK;
	on_pause(NULL);
	common_failed(err);
	return err == -ECONNREFUSED || err == -ECONNRESET ? STATUS_NOT_RUNNING : STATUS_FAILED;
}

/* ---- arguments ---- */

/* Checked here, so that it is a mistake in usage; the agent filters. */
static int add_filter(struct options *o, struct event_filter *f, int c, const char *text)
{
	static const char *const names[] = {
		['t'] = "type", ['p'] = "port", ['H'] = "host", ['F'] = "flow", ['s'] = "service"};
	size_t n = strlen(o->query);
	int err = c == 't'   ? event_filter_types(f, text)
		  : c == 'p' ? event_filter_port(f, text)
		  : c == 'H' ? event_filter_host(f, text)
		  : c == 'F' ? event_filter_flow(f, text)
			     : event_filter_service(f, text);

	return err ? err : format(o->query + n, sizeof(o->query) - n, "&%s=%s", names[c], text);
}

static bool is_number(const char *text)
{
	return *text && strlen(text) < 10 && strspn(text, "0123456789") == strlen(text);
}

/* True if the command must end with *status. */
static bool take_option(struct options *o, struct event_filter *f, int c, int *status)
{
	int err = 0;

	switch (c) {
	case 'f':
		o->follow = true;
		break;
	case 'j':
		o->json = true;
		break;
	case 'l':
		o->lines = strcmp(optarg, "all") ? optarg : ALL_LINES;
		if (!is_number(o->lines))
			err = fail(EINVAL, "--lines %.40s: a number or \"all\" is expected",
				   optarg);
		break;
	case 't':
	case 'p':
	case 'H':
	case 'F':
	case 's':
		err = add_filter(o, f, c, optarg);
		break;
	default:
		return common_option(c, "events", status);
	}
	if (err)
		*status = common_usage("events", "%s", fail_reason(err));
	return err;
}

int cmd_events(int argc, char **argv)
{
	static const struct option options[] = {COMMON_LONG,
						{"follow", no_argument, NULL, 'f'},
						{"json", no_argument, NULL, 'j'},
						{"lines", required_argument, NULL, 'l'},
						{"type", required_argument, NULL, 't'},
						{"port", required_argument, NULL, 'p'},
						{"host", required_argument, NULL, 'H'},
						{"flow", required_argument, NULL, 'F'},
						{"service", required_argument, NULL, 's'},
						{}};
	struct options o = {0};
	struct event_filter f = {0};
	struct running r;
	int c, status;

	while ((c = getopt_long(argc, argv, COMMON_SHORT "fjl:t:p:H:s:", options, NULL)) != -1)
		if (take_option(&o, &f, c, &status))
			return status;
	if (optind < argc)
		return common_usage("events", "nothing expected at \"%s\"", argv[optind]);
	status = running_find(&r);
	if (status)
		return status;
	status = show(&r.in, &o);
	running_close(&r);
	return status;
}
