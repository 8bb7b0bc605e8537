// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>

#include "top_table.h"
#include "top_text.h"

enum {
	SERVICE_NAME,
	SERVICE_PORTS,
	SERVICE_STATE,
	SERVICE_FOR,
	SERVICE_SYNS,
	SERVICE_COOKIES,
	SERVICE_VALIDATED,
	SERVICE_DROPPED,
	SERVICE_HALF_OPEN,
	SERVICE_KERNEL,
	SERVICE_TIMEOUT,
	SERVICE_COMPLETED,
	SERVICE_VERIFIED,
	SERVICE_ATTACKS,
	SERVICE_COLUMNS
};

static const struct column service_columns[SERVICE_COLUMNS] = {
	[SERVICE_NAME] = {"SERVICE", 8, 20, 0, true},
	[SERVICE_PORTS] = {"PORTS", 7, 20, 3, true},
	[SERVICE_STATE] = {"STATE", 7, 7, 0, true},
	[SERVICE_FOR] = {"FOR", 6, 6, 2},
	[SERVICE_SYNS] = {"SYN/s", 5, 7, 0},
	[SERVICE_COOKIES] = {"COOKIE/s", 8, 9, 0},
	[SERVICE_VALIDATED] = {"VALID/s", 7, 8, 1},
	[SERVICE_DROPPED] = {"DROP/s", 6, 8, 1},
	[SERVICE_HALF_OPEN] = {"HALF-OPEN", 16, 40, 0},
	[SERVICE_KERNEL] = {"KERNEL", 6, 8, 1},
	[SERVICE_TIMEOUT] = {"TIMEOUT", 7, 8, 1},
	[SERVICE_COMPLETED] = {"DONE/s", 6, 8, 3},
	[SERVICE_VERIFIED] = {"VERIF/s", 7, 8, 4},
	[SERVICE_ATTACKS] = {"ATTACKS", 7, 8, 3},
};

static size_t count_services(const struct top_frame *f)
{
	return f->n_services;
}

static bool service_matches(const struct top_frame *f, size_t i, const char *filter)
{
	return contains(f->services[i].name, filter) || contains(f->services[i].ports, filter) ||
	       contains(f->services[i].state, filter);
}

static u64 service_key(const struct top_frame *f, size_t i)
{
	return hash_text(f->services[i].name);
}

/* Attacked ones first, then the busy; by magnitude only, so that rows stand still. */
static int compare_busy(const struct frame_service *a, const struct frame_service *b)
{
	if (a->attacked != b->attacked)
		return a->attacked ? -1 : 1;
	if (magnitude(a->now.syns) != magnitude(b->now.syns))
		return magnitude(a->now.syns) > magnitude(b->now.syns) ? -1 : 1;
	return strcmp(a->name, b->name);
}

static s64 service_number(const struct frame_service *s, int column)
{
	const s64 numbers[SERVICE_COLUMNS] = {
		[SERVICE_FOR] = s->for_ms,
		[SERVICE_SYNS] = s->now.syns,
		[SERVICE_COOKIES] = s->now.cookies,
		[SERVICE_VALIDATED] = s->now.validated,
		[SERVICE_DROPPED] = s->now.dropped,
		[SERVICE_HALF_OPEN] = s->now.half_open,
		[SERVICE_KERNEL] = s->now.kernel,
		[SERVICE_TIMEOUT] = s->timeout_ms,
		[SERVICE_COMPLETED] = s->now.completed,
		[SERVICE_VERIFIED] = s->now.verified,
		[SERVICE_ATTACKS] = s->attacks,
	};

	return numbers[column];
}

static int compare_services(const struct top_frame *f, size_t l, size_t r, int column)
{
	const struct frame_service *a = &f->services[l], *b = &f->services[r];

	switch (column) {
	case AS_IT_COMES:
		return compare_busy(a, b);
	case SERVICE_NAME:
		return strcmp(a->name, b->name);
	case SERVICE_STATE:
		return strcmp(a->state, b->state);
	case SERVICE_PORTS:
		return compare_numbers(atoi(a->ports), atoi(b->ports));
	default:
		return compare_numbers(service_number(a, column), service_number(b, column));
	}
}

static void draw_state(const struct spot *s, const struct frame_service *service)
{
	char upper[sizeof(service->state)];
	size_t i;

	for (i = 0; service->state[i] && i + 1 < sizeof(upper); i++)
		upper[i] = service->state[i] >= 'a' && service->state[i] <= 'z'
				   ? service->state[i] - 32
				   : service->state[i];
	upper[i] = 0;
	draw_word(s,
		  service->attacked                    ? STYLE_ATTACK
		  : !strcmp(service->state, "calm")    ? STYLE_CALM
		  : !strcmp(service->state, "observe") ? STYLE_WARN
						       : STYLE_COOKIE,
		  upper);
}

/* "250/256" at the right, and as long a bar as fits before it. */
static void draw_budget(const struct spot *s, const struct frame_rates *now)
{
	char text[2 * NUMBER_SIZE], n[NUMBER_SIZE], bound[NUMBER_SIZE];
	enum style style =
		now->bound > 0 && now->half_open >= now->bound ? STYLE_ATTACK : STYLE_HALF_OPEN;
	int bar = s->w - 11, room; /* what four digits each, and a column before it, leave */

	snprintf(text, sizeof(text), "%s/%s", number_text(now->half_open, n),
		 number_text(now->bound, bound));
	room = s->w - text_width(text) - 2;
	bar = bar < room ? bar : room;
	if (bar > 0)
		canvas_bar(s->c, s->y, s->x + 1, bar, style, now->half_open, now->bound);
	canvas_right(s->c, s->y, s->x, s->w, now->half_open > 0 ? style : STYLE_DIM, text);
}

static void service_cell(const struct spot *s, const struct top_frame *f, size_t i, int column)
{
	static const enum style styles[SERVICE_COLUMNS] = {
		[SERVICE_SYNS] = STYLE_SYN,         [SERVICE_COOKIES] = STYLE_COOKIE,
		[SERVICE_VALIDATED] = STYLE_CALM,   [SERVICE_DROPPED] = STYLE_WARN,
		[SERVICE_KERNEL] = STYLE_HALF_OPEN, [SERVICE_ATTACKS] = STYLE_WARN,
	};
	const struct frame_service *service = &f->services[i];

	switch (column) {
	case SERVICE_NAME:
		draw_word(s, STYLE_BOLD, service->name);
		break;
	case SERVICE_STATE:
		draw_state(s, service);
		break;
	case SERVICE_PORTS:
		draw_word(s, STYLE_PLAIN, service->ports);
		break;
	case SERVICE_FOR:
	case SERVICE_TIMEOUT:
		draw_age(s, STYLE_PLAIN, service_number(service, column));
		break;
	case SERVICE_HALF_OPEN:
		draw_budget(s, &service->now);
		break;
	default:
		draw_number(s, styles[column], service_number(service, column));
	}
}

static void no_services(struct canvas *c, const struct rect *r, const struct top_frame *f)
{
	(void)f;
	say(c, r, 0, STYLE_DIM,
	    "no service: nothing on this host listens for TCP, or the policy "
	    "protects nothing that does");
}

const struct table table_services = {service_columns, SERVICE_COLUMNS,  count_services,
				     service_matches, compare_services, service_key,
				     service_cell,    no_services};
