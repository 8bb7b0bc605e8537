// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>

#include "cmd.h"
#include "conns_ask.h"
#include "event_filter.h"
#include "log.h"

#define TEXT_LIMIT 1000 /* lines, unless --limit says otherwise: it is for eyes */

static int parse_number(const char *option, const char *text, unsigned long max, unsigned long *n)
{
	char *end;

	errno = 0;
	*n = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || *n > max)
		return fail(EINVAL, "%s: \"%s\" is not a number from 0 to %lu", option, text, max);
	return 0;
}

static int parse_end(struct query *q, int c, const char *text)
{
	struct event_filter f = {0};
	int err = c == 'p' ? event_filter_port(&f, text) : event_filter_host(&f, text);

	*(c == 'p' ? &q->port : &q->host) = text;
	if (c == 'p') {
		q->filter.port = f.port;
	} else {
		q->filter.by_host = true;
		q->filter.host = f.host;
	}
	return err;
}

enum {
	OPT_HALF_OPEN = 256,
	OPT_STATE,
	OPT_SORT,
	OPT_LIMIT
};

static int parse_option(struct query *q, int c, const char *text)
{
	unsigned long n;
	int err;

	switch (c) {
	case OPT_HALF_OPEN:
		q->half_open = true;
		return 0;
	case OPT_STATE:
		q->filter.by_state = true;
		q->state = text;
		return conn_state_parse(text, &q->filter.state);
	case OPT_SORT:
		return conn_sort_parse(text, &q->sort);
	case OPT_LIMIT:
		err = parse_number("--limit", text, 1UL << 30, &n);
		q->limit = n;
		q->limited = true;
		return err;
	case 'p':
	case 'H':
		return parse_end(q, c, text);
	default:
		q->json = true;
		return 0;
	}
}

static int run(struct query *q)
{
	struct running r;
	int status = running_find(&r);

	if (!q->json && !q->limited)
		q->limit = TEXT_LIMIT;
	if (!q->json && !q->sort)
		q->sort = SORT_AGE;
	if (!status)
		status = conns_ask(&r, q);
	running_close(&r);
	return status;
}

int cmd_conns(int argc, char **argv)
{
	static const struct option options[] = {COMMON_LONG,
						{"half-open", no_argument, NULL, OPT_HALF_OPEN},
						{"state", required_argument, NULL, OPT_STATE},
						{"port", required_argument, NULL, 'p'},
						{"host", required_argument, NULL, 'H'},
						{"sort", required_argument, NULL, OPT_SORT},
						{"limit", required_argument, NULL, OPT_LIMIT},
						{"json", no_argument, NULL, 'j'},
						{}};
	struct query q = {.sort = SORT_NONE};
	int c, status;

	while ((c = getopt_long(argc, argv, COMMON_SHORT "jp:H:", options, NULL)) != -1) {
		if (c == 'j' || c == 'p' || c == 'H' || c >= OPT_HALF_OPEN) {
			int err = parse_option(&q, c, optarg);

			if (err)
				return common_usage("conns", "%s", fail_reason(err));
		} else if (common_option(c, "conns", &status)) {
			return status;
		}
	}
	if (optind < argc)
		return common_usage("conns", "nothing expected at \"%s\"", argv[optind]);
	return run(&q);
}
