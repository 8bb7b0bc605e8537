// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <sys/utsname.h>

#include "datapath.h"
#include "doctor.h"
#include "doctor_needs.h"

static const char kernel[] = "kernel";

static void look_at_cookies(struct doctor *d)
{
	static const char helper[] = "bpf_tcp_raw_gen_syncookie_ipv4()";

	if (!doctor_check(d, needs_cookies(&d->features), kernel, helper))
		return;
	if (d->features.assign_reqsk)
		doctor_say(d, HEALTH_OK, kernel, "bpf_sk_assign_tcp_reqsk()",
			   "own cookies, all TCP options kept");
	else
		doctor_say(d, HEALTH_WARN, kernel, "bpf_sk_assign_tcp_reqsk()",
			   "missing (Linux 6.9 has it): the kernel's cookies are used, which keep "
			   "TCP options only for clients with timestamps");
}

static void look_at_hooks(struct doctor *d)
{
	u32 ids[1], n = 1, lo = 1;

	if (d->freplace)
		doctor_say(d, HEALTH_OK, kernel, "freplace",
			   "libxdp's dispatcher works: other XDP programs can share the interface");
	else
		doctor_say(
			d, HEALTH_WARN, kernel, "freplace",
			"refused: without libxdp's dispatcher no other XDP program can share the "
			"interface");
	if (datapath_tcx_programs(lo, true, ids, &n) == -EINVAL)
		doctor_say(d, HEALTH_OK, kernel, "TC", "by clsact (TCX comes with Linux 6.6)");
	else
		doctor_say(d, HEALTH_OK, kernel, "TC",
			   "by TCX: links that nobody removes by mistake");
}

static void look_at_destroy(struct doctor *d)
{
	if (!netlink_can_destroy())
		doctor_say(d, HEALTH_OK, kernel, "SOCK_DESTROY",
			   "half-open connections can be ended service by service");
	else
		doctor_say(d, HEALTH_WARN, kernel, "SOCK_DESTROY",
			   "missing (CONFIG_INET_DIAG_DESTROY): under attack the SYN timeout of "
			   "all services follows that of the shortest, by tcp_synack_retries");
}

static void look_at_conntrack(struct doctor *d)
{
	if (d->conntrack)
		doctor_say(d, HEALTH_OK, kernel, "bpf_ct_insert_entry()",
			   "clients that come by cookie can be made known to conntrack");
	else
		doctor_say(d, HEALTH_OK, kernel, "conntrack",
			   "not loaded, or without bpf_ct_insert_entry() (Linux 6.0, with BTF)");
}

/* -1: not readable, as in a network namespace. */
static int setting(const char *path)
{
	FILE *f = fopen(path, "re");
	int value = -1;

	if (f && fscanf(f, "%d", &value) != 1)
		value = -1;
	if (f)
		fclose(f);
	return value;
}

static void look_at_speed(struct doctor *d)
{
	if (setting("/proc/sys/net/core/bpf_jit_enable") == 0) {
		doctor_say(d, HEALTH_WARN, kernel, "net.core.bpf_jit_enable",
			   "0: programs are interpreted, many times slower");
		doctor_mend(d, "sysctl net.core.bpf_jit_enable=1");
	}
	if (setting("/proc/sys/kernel/bpf_stats_enabled") > 0) {
		doctor_say(d, HEALTH_WARN, kernel, "kernel.bpf_stats_enabled",
			   "programs are timed, which costs some 20 ns a packet and program");
		doctor_mend(d, "sysctl kernel.bpf_stats_enabled=0");
	}
}

void doctor_kernel(struct doctor *d)
{
	struct utsname u = {0};

	uname(&u);
	doctor_say(d, HEALTH_OK, kernel, "capabilities",
		   "CAP_SYS_ADMIN and CAP_NET_ADMIN, Linux %s", u.release);
	if (doctor_check(d, needs_btf(&d->features), kernel, "BTF"))
		doctor_say(d, HEALTH_OK, kernel, "BTF",
			   "the kernel tells its types: programs fit it as they are");
	look_at_cookies(d);
	look_at_hooks(d);
	look_at_destroy(d);
	look_at_conntrack(d);
	look_at_speed(d);
}

void doctor_bpffs(struct doctor *d)
{
	int err = instance_bpffs(&d->in, false);

	if (err && d->in.from_initial) {
		fail_clear();
		doctor_say(d, HEALTH_WARN, "bpffs", BPFFS,
			   "no BPF file system is mounted there; attach mounts it");
		doctor_mend(d, "mount -t bpf bpf " BPFFS);
	} else if (doctor_check(d, err, "bpffs", BPFFS)) {
		doctor_say(d, HEALTH_OK, "bpffs", BPFFS,
			   "mounted: programs stay when every process has ended");
	}
}
