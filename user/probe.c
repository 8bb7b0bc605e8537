// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "log.h"
#include "probe.h"

#define VMLINUX_BTF "/sys/kernel/btf/vmlinux"

void probe_features(struct features *f)
{
	struct btf *btf;

	memset(f, 0, sizeof(*f));
	f->btf = !access(VMLINUX_BTF, R_OK);
	f->raw_cookies = libbpf_probe_bpf_helper(BPF_PROG_TYPE_XDP,
						 BPF_FUNC_tcp_raw_gen_syncookie_ipv4, NULL) == 1;
	btf = f->btf ? btf__load_vmlinux_btf() : NULL;
	if (!libbpf_get_error(btf) && btf) {
		f->assign_reqsk =
			btf__find_by_name_kind(btf, "bpf_sk_assign_tcp_reqsk", BTF_KIND_FUNC) > 0;
		btf__free(btf);
	}
}

bool probe_conntrack(void)
{
	struct btf *btf;
	bool builtin;

	if (!access("/sys/kernel/btf/nf_conntrack", R_OK))
		return true;
	btf = btf__load_vmlinux_btf();
	if (!btf || libbpf_get_error(btf))
		return false;
	builtin = btf__find_by_name_kind(btf, "bpf_ct_insert_entry", BTF_KIND_FUNC) > 0;
	btf__free(btf);
	return builtin;
}

/* The types of `int synstile_main(struct xdp_md *)` and a global `int synstile_sub(...)`,
 * the least that the verifier wants to know of a function that is to be replaced. */
static struct btf *freplace_types(int func[2])
{
	struct btf *btf = btf__new_empty();
	int num, ctx, ptr, proto;

	if (!btf || libbpf_get_error(btf))
		return NULL;
	num = btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
	ctx = btf__add_struct(btf, "xdp_md", 4);
	btf__add_field(btf, "data", num, 0, 0);
	ptr = btf__add_ptr(btf, ctx);
	proto = btf__add_func_proto(btf, num);
	btf__add_func_param(btf, "ctx", ptr);
	func[0] = btf__add_func(btf, "synstile_main", BTF_FUNC_GLOBAL, proto);
	func[1] = btf__add_func(btf, "synstile_sub", BTF_FUNC_GLOBAL, proto);
	if (func[1] > 0 && !btf__load_into_kernel(btf))
		return btf;
	btf__free(btf);
	return NULL;
}

#define INSN(c, d, s, i)                                                                           \
	{                                                                                          \
		.code = c, .dst_reg = d, .src_reg = s, .imm = i                                    \
	}
#define CALL_NEXT_BUT_ONE INSN(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 1)
#define RETURN_PASS       INSN(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 2 /* XDP_PASS */)
#define EXIT              INSN(BPF_JMP | BPF_EXIT, 0, 0, 0)

static int load_replaceable(const struct btf *btf, const int func[2])
{
	const struct bpf_insn insns[] = {CALL_NEXT_BUT_ONE, EXIT, RETURN_PASS, EXIT};
	const struct bpf_func_info info[] = {{0, func[0]}, {2, func[1]}};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .prog_btf_fd = btf__fd(btf), .func_info = info,
		    .func_info_cnt = 2, .func_info_rec_size = sizeof(info[0]));

	return bpf_prog_load(BPF_PROG_TYPE_XDP, "synstile_probe", "GPL", insns, 4, &opts);
}

static int load_replacement(const struct btf *btf, const int func[2], int target)
{
	const struct bpf_insn insns[] = {RETURN_PASS, EXIT};
	const struct bpf_func_info info = {0, func[1]};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .prog_btf_fd = btf__fd(btf), .func_info = &info,
		    .func_info_cnt = 1, .func_info_rec_size = sizeof(info),
		    .attach_prog_fd = target, .attach_btf_id = func[1]);

	return bpf_prog_load(BPF_PROG_TYPE_EXT, "synstile_probe", "GPL", insns, 2, &opts);
}

