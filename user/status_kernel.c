// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include "backlogs.h"
#include "status_kernel.h"
#include "sysctls.h"

static void add(json_t *sysctls, const struct state *st, const char *name)
{
	char dotted[64], *at;
	long now = sysctls_read(name, -1);

	snprintf(dotted, sizeof(dotted), "%s", name);
	for (at = dotted; *at; at++)
		if (*at == '/')
			*at = '.';
	json_object_set_new(sysctls, dotted,
			    json_pack("{s:I, s:I}", "now", (json_int_t)now, "original",
				      (json_int_t)sysctls_original(st, name, now)));
}

json_t *status_kernel_json(const struct state *st, json_t *timeouts)
{
	json_t *sysctls = json_object();
	size_t i;

	add(sysctls, st, SYNACK_RETRIES);
	for (i = 0; i < st->n_sysctls; i++)
		add(sysctls, st, st->sysctls[i].name);
	return json_pack("{s:o, s:o, s:o}", "sysctls", sysctls, "timeouts",
			 timeouts ? timeouts : json_null(), "small_backlogs", backlogs_json(st));
}

static json_int_t int_of(json_t *j, const char *key)
{
	return json_integer_value(json_object_get(j, key));
}

static void print_sysctls(json_t *sysctls)
{
	const char *name;
	size_t n = 0;
	json_t *j;

	json_object_foreach (sysctls, name, j) {
		if (int_of(j, "now") == int_of(j, "original"))
			continue;
		printf("%s %s = %lld (was %lld)", n++ ? "," : "kernel   ", name, int_of(j, "now"),
		       int_of(j, "original"));
	}
	if (n)
		putchar('\n');
}

void status_kernel_print(json_t *kernel)
{
	json_t *timeouts = json_object_get(kernel, "timeouts");
	const char *reaping = json_string_value(json_object_get(timeouts, "reaping"));
	const char *adapting = json_string_value(json_object_get(timeouts, "adapting"));
	json_int_t reaped = int_of(timeouts, "reaped");

	print_sysctls(json_object_get(kernel, "sysctls"));
	if (reaped)
		printf("reaped    %lld half-open connections of the kernel's, at their SYN "
		       "timeout\n",
		       reaped);
	if (reaping && !strcmp(reaping, "impossible"))
		puts("          The kernel cannot end half-open connections (it lacks "
		     "CONFIG_INET_DIAG_DESTROY).");
	if (adapting && !strcmp(adapting, "yielded"))
		puts("          Somebody else has changed net.ipv4.tcp_synack_retries: it is left "
		     "alone.");
}

void status_backlogs_print(json_t *kernel)
{
	json_t *backlogs = json_object_get(kernel, "small_backlogs");

	if (json_array_size(backlogs))
		putchar('\n');
	backlogs_print(backlogs);
}
