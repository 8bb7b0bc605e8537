// SPDX-License-Identifier: GPL-2.0-only
/*
 * many TO PORT COUNT [PARALLEL [FROM HOSTS [SKIP [RATE]]]]
 *
 * Opens COUNT connections to a web server, one page each, and closes them, PARALLEL at a
 * time at most, as fast as it goes, or RATE of them a second. FROM: the first of HOSTS own
 * addresses, taken in turn with ports; those of the SKIP first connections are left out. Every
 * other client closes its half right behind its request; of the rest the server closes first.
 *
 * Prints how many were served, and with RATE in what time all had begun. Exit status 1: not all
 * were served.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 30000 /* without any progress */
#define FIRST_PORT  10000
#define PORTS       50000

static const char request[] = "GET / HTTP/1.0\r\n\r\n", success[] = "HTTP/1.1 200";

struct client {
	int fd; /* -1: free */
	bool sent, half_close;
	size_t got;
	char head[sizeof(success) - 1];
};

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

struct run {
	union address to, from;
	socklen_t len;
	unsigned int hosts;
	unsigned long wanted, begun, served, failed, skip;
	unsigned long rate; /* 0: as fast as it goes */
	double first, last; /* s: when clients began */
	int epoll, error;   /* the first one */
};

static socklen_t parse_address(union address *a, const char *text, unsigned int port)
{
	*a = (union address){};
	if (inet_pton(AF_INET, text, &a->v4.sin_addr) == 1) {
		a->v4.sin_family = AF_INET;
		a->v4.sin_port = htons(port);
		return sizeof(a->v4);
	}
	if (inet_pton(AF_INET6, text, &a->v6.sin6_addr) == 1) {
		a->v6.sin6_family = AF_INET6;
		a->v6.sin6_port = htons(port);
		return sizeof(a->v6);
	}
	fprintf(stderr, "many: not an address: %s\n", text);
	exit(2);
}

/*
 * The n-th own address and port. All differ as long as n is below the least common multiple of
 * PORTS and hosts. (To let connect() find a free port takes long when many are in TIME-WAIT.)
 */
static union address own_address(const struct run *r, unsigned long n)
{
	union address a = r->from;
	in_addr_t *low =
		a.any.sa_family == AF_INET ? &a.v4.sin_addr.s_addr : &a.v6.sin6_addr.s6_addr32[3];

	*low = htonl(ntohl(*low) + n % r->hosts);
	a.v4.sin_port = htons(FIRST_PORT + n % PORTS); /* in the same place as IPv6's */
	return a;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* How many may have begun by now. */
static unsigned long due(struct run *r)
{
	double allowed = r->rate ? (now() - r->first) * r->rate + 1 : r->wanted;

	return allowed < r->wanted ? allowed : r->wanted;
}

static void end(struct run *r, struct client *c, int error)
{
	close(c->fd);
	c->fd = -1;
	if (!error) {
		r->served++;
		return;
	}
	r->failed++;
	r->error = r->error ? r->error : error;
}

static void begin(struct run *r, struct client *c)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
	union address own;
	unsigned long n = r->begun++;
	int yes = 1;

