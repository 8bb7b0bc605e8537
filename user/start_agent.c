// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd.h"
#include "log.h"
#include "start_agent.h"

/* Its standard input is the instance's lock, until it is at work: if this process is killed before
 * that, whoever comes next waits for the agent, which nobody can see yet, and finds it. */
static void become_agent(const struct instance *in, int errors)
{
	int null = open("/dev/null", O_RDWR);
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	/* a service manager that watches the command is not to hear of the agent */
	unsetenv("NOTIFY_SOCKET");
	if (chdir("/") || null < 0 || dup2(null, 1) < 0 || dup2(errors, 2) < 0 ||
	    dup2(in->lock_fd, 0) < 0)
		_exit(STATUS_FAILED);
	close_range(3, ~0U, 0);
	if (in->netns[0])
		execl("/proc/self/exe", "synstile", "-n", in->netns, "agent", NULL);
	else
		execl("/proc/self/exe", "synstile", "agent", NULL);
	_exit(STATUS_FAILED);
}

/* The agent complains to `errors`, and closes it when it is at work. */
static int await_agent(const struct instance *in, int errors)
{
	struct pollfd p = {.fd = errors, .events = POLLIN};
	char text[512] = "";
	size_t n = 0;
	ssize_t got = 1;

	while (got > 0 && n < sizeof(text) - 1 && poll(&p, 1, 10000) == 1) {
		got = read(errors, text + n, sizeof(text) - 1 - n);
		n += got > 0 ? got : 0;
	}
	text[strcspn(text, "\n")] = 0;
	if (instance_agent(in))
		return 0;
	return fail(ECHILD, "the agent does not start: %s", text[0] ? text : "it says nothing");
}

int start_agent(const struct instance *in)
{
	int pipes[2], err;
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC))
		return -errno;
	fflush(NULL);
	pid = fork();
	if (!pid)
		become_agent(in, pipes[1]);
	close(pipes[1]);
	if (pid < 0)
		err = fail(errno, "cannot start the agent: %s", strerror(errno));
	else
		err = await_agent(in, pipes[0]);
	close(pipes[0]);
	if (err && pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	return err;
}
