// SPDX-License-Identifier: GPL-2.0-only
/*
 * Flood generator for the tests, the lab and the bench. Sends from one end of a veth pair with
 * BPF_PROG_TEST_RUN in live-frame mode (see flood.bpf.c), and only inside the lab: on a veth
 * device, in a named namespace st-*, between addresses reserved for tests.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <ifaddrs.h>
#include <limits.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "flood.h"
#include "flood.skel.h"

#define NSEC         1000000000ULL
#define MAX_RATE     20000000
#define MAX_COUNT    1000000000
#define MAX_DURATION 120
#define MAX_PAYLOAD  1400
#define FLAT_OUT     16384 /* frames per call: about 2 ms */
#define BATCH        64    /* frames per NAPI poll of the receiver; a veth ring holds 256 */

enum tcp_options {
	OPTIONS_FULL,
	OPTIONS_MSS,
	OPTIONS_NONE
};

struct settings {
	const char *netns, *iface, *dst_arg, *src_arg, *dmac_arg;
	struct flood_conf conf;
	struct in6_addr dst; /* IPv4: the first four bytes */
	__u8 smac[ETH_ALEN], dmac[ETH_ALEN];
	int vlans[2], nvlans;
	enum tcp_options options;
	int payload; /* -1: not given */
	int cpu;     /* -1: any */
	double duration;
	__u64 rate, count, seed; /* 0: flat out, no limit */
	bool json;
};

static volatile sig_atomic_t stop;

