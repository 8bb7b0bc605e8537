// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <curl/curl.h>

#include "client.h"
#include "log.h"

#define ANSWER_SECONDS 10
#define ANSWER_MAX     (64 << 20) /* bytes */
#define LINE_MAX_BYTES (4 << 20)
#define WAIT_MS        1000

struct request {
	const struct instance *in;
	CURL *easy;
	char error[CURL_ERROR_SIZE];
	const struct client_stream *stream; /* NULL: the whole answer is collected */
	char *text;                         /* the answer, or the part of a line; ends with NUL */
	size_t n, room;
	int result; /* of a callback */
};

/* ---- what comes ---- */

static bool append(struct request *r, const char *data, size_t n, size_t max)
{
	size_t room = r->room ? r->room : 4096;
	char *bigger;

	if (r->n + n > max)
		return false;
	while (room < r->n + n + 1)
		room *= 2;
	if (room > r->room) {
		bigger = realloc(r->text, room);
		if (!bigger)
			return false;
		r->text = bigger;
		r->room = room;
	}
	memcpy(r->text + r->n, data, n);
	r->n += n;
	r->text[r->n] = 0;
	return true;
}

/* Lines that lie in `data` as a whole are not copied. */
static bool take_lines(struct request *r, const char *data, size_t n)
{
	const struct client_stream *s = r->stream;
	const char *end;

	while (!r->result && (end = memchr(data, '\n', n))) {
		size_t length = end - data;

		if (!r->n) {
			r->result = s->line(data, length, s->arg);
		} else {
			if (!append(r, data, length, LINE_MAX_BYTES))
				return false;
			r->result = s->line(r->text, r->n, s->arg);
			r->n = 0;
		}
		data += length + 1;
		n -= length + 1;
	}
	if (!r->result && s->pause)
		r->result = s->pause(s->arg);
	return !r->result && append(r, data, n, LINE_MAX_BYTES);
}

static size_t on_data(char *data, size_t size, size_t n, void *arg)
{
	struct request *r = arg;
	long status = 0;
	bool good;

	curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
	if (r->stream && status == 200)
		good = take_lines(r, data, size * n);
	else
		good = append(r, data, size * n, ANSWER_MAX);
	return good ? size * n : 0;
}

/* ---- how it ended ---- */

static int no_agent(const struct request *r)
{
	return fail(ECONNREFUSED,
		    "the agent does not run (instance \"%s\"); `synstile attach` with one of its "
		    "interfaces starts it again",
		    r->in->name);
}

/* The agent gives its socket to the group, if there is one when it starts. */
static int no_permission(const struct request *r)
{
	struct passwd *user = getpwuid(geteuid());
	struct stat sock;

	if (!stat(r->in->sock, &sock) && !sock.st_gid)
		return fail(EACCES,
			    "permission denied: %s is root's alone, for there was no group "
			    "synstile when the agent started; use sudo",
			    r->in->sock);
	return fail(EACCES,
		    "permission denied: %s is for root and group synstile; `sudo usermod -aG "
		    "synstile %s`, log in again, or use sudo",
		    r->in->sock, user ? user->pw_name : "USER");
}

static int no_connection(const struct request *r)
{
	long err = 0;

	curl_easy_getinfo(r->easy, CURLINFO_OS_ERRNO, &err);
	return err == EACCES || err == EPERM ? no_permission(r) : no_agent(r);
}

/* An answer other than 200 says why in JSON. */
static int refused(const struct request *r, long status)
{
	json_t *j = r->text ? json_loads(r->text, 0, NULL) : NULL;
	const char *error = json_string_value(json_object_get(j, "error"));
	const char *hint = json_string_value(json_object_get(j, "hint"));
	int err;

	if (error)
		err = fail(EPROTO, "the agent says: %s%s%s", error, hint ? "; " : "",
			   hint ? hint : "");
	else
		err = fail(EPROTO, "the agent answers with status %ld", status);
	json_decref(j);
	return err;
}

static int outcome(const struct request *r, CURLcode code)
{
	long status = 0;

	curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
	if (r->result)
		return r->result;
	if (code == CURLE_COULDNT_CONNECT)
		return no_connection(r);
	if (code == CURLE_OPERATION_TIMEDOUT)
		return fail(ETIMEDOUT, "the agent does not answer within %d s", ANSWER_SECONDS);
	if (code == CURLE_WRITE_ERROR)
		return fail(EMSGSIZE, "the agent's answer is too long");
	if (code && status == 200)
		return fail(ECONNRESET, "the agent has ended");
	if (code)
		return fail(EPROTO, "the agent's answer cannot be read: %s",
			    r->error[0] ? r->error : curl_easy_strerror(code));
	return status == 200 ? 0 : refused(r, status);
}

