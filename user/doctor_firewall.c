// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "doctor.h"
#include "firewall.h"
#include "nat.h"
#include "published.h"
#include "ruleset.h"
#include "sysctls.h"

#define IN_CONTAINER "synstile -n NAMESPACE attach IFACE # in the container's namespace"

static const char firewall[] = "firewall";

/* As --ports takes it; what does not fit ends in "...". */
static void ports_text(const struct ports *p, char *buf, size_t size)
{
	u32 port, to;
	size_t n = 0;

	buf[0] = 0;
	for (port = 1; port < 65536; port = to + 1) {
		to = port;
		if (!ports_has(p, port))
			continue;
		while (to < 65535 && ports_has(p, to + 1))
			to++;
		if (n + 20 > size) {
			snprintf(buf + n, size - n, ",...");
			return;
		}
		n += snprintf(buf + n, size - n, to > port ? "%s%u-%u" : "%s%u", n ? "," : "", port,
			      to);
	}
}

static const char *of_ports(const struct firewall_finding *f, char *buf, size_t size)
{
	size_t n;

	if (f->all_ports)
		return "";
	n = snprintf(buf, size, " to port ");
	ports_text(f->ports, buf + n, size - n);
	return buf;
}

static void subject_of(const struct firewall_finding *f, char *buf, size_t size)
{
	if (!f->chain)
		snprintf(buf, size, "%s %s", f->family, f->table);
	else
		snprintf(buf, size, "%s %s %s handle %d", f->family, f->table, f->chain, f->handle);
}

/* iptables rewrites its tables as a whole: nft must not touch them. */
static void mend_iptables(struct doctor *d, const struct firewall_finding *f, const char *words)
{

	doctor_mend_inside(d, "ip%stables-save -t %s # %s", strcmp(f->family, "ip6") ? "" : "6",
			   f->table, words);
}

static void mend_rule(struct doctor *d, const struct firewall_finding *f, const char *what,
		      const char *to)
{

	doctor_mend_inside(d, "nft '%s rule %s %s %s handle %d%s%s'", what, f->family, f->table,
			   f->chain, f->handle, to[0] ? " " : "", to);
}

/* A rule that wants a SYN where it means a new connection. */
static void mend_syn(struct doctor *d, const struct firewall_finding *f)
{
	char rule[2048], new[2048];

	if (f->xt)
		mend_iptables(d, f, "use -m conntrack --ctstate NEW in place of --syn");
	else if (f->early)
		doctor_mend_inside(
			d,
			"nft -a list chain %s %s %s # behind conntrack, as at hook input, "
			"`ct state new` would see all",
			f->family, f->table, f->chain);
	else if (ruleset_rule(f->family, f->table, f->chain, f->handle, rule, sizeof(rule)) &&
		 firewall_rewrite(rule, new, sizeof(new)))
		mend_rule(d, f, "replace", new);
	else
		doctor_mend_inside(
			d,
			"nft -a list chain %s %s %s # use `ct state new` in place of the SYN "
			"flag",
			f->family, f->table, f->chain);
}

static void mend_ack(struct doctor *d, const struct firewall_finding *f, bool invalid)
{
	if (invalid && !d->conntrack)
		doctor_mend_inside(d, "sysctl net.netfilter.nf_conntrack_tcp_loose=1");
	else if (f->xt)
		mend_iptables(d, f, "use -m conntrack --ctstate INVALID in place of ! --syn");
	else if (f->early)
		mend_rule(d, f, "delete", "");
	else
		mend_rule(d, f, "replace", "ct state invalid drop");
}

/* ---- ports that lead elsewhere ---- */

static bool elsewhere(const struct doctor *d, const struct firewall_finding *f, u32 port)
{
	return ports_has(&d->listening, port) && (f->all_ports || ports_has(f->ports, port));
}

/* Does synstile, as it is attached, leave these ports alone? */
static bool left_out(const struct doctor *d, const struct firewall_finding *f)
{
	struct ports chosen;
	u32 port;

	if (!d->st.n_ifaces || !d->st.ports || ports_parse(&chosen, d->st.ports))
		return false;
	for (port = 1; port < 65536; port++)
		if (elsewhere(d, f, port) && ports_has(&chosen, port))
			return false;
	return true;
}

