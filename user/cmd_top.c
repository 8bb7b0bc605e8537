// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <curl/curl.h>

#include "client.h"
#include "cmd.h"
#include "event_text.h"
#include "log.h"
#include "top.h"
#include "top_link.h"
#include "top_once.h"
#include "top_term.h"

#define LIVE       "/v1/live?services=200&half_open=256"
#define ONCE_WIDTH 100
#define EMPTY_MOST 20 /* times that the terminal is readable and has no key: it is gone */

struct options {
	bool once, no_color, ascii;
};

/* ---- answers ---- */

struct dashboard {
	struct top top;
	struct top_link *link;
	struct canvas canvas;
	bool changed; /* the screen must be drawn */
	bool wants_history;
	char scope[FRAME_NAME]; /* that the history was asked for */
	u64 asked;              /* the connection that was asked for */
	bool record_due;
	int signals, died_of, empty;
};

static void on_frame(void *arg, const json_t *j)
{
	struct dashboard *d = arg;
	struct top_frame *f = frame_read(j);

	if (!f)
		return;
	if (d->top.trouble[0]) /* what was missed meanwhile */
		d->wants_history = true;
	top_take_frame(&d->top, f);
	d->record_due = true;
	d->changed = true;
}

static void on_lost(void *arg, const char *why)
{
	struct dashboard *d = arg;

	snprintf(d->top.trouble, sizeof(d->top.trouble), "%s", why);
	d->changed = true;
}

/* Its place and time are known already: the line has room for what happened. */
static char *event_line(const char *line, size_t n)
{
	json_t *event = json_loadb(line, n, 0, NULL);
	char *text = NULL;
	size_t length;
	FILE *to = json_is_object(event) ? open_memstream(&text, &length) : NULL;

	if (to) {
		json_object_del(event, "src_ip");
		json_object_del(json_object_get(event, "synstile"), "service");
		event_text(to, event);
		fclose(to);
	}
	if (text)
		text[strcspn(text, "\n")] = 0;
	json_decref(event);
	return text;
}

static void take_events(struct top *t, u64 flow_id, const char *text, size_t n)
{
	char **lines = NULL, **bigger;
	const char *end;
	size_t count = 0;

	while ((end = memchr(text, '\n', n))) {
		char *line = event_line(text, end - text);

		n -= end + 1 - text;
		text = end + 1;
		if (!line)
			continue;
		bigger = reallocarray(lines, count + 1, sizeof(*lines));
		if (!bigger) {
			free(line);
			break;
		}
		lines = bigger;
		lines[count++] = line;
	}
	top_take_events(t, flow_id, lines, count);
}

static void on_answer(void *arg, enum top_question question, u64 about, const char *text, size_t n)
{
	struct dashboard *d = arg;
	json_t *j = question == ASK_EVENTS ? NULL : json_loadb(text, n, 0, NULL);

	if (question == ASK_EVENTS)
		take_events(&d->top, about, text, n);
	else if (question == ASK_RECORD && json_is_array(json_object_get(j, "connections")))
		top_take_record(&d->top, about,
				json_array_get(json_object_get(j, "connections"), 0));
	else if (question == ASK_HISTORY && !strcmp(d->scope, d->top.scope))
		history_read(&d->top.history, j);
	json_decref(j);
	d->changed = true;
}

/* ---- questions ---- */

static void history_path(char *path, size_t size, const char *scope)
{
	char *service = curl_easy_escape(NULL, scope, 0);

	snprintf(path, size, "/v1/history%s%s", service && *service ? "?service=" : "",
		 service ? service : "");
	curl_free(service);
}

/* What the dashboard needs to know now. */
static void ask(struct dashboard *d)
{
	struct top_record *r = &d->top.record;
	char path[512];

	if (strcmp(d->scope, d->top.scope)) {
		memcpy(d->scope, d->top.scope, sizeof(d->scope));
		top_link_forget(d->link, ASK_HISTORY);
		d->wants_history = true;
	}
	if (d->wants_history) {
		history_path(path, sizeof(path), d->scope);
		d->wants_history = !top_link_ask(d->link, ASK_HISTORY, 0, path);
	}
	if (r->open && r->flow_id != d->asked) {
		top_link_forget(d->link, ASK_RECORD);
		top_link_forget(d->link, ASK_EVENTS);
		d->record_due = true;
	}
	d->asked = r->open ? r->flow_id : 0;
	if (!r->open || !d->record_due || d->top.paused)
		return;
	d->record_due = false;
	snprintf(path, sizeof(path), "/v1/conns?flow_id=%llu", r->flow_id);
	top_link_ask(d->link, ASK_RECORD, r->flow_id, path);
	snprintf(path, sizeof(path), "/v1/events?flow=%llu&backlog=50&follow=0", r->flow_id);
	top_link_ask(d->link, ASK_EVENTS, r->flow_id, path);
}

/* ---- signals, keys, the screen ---- */

