// SPDX-License-Identifier: GPL-2.0-only
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "cmd.h"
#include "keys.h"
#include "log.h"
#include "running.h"

static const char *const actions[] = {"list", "rotate"};
#define N_ACTIONS (sizeof(actions) / sizeof(*actions))

static u64 number(const json_t *j, const char *name)
{
	return json_integer_value(json_object_get(j, name));
}

static void print_key(const json_t *key)
{
	const char *state = json_string_value(json_object_get(key, "state"));
	char age[DURATION_SIZE], left[DURATION_SIZE];
	u64 signs = number(key, "signs_in_ms"), verifies = number(key, "verifies_ms");

	printf("%5llu  %-8s  %s", number(key, "id"), state ? state : "?",
	       duration_text(number(key, "age_ms"), age));
	if (signs)
		printf(", signs in %s", duration_text(signs, left));
	if (verifies)
		printf(", accepted for %s more", duration_text(verifies, left));
	printf("\n");
}

static void print_keys(const json_t *answer)
{
	const json_t *keys = json_object_get(answer, "keys"), *key;
	char life[DURATION_SIZE];
	size_t i;

	if (!json_array_size(keys)) {
		printf("no keys: the cookies are the kernel's, and so is their key\n");
		return;
	}
	printf("%5s  %-8s  %s\n", "KEY", "STATE", "AGE");
	json_array_foreach (keys, i, key)
		print_key(key);
	printf("a new key every %s\n", duration_text(number(answer, "life_s") * 1000, life));
}

static int ask(const struct instance *in, bool rotate, bool json)
{
	json_t *answer;
	int err = rotate ? client_post(in, "/v1/keys/rotate", &answer)
			 : client_get(in, "/v1/keys", &answer);

	if (err)
		return common_failed(err);
	if (json) {
		json_dumpf(answer, stdout, JSON_PRESERVE_ORDER | JSON_INDENT(2));
		printf("\n");
	} else {
		print_keys(answer);
	}
	json_decref(answer);
	return STATUS_OK;
}

static int wrong_action(const char *text)
{
	const char *guess = nearest(text, actions, N_ACTIONS);

	return common_usage("keys", "\"%.40s\" is neither list nor rotate%s%s%s", text,
			    guess ? "; did you mean \"" : "", guess ? guess : "",
			    guess ? "\"?" : "");
}

int cmd_keys(int argc, char **argv)
{
	static const struct option options[] = {COMMON_LONG, {"json", no_argument, NULL, 'j'}, {}};
	bool json = false, rotate;
	struct running r;
	int c, status;

	while ((c = getopt_long(argc, argv, COMMON_SHORT "j", options, NULL)) != -1) {
		if (c == 'j')
			json = true;
		else if (common_option(c, "keys", &status))
			return status;
	}
	if (optind == argc)
		return common_usage("keys", "list or rotate?");
	rotate = !strcmp(argv[optind], "rotate");
	if (!rotate && strcmp(argv[optind], "list"))
		return wrong_action(argv[optind]);
	if (optind + 1 < argc)
		return common_usage("keys", "nothing expected at \"%s\"", argv[optind + 1]);
	status = running_find(&r);
	if (status)
		return status;
	status = ask(&r.in, rotate, json);
	running_close(&r);
	return status;
}
