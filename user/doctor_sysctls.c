// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "doctor.h"
#include "sysctls.h"

static const char sysctl[] = "sysctl";

/* One that is good from `least` to `most`. */
struct range {
	const char *name; /* below /proc/sys */
	long least, most;
	const char *bad;
	long good;
};

static const struct range ranges[] = {
	{"net/ipv4/tcp_timestamps", 1, 2,
	 "without timestamps a cookie has room for few of a client's TCP options", 1},
	{"net/ipv4/tcp_sack", 1, 1, "connections go without selective acknowledgements", 1},
	{"net/ipv4/tcp_window_scaling", 1, 1, "windows are 64 KiB at most", 1},
	{"net/ipv4/tcp_synack_retries", 2, 6,
	 "half-open connections live 2^(n+1)-1 s; below 2 a lost SYN-ACK costs a client, "
	 "above 6 a queue is held for minutes",
	 5},
	{"net/core/somaxconn", 1024, 1L << 31,
	 "bounds every listener's backlog; Linux's own default is 4096", 4096},
};

/* As sysctl(8) writes it. */
static const char *dotted(const char *name, char buf[64])
{
	char *at;

	snprintf(buf, 64, "%s", name);
	for (at = buf; *at; at++)
		if (*at == '/')
			*at = '.';
	return buf;
}

static void look_at_range(struct doctor *d, const struct range *r)
{
	long now = sysctls_read(r->name, r->good);
	char name[64];

	dotted(r->name, name);
	if (d->st.n_ifaces && sysctls_original(&d->st, r->name, now) != now) {
		doctor_say(d, HEALTH_OK, sysctl, name,
			   "%ld for now, by synstile; %ld is given back", now,
			   sysctls_original(&d->st, r->name, now));
		return;
	}
	if (now >= r->least && now <= r->most) {
		doctor_say(d, HEALTH_OK, sysctl, name, "%ld", now);
		return;
	}
	doctor_say(d, HEALTH_WARN, sysctl, name, "%ld: %s", now, r->bad);
	doctor_mend_inside(d, "sysctl %s=%ld", name, r->good);
}

/* What attach would change. */
static void look_ahead(struct doctor *d)
{
	struct state st = {.mode = MODE_AUTO, .kernel_cookies = !d->features.assign_reqsk};
	char name[64];
	size_t i;

	if (!doctor_check(d, sysctls_plan(&st), sysctl, "net.ipv4.tcp_syncookies"))
		return;
	if (!st.n_sysctls)
		doctor_say(d, HEALTH_OK, sysctl, "net.ipv4.tcp_syncookies", "%ld, left as it is",
			   sysctls_read("net/ipv4/tcp_syncookies", 1));
	for (i = 0; i < st.n_sysctls; i++)
		doctor_say(d, HEALTH_OK, sysctl, dotted(st.sysctls[i].name, name),
			   "%d; attach sets it to %d, detach gives it back", st.sysctls[i].was,
			   st.sysctls[i].set);
}

/* Attached: are they still what synstile needs? */
static void look_back(struct doctor *d)
{
	struct state needs = {.mode = d->st.mode, .kernel_cookies = d->st.kernel_cookies};
	char name[64];
	size_t i;

	if (!doctor_check(d, sysctls_plan(&needs), sysctl, "net.ipv4.tcp_syncookies"))
		return;
	if (!needs.n_sysctls)
		doctor_say(d, HEALTH_OK, sysctl, "net.ipv4.tcp_syncookies",
			   "%ld, as synstile needs it", sysctls_read("net/ipv4/tcp_syncookies", 1));
	for (i = 0; i < needs.n_sysctls; i++) {
		dotted(needs.sysctls[i].name, name);
		doctor_say(d, HEALTH_FAIL, sysctl, name,
			   "%d: somebody changed it; clients that come by cookie are refused",
			   needs.sysctls[i].was);
		doctor_mend_inside(d, "sysctl %s=%d", name, needs.sysctls[i].set);
	}
}

static void look_at_fastopen(struct doctor *d)
{
	if (sysctls_read("net/ipv4/tcp_fastopen", 1) & 2)
		doctor_say(d, HEALTH_OK, sysctl, "net.ipv4.tcp_fastopen",
			   "on for servers; under attack clients shake hands as without it");
}

static void look_at_conntrack(struct doctor *d)
{
	long most = sysctls_read("net/netfilter/nf_conntrack_max", 0);
	long now = sysctls_read("net/netfilter/nf_conntrack_count", 0);

	if (!most)
		return;
	if (now < most - most / 5) {
		doctor_say(d, HEALTH_OK, sysctl, "net.netfilter.nf_conntrack_max",
			   "%ld, %ld in use", most, now);
		return;
	}
	doctor_say(d, HEALTH_WARN, sysctl, "net.netfilter.nf_conntrack_max",
		   "%ld of %ld entries are in use; a full table drops new clients", now, most);
	doctor_mend_inside(d, "sysctl net.netfilter.nf_conntrack_max=%ld", most * 4);
}

void doctor_sysctls(struct doctor *d)
{
	size_t i;

	if (d->st.n_ifaces)
		look_back(d);
	else
		look_ahead(d);
	for (i = 0; i < sizeof(ranges) / sizeof(*ranges); i++)
		look_at_range(d, &ranges[i]);
	look_at_fastopen(d);
	look_at_conntrack(d);
}