static bool any_listener(const struct doctor *d, const struct firewall_finding *f)
{
	u32 port;

	for (port = 1; port < 65536; port++)
		if (elsewhere(d, f, port))
			return true;
	return false;
}

static void say_dnat(struct doctor *d, const struct firewall_finding *f, const char *subject)
{
	char ports[160];

	of_ports(f, ports, sizeof(ports));
	if (f->all_ports)
		ports[0] = 0;
	if (left_out(d, f)) {
		doctor_say(d, HEALTH_OK, firewall, subject,
			   "connections%s go elsewhere (DNAT), and --ports leaves them out", ports);
		return;
	}
	if (!strcmp(f->does, "redirect")) {
		doctor_say(d, HEALTH_WARN, firewall, subject,
			   "connections%s are redirected to another port: they are only observed",
			   ports);
		return;
	}
	doctor_say(d, HEALTH_WARN, firewall, subject,
		   "connections%s go to another host or container (DNAT)%s", ports,
		   any_listener(d, f) ? ", though a program of this host listens there: they are "
					"only observed here"
				      : ", and are not protected here");
	doctor_mend(d, IN_CONTAINER);
}

/* The stack's NAT (nf_nat_ipv4_local_in()) compares the ports of a packet's socket with those of
 * conntrack's entry, and lets go of the socket if they differ. A request socket that a program
 * has assigned has no ports yet: the listener gets the ACK instead, and answers with RST. */
static void say_nat(struct doctor *d, const struct firewall_finding *f, const char *subject)
{
	if (!d->st.n_ifaces || d->st.kernel_cookies || d->st.mode == MODE_OBSERVE) {
		doctor_say(d, HEALTH_OK, firewall, subject,
			   "NAT, beside which the kernel's cookies work: attach chooses them");
		return;
	}
	doctor_say(
		d, HEALTH_FAIL, firewall, subject,
		"NAT: with it the stack lets go of connections made by own cookies%s, so all ports "
		"are only observed; the kernel's cookies work",
		strcmp(f->family, "ip") ? strcmp(f->family, "ip6") ? "" : " over IPv6"
					: " over IPv4");
	doctor_mend_synstile(d, "detach --all # then: attach %s --cookies kernel", d->ifaces);
}

/* ---- rules ---- */

static void on_finding(const struct firewall_finding *f, void *arg)
{
	char subject[256], room[160];
	const char *ports = of_ports(f, room, sizeof(room));
	struct doctor *d = arg;
	bool invalid = !sysctls_read("net/netfilter/nf_conntrack_tcp_loose", 1);

	subject_of(f, subject, sizeof(subject));
	switch (f->kind) {
	case FIREWALL_SYN_LIMIT:
		doctor_say(d, HEALTH_WARN, firewall, subject,
			   "only SYNs%s are limited (%s): clients that come by cookie are not seen "
			   "by it",
			   ports, f->does);
		mend_syn(d, f);
		break;
	case FIREWALL_SYN_DROP:
		doctor_say(
			d, HEALTH_WARN, firewall, subject,
			"only SYNs%s are dropped: clients that come by cookie are not seen by it",
			ports);
		mend_syn(d, f);
		break;
	case FIREWALL_SYN_ACCEPT:
		doctor_say(d, f->sure ? HEALTH_FAIL : HEALTH_WARN, firewall, subject,
			   "only SYNs%s are accepted: the ACK of clients that come by cookie is "
			   "dropped%s",
			   ports, f->sure ? "" : " unless another rule accepts it");
		mend_syn(d, f);
		break;
	case FIREWALL_ACK_DROP:
		doctor_say(d, HEALTH_FAIL, firewall, subject,
			   "%s: clients%s that come by cookie are refused",
			   invalid ? "drops ACKs without a SYN before them"
				   : "drops new connections "
				     "whose first packet is no SYN",
			   ports);
		mend_ack(d, f, invalid);
		break;
	case FIREWALL_SYNPROXY:
		doctor_say(d, HEALTH_WARN, firewall, subject,
			   "SYNPROXY%s answers SYNs with cookies too, and may take an ACK to "
			   "synstile's "
			   "for a false one; one of both is enough",
			   ports);
		if (f->xt)
			mend_iptables(d, f, "remove it by iptables -D");
		else
			mend_rule(d, f, "delete", "");
		break;
	case FIREWALL_DNAT:
		say_dnat(d, f, subject);
		break;
	case FIREWALL_NAT:
		say_nat(d, f, subject);
		break;
	case FIREWALL_OPAQUE:
		doctor_say(d, HEALTH_WARN, firewall, subject,
			   "rules use extensions of iptables (%s) whose arguments cannot be read "
			   "here; look "
			   "whether they drop an ACK that conntrack takes for new or invalid, or "
			   "want a SYN",
			   f->does);
		mend_iptables(d, f, "shows them");
		break;
	}
}

