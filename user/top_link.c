// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "clock.h"
#include "log.h"
#include "moment.h"
#include "top_link.h"

#define AGAIN_MS    1000
#define SILENT_MS   4000  /* of a stream that has a frame each second */
#define GIVE_UP_MS  20000 /* then it is begun again */
#define ANSWER_S    10
#define TEXT_MOST   (32 << 20)
#define DESCRIPTORS 4
#define WHY_SIZE    192

/* A request that is under way. */
struct transfer {
	struct top_link *link;
	CURL *easy; /* NULL: none is */
	bool stream;
	u64 about;
	char *text; /* what came; of the stream: the part of a line */
	size_t n, room;
};

struct top_link {
	char sock[sizeof(((struct instance *)0)->sock)];
	char *path;
	struct top_link_calls calls;
	CURLM *multi;
	struct transfer stream, questions[ASK_COUNT];
	u64 heard, again; /* when something came; when the stream may be begun: monotonic, ms */
};

static u64 now_ms(void)
{
	return monotonic_now() / NS_PER_MS;
}

/* ---- what comes ---- */

static bool append(struct transfer *t, const char *data, size_t n)
{
	size_t room = t->room ? t->room : 8192;
	char *bigger;

	if (t->n + n > TEXT_MOST)
		return false;
	while (room < t->n + n + 1)
		room *= 2;
	if (room > t->room) {
		bigger = realloc(t->text, room);
		if (!bigger)
			return false;
		t->text = bigger;
		t->room = room;
	}
	memcpy(t->text + t->n, data, n);
	t->n += n;
	t->text[t->n] = 0;
	return true;
}

static void take_line(struct top_link *l, const char *line, size_t n)
{
	json_t *frame = n ? json_loadb(line, n, 0, NULL) : NULL;

	if (json_is_object(frame)) {
		l->heard = now_ms();
		l->calls.frame(l->calls.arg, frame);
	}
	json_decref(frame);
}

static void take_lines(struct transfer *t)
{
	char *line = t->text, *end;

	while ((end = memchr(line, '\n', t->n - (line - t->text)))) {
		take_line(t->link, line, end - line);
		line = end + 1;
	}
	t->n -= line - t->text;
	memmove(t->text, line, t->n);
}

static long status_of(const struct transfer *t)
{
	long status = 0;

	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

static size_t on_data(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;

	if (!append(t, data, size * n))
		return 0;
	if (t->stream && status_of(t) == 200)
		take_lines(t);
	return size * n;
}

/* ---- beginning and ending ---- */

static void finish(struct transfer *t)
{
	if (t->easy) {
		curl_multi_remove_handle(t->link->multi, t->easy);
		curl_easy_cleanup(t->easy);
	}
	free(t->text);
	*t = (struct transfer){.link = t->link, .stream = t->stream};
}

static bool begin(struct transfer *t, const char *path)
{
	struct top_link *l = t->link;
	char url[2048];

	if (format(url, sizeof(url), "http://localhost%s", path))
		return false;
	t->easy = curl_easy_init();
	if (!t->easy)
		return false;
	curl_easy_setopt(t->easy, CURLOPT_URL, url);
	curl_easy_setopt(t->easy, CURLOPT_UNIX_SOCKET_PATH, l->sock);
	curl_easy_setopt(t->easy, CURLOPT_PROXY, "");
	curl_easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT, (long)ANSWER_S);
	if (!t->stream)
		curl_easy_setopt(t->easy, CURLOPT_TIMEOUT, (long)ANSWER_S);
	curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
	return !curl_multi_add_handle(l->multi, t->easy);
}

