// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <systemd/sd-daemon.h>

#include "moment.h"
#include "notify.h"

#define LINE_SIZE 512

static bool managed(void)
{
	return getenv("NOTIFY_SOCKET");
}

static size_t append(char *line, size_t n, const char *text)
{
	return n + snprintf(line + n, n < LINE_SIZE ? LINE_SIZE - n : 0, "%s", text);
}

/* "protecting eth0, eth1 (mode auto); under attack: web" */
static void describe(const struct state *st, const struct detect *d, char *line)
{
	char attacked[LINE_SIZE / 2];
	size_t i, n = 0;

	line[0] = 0;
	n = append(line, n, st->mode == MODE_OBSERVE ? "observing" : "protecting");
	for (i = 0; i < st->n_ifaces && n < LINE_SIZE / 2; i++) {
		n = append(line, n, i ? ", " : " ");
		n = append(line, n, st->ifaces[i].name);
	}
	n = append(line, n, i < st->n_ifaces ? ", ... (mode " : " (mode ");
	n = append(line, n, mode_name(st->mode));
	if (!detect_attacked(d, attacked, sizeof(attacked))) {
		append(line, n, "); calm");
		return;
	}
	n = append(line, n, "); under attack: ");
	append(line, n, attacked);
}

/* Sends `first` and the status, or, if there is no `first`, only a status that is another one. */
static void tell(const char *first, const struct state *st, const struct detect *d)
{
	static char told[LINE_SIZE];
	char line[LINE_SIZE];

	describe(st, d, line);
	if (!*first && !strcmp(line, told))
		return;
	sd_notifyf(0, "%sSTATUS=%s", first, line);
	strcpy(told, line);
}

void notify_ready(const struct state *st, const struct detect *d)
{
	if (managed())
		tell("READY=1\n", st, d);
}

void notify_alive(const struct state *st, const struct detect *d, bool well)
{
	if (!managed())
		return;
	tell("", st, d);
	if (well && sd_watchdog_enabled(0, NULL) > 0)
		sd_notify(0, "WATCHDOG=1");
}

void notify_reloading(void)
{
	if (managed())
		sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu",
			   (unsigned long long)monotonic_now() / 1000);
}

void notify_stopping(void)
{
	if (managed())
		sd_notify(0, "STOPPING=1");
}