	*c = (struct client){.half_close = n % 2};
	c->fd = socket(r->to.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (c->fd < 0) {
		perror("many: socket");
		exit(1);
	}
	if (r->hosts) {
		own = own_address(r, r->skip + n);
		setsockopt(c->fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
		if (bind(c->fd, &own.any, r->len)) {
			end(r, c, errno);
			return;
		}
	}
	if ((connect(c->fd, &r->to.any, r->len) && errno != EINPROGRESS) ||
	    epoll_ctl(r->epoll, EPOLL_CTL_ADD, c->fd, &e))
		end(r, c, errno);
}

static void ask(struct run *r, struct client *c)
{
	if (write(c->fd, request, sizeof(request) - 1) != sizeof(request) - 1) {
		if (errno != EAGAIN)
			end(r, c, errno);
		return;
	}
	c->sent = true;
	if (c->half_close)
		shutdown(c->fd, SHUT_WR);
}

static void hear(struct run *r, struct client *c)
{
	char part[4096];
	ssize_t n;
	size_t i;

	while ((n = read(c->fd, part, sizeof(part))) > 0)
		for (i = 0; i < (size_t)n; i++, c->got++)
			if (c->got < sizeof(c->head))
				c->head[c->got] = part[i];
	if (n < 0 && errno == EAGAIN)
		return;
	if (n < 0)
		end(r, c, errno);
	else
		end(r, c, memcmp(c->head, success, sizeof(c->head)) ? EPROTO : 0);
}

static void turn(struct run *r, struct client *c, unsigned int events)
{
	if (!c->sent && events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
		ask(r, c);
	if (c->fd >= 0 && c->sent)
		hear(r, c);
}

/* New clients, as many as are due and there is room for. */
static void begin_due(struct run *r, struct client *clients, unsigned int parallel)
{
	unsigned long until = due(r), before = r->begun;
	unsigned int i;

	for (i = 0; i < parallel && r->begun < until; i++)
		if (clients[i].fd < 0)
			begin(r, &clients[i]);
	if (r->begun != before)
		r->last = now();
}

static int wait_ms(const struct run *r)
{
	return r->rate && r->begun < r->wanted ? 1 : PATIENCE_MS;
}

static int run(struct run *r, unsigned int parallel)
{
	struct client *clients = calloc(parallel, sizeof(*clients));
	struct epoll_event events[64];
	unsigned int i;
	int k, n = 1;

	for (i = 0; clients && i < parallel; i++)
		clients[i].fd = -1;
	r->first = now();
	while (clients && (n > 0 || wait_ms(r) == 1) && r->served + r->failed < r->wanted) {
		begin_due(r, clients, parallel);
		if (r->served + r->failed >= r->wanted)
			break;
		if (r->rate && r->begun < due(r) && r->begun - r->served - r->failed < parallel)
			continue; /* on a slow machine those who come go first */
		n = epoll_wait(r->epoll, events, 64, wait_ms(r));
		for (k = 0; k < n; k++)
			turn(r, events[k].data.ptr, events[k].events);
	}
	free(clients);
	printf("%lu served, %lu failed%s%s", r->served, r->failed, r->error ? ", first: " : "",
	       r->error ? strerror(r->error) : "");
	if (r->rate)
		printf(", begun in %.2f s", r->last - r->first);
	putchar('\n');
	return r->served == r->wanted ? 0 : 1;
}

/* A descriptor for each client, if this user may have as many. */
static void allow_descriptors(unsigned int parallel)
{
	struct rlimit limit = {parallel + 64, parallel + 64};

	if (setrlimit(RLIMIT_NOFILE, &limit)) {
		getrlimit(RLIMIT_NOFILE, &limit);
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int main(int argc, char **argv)
{
	struct run r = {0};
	unsigned int parallel = argc > 4 ? atoi(argv[4]) : 1;

	if (argc < 4 || argc == 6 || argc > 9) {
		fprintf(stderr,
			"usage: many TO PORT COUNT [PARALLEL [FROM HOSTS [SKIP [RATE]]]]\n");
		return 2;
	}
	r.len = parse_address(&r.to, argv[1], atoi(argv[2]));
	r.wanted = strtoul(argv[3], NULL, 10);
	if (argc > 6) {
		parse_address(&r.from, argv[5], 0);
		r.hosts = atoi(argv[6]);
	}
	if (argc > 7)
		r.skip = strtoul(argv[7], NULL, 10);
	if (argc > 8)
		r.rate = strtoul(argv[8], NULL, 10);
	allow_descriptors(parallel);
	r.epoll = epoll_create1(0);
	return run(&r, parallel);
}
