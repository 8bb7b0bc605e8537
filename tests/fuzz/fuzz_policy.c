// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer: any bytes as a policy with a list file. It is read without a fault, or refused with
 * errors that can be shown on a terminal; and what was read can be printed, passed on and read
 * again, and is the same.
 *
 * A zero byte ends the policy; behind it is what every list file holds.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy_read.h"
#include "policy_view.h"

#define CHECK(x)                                                                                   \
	do {                                                                                       \
		if (!(x))                                                                          \
			abort();                                                                   \
	} while (0)

struct input {
	const char *text[2]; /* the policy, lists */
	size_t size[2];
};

static int input_text(void *arg, const char *name, size_t most, char **text, size_t *size)
{
	const struct input *in = arg;
	bool list = strcmp(name, "/p.yaml") != 0;

	if (in->size[list] > most)
		return -EFBIG;
	*size = in->size[list];
	*text = malloc(*size); /* exactly, so that reading behind it is seen */
	if (*size)
		memcpy(*text, in->text[list], *size);
	return 0;
}

static void check_errors(const struct policy_errors *errors)
{
	size_t i;
	const char *at;

	CHECK(errors->n && errors->n <= POLICY_ERRORS_MOST + 1);
	for (i = 0; i < errors->n; i++)
		for (at = errors->at[i]; *at; at++)
			CHECK((unsigned char)*at >= 0x20 && *at != 0x7f);
}

static void check_same(const struct policy *a, const struct policy *b)
{
	json_t *changes = policy_diff(a, b);

	CHECK(json_array_size(changes) == 0);
	json_decref(changes);
}

static void check_bundle(const struct policy *p)
{
	json_t *bundle = policy_bundle(p);
	struct policy_errors errors;
	struct policy *again;

	CHECK(bundle && !policy_read_bundle(bundle, &again, &errors));
	check_same(p, again);
	policy_free(again);
	json_decref(bundle);
}

static void check_printed(const struct policy *p)
{
	json_t *j = policy_json(p);
	struct input in = {};
	struct policy_errors errors;
	struct policy *again;
	char *text;
	FILE *f = open_memstream(&text, &in.size[0]);

	CHECK(j && f);
	policy_print(f, j, SIZE_MAX);
	fclose(f);
	in.text[0] = text;
	CHECK(!policy_read_from("/p.yaml", &(struct policy_source){input_text, &in}, &again,
				&errors));
	check_same(p, again);
	policy_free(again);
	json_decref(j);
	free(text);
}

static void check_find(const struct policy *p)
{
	const struct policy_service *s;
	const struct policy_listen *l;
	size_t i;

	for (i = 0; i < p->n_services; i++) {
		s = &p->services[i];
		CHECK(s->n_listen && s->name[0]);
		l = &s->listen[0];
		CHECK(l->first && l->last >= l->first);
		if (l->what == LISTEN_ADDRESS) /* an earlier one may have the first port */
			CHECK(policy_find(p, &l->addr, l->first,
					  s->n_interfaces ? s->interfaces[0] : NULL) <= s);
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct input in = {.text = {(const char *)data}, .size = {size}};
	const u8 *zero = memchr(data, 0, size);
	struct policy_errors errors;
	struct policy *p;
	int err;

	if (zero) {
		in.size[0] = zero - data;
		in.text[1] = (const char *)zero + 1;
		in.size[1] = size - in.size[0] - 1;
	}
	err = policy_read_from("/p.yaml", &(struct policy_source){input_text, &in}, &p, &errors);
	if (err) {
		CHECK(err == -EINVAL && !p);
		check_errors(&errors);
	} else {
		CHECK(!errors.n);
		check_find(p);
		check_bundle(p);
		check_printed(p);
	}
	policy_free(p);
	policy_errors_free(&errors);
	return 0;
}
