/* SPDX-License-Identifier: GPL-2.0-only */
/* The commands. Each parses its own arguments and returns an exit status. */
#ifndef SYNSTILE_CMD_H
#define SYNSTILE_CMD_H

#include "instance.h"

enum exit_status {
	STATUS_OK,
	STATUS_FAILED,
	STATUS_USAGE,
	STATUS_NOT_RUNNING
};

int cmd_attach(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_detach(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_conns(int argc, char **argv);
int cmd_top(int argc, char **argv);
int cmd_web(int argc, char **argv);
int cmd_events(int argc, char **argv);
int cmd_keys(int argc, char **argv);
int cmd_policy(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_agent(int argc, char **argv);

/* Options that every command takes, for getopt_long(): -n NAME, -v, -h. */
#define COMMON_SHORT "n:vh"
#define COMMON_LONG                                                                                \
	{"netns", required_argument, NULL, 'n'}, {"verbose", no_argument, NULL, 'v'},              \
	{                                                                                          \
		"help", no_argument, NULL, 'h'                                                     \
	}
/* Handles one of them, or an option that getopt refused: true if the command must now end,
 * with *status. */
bool common_option(int c, const char *command, int *status);
/* Root, /run and namespace, for commands that work on an instance. Prints what is wrong. */
int common_open(struct instance *in);
/* May this process attach, and enter namespaces? */
bool common_privileged(void);
/* The same as common_open(), for commands that only ask the agent: needs no root, and enters no
 * namespace. */
int common_open_client(struct instance *in);
/* Prints the reason recorded with fail(), and returns STATUS_FAILED. */
int common_failed(int err);
/* Tells that `text` is wrong and where help is, and returns STATUS_USAGE. */
int common_usage(const char *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
