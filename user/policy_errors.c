// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "policy_errors.h"

#define SHOWN_BYTES 40

void complain(struct complaints *c, const struct origin *at, const char *fmt, ...)
{
	struct complaint *this = &c->at[c->n];
	va_list args;
	int n;

	if (c->n == POLICY_ERRORS_MOST) {
		c->more = true;
		return;
	}
	va_start(args, fmt);
	n = vasprintf(&this->text, fmt, args);
	va_end(args);
	if (n < 0) {
		c->no_memory = true;
		return;
	}
	this->at = *at;
	this->number = c->n++;
}

static int by_position(const void *a, const void *b)
{
	const struct complaint *l = a, *r = b;

	if (l->at.file != r->at.file)
		return l->at.file < r->at.file ? -1 : 1;
	if (l->at.line != r->at.line)
		return l->at.line < r->at.line ? -1 : 1;
	if (l->at.column != r->at.column)
		return l->at.column < r->at.column ? -1 : 1;
	return l->number < r->number ? -1 : 1;
}

static bool add(struct policy_errors *out, const char *fmt, ...) PRINTF(2, 3);

static bool add(struct policy_errors *out, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vasprintf(&out->at[out->n], fmt, args);
	va_end(args);
	if (n < 0)
		return false;
	out->n++;
	return true;
}

void complaints_tell(struct complaints *c, const struct policy_file *files,
		     struct policy_errors *out)
{
	size_t i;

	out->n = 0;
	out->at = calloc(c->n + 1, sizeof(*out->at));
	if (!out->at) {
		c->no_memory = true;
		return;
	}
	qsort(c->at, c->n, sizeof(*c->at), by_position);
	for (i = 0; i < c->n; i++)
		if (!add(out, "%s:%u:%u: %s", files[c->at[i].at.file].name, c->at[i].at.line,
			 c->at[i].at.column, c->at[i].text))
			c->no_memory = true;
	if (c->more && !add(out, "%s: these are %d errors; more are not shown", files[0].name,
			    POLICY_ERRORS_MOST))
		c->no_memory = true;
}

void complaints_free(struct complaints *c)
{
	size_t i;

	for (i = 0; i < c->n; i++)
		free(c->at[i].text);
	c->n = 0;
}

void policy_errors_free(struct policy_errors *errors)
{
	size_t i;

	for (i = 0; i < errors->n; i++)
		free(errors->at[i]);
	free(errors->at);
	errors->at = NULL;
	errors->n = 0;
}

/* Terminals obey the C0 and C1 control characters (U+0080 to U+009F are c2 80 to c2 9f). */
static bool control(const unsigned char *at)
{
	return at[0] < 0x20 || at[0] == 0x7f || (at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0);
}

bool has_control(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	while (*at && !control(at))
		at++;
	return *at;
}

const char *shown(const char *text, char buf[SHOWN_SIZE])
{
	const unsigned char *at = (const unsigned char *)text;
	char *to = buf;
	size_t i;

	*to++ = '"';
	for (i = 0; at[i]; i++) {
		if (i >= SHOWN_BYTES && (at[i] & 0xc0) != 0x80) { /* not within a character */
			to = stpcpy(to, "...");
			break;
		}
		if (control(at + i))
			to += sprintf(to, "\\x%02x", at[i] == 0xc2 ? at[++i] : at[i]);
		else
			*to++ = (char)at[i];
	}
	strcpy(to, "\"");
	return buf;
}
