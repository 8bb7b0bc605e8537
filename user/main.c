// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "datapath.h"
#include "log.h"
#include "policy.h"

static int cmd_help(int argc, char **argv);
static int cmd_version(int argc, char **argv);

static const char attach_options[] =
	"  -m, --mode observe|auto|always  observe: count only; auto: SYN cookies under attack;\n"
	"                                  always: for every new connection (default: auto)\n"
	"  -P, --policy FILE               what to protect and how: see synstile.yaml(5)\n"
	"                                  (default: " POLICY_DEFAULT_FILE ", if it is there)\n"
	"  -p, --ports 80,443,8000-8100    protect these ports (default: all that listen)\n"
	"  -x, --xdp native|skb|auto       in the driver, or generic (default: native, then skb)\n"
	"  -t, --tc tcx|clsact|auto        how to attach to TC (default: tcx, then clsact)\n"
	"  -c, --cookies own|kernel|auto   own: keep all TCP options, Linux 6.9; kernel: Linux "
	"6.0\n"
	"                                  (default: own, then kernel)\n"
	"  -k, --key-life 15m              how long a key of own cookies signs, 2m to 24h "
	"(default: 15m)\n"
	"  -f, --max-flows N               connections that can be followed (default: 262144)\n";

static const char top_help[] =
	"  Tab, 1-5                        the next pane; services, history, half-open, sources, "
	"verdicts\n"
	"  arrows, j, k, PgUp, PgDn, Home, End   select a row\n"
	"  Enter                           half-open: the connection's record and last "
	"transitions;\n"
	"                                  service: its charts; source: only what comes from it\n"
	"  s, S, r                         sort by the next, the previous column; reverse\n"
	"  /                               filter: part of a source or service, or a prefix; Esc "
	"clears it\n"
	"  p, space                        pause\n"
	"  +, -                            charts of 1, 5 or 15 minutes\n"
	"  z                               this pane alone\n"
	"  ?, h; Esc, q                    help; back, q quits\n"
	"\n"
	"      --once                      print one frame as text (COLUMNS wide), and end\n"
	"      --no-color                  as NO_COLOR in the environment\n"
	"      --ascii                     no other characters, as in a locale without UTF-8\n";

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *arguments;
	const char *summary; /* NULL: not for people */
	const char *help;
} commands[] = {
	{"attach", cmd_attach, "IFACE... [OPTION...]",
	 "protect the listening TCP sockets of this host", attach_options},
	{"run", cmd_run, "IFACE... [OPTION...]",
	 "the same as attach, and be the agent, in the foreground", attach_options},
	{"detach", cmd_detach, "IFACE... | --all", "stop protecting, and give back every setting",
	 "  -a, --all                       every interface of this instance\n"},
	{"status", cmd_status, "[-j]", "what is protected, under attack, counted",
	 "  -j, --json                      for programs\n"},
	{"top", cmd_top, "[--once] [OPTION...]",
	 "the live dashboard: half-open connections, rates, sources", top_help},
	{"web", cmd_web, "[--listen 127.0.0.1:8437] [OPTION...]", "the dashboard as a web page",
	 "  -l, --listen ADDRESS:PORT       where (default: 127.0.0.1:8437; port 0: a free one)\n"
	 "      --host NAME                 the page is reached under this name, too\n"
	 "      --allow-remote              listen at an address that other hosts reach: plain "
	 "HTTP,\n"
	 "                                  put TLS in front; needs --token-file\n"
	 "      --token-file FILE           ask for this token (128 random bits or more): open\n"
	 "                                  /login?token=TOKEN, or send Authorization: Bearer "
	 "TOKEN\n"
	 "Needs no root: group synstile will do. As root it becomes user synstile (or nobody).\n"},
	{"conns", cmd_conns, "[OPTION...]", "the connections, with the TCP states of both ends",
	 "      --half-open                 open handshakes, here and in the kernel, compared\n"
	 "      --state STATE               only with an end in this state (such as FIN-WAIT-1)\n"
	 "  -p, --port N                    only to or from this port\n"
	 "  -H, --host ADDRESS              only to or from this address\n"
	 "      --sort age|bytes|rtx|newest\n"
	 "                                  oldest, most bytes, most rtx, or youngest first\n"
	 "      --limit N                   no more than N; 0: all (default: 1000, with -j all)\n"
	 "  -j, --json                      for programs: everything that is known\n"},
	{"events", cmd_events, "[-f] [-j] [OPTION...]",
	 "what happens to connections and services, line by line",
	 "  -f, --follow                    go on as it happens, until ^C\n"
	 "  -j, --json                      JSON lines\n"
	 "  -l, --lines N|all               how many that were before (default: all that are "
	 "kept;\n"
	 "                                  10 with --follow)\n"
	 "  -t, --type T[,T]...             only these types (default: all but stats)\n"
	 "  -p, --port N                    only to or from this port\n"
	 "  -H, --host ADDRESS              only to or from this address\n"
	 "  -s, --service NAME              only of this service\n"
	 "      --flow FLOW_ID              only of this connection\n"},
	{"policy", cmd_policy, "check|show|diff|apply [FILE] [-j]",
	 "the policy file: check it, apply it; what is in force",
	 "  check [FILE]                    say what is wrong with it, all at once; needs no root\n"
	 "  show                            what is in force, and where each value came from\n"
	 "  diff [FILE]                     what applying it would change\n"
	 "  apply [FILE]                    put it in force, all of it or (on any error) nothing\n"
	 "  -j, --json                      for programs\n"
	 "FILE: default " POLICY_DEFAULT_FILE "; synstile.yaml(5) is its manual.\n"},
	{"keys", cmd_keys, "list|rotate [-j]", "the keys that sign SYN cookies; a new one",
	 "  list                            which there are, their state and age (never the "
	 "secret)\n"
	 "  rotate                          make a new one; it signs from the next count on (see "
	 "synstile(8)),\n"
	 "                                  and no client's handshake fails because of it\n"
	 "  -j, --json                      for programs\n"},
	{"doctor", cmd_doctor, "[IFACE...] [-j]",
	 "what on this host is well or not for synstile, and what mends it",
	 "  -j, --json                      for programs\n"
	 "Without IFACE: every interface that is up. Changes nothing. Exit status 1: something "
	 "fails.\n"},
	{"agent", cmd_agent, "", NULL, ""},
	{"help", cmd_help, "[COMMAND]", "this text, or that of a command", ""},
	{"version", cmd_version, "", "the version", ""},
};