static void __attribute__((noreturn, format(printf, 1, 2))) fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("flood: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

static void on_signal(int sig __attribute__((unused)))
{
	stop = 1;
}

/* clang-format off */
static void usage(void)
{
	puts("Usage: flood [options] --dst ADDR --dport N --dmac MAC IFACE\n"
	     "Send TCP segments out of IFACE, one end of a veth pair in a namespace named st-*.\n"
	     "\n"
	     "  -n, --netns NAME        enter /run/netns/NAME first\n"
	     "      --dst ADDR          in 198.18.0.0/15 or 2001:db8::/32\n"
	     "      --dport N[,N...]    drawn from up to 16 ports\n"
	     "      --dmac MAC          the receiver's address\n"
	     "      --src PREFIX        sources drawn from it (default: 198.18.0.0/15, 2001:db8::/32)\n"
	     "      --sport LO-HI       default 1024-65535\n"
	     "      --vlan ID[,ID]      one 802.1Q tag, or 802.1ad outside and 802.1Q inside\n"
	     "      --type TYPE         syn (default), ack, synack, rst, fin, data, mixed (these six)\n"
	     "                          or garbage (random frames of 14 to 1514 bytes)\n"
	     "      --options SET       full (MSS, SACK, timestamps, window scale; default), mss, none\n"
	     "      --payload N         bytes behind the TCP header, up to 1400 (default: data 64,\n"
	     "                          others 0; with mixed only in data)\n"
	     "      --seed N            the same seed gives the same frames (default 1)\n"
	     "      --fixed             one source address, source port and sequence number\n"
	     "      --rate PPS          frames per second (default 0: flat out)\n"
	     "      --duration SECONDS  default 5, or 120 with --count; at most 120\n"
	     "      --count N           stop after N frames\n"
	     "      --cpu N             run on this CPU only\n"
	     "  -j, --json              one line of JSON at the end\n"
	     "  -h, --help\n"
	     "\n"
	     "At the end it says how many frames were sent, how many the far end of the pair took\n"
	     "(delivered; includes whatever else IFACE sent meanwhile), and the rate sent.\n"
	     "The far end takes nothing unless an XDP program is attached to it, if only one that\n"
	     "passes everything (bpftool prog load xdp_pass.bpf.o /sys/fs/bpf/xdp_pass;\n"
	     "nsenter --net=/run/netns/NAME ip link set dev PEER xdp pinned /sys/fs/bpf/xdp_pass;\n"
	     "ip -n and ip netns exec do not see /sys/fs/bpf).\n"
	     "The receiver's XDP program runs on the sender's CPU: it is part of the rate.\n"
	     "Exit status: 0 sent (also when stopped by SIGINT or SIGTERM), 1 refused or failed.");
}
/* clang-format on */

/* ---- Reading the command line ---- */

static __u64 parse_number(const char *what, const char *arg, __u64 lo, __u64 hi)
{
	unsigned long long n;
	char *end;

	errno = 0;
	n = strtoull(arg, &end, 0);
	if (errno || end == arg || *end || *arg == '-' || n < lo || n > hi)
		fail("%s: \"%s\" is not a number from %llu to %llu", what, arg,
		     (unsigned long long)lo, (unsigned long long)hi);
	return n;
}

static double parse_duration(const char *arg)
{
	char *end;
	double d = strtod(arg, &end);

	if (end == arg || *end || !(d > 0 && d <= MAX_DURATION))
		fail("--duration: \"%s\" is not a number of seconds above 0, up to %d", arg,
		     MAX_DURATION);
	return d;
}

static int parse_name(const char *what, const char *arg, const char *const *names)
{
	for (int i = 0; names[i]; i++)
		if (!strcmp(arg, names[i]))
			return i;
	fail("%s: \"%s\" is unknown; see flood --help", what, arg);
}

static int parse_list(const char *what, const char *arg, int *out, int max, int lo, int hi)
{
	char *copy = strdup(arg), *save = NULL, *word;
	int n = 0;

	if (!copy)
		fail("out of memory");
	for (word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		if (n == max)
			fail("%s: \"%s\" has more than %d numbers", what, arg, max);
		out[n++] = parse_number(what, word, lo, hi);
	}
	free(copy);
	if (!n)
		fail("%s: \"%s\" has no number in it", what, arg);
	return n;
}

static void parse_dports(const char *arg, struct flood_conf *conf)
{
	int ports[FLOOD_MAXPORT];

	conf->ndports = parse_list("--dport", arg, ports, FLOOD_MAXPORT, 1, 65535);
	for (__u32 i = 0; i < conf->ndports; i++)
		conf->dports[i] = htons(ports[i]);
}

static void parse_sports(const char *arg, struct flood_conf *conf)
{
	unsigned int lo, hi;
	char rest;
	int n = sscanf(arg, "%u-%u%c", &lo, &hi, &rest);

	if (n == 1 && !strchr(arg, '-'))
		hi = lo;
	else if (n != 2)
		fail("--sport: \"%s\" is not LO-HI", arg);
	if (lo < 1 || hi > 65535 || lo > hi)
		fail("--sport: \"%s\" is not a range of ports from 1 to 65535", arg);
	conf->sport_lo = lo;
	conf->sport_n = hi - lo + 1;
}

static void parse_mac(const char *arg, __u8 *mac)
{
	char rest;

	if (sscanf(arg, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx%c", &mac[0], &mac[1], &mac[2], &mac[3],
		   &mac[4], &mac[5], &rest) != 6)
		fail("--dmac: \"%s\" is not a MAC address like 02:00:00:00:00:01", arg);
	if (mac[0] & 1)
		fail("--dmac: %s is a group address; give the receiver's own", arg);
}

/* Only addresses reserved for benchmarks (RFC 2544) and documentation (RFC 3849). */
static bool in_test_range(int family, const struct in6_addr *addr)
{
	if (family == AF_INET6)
		return ntohl(addr->s6_addr32[0]) == 0x20010db8;
	return (ntohl(addr->s6_addr32[0]) & 0xfffe0000) == 0xc6120000;
}

static int parse_address(const char *what, const char *arg, struct in6_addr *addr)
{
	int family = strchr(arg, ':') ? AF_INET6 : AF_INET;

	memset(addr, 0, sizeof(*addr));
	if (inet_pton(family, arg, addr) != 1)
		fail("%s: \"%s\" is not an IP address", what, arg);
	if (!in_test_range(family, addr))
		fail("%s: %s is outside 198.18.0.0/15 and 2001:db8::/32; flood sends nowhere else",
		     what, arg);
	return family;
}

static void parse_source(const char *arg, int family, struct flood_conf *conf)
{
	int bits = family == AF_INET6 ? 128 : 32, shortest = family == AF_INET6 ? 32 : 15;
	char text[INET6_ADDRSTRLEN + 4], *slash;
	struct in6_addr addr;
	int length = bits;

	snprintf(text, sizeof(text), "%s", arg);
	slash = strchr(text, '/');
	if (slash) {
		*slash = '\0';
		length = parse_number("--src", slash + 1, 0, bits);
	}
	if (parse_address("--src", text, &addr) != family)
		fail("--src: %s and --dst are not of one family", arg);
	if (length < shortest)
		fail("--src: %s reaches outside 198.18.0.0/15 and 2001:db8::/32", arg);
	for (int i = 0; i < bits / 32; i++) {
		int kept = length - 32 * i;
		__u32 random = kept >= 32 ? 0 : kept <= 0 ? ~0U : ~0U >> kept;

		conf->src_random[i] = htonl(random);
		conf->src[i] = addr.s6_addr32[i] & ~conf->src_random[i];
	}
}

enum {
	OPT_DST = 256,
	OPT_DPORT,
	OPT_DMAC,
	OPT_SRC,
	OPT_SPORT,
	OPT_VLAN,
	OPT_TYPE,
	OPT_OPTIONS,
	OPT_PAYLOAD,
	OPT_SEED,
	OPT_FIXED,
	OPT_RATE,
	OPT_DURATION,
	OPT_COUNT,
	OPT_CPU
};

static const struct option long_options[] = {
	{"netns", 1, NULL, 'n'},
	{"dst", 1, NULL, OPT_DST},
	{"dport", 1, NULL, OPT_DPORT},
	{"dmac", 1, NULL, OPT_DMAC},
	{"src", 1, NULL, OPT_SRC},
	{"sport", 1, NULL, OPT_SPORT},
	{"vlan", 1, NULL, OPT_VLAN},
	{"type", 1, NULL, OPT_TYPE},
	{"options", 1, NULL, OPT_OPTIONS},
	{"payload", 1, NULL, OPT_PAYLOAD},
	{"seed", 1, NULL, OPT_SEED},
	{"fixed", 0, NULL, OPT_FIXED},
	{"rate", 1, NULL, OPT_RATE},
	{"duration", 1, NULL, OPT_DURATION},
	{"count", 1, NULL, OPT_COUNT},
	{"cpu", 1, NULL, OPT_CPU},
	{"json", 0, NULL, 'j'},
	{"help", 0, NULL, 'h'},
	{0},
};

static void take_option(int opt, struct settings *s)
{
	/* In the order of enum flood_kind and enum tcp_options. */
	static const char *const types[] = {"syn",  "ack",     "synack", "rst", "fin",
					    "data", "garbage", "mixed",  NULL};
	static const char *const sets[] = {"full", "mss", "none", NULL};

	switch (opt) {
	case 'n':
		s->netns = optarg;
		break;
	case OPT_DST:
		s->dst_arg = optarg;
		break;
	case OPT_DPORT:
		parse_dports(optarg, &s->conf);
		break;
	case OPT_DMAC:
		s->dmac_arg = optarg;
		break;
	case OPT_SRC:
		s->src_arg = optarg;
		break;
	case OPT_SPORT:
		parse_sports(optarg, &s->conf);
		break;
	case OPT_VLAN:
		s->nvlans = parse_list("--vlan", optarg, s->vlans, 2, 0, 4094);
		break;
	case OPT_TYPE:
		s->conf.kind = parse_name("--type", optarg, types);
		break;
	case OPT_OPTIONS:
		s->options = parse_name("--options", optarg, sets);
		break;
	case OPT_PAYLOAD:
		s->payload = parse_number("--payload", optarg, 0, MAX_PAYLOAD);
		break;
	case OPT_SEED:
		s->seed = parse_number("--seed", optarg, 0, ULLONG_MAX);
		break;
	case OPT_FIXED:
		s->conf.fixed = 1;
		break;
	case OPT_RATE:
		s->rate = parse_number("--rate", optarg, 0, MAX_RATE);
		break;
	case OPT_DURATION:
		s->duration = parse_duration(optarg);
		break;
	case OPT_COUNT:
		s->count = parse_number("--count", optarg, 1, MAX_COUNT);
		break;
	case OPT_CPU:
		s->cpu = parse_number("--cpu", optarg, 0, get_nprocs_conf() - 1);
		break;
	case 'j':
		s->json = true;
		break;
	case 'h':
		usage();
		exit(0);
	default: /* getopt has said what is wrong */
		exit(1);
	}
}

/* One round of splitmix64, so that neighbouring seeds are not neighbouring sequences. */
static __u64 spread_seed(__u64 z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static void finish_settings(struct settings *s)
{
	struct flood_conf *conf = &s->conf;
	int family;

	if (!s->dst_arg || !conf->ndports || !s->dmac_arg)
		fail("--dst, --dport and --dmac are needed; see flood --help");
	family = parse_address("--dst", s->dst_arg, &s->dst);
	parse_source(s->src_arg
			     ?: family == AF_INET6 ? "2001:db8::/32"
						   : "198.18.0.0/15",
		     family, conf);
	parse_mac(s->dmac_arg, s->dmac);
	conf->v6 = family == AF_INET6;
	conf->seed = spread_seed(s->seed);

	/* Garbage comes in both families; the one without --dst goes to the range's first host. */
	conf->garbage_dst4 = conf->v6 ? htonl(0xc6120001) : s->dst.s6_addr32[0];
	conf->garbage_dst6[0] = htonl(0x20010db8);
	conf->garbage_dst6[3] = htonl(1);
	if (conf->v6)
		memcpy(conf->garbage_dst6, &s->dst, sizeof(s->dst));
	if (conf->kind == FLOOD_GARBAGE && (s->nvlans || s->payload >= 0 || conf->fixed))
		fail("garbage draws its own tags, payload and sources: leave out --vlan, --payload "
		     "and --fixed");
	if (s->duration == 0)
		s->duration = s->count ? MAX_DURATION : 5;
}

static void parse_arguments(int argc, char **argv, struct settings *s)
{
	int opt;

	*s = (struct settings){.payload = -1, .cpu = -1, .seed = 1};
	parse_sports("1024-65535", &s->conf);
	while ((opt = getopt_long(argc, argv, "n:jh", long_options, NULL)) != -1)
		take_option(opt, s);
	if (optind != argc - 1)
		fail("give one interface; see flood --help");
	s->iface = argv[optind];
	if (strlen(s->iface) >= IFNAMSIZ)
		fail("\"%s\" is too long for an interface's name", s->iface);
	finish_settings(s);
}

/* ---- Staying inside the lab ---- */

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static void enter_netns(const char *name)
{
	char path[PATH_MAX];
	int fd;

	if (strncmp(name, "st-", 3) || strchr(name, '/'))
		fail("refused: namespace \"%s\" is not named st-*", name);
	snprintf(path, sizeof(path), "/run/netns/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fail("%s: %s; create it with ip netns add %s", path, strerror(errno), name);
	if (setns(fd, CLONE_NEWNET))
		fail("entering %s: %s%s", path, strerror(errno),
		     errno == EPERM ? "; run as root" : "");
	close(fd);
}

/* Has the current namespace a name that begins with st-? */
static bool named_for_lab(const struct stat *self)
{
	DIR *dir = opendir("/run/netns");
	struct dirent *entry;
	bool found = false;
	struct stat st;

	if (!dir)
		return false;
	while (!found && (entry = readdir(dir)))
		if (!strncmp(entry->d_name, "st-", 3) &&
		    !fstatat(dirfd(dir), entry->d_name, &st, 0))
			found = same_file(self, &st);
	closedir(dir);
	return found;
}

/*
 * Two signs, either is enough: process 1 lives here, or net.core.dev_weight exists, which the
 * kernel registers in its initial namespace only (net/core/sysctl_net_core.c). The second one is
 * for where /proc/1/ns may not be read (sandboxes) or process 1 is a container's. Not seeing this
 * namespace's settings at all counts as being initial.
 */
static bool is_initial_netns(const struct stat *self)
{
	struct stat init;

	if (!stat("/proc/1/ns/net", &init) && same_file(self, &init))
		return true;
	return !access("/proc/sys/net/core/dev_weight", F_OK) ||
	       access("/proc/sys/net/core/somaxconn", F_OK);
}

static void require_lab_netns(void)
{
	struct stat self;

	if (stat("/proc/self/ns/net", &self))
		fail("refused: /proc/self/ns/net: %s", strerror(errno));
	if (is_initial_netns(&self))
		fail("refused: this is the initial network namespace; use -n st-NAME");
	if (!named_for_lab(&self))
		fail("refused: this network namespace has no name st-* in /run/netns");
}

/* Also learns its index and its MAC address. */
static void require_veth(struct settings *s)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	struct ifreq ifr = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		fail("socket: %s", strerror(errno));
	strcpy(ifr.ifr_name, s->iface); /* its length is checked */
	ifr.ifr_data = (void *)&info;
	if (ioctl(fd, SIOCETHTOOL, &ifr))
		fail("refused: cannot tell what %s is (%s); it must be one end of a veth pair",
		     s->iface, strerror(errno));
	if (strcmp(info.driver, "veth"))
		fail("refused: %s is not a veth device but \"%.32s\"", s->iface, info.driver);
	if (ioctl(fd, SIOCGIFHWADDR, &ifr))
		fail("%s: %s", s->iface, strerror(errno));
	memcpy(s->smac, ifr.ifr_hwaddr.sa_data, ETH_ALEN);
	if (ioctl(fd, SIOCGIFFLAGS, &ifr))
		fail("%s: %s", s->iface, strerror(errno));
	if (!(ifr.ifr_flags & IFF_UP) || !(ifr.ifr_flags & IFF_RUNNING))
		fail("%s or its far end is down; use ip link set up on both", s->iface);
	close(fd);
	s->conf.ifindex = if_nametoindex(s->iface);
}

/* ---- Laying out the frames ---- */

static __u32 sum16(const void *data, size_t len)
{
	const __u8 *p = data;
	__u32 sum = 0;
	__u16 word;

	for (size_t i = 0; i < len; i += 2) {
		word = 0;
		memcpy(&word, p + i, len - i < 2 ? 1 : 2);
		sum += word;
	}
	return sum;
}

static void put16(struct flood_frame *f, __u32 off, __u16 value)
{
	value = htons(value);
	memcpy(f->buf + off, &value, sizeof(value));
}

/* Returns where the IP header goes. */
static __u32 put_ethernet(struct flood_frame *f, const struct settings *s)
{
	__u32 off = FLOOD_PAD;

	memcpy(f->buf + off, s->dmac, ETH_ALEN);
	memcpy(f->buf + off + ETH_ALEN, s->smac, ETH_ALEN);
	off += 2 * ETH_ALEN;
	for (int i = 0; i < s->nvlans; i++, off += 4) {
		put16(f, off, s->nvlans == 2 && i == 0 ? 0x88a8 : ETHERTYPE_VLAN);
		put16(f, off + 2, s->vlans[i]);
	}
	put16(f, off, s->conf.v6 ? ETHERTYPE_IPV6 : ETHERTYPE_IP);
	return off + 2;
}

/* Both return the sum of what the pseudo-header takes from the IP header, source aside. */
static __u32 put_ipv4(struct flood_frame *f, const struct settings *s, __u32 tcp_len)
{
	struct iphdr *ip = (void *)(f->buf + s->conf.l3);

	*ip = (struct iphdr){
		.version = 4,
		.ihl = 5,
		.tot_len = htons(sizeof(*ip) + tcp_len),
		.frag_off = htons(IP_DF),
		.ttl = 64,
		.protocol = IPPROTO_TCP,
		.daddr = s->dst.s6_addr32[0],
	};
	f->ip_sum = sum16(ip, sizeof(*ip));
	return sum16(&ip->daddr, sizeof(ip->daddr));
}

static __u32 put_ipv6(struct flood_frame *f, const struct settings *s, __u32 tcp_len)
{
	struct ip6_hdr *ip6 = (void *)(f->buf + s->conf.l3);

	ip6->ip6_flow = htonl(6U << 28);
	ip6->ip6_plen = htons(tcp_len);
	ip6->ip6_nxt = IPPROTO_TCP;
	ip6->ip6_hlim = 64;
	ip6->ip6_dst = s->dst;
	return sum16(&ip6->ip6_dst, sizeof(ip6->ip6_dst));
}

/* Options in Linux's order (tcp_options_write() in net/ipv4/tcp_output.c). Returns their length. */
static int put_options(struct flood_frame *f, const struct settings *s, enum flood_kind kind)
{
	static const __u8 on_syn[20] = {2, 4, 0, 0, 4, 2, 8, 10, [16] = 1, 3, 3, 7};
	static const __u8 later[12] = {1, 1, 8, 10};
	__u32 off = s->conf.l4 + sizeof(struct tcphdr);
	bool syn = kind == FLOOD_SYN || kind == FLOOD_SYNACK;
	int len = 0;

	if (s->options == OPTIONS_NONE || kind == FLOOD_RST)
		return 0;
	if (syn) {
		len = s->options == OPTIONS_FULL ? sizeof(on_syn) : 4;
		memcpy(f->buf + off, on_syn, len);
		put16(f, off + 2, s->conf.v6 ? 1440 : 1460);
	} else if (s->options == OPTIONS_FULL) {
		len = sizeof(later);
		memcpy(f->buf + off, later, len);
	}
	if (s->options == OPTIONS_FULL)
		f->ts_off = off + (syn ? 8 : 4);
	return len;
}

static void put_segment(struct flood_frame *f, const struct settings *s, enum flood_kind kind,
			int payload)
{
	struct tcphdr *tcp = (void *)(f->buf + s->conf.l4);
	int header = sizeof(*tcp) + put_options(f, s, kind), tcp_len = header + payload;
	__u32 pseudo;

	f->has_ack = kind != FLOOD_SYN && kind != FLOOD_RST;
	tcp->doff = header / 4;
	tcp->syn = kind == FLOOD_SYN || kind == FLOOD_SYNACK;
	tcp->rst = kind == FLOOD_RST;
	tcp->fin = kind == FLOOD_FIN;
	tcp->psh = kind == FLOOD_DATA;
	tcp->ack = f->has_ack;
	tcp->window = htons(tcp->syn ? 64240 : tcp->rst ? 0 : 502);
	for (int i = 0; i < payload; i++)
		f->buf[s->conf.l4 + header + i] = "synstile flood. "[i % 16];

	pseudo = s->conf.v6 ? put_ipv6(f, s, tcp_len) : put_ipv4(f, s, tcp_len);
	f->tcp_sum = pseudo + htons(IPPROTO_TCP) + htons(tcp_len) + sum16(tcp, tcp_len);
	f->len = s->conf.l4 + tcp_len - FLOOD_PAD;
}

/* Lays out all frames the type needs and returns the length of the longest. */
static __u32 lay_out_frames(struct flood_bpf *skel, const struct settings *s)
{
	__u32 longest = 0;

	put_ethernet(&skel->bss->noise, s);
	if (s->conf.kind == FLOOD_GARBAGE)
		return FLOOD_MAXLEN;
	for (int kind = 0; kind < FLOOD_KINDS; kind++) {
		struct flood_frame *f = &skel->bss->frames[kind];
		int payload = s->payload;

		if (payload < 0)
			payload = kind == FLOOD_DATA ? 64 : 0;
		if (s->conf.kind == FLOOD_MIXED && kind != FLOOD_DATA)
			payload = 0;
		put_ethernet(f, s);
		put_segment(f, s, kind, payload);
		if ((s->conf.kind == FLOOD_MIXED || (int)s->conf.kind == kind) && f->len > longest)
			longest = f->len;
	}
	return longest;
}

/* ---- Sending ---- */

static int only_warnings(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, fmt, ap) : 0;
}

static struct flood_bpf *load(struct settings *s)
{
	struct flood_bpf *skel;

	libbpf_set_print(only_warnings);
	skel = flood_bpf__open();
	if (!skel)
		fail("opening the BPF object: %s", strerror(errno));
	s->conf.l3 = FLOOD_PAD + ETH_HLEN + 4 * s->nvlans;
	s->conf.l4 = s->conf.l3 + (s->conf.v6 ? sizeof(struct ip6_hdr) : sizeof(struct iphdr));
	s->conf.size = lay_out_frames(skel, s);
	memcpy((void *)&skel->rodata->conf, &s->conf, sizeof(s->conf));
	if (flood_bpf__load(skel))
		fail("loading the BPF program: %s%s", strerror(errno),
		     errno == EPERM ? "; run as root" : "");
	return skel;
}

/*
 * A test run of more than one frame enters the program into the kernel's XDP dispatcher and takes
 * it out again (bpf_prog_change_xdp()), which patches code and waits for RCU: 1.3 ms a call, all of
 * one CPU at 300,000/s. A program that is attached somewhere stays in. So attach it to a tap device
 * of our own that is never up and goes when the descriptor closes. Without one we are only slower.
 */
static void stay_in_dispatcher(const struct flood_bpf *skel)
{
	struct ifreq ifr = {.ifr_name = "flood%d", .ifr_flags = IFF_TAP | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return;
	if (ioctl(fd, TUNSETIFF, &ifr) ||
	    bpf_xdp_attach(if_nametoindex(ifr.ifr_name), bpf_program__fd(skel->progs.flood), 0,
			   NULL))
		close(fd);
	/* else it stays open until we exit */
}

/* Frames the far end has taken; 32 bits wrap only after more than a run's worth. */
static __u32 delivered_frames(const char *iface)
{
	struct ifaddrs *list, *i;
	__u32 packets = 0;

	if (getifaddrs(&list))
		return 0;
	for (i = list; i; i = i->ifa_next)
		if (i->ifa_addr && i->ifa_addr->sa_family == AF_PACKET && i->ifa_data &&
		    !strcmp(i->ifa_name, iface))
			packets = ((struct rtnl_link_stats *)i->ifa_data)->tx_packets;
	freeifaddrs(list);
	return packets;
}

static __u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC + ts.tv_nsec;
}

static void sleep_until(__u64 ns)
{
	struct timespec ts = {ns / NSEC, ns % NSEC};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

static void send_frames(struct flood_bpf *skel, int n)
{
	static const __u8 blank[FLOOD_MAXLEN];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = blank,
		    .data_size_in = skel->rodata->conf.size, .repeat = n,
		    .batch_size = n < BATCH ? n : BATCH, .flags = BPF_F_TEST_XDP_LIVE_FRAMES);
	int err = bpf_prog_test_run_opts(bpf_program__fd(skel->progs.flood), &opts);

	if (err && err != -EINTR)
		fail("sending: %s%s", strerror(-err),
		     err == -EINVAL ? "; live frames need Linux 5.18" : "");
}

/*
 * How many frames to send now: what the rate has made due, a millisecond's worth at least. Sleeps
 * when ahead. A sender held up catches up in steps of FLAT_OUT / 4.
 */
static int frames_due(const struct settings *s, __u64 start, __u64 sent)
{
	__u64 due, step, n = FLAT_OUT;

	if (s->rate) {
		step = s->rate / 1000 ?: 1;
		if (step > FLAT_OUT / 4)
			step = FLAT_OUT / 4;
		sleep_until(start + sent * NSEC / s->rate);
		due = (now_ns() - start) * s->rate / NSEC;
		n = due > sent + step ? due - sent : step;
		if (n > FLAT_OUT / 4)
			n = FLAT_OUT / 4;
	}
	if (s->count && n > s->count - sent)
		n = s->count - sent;
	return n;
}

static double run(struct flood_bpf *skel, const struct settings *s)
{
	const volatile __u64 *made = &skel->bss->made;
	__u64 start = now_ns(), end = start + s->duration * NSEC;

	while (!stop && now_ns() < end && (!s->count || *made < s->count)) {
		int n = frames_due(s, start, *made);

		/* The sleep may have passed the end, or been cut short by a signal. */
		if (stop || now_ns() >= end)
			break;
		send_frames(skel, n);
	}
	return (double)(now_ns() - start) / NSEC;
}

static void prepare_process(const struct settings *s)
{
	struct sigaction action = {.sa_handler = on_signal};
	cpu_set_t cpus;

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	prctl(PR_SET_TIMERSLACK, 1); /* 50 us otherwise */
	if (s->cpu < 0)
		return;
	CPU_ZERO(&cpus);
	CPU_SET(s->cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		fail("--cpu %d: %s", s->cpu, strerror(errno));
}

static void report(const struct settings *s, __u64 sent, __u32 delivered, double seconds)
{
	double pps = seconds > 0 ? sent / seconds : 0;

	if (s->json)
		printf("{\"sent\": %llu, \"delivered\": %u, \"seconds\": %.3f, \"pps\": %.0f}\n",
		       (unsigned long long)sent, delivered, seconds, pps);
	else
		printf("sent %llu frames (%u delivered) in %.3f s: %.0f per second\n",
		       (unsigned long long)sent, delivered, seconds, pps);
	if (sent && !delivered)
		fprintf(stderr,
			"flood: nothing was delivered: attach an XDP program to the far end of %s "
			"(see flood --help)\n",
			s->iface);
}

int main(int argc, char **argv)
{
	struct flood_bpf *skel;
	struct settings s;
	__u32 before;
	double seconds;

	parse_arguments(argc, argv, &s);
	if (s.netns)
		enter_netns(s.netns);
	require_lab_netns();
	require_veth(&s);

	skel = load(&s);
	stay_in_dispatcher(skel);
	prepare_process(&s);
	before = delivered_frames(s.iface);
	seconds = run(skel, &s);
	usleep(20000); /* the far end's softirq counts when it has finished */
	report(&s, skel->bss->made, delivered_frames(s.iface) - before, seconds);
	flood_bpf__destroy(skel);
	return 0;
}
