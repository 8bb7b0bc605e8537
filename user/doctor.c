// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor.h"

static const char *const verdicts[] = {"ok", "warn", "fail"};

static struct finding *new_finding(struct doctor *d)
{
	struct finding *more;

	if (d->n == d->room) {
		more = reallocarray(d->findings, d->room ? d->room * 2 : 32, sizeof(*more));
		if (!more) {
			d->no_memory = true;
			return NULL;
		}
		d->findings = more;
		d->room = d->room ? d->room * 2 : 32;
	}
	memset(&d->findings[d->n], 0, sizeof(*d->findings));
	return &d->findings[d->n++];
}

void doctor_say(struct doctor *d, enum health health, const char *check, const char *subject,
		const char *fmt, ...)
{
	struct finding *f = new_finding(d);
	va_list args;

	if (!f)
		return;
	f->health = health;
	f->check = check;
	f->subject = strdup(subject);
	va_start(args, fmt);
	if (vasprintf(&f->text, fmt, args) < 0)
		f->text = NULL;
	va_end(args);
	d->no_memory |= !f->subject || !f->text;
}

/* `named` and the name are put before the command if we are in a named namespace. */
static void mend(struct doctor *d, const char *program, const char *named, const char *fmt,
		 va_list args)
{
	struct finding *f = d->n ? &d->findings[d->n - 1] : NULL;
	bool inside = named && d->in.netns[0];
	char *command;

	if (!f || d->no_memory)
		return;
	free(f->mend);
	f->mend = NULL;
	if (vasprintf(&command, fmt, args) < 0) {
		d->no_memory = true;
		return;
	}
	if (asprintf(&f->mend, "%s%s%s%s%s", program, inside ? named : "",
		     inside ? d->in.netns : "", inside ? " " : "", command) < 0)
		f->mend = NULL;
	free(command);
	d->no_memory |= !f->mend;
}

void doctor_mend(struct doctor *d, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	mend(d, "", NULL, fmt, args);
	va_end(args);
}

void doctor_mend_inside(struct doctor *d, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	mend(d, "", "ip netns exec ", fmt, args);
	va_end(args);
}

void doctor_mend_synstile(struct doctor *d, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	mend(d, "synstile ", "-n ", fmt, args);
	va_end(args);
}

bool doctor_check(struct doctor *d, int err, const char *check, const char *subject)
{
	if (!err)
		return true;
	doctor_say(d, HEALTH_FAIL, check, subject, "%s", fail_reason(err));
	fail_clear();
	return false;
}

enum health doctor_verdict(const struct doctor *d)
{
	enum health worst = HEALTH_OK;
	size_t i;

	for (i = 0; i < d->n; i++)
		if (d->findings[i].health > worst)
			worst = d->findings[i].health;
	return worst;
}

void doctor_print(const struct doctor *d)
{
	const struct finding *f;
	size_t i, n;

	for (i = 0; i < d->n; i++) {
		f = &d->findings[i];
		/* reasons that attach gives begin with the interface */
		n = strlen(f->subject);
		n = n && !strncmp(f->text, f->subject, n) && f->text[n] == ':' ? n + 2 : 0;
		printf("%-4s  %-9s  %s: %s", verdicts[f->health], f->check, f->subject,
		       f->text + n);
		if (f->mend)
			printf(" -> %s", f->mend);
		putchar('\n');
	}
}

json_t *doctor_json(const struct doctor *d)
{
	json_t *list = json_array(), *one;
	const struct finding *f;
	size_t i;

	for (i = 0; list && i < d->n; i++) {
		f = &d->findings[i];
		/* names of programs and chains may be no UTF-8: then rather none */
		one = json_pack("{s:s, s:o, s:s, s:o, s:o}", "check", f->check, "subject",
				json_string(f->subject) ?: json_null(), "verdict",
				verdicts[f->health], "text", json_string(f->text) ?: json_null(),
				"mend",
				f->mend ? json_string(f->mend) ?: json_null() : json_null());
		json_array_append_new(list, one);
	}
	return list;
}

void doctor_free(struct doctor *d)
{
	size_t i;

	for (i = 0; i < d->n; i++) {
		free(d->findings[i].subject);
		free(d->findings[i].text);
		free(d->findings[i].mend);
	}
	free(d->findings);
	state_free(&d->st);
}
