// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "policy_errors.h"
#include "policy_value.h"

#define X(id, path, kind, least, most, built_in, help) path,
const char *const service_value_paths[SV_COUNT] = {POLICY_SERVICE_VALUES(X)};
const char *const host_value_paths[HV_COUNT] = {POLICY_HOST_VALUES(X)};
#undef X
#define X(id, path, kind, least, most, built_in, help) {path, kind, least, most, built_in, help},
const struct value_type service_types[SV_COUNT] = {POLICY_SERVICE_VALUES(X)};
const struct value_type host_types[HV_COUNT] = {POLICY_HOST_VALUES(X)};
#undef X

static const char *const modes[] = {"observe", "auto", "always"};
#define N_MODES (sizeof(modes) / sizeof(*modes))

struct unit {
	const char *text;
	u64 size;
};

/* the largest first, as value_text() chooses */
static const struct unit times[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {}};
static const struct unit rates[] = {{"/h", 3600}, {"/m", 60}, {"/s", 1}, {}};

bool digits(const char **at, u64 *n)
{
	const char *p = *at;

	if (*p < '0' || *p > '9' || (*p == '0' && p[1] >= '0' && p[1] <= '9'))
		return false;
	for (*n = 0; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(*n, 10, n) || __builtin_add_overflow(*n, *p - '0', n))
			*n = UINT64_MAX / 16; /* goes on growing, and stays out of every range */
	*at = p;
	return true;
}

static const struct unit *find_unit(const struct unit *units, const char *text)
{
	for (; units->text; units++)
		if (!strcmp(units->text, text))
			return units;
	return NULL;
}

static int wrong(char why[VALUE_WHY_SIZE], const char *fmt, ...) PRINTF(2, 3);

static int wrong(char why[VALUE_WHY_SIZE], const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, VALUE_WHY_SIZE, fmt, args);
	va_end(args);
	return -EINVAL;
}

/* What those with numbers look like. */
static const struct {
	const char *what, *example;
} looks[] = {
	[KIND_TIME] = {"time", "63s or 500ms"},
	[KIND_RATE] = {"rate", "200/s or 12000/m"},
	[KIND_COUNT] = {"whole number", "4096"},
	[KIND_PERCENT] = {"percentage", "20%"},
};

static int no_unit(enum value_kind kind, const char *text, char why[VALUE_WHY_SIZE])
{
	return wrong(why, "%.40s has no unit: a %s such as %s is expected", text, looks[kind].what,
		     looks[kind].example);
}

static int unlike(enum value_kind kind, const char *text, char why[VALUE_WHY_SIZE])
{
	char buf[SHOWN_SIZE];

	return wrong(why, "%s is not a %s such as %s", shown(text, buf), looks[kind].what,
		     looks[kind].example);
}

static int parse_time(const char *text, const char *unit, u64 *n, char why[VALUE_WHY_SIZE])
{
	const struct unit *u = find_unit(times, unit);

	if (!u)
		return unlike(KIND_TIME, text, why);
	if (__builtin_mul_overflow(*n, u->size, n))
		*n = UINT64_MAX;
	return 0;
}

static int parse_rate(const char *text, const char *unit, u64 *n, char why[VALUE_WHY_SIZE])
{
	const struct unit *u = find_unit(rates, unit);

	if (!u)
		return unlike(KIND_RATE, text, why);
	if (*n % u->size && *n < UINT64_MAX / 16)
		return wrong(why, "%.40s is not a whole number a second: %llu/s or %llu/s is", text,
			     *n / u->size, *n / u->size + 1);
	*n /= u->size;
	return 0;
}

static int parse_number(enum value_kind kind, const char *text, u64 *n, char why[VALUE_WHY_SIZE])
{
	const char *unit = text;

	if (!digits(&unit, n))
		return unlike(kind, text, why);
	if (kind == KIND_COUNT)
		return *unit ? unlike(kind, text, why) : 0;
	if (!*unit)
		return no_unit(kind, text, why);
	if (kind == KIND_TIME)
		return parse_time(text, unit, n, why);
	if (kind == KIND_RATE)
		return parse_rate(text, unit, n, why);
	return strcmp(unit, "%") ? unlike(kind, text, why) : 0;
}

static int parse_mode(const char *text, u64 *n, char why[VALUE_WHY_SIZE])
{
	const char *guess;
	char buf[SHOWN_SIZE];
	size_t i;

	for (i = 0; i < N_MODES; i++) {
		if (strcmp(text, modes[i]))
			continue;
		*n = i;
		return 0;
	}
	guess = nearest(text, modes, N_MODES);
	return wrong(why, "%s is none of observe, auto, always%s%s%s", shown(text, buf),
		     guess ? "; did you mean \"" : "", guess ? guess : "", guess ? "\"?" : "");
}

static int parse_bool(const char *text, u64 *n, char why[VALUE_WHY_SIZE])
{
	char buf[SHOWN_SIZE];

	*n = !strcmp(text, "true");
	if (*n || !strcmp(text, "false"))
		return 0;
	return wrong(why, "%s is neither true nor false", shown(text, buf));
}

int value_parse(const struct value_type *t, const char *text, u64 *n, char why[VALUE_WHY_SIZE])
{
	char least[VALUE_TEXT_SIZE], most[VALUE_TEXT_SIZE], buf[SHOWN_SIZE];
	int err;

	if (t->kind == KIND_MODE)
		return parse_mode(text, n, why);
	if (t->kind == KIND_BOOL)
		return parse_bool(text, n, why);
	err = parse_number(t->kind, text, n, why);
	if (err || (*n >= t->least && *n <= t->most))
		return err;
	return wrong(why, "%s is out of range: %s to %s", shown(text, buf),
		     value_text(t->kind, t->least, least), value_text(t->kind, t->most, most));
}

const char *value_text(enum value_kind kind, u64 n, char buf[VALUE_TEXT_SIZE])
{
	const struct unit *u = times;

	switch (kind) {
	case KIND_MODE:
		snprintf(buf, VALUE_TEXT_SIZE, "%s", n < N_MODES ? modes[n] : "?");
		break;
	case KIND_TIME:
		while (u->size > 1 && (n % u->size || (!n && u->size > 1000)))
			u++;
		snprintf(buf, VALUE_TEXT_SIZE, "%llu%s", n / u->size, u->text);
		break;
	case KIND_RATE:
		snprintf(buf, VALUE_TEXT_SIZE, "%llu/s", n);
		break;
	case KIND_COUNT:
		snprintf(buf, VALUE_TEXT_SIZE, "%llu", n);
		break;
	case KIND_PERCENT:
		snprintf(buf, VALUE_TEXT_SIZE, "%llu%%", n);
		break;
	case KIND_BOOL:
		snprintf(buf, VALUE_TEXT_SIZE, "%s", n ? "true" : "false");
		break;
	}
	return buf;
}

const char *value_follows(const struct value_type *t, char *buf, size_t size)
{
	static const char begin[] = "(built in: ";
	const char *at = strstr(t->help, begin);

	if (!at)
		return NULL;
	at += strlen(begin);
	snprintf(buf, size, "%.*s", (int)strcspn(at, ")"), at);
	return buf;
}