static void why_lost(const struct transfer *t, CURLcode code, char why[WHY_SIZE])
{
	json_t *j = t->text ? json_loads(t->text, 0, NULL) : NULL;
	const char *error = json_string_value(json_object_get(j, "error"));
	long os = 0;

	curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &os);
	if (code == CURLE_COULDNT_CONNECT && (os == EACCES || os == EPERM))
		snprintf(why, WHY_SIZE, "permission denied");
	else if (code == CURLE_COULDNT_CONNECT)
		snprintf(why, WHY_SIZE, "it does not run");
	else if (error)
		snprintf(why, WHY_SIZE, "it says \"%s\"", error);
	else if (status_of(t) && status_of(t) != 200)
		snprintf(why, WHY_SIZE, "it answers with status %ld", status_of(t));
	else
		snprintf(why, WHY_SIZE, "it has ended");
	json_decref(j);
}

static void ended(struct top_link *l, struct transfer *t, CURLcode code)
{
	char why[WHY_SIZE];

	if (t->stream) {
		why_lost(t, code, why);
		finish(t);
		l->again = now_ms() + AGAIN_MS;
		l->calls.lost(l->calls.arg, why);
		return;
	}
	if (!code && status_of(t) == 200)
		l->calls.answer(l->calls.arg, t - l->questions, t->about, t->text ? t->text : "",
				t->n);
	finish(t);
}

static void take_ended(struct top_link *l)
{
	struct transfer *t;
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(l->multi, &left))) {
		CURLcode code = message->data.result;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t);
		ended(l, t, code);
	}
}

/* A stream that ended is begun again; one that is silent is told of. */
static void keep_stream(struct top_link *l)
{
	u64 now = now_ms();
	char why[WHY_SIZE];

	if (l->stream.easy && now - l->heard > GIVE_UP_MS)
		finish(&l->stream);
	if (!l->stream.easy && now >= l->again) {
		if (!begin(&l->stream, l->path))
			finish(&l->stream);
		l->again = now + AGAIN_MS;
		if (now - l->heard > GIVE_UP_MS)
			l->heard = now - SILENT_MS - 1;
	}
	if (l->stream.easy && now - l->heard > SILENT_MS) {
		snprintf(why, sizeof(why), "it has said nothing for %llu s",
			 (now - l->heard) / 1000);
		l->calls.lost(l->calls.arg, why);
	}
}

/* ---- for the dashboard ---- */

struct top_link *top_link_new(const struct instance *in, const char *path,
			      const struct top_link_calls *calls)
{
	struct top_link *l = calloc(1, sizeof(*l));
	int i;

	if (!l)
		return NULL;
	curl_global_init(CURL_GLOBAL_NOTHING);
	memcpy(l->sock, in->sock, sizeof(l->sock));
	l->calls = *calls;
	l->path = strdup(path);
	l->multi = curl_multi_init();
	l->stream = (struct transfer){.link = l, .stream = true};
	for (i = 0; i < ASK_COUNT; i++)
		l->questions[i].link = l;
	l->heard = now_ms();
	if (l->path && l->multi)
		return l;
	top_link_free(l);
	return NULL;
}

void top_link_free(struct top_link *l)
{
	int i;

	finish(&l->stream);
	for (i = 0; i < ASK_COUNT; i++)
		finish(&l->questions[i]);
	curl_multi_cleanup(l->multi);
	free(l->path);
	free(l);
	curl_global_cleanup();
}

bool top_link_ask(struct top_link *l, enum top_question question, u64 about, const char *path)
{
	struct transfer *t = &l->questions[question];

	if (t->easy)
		return false;
	t->about = about;
	if (begin(t, path))
		return true;
	finish(t);
	return false;
}

void top_link_forget(struct top_link *l, enum top_question question)
{
	finish(&l->questions[question]);
}

void top_link_wait(struct top_link *l, const int *fds, int n)
{
	struct curl_waitfd wait[DESCRIPTORS] = {0};
	int i, running;

	keep_stream(l);
	for (i = 0; i < n && i < DESCRIPTORS; i++)
		wait[i] = (struct curl_waitfd){.fd = fds[i], .events = CURL_WAIT_POLLIN};
	curl_multi_perform(l->multi, &running);
	curl_multi_poll(l->multi, wait, n, AGAIN_MS / 4, NULL);
	curl_multi_perform(l->multi, &running);
	take_ended(l);
}
