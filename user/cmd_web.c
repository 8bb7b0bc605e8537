// SPDX-License-Identifier: GPL-2.0-only
/* `synstile web`: the dashboard as a web page, served by a process of its own without privileges.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "log.h"
#include "loop.h"
#include "web_guard.h"
#include "web_http.h"
#include "web_listen.h"
#include "web_privileges.h"
#include "web_server.h"
#include "web_upstream.h"

struct options {
	const char *listen, *token_file;
	bool allow_remote;
	struct web_guard guard;
	struct web_address address;
};

enum {
	OPT_ALLOW_REMOTE = 256,
	OPT_TOKEN_FILE,
	OPT_HOST
};

/* A name, or an address: what a Host field has before the port. */
static int add_host(struct web_guard *g, const char *name)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-.[]:";

	if (g->n_hosts == WEB_HOSTS_MAX)
		return fail(E2BIG, "--host: %d names at most", WEB_HOSTS_MAX);
	if (!*name || name[strspn(name, chars)] || (strchr(name, ':') && *name != '['))
		return fail(EINVAL,
			    "--host: \"%s\" is not a name without port, such as "
			    "dash.example.net",
			    name);
	g->hosts[g->n_hosts++] = name;
	return 0;
}

static int parse_option(struct options *o, int c, const char *text)
{
	switch (c) {
	case 'l':
		o->listen = text;
		return 0;
	case OPT_ALLOW_REMOTE:
		o->allow_remote = true;
		return 0;
	case OPT_TOKEN_FILE:
		o->token_file = text;
		return 0;
	default:
		return add_host(&o->guard, text);
	}
}

/* What does not fit together. */
static int check(struct options *o)
{
	int err = web_address_parse(&o->address, o->listen);

	if (err || web_address_is_loopback(&o->address))
		return err;
	if (!o->allow_remote)
		return fail(EINVAL,
			    "--listen %s: other hosts could connect to that; say --allow-remote "
			    "and --token-file FILE, or use a tunnel: `ssh -L 8437:127.0.0.1:8437 "
			    "HOST`",
			    o->listen);
	if (!o->token_file)
		return fail(EINVAL, "--allow-remote needs --token-file FILE; make one: `openssl "
				    "rand -hex 32 >FILE; chmod 600 FILE`");
	return 0;
}

/* ---- at work ---- */

static void on_stop(void *arg)
{
	loop_end(arg);
}

static int no_permission(const struct instance *in)
{
	return fail(EACCES,
		    "permission denied: %s is for root and group synstile; `sudo usermod -aG "
		    "synstile USER`, log in again, or use sudo",
		    in->sock);
}

/* What there is to know before anybody looks. */
static void announce(const struct options *o, const struct instance *in, bool agent)
{
	char text[WEB_ADDRESS_SIZE];

	if (!web_address_is_loopback(&o->address))
		warn("WARNING: this is plain HTTP: whoever is on the way can read all of it, the "
		     "token too. Put something that speaks TLS in front of it, and open "
		     "/login?token=TOKEN there");
	if (!agent)
		warn("no agent runs (instance \"%s\"); the page says so and tries again by itself. "
		     "`synstile attach IFACE` starts it",
		     in->name);
	printf("synstile: the dashboard is at http://%s/ (^C ends it)\n",
	       web_address_text(&o->address, text));
	fflush(stdout);
}

static int serve(const struct options *o, const struct instance *in, struct loop *l, int fd)
{
	struct web_server server = {.guard = &o->guard};
	struct watch *on_term = watch_signal(l, SIGTERM, on_stop, l);
	struct watch *on_int = watch_signal(l, SIGINT, on_stop, l);
	struct watch *on_hup = watch_signal(l, SIGHUP, on_stop, l);
	struct web_http *http = NULL;
	int err = -ENOMEM, agent;

	server.upstream = web_upstream_new(l, in->sock);
	if (server.upstream)
		http = web_http_new(l, fd, web_server_asked, &server);
	if (http && on_term && on_int && on_hup)
		err = web_drop_privileges(in->sock);
	agent = web_upstream_try(in->sock);
	if (!err && agent == -EACCES)
		err = no_permission(in);
	if (!err) {
		announce(o, in, !agent);
		loop_run(l);
	}
	web_http_free(http);
	web_upstream_free(server.upstream);
	watch_free(on_term);
	watch_free(on_int);
	watch_free(on_hup);
	return err;
}

static int run(struct options *o)
{
	struct instance in;
	struct loop *l;
	int err = common_open_client(&in), fd;

	if (!err && o->token_file)
		err = web_guard_token(&o->guard, o->token_file);
	if (err)
		return common_failed(err);
	fd = web_listen(&o->address);
	if (fd < 0)
		return common_failed(fd);
	o->guard.port = web_address_port(&o->address);
	signal(SIGPIPE, SIG_IGN);
	l = loop_new();
	err = l ? serve(o, &in, l, fd) : -ENOMEM;
	loop_free(l);
	return err ? common_failed(err) : STATUS_OK;
}

int cmd_web(int argc, char **argv)
{
	static const struct option options[] = {
		COMMON_LONG,
		{"listen", required_argument, NULL, 'l'},
		{"allow-remote", no_argument, NULL, OPT_ALLOW_REMOTE},
		{"token-file", required_argument, NULL, OPT_TOKEN_FILE},
		{"host", required_argument, NULL, OPT_HOST},
		{}};
	static struct options o = {.listen = "127.0.0.1:8437"};
	int c, status;

	while ((c = getopt_long(argc, argv, COMMON_SHORT "l:", options, NULL)) != -1) {
		if (c == 'l' || c >= OPT_ALLOW_REMOTE) {
			if (parse_option(&o, c, optarg))
				return common_usage("web", "%s", fail_reason(-EINVAL));
		} else if (common_option(c, "web", &status)) {
			return status;
		}
	}
	if (optind < argc)
		return common_usage("web", "nothing expected at \"%s\"", argv[optind]);
	if (check(&o))
		return common_usage("web", "%s", fail_reason(-EINVAL));
	return run(&o);
}
