// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <string.h>

#include "backlogs.h"
#include "doctor.h"
#include "hearing.h"
#include "sysctls.h"

static const char listener[] = "listener";

static void small_backlog(struct doctor *d, const struct heard *l, const char *name)
{
	u32 enough = backlog_enough(&d->st);

	doctor_say(d, HEALTH_WARN, listener, name,
		   "backlog %u bounds half-open connections, and those that wait for accept(); %s",
		   l->sk.backlog, backlog_advice(&d->st, l));
	if (l->sk.backlog == sysctls_read(SOMAXCONN_LIMIT, 4096))
		doctor_mend_inside(d, "sysctl net.core.somaxconn=%u",
				   enough > 4096 ? enough : 4096);
}

/* If the last ACK of a cookie handshake is lost, only the client's next segment mends it. */
static bool speaks_first(const struct doctor *d, __be16 port)
{
	static const u16 ports[] = {21, 22, 25, 110, 143, 587, 3306};
	bool found = false;
	size_t i;

	for (i = 0; i < sizeof(ports) / sizeof(*ports); i++)
		found |= ntohs(port) == ports[i];
	return found && d->st.n_ifaces && d->st.mode == MODE_ALWAYS;
}

/* Returns false if there is nothing wrong with it. */
static bool look_at(struct doctor *d, const struct heard *l)
{
	bool small = l->sk.backlog < backlog_enough(&d->st);
	bool full = l->sk.waiting > l->sk.backlog;
	bool mptcp = l->sk.mptcp && d->features.assign_reqsk;
	bool docker = !strcmp(l->program, "docker-proxy");
	bool first = speaks_first(d, l->sk.local_port);
	char name[HEARD_NAME_SIZE];

	heard_name(l, name);
	if (small)
		small_backlog(d, l, name);
	if (full)
		doctor_say(
			d, HEALTH_WARN, listener, name,
			"%u connections wait for accept(), its backlog is %u: the program is too "
			"slow, and new clients are refused with or without an attack",
			l->sk.waiting, l->sk.backlog);
	if (mptcp) {
		doctor_say(d, HEALTH_WARN, listener, name,
			   "speaks Multipath TCP: with own cookies it is only observed; turn MPTCP "
			   "off in "
			   "the program, or attach with --cookies kernel");
		doctor_mend_synstile(d, "attach %s --cookies kernel", d->ifaces);
	}
	if (docker)
		doctor_say(d, HEALTH_WARN, listener, name,
			   "stands for a container's published port, and is not the server: where "
			   "netfilter leads the port to the container (DNAT), it is only observed; "
			   "protect the container with `synstile -n`");
	if (first)
		doctor_say(d, HEALTH_WARN, listener, name,
			   "the server speaks first there: in mode always a client whose last ACK "
			   "is lost "
			   "waits in vain; mode auto lets SYNs pass while calm");
	return small || full || mptcp || docker || first;
}

static void note_port(struct doctor *d, __be16 port)
{
	u16 p = ntohs(port);

	d->listening.bits[p / 8] |= 1 << p % 8;
}

static void count_ports(struct doctor *d)
{
	u32 port, n = 0;

	for (port = 1; port < 65536; port++)
		n += ports_has(&d->listening, port);
	if (n >= SYNSTILE_MAX_SERVICES)
		doctor_say(d, HEALTH_WARN, listener, "all",
			   "%u ports listen, and %d can be protected; choose with --ports", n,
			   SYNSTILE_MAX_SERVICES - 1);
}

void doctor_listeners(struct doctor *d)
{
	struct hearing h = {0};
	size_t i, fine = 0;

	if (!doctor_check(d, hearing_read(&h), listener, "all"))
		return;
	hearing_name_programs(&h);
	for (i = 0; i < h.n; i++) {
		note_port(d, h.at[i].sk.local_port);
		if (!hearing_repeats(&h, i))
			fine += !look_at(d, &h.at[i]);
	}
	if (!h.n)
		doctor_say(d, HEALTH_OK, listener, "none",
			   "nothing listens for others; what will is protected within a second");
	else if (fine)
		doctor_say(d, HEALTH_OK, listener, "others", "%zu with a backlog of %u or more",
			   fine, backlog_enough(&d->st));
	count_ports(d);
	hearing_free(&h);
}