#define N_COMMANDS (sizeof(commands) / sizeof(*commands))

static const char common_help[] =
	"  -n, --netns NAME                in this network namespace (`ip netns list`)\n"
	"  -v, --verbose                   more of what happens\n"
	"  -h, --help                      help\n";

static const char *chosen_netns;

static const struct command *find(const char *name)
{
	size_t i;

	for (i = 0; i < N_COMMANDS; i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static void print_commands(FILE *to)
{
	size_t i;

	fprintf(to, "Usage: synstile [-n NAMESPACE] COMMAND [ARGUMENTS]\n\n");
	for (i = 0; i < N_COMMANDS; i++)
		if (commands[i].summary)
			fprintf(to, "  %-9s %s\n", commands[i].name, commands[i].summary);
	fprintf(to,
		"\n%s\n`synstile COMMAND --help` tells more. Exit status: 0 ok, 1 failure, 2 "
		"usage,\n"
		"3 not running.\n",
		common_help);
}

static void print_help(const struct command *c)
{
	printf("Usage: synstile %s %s\n\n%s\n%s%s", c->name, c->arguments,
	       c->summary ? c->summary : "", c->help, common_help);
}

static int unknown_command(const char *name)
{
	const char *names[N_COMMANDS], *guess;
	size_t i, n = 0;

	for (i = 0; i < N_COMMANDS; i++)
		if (commands[i].summary)
			names[n++] = commands[i].name;
	guess = nearest(name, names, n);
	fprintf(stderr, "synstile: no command \"%s\"%s%s%s; `synstile help` lists them\n", name,
		guess ? "; did you mean \"" : "", guess ? guess : "", guess ? "\"?" : "");
	return STATUS_USAGE;
}

static int cmd_help(int argc, char **argv)
{
	const struct command *c;

	if (argc < 2 || argv[1][0] == '-') {
		print_commands(stdout);
		return STATUS_OK;
	}
	c = find(argv[1]);
	if (!c)
		return unknown_command(argv[1]);
	print_help(c);
	return STATUS_OK;
}

static int cmd_version(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	printf("synstile %s\n", VERSION);
	return STATUS_OK;
}

bool common_option(int c, const char *command, int *status)
{
	switch (c) {
	case 'n':
		chosen_netns = optarg;
		return false;
	case 'v':
		log_verbose = true;
		return false;
	case 'h':
		print_help(find(command));
		*status = STATUS_OK;
		return true;
	default: /* getopt has said what is wrong */
		fprintf(stderr, "`synstile %s --help` lists the options\n", command);
		*status = STATUS_USAGE;
		return true;
	}
}

int common_usage(const char *command, const char *fmt, ...)
{
	va_list args;

	fputs("synstile: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, "; `synstile %s --help` tells more\n", command);
	return STATUS_USAGE;
}

int common_failed(int err)
{
	fprintf(stderr, "synstile: %s\n", fail_reason(err));
	return STATUS_FAILED;
}

/* CAP_NET_ADMIN and CAP_SYS_ADMIN: attaching, pinning, mounting, entering namespaces. */
bool common_privileged(void)
{
	const unsigned long long needed = 1ULL << 12 | 1ULL << 21;
	unsigned long long effective = 0;
	char line[256];
	FILE *f = fopen("/proc/self/status", "re");

	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "CapEff: %llx", &effective);
	if (f)
		fclose(f);
	return (effective & needed) == needed;
}

int common_open(struct instance *in)
{
	if (!common_privileged())
		return fail(EPERM, geteuid() ? "only root can do this; try `sudo synstile ...`"
					     : "root lacks capabilities here (CAP_SYS_ADMIN and "
					       "CAP_NET_ADMIN are "
					       "needed); run it outside the container");
	datapath_init();
	return instance_open(in, chosen_netns);
}

int common_open_client(struct instance *in)
{
	return instance_named(in, chosen_netns);
}

/* A caller that closed them (cron, a hook of ifupdown) is not to have our messages written to the
 * next file that we open. */
static void fill_standard_files(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		COMMON_LONG, {"version", no_argument, NULL, 'V'}, {}};
	static char title[64];
	const struct command *command;
	int c, status;

	fill_standard_files();
	/* '+': what follows the command is the command's */
	while ((c = getopt_long(argc, argv, "+" COMMON_SHORT "V", options, NULL)) != -1) {
		if (c == 'h')
			return cmd_help(0, NULL);
		if (c == 'V')
			return cmd_version(0, NULL);
		if (common_option(c, "help", &status))
			return status;
	}
	if (optind >= argc) {
		print_commands(stderr);
		return STATUS_USAGE;
	}
	command = find(argv[optind]);
	if (!command)
		return unknown_command(argv[optind]);
	argc -= optind;
	argv += optind;
	optind = 0; /* glibc: start afresh */
	snprintf(title, sizeof(title), "synstile %s", command->name);
	argv[0] = title; /* what getopt begins its messages with */
	return command->run(argc, argv);
}