static int take_signals(void)
{
	static const int ours[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP, SIGCONT};
	sigset_t set;
	size_t i;

	sigemptyset(&set);
	for (i = 0; i < sizeof(ours) / sizeof(*ours); i++)
		sigaddset(&set, ours[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void look_at_signals(struct dashboard *d)
{
	struct signalfd_siginfo got;

	while (read(d->signals, &got, sizeof(got)) == sizeof(got)) {
		d->changed = true;
		switch (got.ssi_signo) {
		case SIGWINCH:
			term_resized();
			break;
		case SIGTSTP:
			term_stop();
			break;
		case SIGCONT:
			term_again();
			break;
		default:
			d->died_of = got.ssi_signo;
		}
	}
}

static void look_at_keys(struct dashboard *d)
{
	struct pollfd terminal = {.fd = STDIN_FILENO, .events = POLLIN};
	int key = -1, n = 0;

	if (poll(&terminal, 1, 0) <= 0)
		return;
	while (!d->top.quit && (key = term_key()) >= 0) {
		top_key(&d->top, key);
		n++;
	}
	d->changed |= n > 0;
	d->empty = n ? 0 : d->empty + 1;
	if (terminal.revents & (POLLHUP | POLLERR | POLLNVAL) || d->empty > EMPTY_MOST)
		d->top.quit = true;
}

/* -ENOMEM. */
static int show(struct dashboard *d)
{
	int w, h;

	term_size(&w, &h);
	if (w != d->canvas.w || h != d->canvas.h) {
		canvas_free(&d->canvas);
		if (!canvas_new(&d->canvas, w, h, d->top.glyphs))
			return -ENOMEM;
	}
	top_draw(&d->top, &d->canvas);
	term_show(&d->canvas);
	d->changed = false;
	return 0;
}

static int loop(struct dashboard *d)
{
	const int fds[] = {STDIN_FILENO, d->signals};
	int err = 0;

	while (!d->top.quit && !d->died_of && !err) {
		if (d->changed)
			err = show(d);
		ask(d);
		top_link_wait(d->link, fds, 2);
		look_at_signals(d);
		look_at_keys(d);
	}
	return err;
}

/* As if it had not been caught: who waits for us sees what we died of. */
static void die_of(int number)
{
	sigset_t set;

	signal(number, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, number);
	raise(number);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static int run(struct dashboard *d, const struct instance *in, bool color)
{
	const struct top_link_calls calls = {on_frame, on_answer, on_lost, d};
	int err;

	d->signals = take_signals();
	d->link = top_link_new(in, LIVE, &calls);
	if (!d->link || d->signals < 0)
		return -ENOMEM;
	d->changed = true;
	err = term_open(color);
	if (!err)
		err = loop(d);
	term_close();
	top_link_free(d->link);
	close(d->signals);
	canvas_free(&d->canvas);
	return err;
}

/* ---- the command ---- */

static int first_frame(struct top *t, const struct instance *in)
{
	json_t *answer = NULL;
	int err = client_get(in, LIVE "&follow=0", &answer);
	struct top_frame *f = err ? NULL : frame_read(answer);

	json_decref(answer);
	if (err)
		return err;
	if (!f)
		return fail(EPROTO, "the agent's answer is not a frame: is it of this version?");
	top_take_frame(t, f);
	answer = NULL;
	if (client_get(in, "/v1/history", &answer)) /* its charts then begin now */
		fail_clear();
	else
		history_read(&t->history, answer);
	json_decref(answer);
	return 0;
}

static int once(struct top *t, bool color)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size = {0};
	int w = columns ? atoi(columns) : 0;

	if (w <= 0 && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size))
		w = size.ws_col;
	if (w <= 0)
		w = ONCE_WIDTH;
	return top_print(t, w < TOP_W ? TOP_W : w > 400 ? 400 : w, color);
}

static int top(const struct options *o, const struct instance *in)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
	bool color = !o->no_color && !(no_color && *no_color);
	static struct dashboard d;
	int err;

	top_init(&d.top, term_glyphs(o->ascii));
	err = first_frame(&d.top, in);
	if (!err && o->once)
		err = once(&d.top, color && isatty(STDOUT_FILENO) && term && strcmp(term, "dumb"));
	else if (!err)
		err = run(&d, in, color);
	top_free(&d.top);
	if (err) {
		common_failed(err);
		return err == -ECONNREFUSED ? STATUS_NOT_RUNNING : STATUS_FAILED;
	}
	if (d.died_of)
		die_of(d.died_of);
	return STATUS_OK;
}

enum {
	OPT_ONCE = 256,
	OPT_NO_COLOR,
	OPT_ASCII
};

int cmd_top(int argc, char **argv)
{
	static const struct option options[] = {COMMON_LONG,
						{"once", no_argument, NULL, OPT_ONCE},
						{"no-color", no_argument, NULL, OPT_NO_COLOR},
						{"ascii", no_argument, NULL, OPT_ASCII},
						{}};
	struct options o = {0};
	struct instance in;
	int c, status, err;

	while ((c = getopt_long(argc, argv, COMMON_SHORT, options, NULL)) != -1) {
		if (c == OPT_ONCE)
			o.once = true;
		else if (c == OPT_NO_COLOR)
			o.no_color = true;
		else if (c == OPT_ASCII)
			o.ascii = true;
		else if (common_option(c, "top", &status))
			return status;
	}
	if (optind < argc)
		return common_usage("top", "nothing expected at \"%s\"", argv[optind]);
	setlocale(LC_CTYPE, "");
	if (!o.once && (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO)))
		return common_usage("top", "the dashboard needs a terminal; `synstile top --once` "
					   "prints a frame as text");
	err = common_open_client(&in);
	return err ? common_failed(err) : top(&o, &in);
}