/* ---- what nftables does not show ---- */

static void look_for_legacy(struct doctor *d, const char *family, const char *path)
{
	char name[64], tables[256] = "";
	FILE *f = fopen(path, "re");
	size_t n = 0;

	while (f && fgets(name, sizeof(name), f) && n + 64 < sizeof(tables)) {
		name[strcspn(name, "\n")] = 0;
		n += snprintf(tables + n, sizeof(tables) - n, "%s%s", n ? ", " : "", name);
	}
	if (f)
		fclose(f);
	if (!tables[0])
		return;
	doctor_say(d, HEALTH_WARN, firewall, family,
		   "tables of legacy iptables (%s) cannot be read here; look whether their rules "
		   "match SYNs alone or drop invalid ACKs",
		   tables);
	doctor_mend_inside(d, "%s-legacy-save", family);
}

/* Of legacy iptables' rules synstile reads those alone. */
static void look_for_published(struct doctor *d)
{
	struct published *p = published_new();
	struct ports there;
	char words[160];

	if (!p) {
		d->no_memory = true;
		return;
	}
	published_refresh(p);
	there = *published_ports(p);
	published_free(p);
	if (!ports_keep(&there, &d->listening))
		return;
	ports_text(&there, words, sizeof(words));
	doctor_say(d, HEALTH_WARN, firewall, "legacy iptables",
		   "connections to port %s go to another host or container (DNAT), though a "
		   "program of this host listens there: they are only observed here",
		   words);
	doctor_mend(d, IN_CONTAINER);
}

static void look_at_rules(struct doctor *d)
{
	bool loose = sysctls_read("net/netfilter/nf_conntrack_tcp_loose", 1);
	size_t before = d->n;
	json_t *rules;
	int err = ruleset_read(&rules);

	if (err == -EOPNOTSUPP) {
		doctor_say(d, HEALTH_OK, firewall, "nftables", "not in this kernel");
		return;
	}
	if (err) {
		doctor_say(d, HEALTH_WARN, firewall, "nftables", "%s", fail_reason(err));
		fail_clear();
		doctor_mend_inside(d, "nft list ruleset");
		return;
	}
	if (firewall_examine(rules, !loose && !d->conntrack, on_finding, d))
		d->no_memory = true;
	if (d->n == before)
		doctor_say(d, HEALTH_OK, firewall, "nftables",
			   json_array_size(json_object_get(rules, "nftables")) > 1
				   ? "no rule treats a client that comes by cookie as another one"
				   : "no rules");
	json_decref(rules);
}

void doctor_firewall(struct doctor *d)
{
	look_at_rules(d);
	look_for_legacy(d, "iptables", "/proc/self/net/ip_tables_names");
	look_for_legacy(d, "ip6tables", "/proc/self/net/ip6_tables_names");
	if (nat_legacy(false) || nat_legacy(true))
		look_for_published(d);
	if (!sysctls_read("net/netfilter/nf_conntrack_tcp_loose", 1) && d->conntrack)
		doctor_say(d, HEALTH_OK, firewall, "net.netfilter.nf_conntrack_tcp_loose",
			   "0; synstile makes the entries of clients that come by cookie");
}