bool probe_freplace(void)
{
	int func[2], target = -1, replacement = -1, link = -1;
	struct btf *btf = freplace_types(func);

	if (btf)
		target = load_replaceable(btf, func);
	if (target >= 0)
		replacement = load_replacement(btf, func, target);
	/* loading is not enough: without trampolines only this fails */
	if (replacement >= 0)
		link = bpf_link_create(replacement, 0, 0, NULL);
	debug("freplace: types %s, target %d, replacement %d, link %d", btf ? "ok" : "refused",
	      target, replacement, link);
	if (link >= 0)
		close(link);
	if (replacement >= 0)
		close(replacement);
	if (target >= 0)
		close(target);
	btf__free(btf);
	return link >= 0;
}

static int ethtool(const char *ifname, void *command)
{
	struct ifreq request = {.ifr_data = command};
	int err, fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	strncpy(request.ifr_name, ifname, IFNAMSIZ - 1);
	err = ioctl(fd, SIOCETHTOOL, &request) ? -errno : 0;
	close(fd);
	return err;
}

void probe_driver(const char *ifname, char driver[32])
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};

	driver[0] = 0;
	if (!ethtool(ifname, &info))
		snprintf(driver, 32, "%.31s", info.driver);
}

void probe_queues(const char *ifname, struct queues *q)
{
	struct ethtool_channels c = {.cmd = ETHTOOL_GCHANNELS};
	struct ethtool_ringparam r = {.cmd = ETHTOOL_GRINGPARAM};

	memset(q, 0, sizeof(*q));
	if (!ethtool(ifname, &c)) {
		q->rx = c.combined_count + c.rx_count;
		q->rx_max = c.max_combined ? c.max_combined : c.max_rx;
	}
	if (!ethtool(ifname, &r)) {
		q->ring = r.rx_pending;
		q->ring_max = r.rx_max_pending;
	}
}

/* The number of an offload among the kernel's names for them, or -1. */
static int feature_number(const char *ifname, const char *feature, u32 *n)
{
	struct {
		struct ethtool_sset_info head;
		u32 n;
	} count = {.head = {.cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ULL << ETH_SS_FEATURES}};
	struct ethtool_gstrings *names;
	int found = -1;
	u32 i;

	if (ethtool(ifname, &count) || !count.head.sset_mask || count.n > 1024)
		return -1;
	names = calloc(1, sizeof(*names) + (size_t)count.n * ETH_GSTRING_LEN);
	if (!names)
		return -1;
	names->cmd = ETHTOOL_GSTRINGS;
	names->string_set = ETH_SS_FEATURES;
	names->len = count.n;
	if (ethtool(ifname, names))
		names->len = 0;
	for (i = 0; i < names->len && i < count.n; i++)
		if (!strncmp((char *)names->data + i * ETH_GSTRING_LEN, feature, ETH_GSTRING_LEN))
			found = i;
	free(names);
	*n = count.n;
	return found;
}

int probe_offload(const char *ifname, const char *feature, bool *fixed)
{
	struct ethtool_gfeatures *f;
	u32 n, bit, block;
	int number = feature_number(ifname, feature, &n), on = 0;

	*fixed = false;
	if (number < 0)
		return 0;
	f = calloc(1, sizeof(*f) + (n + 31) / 32 * sizeof(f->features[0]));
	if (!f)
		return 0;
	f->cmd = ETHTOOL_GFEATURES;
	f->size = (n + 31) / 32;
	block = number / 32;
	bit = 1u << number % 32;
	if (!ethtool(ifname, f) && f->size > block) {
		on = !!(f->features[block].active & bit);
		*fixed = !(f->features[block].available & bit) ||
			 f->features[block].never_changed & bit;
	}
	free(f);
	return on;
}

bool probe_strips_vlan(const char *ifname)
{
	struct ethtool_value flags = {.cmd = ETHTOOL_GFLAGS};

	return !ethtool(ifname, &flags) && flags.data & ETH_FLAG_RXVLAN;
}