/* ---- asking ---- */

static int begin(struct request *r, const char *path)
{
	char url[2048];
	int err = format(url, sizeof(url), "http://localhost%s", path);

	if (err)
		return err;
	curl_global_init(CURL_GLOBAL_NOTHING);
	r->easy = curl_easy_init();
	if (!r->easy)
		return -ENOMEM;
	curl_easy_setopt(r->easy, CURLOPT_URL, url);
	curl_easy_setopt(r->easy, CURLOPT_UNIX_SOCKET_PATH, r->in->sock);
	curl_easy_setopt(r->easy, CURLOPT_PROXY, ""); /* whatever the environment says */
	curl_easy_setopt(r->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(r->easy, CURLOPT_CONNECTTIMEOUT, (long)ANSWER_SECONDS);
	if (!r->stream)
		curl_easy_setopt(r->easy, CURLOPT_TIMEOUT, (long)ANSWER_SECONDS);
	curl_easy_setopt(r->easy, CURLOPT_BUFFERSIZE, 256L << 10);
	curl_easy_setopt(r->easy, CURLOPT_ERRORBUFFER, r->error);
	curl_easy_setopt(r->easy, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(r->easy, CURLOPT_WRITEDATA, r);
	return 0;
}

static void end(struct request *r)
{
	curl_easy_cleanup(r->easy);
	curl_global_cleanup();
	free(r->text);
}

/* `body`: NULL for a GET. */
static int ask(const struct instance *in, const char *path, const char *body, bool put,
	       json_t **answer)
{
	/* the agent is told all at once, without being asked whether it wants to hear */
	struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
	struct request r = {.in = in};
	int err = begin(&r, path);

	if (!err && body) {
		curl_easy_setopt(r.easy, CURLOPT_POSTFIELDS, body);
		curl_easy_setopt(r.easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
		curl_easy_setopt(r.easy, CURLOPT_HTTPHEADER, headers);
	}
	if (!err && put)
		curl_easy_setopt(r.easy, CURLOPT_CUSTOMREQUEST, "PUT");
	if (!err)
		err = outcome(&r, curl_easy_perform(r.easy));
	if (!err) {
		*answer = r.text ? json_loads(r.text, 0, NULL) : NULL;
		if (!*answer)
			err = fail(EPROTO, "the agent's answer is not JSON");
	}
	end(&r);
	curl_slist_free_all(headers);
	return err;
}

int client_get(const struct instance *in, const char *path, json_t **answer)
{
	return ask(in, path, NULL, false, answer);
}

int client_post(const struct instance *in, const char *path, json_t **answer)
{
	return ask(in, path, "", false, answer); /* nothing more to say */
}

int client_put(const struct instance *in, const char *path, const json_t *body, json_t **answer)
{
	char *text = json_dumps(body, JSON_COMPACT);
	int err = text ? ask(in, path, text, true, answer) : -ENOMEM;

	free(text);
	return err;
}

/* Runs the transfer, and looks at other things meanwhile. */
static CURLcode follow(struct request *r, CURLM *multi)
{
	const struct client_stream *s = r->stream;
	struct curl_waitfd wake = {.fd = s->wake, .events = CURL_WAIT_POLLIN};
	int running = 1, left;
	CURLMsg *message;

	while (!curl_multi_perform(multi, &running) && running) {
		if (curl_multi_poll(multi, &wake, s->wake >= 0, WAIT_MS, NULL))
			break;
		if (s->idle)
			r->result = s->idle(s->arg);
		if (r->result)
			return CURLE_OK;
	}
	message = running ? NULL : curl_multi_info_read(multi, &left);
	return message ? message->data.result : CURLE_RECV_ERROR;
}

int client_lines(const struct instance *in, const char *path, const struct client_stream *s)
{
	struct request r = {.in = in, .stream = s};
	int err = begin(&r, path);
	CURLM *multi = curl_multi_init();

	if (!err && !multi)
		err = -ENOMEM;
	if (!err) {
		curl_multi_add_handle(multi, r.easy);
		err = outcome(&r, follow(&r, multi));
		curl_multi_remove_handle(multi, r.easy);
	}
	curl_multi_cleanup(multi);
	end(&r);
	return err;
}
