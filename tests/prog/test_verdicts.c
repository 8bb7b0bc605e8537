// SPDX-License-Identifier: GPL-2.0-only
/*
 * A row for every verdict that XDP gives, most of them in several ways; each row is run
 * over IPv4 and IPv6 behind no, one and two VLAN tags. The last test fails if a
 * verdict has no row.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

enum {
	BOTH,
	V4,
	V6
};

/* TCP_REPAIR: a socket becomes established without a packet. <netinet/tcp.h> clashes. */
#define OPT_TCP_REPAIR 19

struct row {
	const char *name;
	enum synstile_verdict v;
	int action;
	int family;
	enum service_mode mode;
	struct spec spec;
	void (*before)(struct spec *s); /* fills maps, may complete the spec */
	void (*bend)(struct frame *f);  /* damages the frame */
	void (*after)(const struct spec *s, const struct frame *f, const struct run *r);
	bool full; /* rows that are not for each depth of VLAN tags */
};

static int sockets[16], n_sockets;

static void addr_of(struct sockaddr_storage *out, const struct spec *s, bool server)
{
	struct sockaddr_in6 *six = (void *)out;
	struct sockaddr_in *four = (void *)out;
	u8 addr[2][16];

	memset(out, 0, sizeof(*out));
	frame_addresses(s, addr[0], addr[1]);
	if (s->ipv6) {
		six->sin6_family = AF_INET6;
		six->sin6_port = htons(server ? PORT : s->sport ? s->sport : 40000);
		memcpy(&six->sin6_addr, addr[server], 16);
	} else {
		four->sin_family = AF_INET;
		four->sin_port = htons(server ? PORT : s->sport ? s->sport : 40000);
		memcpy(&four->sin_addr, addr[server] + 12, 4);
	}
}

/* A socket of the server's that the stack thinks connected to the client. */
static void with_socket(struct spec *s)
{
	struct sockaddr_storage server, client;
	int one = 1, fd = socket(s->ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM, 0);

	addr_of(&server, s, true);
	addr_of(&client, s, false);
	sockets[n_sockets++] = fd;
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, OPT_TCP_REPAIR, &one, sizeof(one)), 0);
	assert_int_equal(bind(fd, (void *)&server, sizeof(server)), 0);
	assert_int_equal(connect(fd, (void *)&client, sizeof(client)), 0);
}

static void put_flow(const struct spec *s, u8 phase)
{
	struct flow f;

	prog_make_flow(&f, phase);
	prog_put_flow(s, &f);
}

static void with_half_open(struct spec *s)
{
	put_flow(s, FLOW_HALF_OPEN);
}

/* The SYN-ACK left another way. */
static void with_half_open_unheard(struct spec *s)
{
	struct flow f;

	prog_make_flow(&f, FLOW_HALF_OPEN);
	memset(&f.side[LOCAL], 0, sizeof(f.side[LOCAL]));
	f.word = flow_word(ST_SYN_SENT, ST_LISTEN, FLOW_HALF_OPEN, 1);
	prog_put_flow(s, &f);
}

static void with_half_open_and_socket(struct spec *s)
{
	with_half_open_unheard(s);
	with_socket(s);
}

static void with_open(struct spec *s)
{
	put_flow(s, FLOW_OPEN);
}

/* One that the host itself opened. */
static void with_hosts(struct spec *s)
{
	struct flow f;

	prog_make_flow(&f, FLOW_OPEN);
	f.flags |= FLOW_OPENED_LOCAL;
	f.admission = ADMIT_HOST;
	f.service = 0;
	prog_put_flow(s, &f);
}

static void with_closed(struct spec *s)
{
	put_flow(s, FLOW_CLOSED);
}

/* The host is in TIME-WAIT. */
static void with_time_wait(struct spec *s)
{
	struct flow f;

	prog_make_flow(&f, FLOW_CLOSED);
	f.side[LOCAL].flags &= ~SIDE_PASSIVE;
	f.side[REMOTE].flags |= SIDE_PASSIVE;
	f.word = flow_word(ST_CLOSED, ST_TIME_WAIT, FLOW_CLOSED, 7);
	prog_put_flow(s, &f);
}

static void with_proven(struct spec *s)
{
	put_flow(s, FLOW_PROVEN);
}

static void with_proven_and_socket(struct spec *s)
{
	with_proven(s);
	with_socket(s);
}

/* Its half-open entry is older than any handshake takes: it is as if it were not there. */
static void with_expired(struct spec *s)
{
	struct service service;
	struct flow f;

	prog_get_service(&service);
	service.syn_calm_ms = 1000; /* the machine may be up for less than the usual 63 s */
	prog_put_service(&service);
	prog_make_flow(&f, FLOW_HALF_OPEN);
	f.opened = 1;
	prog_put_flow(s, &f);
}

static void with_table_full_and_socket(struct spec *s)
{
	const struct shared sh = {.table_full = prog_now()};

	prog_put_shared(&sh);
	with_socket(s);
}

static void not_listening(struct spec *s)
{
	prog_unlisten(s);
}

static void in_attack(struct spec *s)
{
	(void)s;
	prog_attack();
}

static void cookies_out(struct spec *s)
{
	(void)s;
	prog_cookies_out();
}

/* Turn a spec with flags only into one that follows the SYN-ACK to a Linux SYN. */
static void after_cookie(struct spec *s)
{
	struct spec syn = *s;
	struct answer a;

	syn.flags = SYN;
	syn.payload = 0;
	offer_options(&syn, TCP_SACK | TCP_TSTAMP | TCP_WSCALE, 1460, 7);
	get_cookie(&a, &syn);
	*s = next_segment(&syn, &a, s->flags, s->payload);
}

static void after_plain_cookie(struct spec *s)
{
	struct spec syn = *s;
	struct answer a;

	syn.flags = SYN;
	syn.payload = 0;
	get_cookie(&a, &syn);
	*s = next_segment(&syn, &a, s->flags, s->payload);
}

static void keepalive(struct spec *s)
{
	after_cookie(s);
	s->seq--;
}

static void replayed(struct spec *s)
{
	static struct frame f;
	static struct run r;

	after_cookie(s);
	run_spec(&r, &f, s);
	expect(&r, V_COOKIE_VALID, XDP_PASS);
}

static void wrong_ack(struct spec *s)
{
	after_cookie(s);
	s->ack ^= 1 << 20;
}

/* A service whose index is beyond the map (cannot happen): not followed blindly. */
static void arp(struct frame *f)
{
	put16(f->bytes + f->l3 - 2, 0x0806);
}

static void udp(struct frame *f)
{
	f->bytes[f->l3 + ((f->bytes[f->l3] >> 4) == 4 ? 9 : 6)] = 17;
}

static void third_tag(struct frame *f)
{
	put16(f->bytes + f->l3 - 2, 0x8100);
}

static void cut_tag(struct frame *f)
{
	put16(f->bytes + f->l3 - 2, 0x8100);
	f->len = f->l3 + 2;
}

static void bad_version(struct frame *f)
{
	f->bytes[f->l3] = 0x25;
}

static void cut_ip(struct frame *f)
{
	f->len = f->l3 + 19;
}

static void short_header(struct frame *f)
{
	f->bytes[f->l4 + 12] = 0x40;
}

static void segments_left(struct frame *f)
{
	f->bytes[f->l3 + 43] = 1;
}

static void cut_tcp(struct frame *f)
{
	f->len = f->l4 + 19;
}

static void option_length_1(struct frame *f)
{
	f->bytes[f->l4 + 20] = 30;
	f->bytes[f->l4 + 21] = 1;
}

static void source_multicast(struct frame *f)
{
	if (f->bytes[f->l3] >> 4 == 4)
		f->bytes[f->l3 + 12] = 224;
	else
		f->bytes[f->l3 + 8] = 0xff;
}

/* 2001:db8::192.0.2.1 */
static void embedded_ipv4(struct frame *f)
{
	put32(f->bytes + f->l3 + 36, 0xc0000201);
}

static void source_port_0(struct frame *f)
{
	put16(f->bytes + f->l4, 0);
}

static void source_is_target(struct frame *f)
{
	if (f->bytes[f->l3] >> 4 == 4)
		memcpy(f->bytes + f->l3 + 12, f->bytes + f->l3 + 16, 4);
	else
		memcpy(f->bytes + f->l3 + 8, f->bytes + f->l3 + 24, 16);
}

/* The datagram claims 1000 bytes more than the frame has. */
static void ip_too_long(struct frame *f)
{
	u8 *len = f->bytes + f->l3 + (f->bytes[f->l3] >> 4 == 4 ? 2 : 4);

	put16(len, get16(len) + 1000);
	frame_ip_checksum(f);
}

static void ip_checksum_wrong(struct frame *f)
{
	f->bytes[f->l3 + 11] ^= 1;
}

static void flow_is(const struct spec *s, u8 phase, u8 admission)
{
	struct flow f;

	assert_true(prog_flow(&f, s));
	assert_int_equal(flow_phase(f.word), phase);
	assert_int_equal(f.admission, admission);
	assert_int_equal(f.service, SERVICE);
}

static void is_half_open(const struct spec *s, const struct frame *f, const struct run *r)
{
	struct pressure p;

	(void)f, (void)r;
	flow_is(s, FLOW_HALF_OPEN, ADMIT_CALM);
	prog_get_pressure(&p);
	assert_int_equal(p.half_open, 1);
}

static void is_adopted(const struct spec *s, const struct frame *f, const struct run *r)
{
	(void)f, (void)r;
	flow_is(s, FLOW_OPEN, ADMIT_ADOPTED);
}

static void is_proven(const struct spec *s, const struct frame *f, const struct run *r)
{
	(void)f, (void)r;
	flow_is(s, FLOW_PROVEN, ADMIT_COOKIE);
}

static void is_open_by_cookie(const struct spec *s, const struct frame *f, const struct run *r)
{
	(void)f, (void)r;
	flow_is(s, FLOW_OPEN, ADMIT_COOKIE);
}

static void is_proven_with_fin(const struct spec *s, const struct frame *f, const struct run *r)
{
	struct flow flow;

	is_proven(s, f, r);
	assert_true(prog_flow(&flow, s));
	assert_true(flow.side[REMOTE].flags & SIDE_FIN);
}

static void stays_half_open(const struct spec *s, const struct frame *f, const struct run *r)
{
	(void)f, (void)r;
	flow_is(s, FLOW_HALF_OPEN, ADMIT_CALM);
}

static void is_open(const struct spec *s, const struct frame *f, const struct run *r)
{
	(void)f, (void)r;
	assert_int_equal(prog_phase(s), FLOW_OPEN);
}

/* Not believed. */
static void is_open_and_odd(const struct spec *s, const struct frame *f, const struct run *r)
{
	struct flow flow;
	u64 odd = 0;

	is_open(s, f, r);
	assert_true(prog_flow(&flow, s));
	assert_int_equal(flow.side[REMOTE].segments, 1);
	for (int i = 0; i < ODD_COUNT; i++)
		odd += prog_odd(i);
	assert_int_equal(odd, 1);
}

/* A record stays for a while, so that what comes late is no stranger's. */
static void is_reset(const struct spec *s, const struct frame *f, const struct run *r)
{
	struct flow flow;

	(void)f, (void)r;
	assert_true(prog_flow(&flow, s));
	assert_int_equal(flow_state(flow.word, REMOTE), ST_CLOSED);
	assert_int_equal(flow_state(flow.word, LOCAL), ST_CLOSED);
	assert_int_equal(flow_phase(flow.word), FLOW_CLOSED);
	assert_int_equal(flow.end, END_RST_CLIENT);
}

static void is_in_time_wait(const struct spec *s, const struct frame *f, const struct run *r)
{
	struct flow flow;

	(void)f, (void)r;
	assert_true(prog_flow(&flow, s));
	assert_int_equal(flow_state(flow.word, REMOTE), ST_CLOSED);
	assert_int_equal(flow_state(flow.word, LOCAL), ST_TIME_WAIT);
	assert_int_equal(flow.end, END_NONE);
}

static void is_gone(const struct spec *s, const struct frame *f, const struct run *r)
{
	struct flow flow;

	(void)f, (void)r;
	assert_false(prog_flow(&flow, s));
}

static void is_reopened(const struct spec *s, const struct frame *f, const struct run *r)
{
	(void)f, (void)r;
	flow_is(s, FLOW_HALF_OPEN, ADMIT_CALM);
}

static void is_closing(const struct spec *s, const struct frame *f, const struct run *r)
{
	struct flow flow;

	(void)f, (void)r;
	assert_true(prog_flow(&flow, s));
	assert_int_equal(flow_phase(flow.word), FLOW_CLOSING);
	assert_int_equal(flow_state(flow.word, REMOTE), ST_FIN_WAIT_1);
}

static void is_empty(const struct spec *s, const struct frame *f, const struct run *r)
{
	(void)s, (void)f, (void)r;
	assert_int_equal(prog_flows(), 0); /* an attacker's packets write to no table */
}

static void is_synack(const struct spec *s, const struct frame *f, const struct run *r)
{
	struct answer a;

	check_synack(&a, f, s, r, 0);
	is_empty(s, f, r);
}

static void list_client(const struct spec *s, u32 action)
{
	const struct rules r = {.flags = RULES_PREFIXES};
	struct prefix_key key = {.bits = 128};
	u8 server[16];

	frame_addresses(s, key.addr.b, server);
	prog_prefixes(0, &key, &action, 1);
	prog_rules(0, &r);
}

static void allowed(struct spec *s)
{
	list_client(s, PREFIX_ALLOW);
	prog_attack();
}

static void denied(struct spec *s)
{
	list_client(s, PREFIX_DENY);
}

static void is_allowed(const struct spec *s, const struct frame *f, const struct run *r)
{
	(void)f, (void)r;
	flow_is(s, FLOW_HALF_OPEN, ADMIT_ALLOWED);
}

/* One SYN an hour, which another connection of this client has just used up. */
static void used_up(struct spec *s)
{
	const struct rules r = {
		.flags = RULES_LIMIT, .ipv6_prefix = 64, .limit = {.interval = 3600 * NS_PER_S}};
	static struct frame f;
	struct spec first = *s;
	struct run run;

	prog_rules(0, &r);
	first.sport = 7;
	run_spec(&run, &f, &first);
}

static void verified(struct spec *s)
{
	const struct rules r = {
		.flags = RULES_VERIFIED, .ipv6_prefix = 128, .verified = {.interval = NS_PER_S}};
	const struct verified v = {.until = prog_now() + 60 * NS_PER_S};
	struct addr source;
	u8 server[16];

	frame_addresses(s, source.b, server);
	prog_rules(0, &r);
	prog_put_verified(&source, &v);
	prog_attack();
}

static void is_verified(const struct spec *s, const struct frame *f, const struct run *r)
{
	(void)f, (void)r;
	flow_is(s, FLOW_HALF_OPEN, ADMIT_VERIFIED);
}

#define PASS XDP_PASS
#define DROP XDP_DROP
#define LINUX_SYN                                                                                  \
	.flags = SYN, .options_len = 20,                                                           \
	.options = {2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 1, 2, 0, 0, 0, 0, 1, 3, 3, 7}

// clang-format off
/* what a row does not say is nothing */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
static const struct row rows[] = {
	{"ARP", V_OTHER, PASS, .mode = MODE_ALWAYS, .bend = arp},
	{"UDP to the service", V_OTHER, PASS, .mode = MODE_ALWAYS, .bend = udp},
	{"later fragment", V_FRAGMENT, PASS, V4, MODE_ALWAYS, {.flags = SYN, .frag = 0x2010}},
	{"later fragment", V_FRAGMENT, PASS, V6, MODE_ALWAYS, {.flags = SYN, .frag = 0x0081}},
	{"first fragment of a stray ACK", V_FRAGMENT, PASS, V4, MODE_ALWAYS,
	 {.flags = ACK, .frag = 0x2000}, .after = is_empty},
	{"first fragment of a stray ACK", V_FRAGMENT, PASS, V6, MODE_ALWAYS,
	 {.flags = ACK, .frag = 1}, .after = is_empty},
	{"routing header", V_ROUTED, PASS, V6, MODE_ALWAYS,
	 {.flags = SYN, .ext = {ROUTING}, .exts = 1}, .bend = segments_left},
	{"SYN from an allowed prefix, under attack", V_SYN_ALLOWED, PASS, BOTH, MODE_AUTO,
	 {LINUX_SYN}, allowed, .after = is_allowed},
	{"SYN from a denied prefix", V_SYN_DENIED, DROP, BOTH, MODE_AUTO, {LINUX_SYN}, denied,
	 .after = is_empty},
	{"fragmented SYN from a denied prefix", V_SYN_DENIED, DROP, V4, MODE_AUTO,
	 {.flags = SYN, .frag = 0x2000}, denied, .after = is_empty},
	{"SYN beyond its source's limit", V_SYN_LIMIT, DROP, BOTH, MODE_ALWAYS, {LINUX_SYN},
	 used_up, .after = is_empty},
	{"SYN of a verified source, under attack", V_SYN_VERIFIED, PASS, BOTH, MODE_AUTO,
	 {LINUX_SYN}, verified, .after = is_verified},

	{"SYN to another port", V_NOT_SERVICE, PASS, BOTH, MODE_ALWAYS, {.flags = SYN, .dport = 81}},
	{"ACK to another port", V_NOT_SERVICE, PASS, BOTH, MODE_ALWAYS, {.flags = ACK, .dport = 81}},
	{"odd flags to another port", V_NOT_SERVICE, PASS, BOTH, MODE_ALWAYS,
	 {.flags = SYN | RST, .dport = 81}},
	{"SYN to another address", V_NOT_SERVICE, PASS, BOTH, MODE_ALWAYS, {.flags = SYN},
	 not_listening, .after = is_empty},
	{"RST to another address", V_NOT_SERVICE, PASS, BOTH, MODE_ALWAYS, {.flags = RST},
	 not_listening},

	{"SYN to an IPv6 address that ends like the service's IPv4 address", V_NOT_SERVICE, PASS, V6,
	 MODE_ALWAYS, {.flags = SYN}, .bend = embedded_ipv4, .after = is_empty},

	{"data", V_KNOWN, PASS, BOTH, MODE_ALWAYS,
	 {.flags = ACK, .seq = 901, .ack = 5001, .payload = 500}, with_open, .after = is_open},
	{"FIN", V_KNOWN, PASS, BOTH, MODE_ALWAYS, {.flags = FIN | ACK, .seq = 901, .ack = 5001},
	 with_open, .after = is_closing},
	{"RST", V_KNOWN, PASS, BOTH, MODE_ALWAYS, {.flags = RST, .seq = 901}, with_open,
	 .after = is_reset},
	{"blind RST", V_KNOWN, PASS, BOTH, MODE_ALWAYS, {.flags = RST, .seq = 902}, with_open,
	 .after = is_open_and_odd},
	{"blind data", V_KNOWN, PASS, BOTH, MODE_ALWAYS,
	 {.flags = ACK, .seq = 300000, .ack = 5001, .payload = 9}, with_open,
	 .after = is_open_and_odd},
	{"blind ACK", V_KNOWN, PASS, BOTH, MODE_ALWAYS, {.flags = ACK, .seq = 901, .ack = 9000},
	 with_open, .after = is_open_and_odd},
	{"SYN-ACK", V_KNOWN, PASS, BOTH, MODE_ALWAYS, {.flags = SYN | ACK}, with_open,
	 .after = is_open_and_odd},
	{"ACK in TIME-WAIT", V_KNOWN, PASS, BOTH, MODE_ALWAYS, {.flags = ACK}, with_closed},
	{"data to a connection of the host's", V_KNOWN, PASS, BOTH, MODE_ALWAYS,
	 {.flags = ACK, .dport = 41000, .seq = 901, .ack = 5001, .payload = 9}, with_hosts,
	 .after = is_open},
	{"SYN to a connection of the host's", V_KNOWN, PASS, BOTH, MODE_ALWAYS,
	 {.flags = SYN, .dport = 41000, .seq = 5}, with_hosts, .after = is_open_and_odd},
	{"odd flags to a connection of the host's", V_NOT_SERVICE, PASS, BOTH, MODE_ALWAYS,
	 {.flags = SYN | RST, .dport = 41000}, with_hosts, .after = is_open},
	{"SYN repeated", V_SYN_KNOWN, PASS, BOTH, MODE_ALWAYS, {.flags = SYN}, with_half_open},
	{"SYN of an open connection", V_SYN_KNOWN, PASS, BOTH, MODE_ALWAYS, {.flags = SYN},
	 with_open, .after = is_open},
	{"SYN in TIME-WAIT", V_SYN_KNOWN, PASS, BOTH, MODE_ALWAYS, {.flags = SYN}, with_closed,
	 .after = is_reopened},
	{"SYN in the host's TIME-WAIT: its answer will show", V_SYN_KNOWN, PASS, BOTH, MODE_ALWAYS,
	 {.flags = SYN}, with_time_wait, .after = is_in_time_wait},
	{"SYN of a socket that a full table lacks", V_SYN_KNOWN, PASS, BOTH, MODE_ALWAYS,
	 {.flags = SYN}, with_table_full_and_socket},
	{"SYN of an expired entry", V_SYN_COOKIE, XDP_TX, BOTH, MODE_ALWAYS, {LINUX_SYN},
	 with_expired, .after = is_gone},
	{"wrong ACK", V_HALF_OPEN, PASS, BOTH, MODE_ALWAYS, {.flags = ACK, .ack = 7, .seq = 901},
	 with_half_open, .after = stays_half_open},
	{"right ACK, wrong number", V_HALF_OPEN, PASS, BOTH, MODE_ALWAYS,
	 {.flags = ACK, .ack = 5001, .seq = 99999, .payload = 1}, with_half_open,
	 .after = stays_half_open},
	{"ACK, and the stack knows nothing", V_HALF_OPEN, PASS, BOTH, MODE_ALWAYS,
	 {.flags = ACK, .ack = 5001}, with_half_open_unheard, .after = stays_half_open},
	{"client refuses", V_HALF_OPEN, PASS, BOTH, MODE_ALWAYS, {.flags = RST, .seq = 901},
	 with_half_open, .after = is_gone},
	{"blind RST", V_HALF_OPEN, PASS, BOTH, MODE_ALWAYS, {.flags = RST, .seq = 902},
	 with_half_open, .after = stays_half_open},
	{"handshake", V_HANDSHAKE, PASS, BOTH, MODE_ALWAYS,
	 {.flags = ACK, .ack = 5001, .seq = 901}, with_half_open, .after = is_open},
	{"handshake with data", V_HANDSHAKE, PASS, BOTH, MODE_ALWAYS,
	 {.flags = PSH | ACK, .ack = 5001, .seq = 901, .payload = 9}, with_half_open,
	 .after = is_open},
	{"handshake as the stack tells", V_HANDSHAKE, PASS, BOTH, MODE_ALWAYS,
	 {.flags = ACK, .ack = 5001, .seq = 901}, with_half_open_and_socket, .after = is_open},
	{"adoption", V_ADOPTED, PASS, BOTH, MODE_ALWAYS, {.flags = ACK, .payload = 9},
	 with_socket, .after = is_adopted},
	{"adoption by a FIN", V_ADOPTED, PASS, BOTH, MODE_ALWAYS, {.flags = FIN | ACK},
	 with_socket},

	{"SYN while calm", V_SYN_CALM, PASS, BOTH, MODE_AUTO, {LINUX_SYN}, .after = is_half_open},
	{"SYN with bad options while calm", V_SYN_CALM, PASS, BOTH, MODE_AUTO,
	 {.flags = SYN, .options_len = 4}, .bend = option_length_1},
	{"ACK while calm", V_STRAY_CALM, PASS, BOTH, MODE_AUTO, {.flags = ACK}, .after = is_empty},
	{"RST while calm", V_STRAY_CALM, PASS, BOTH, MODE_AUTO, {.flags = RST}},
	{"SYN-ACK while calm", V_STRAY_CALM, PASS, BOTH, MODE_AUTO, {.flags = SYN | ACK}},
	{"ACK while calm, cookies out", V_STRAY_CALM, PASS, BOTH, MODE_AUTO, {.flags = ACK},
	 cookies_out},

	{"SYN of Linux", V_SYN_COOKIE, XDP_TX, BOTH, MODE_ALWAYS, {LINUX_SYN}, .after = is_empty},
	{"SYN without options", V_SYN_COOKIE, XDP_TX, BOTH, MODE_ALWAYS, {.flags = SYN},
	 .after = is_synack},
	{"SYN under attack", V_SYN_COOKIE, XDP_TX, BOTH, MODE_AUTO, {.flags = SYN}, in_attack,
	 .after = is_synack},
	{"SYN with payload", V_SYN_COOKIE, XDP_TX, BOTH, MODE_ALWAYS,
	 {.flags = SYN, .payload = 700}, .after = is_synack},
	{"SYN of a jumbo frame", V_SYN_COOKIE, XDP_TX, BOTH, MODE_ALWAYS,
	 {.flags = SYN, .payload = 8900}, .after = is_synack},
	{"SYN with IP options", V_SYN_COOKIE, XDP_TX, V4, MODE_ALWAYS,
	 {.flags = SYN, .ip_options = 40}, .after = is_synack},
	{"SYN with extension headers", V_SYN_COOKIE, XDP_TX, V6, MODE_ALWAYS,
	 {.flags = SYN, .ext = {HOP_BY_HOP, ROUTING, DESTINATION}, .exts = 3, .ext_words = 3},
	 .after = is_synack},
	{"SYN in an atomic fragment", V_SYN_COOKIE, XDP_TX, V6, MODE_ALWAYS,
	 {.flags = SYN, .ext = {FRAGMENT}, .exts = 1}, .after = is_synack},
	{"SYN with link padding", V_SYN_COOKIE, XDP_TX, BOTH, MODE_ALWAYS,
	 {.flags = SYN, .padding = 6}, .after = is_synack},
	{"SYN with PSH and URG", V_SYN_COOKIE, XDP_TX, BOTH, MODE_ALWAYS,
	 {.flags = SYN | PSH | URG}, .after = is_synack},
	{"ACK", V_COOKIE_VALID, PASS, BOTH, MODE_ALWAYS, {.flags = ACK}, after_cookie,
	 .after = is_proven},
	{"ACK without timestamps", V_COOKIE_VALID, PASS, BOTH, MODE_ALWAYS, {.flags = ACK},
	 after_plain_cookie, .after = is_proven},
	{"data first", V_COOKIE_VALID, PASS, BOTH, MODE_ALWAYS,
	 {.flags = PSH | ACK, .payload = 100}, after_cookie, .after = is_proven},
	{"FIN first", V_COOKIE_VALID, PASS, BOTH, MODE_ALWAYS, {.flags = FIN | ACK},
	 after_cookie, .after = is_proven_with_fin},
	{"keepalive", V_COOKIE_PROBE, XDP_TX, BOTH, MODE_ALWAYS, {.flags = ACK}, keepalive,
	 .after = is_empty},
	{"keepalive with a byte", V_COOKIE_PROBE, XDP_TX, BOTH, MODE_ALWAYS,
	 {.flags = ACK, .payload = 1}, keepalive, .after = is_empty},
	{"keepalive with 2 bytes", V_COOKIE_INVALID, DROP, BOTH, MODE_ALWAYS,
	 {.flags = ACK, .payload = 2}, keepalive, .after = is_empty},
	{"keepalive with FIN", V_COOKIE_INVALID, DROP, BOTH, MODE_ALWAYS, {.flags = FIN | ACK},
	 keepalive, .after = is_empty},
	{"RST that acknowledges a cookie", V_RST_STRAY, DROP, BOTH, MODE_ALWAYS,
	 {.flags = RST | ACK}, after_cookie, .after = is_empty},
	{"ACK again", V_COOKIE_AGAIN, PASS, BOTH, MODE_ALWAYS, {.flags = ACK}, replayed,
	 .after = is_proven},
	{"data before the stack's answer", V_COOKIE_AGAIN, PASS, BOTH, MODE_ALWAYS,
	 {.flags = ACK, .ack = 5001, .payload = 1000}, with_proven},
	{"ACK of an answer that left another way", V_KNOWN, PASS, BOTH, MODE_ALWAYS,
	 {.flags = ACK, .ack = 5002, .payload = 1000}, with_proven_and_socket,
	 .after = is_open_by_cookie},
	{"blind ACK to a proven client", V_KNOWN, PASS, BOTH, MODE_ALWAYS,
	 {.flags = ACK, .ack = 5002, .payload = 1000}, with_proven, .after = is_proven},
	{"altered ACK", V_COOKIE_INVALID, DROP, BOTH, MODE_ALWAYS, {.flags = ACK}, wrong_ack,
	 .after = is_empty},
	{"forged ACK, no cookies out", V_COOKIE_INVALID, DROP, BOTH, MODE_ALWAYS, {.flags = ACK},
	 .after = is_empty},
	{"forged data, cookies out", V_COOKIE_INVALID, DROP, BOTH, MODE_ALWAYS,
	 {.flags = PSH | ACK, .payload = 9}, cookies_out, .after = is_empty},
	{"forged FIN under attack", V_COOKIE_INVALID, DROP, BOTH, MODE_AUTO,
	 {.flags = FIN | ACK}, in_attack, .after = is_empty},
	{"stray RST", V_RST_STRAY, DROP, BOTH, MODE_ALWAYS, {.flags = RST}, .after = is_empty},
	{"stray RST-ACK", V_RST_STRAY, DROP, BOTH, MODE_ALWAYS, {.flags = RST | ACK}},
	{"stray SYN-ACK", V_SYNACK_STRAY, DROP, BOTH, MODE_ALWAYS, {.flags = SYN | ACK},
	 .after = is_empty},

	{"third tag", V_VLAN_DEPTH, PASS, BOTH, MODE_ALWAYS, {.flags = SYN, .vlans = 2},
	 .bend = third_tag, .full = true},
	{"cut in a tag", V_ETH_TRUNCATED, DROP, BOTH, MODE_ALWAYS, {.vlans = 1}, .bend = cut_tag,
	 .full = true},
	{"cut in the first tag", V_ETH_TRUNCATED, DROP, BOTH, MODE_ALWAYS, {.vlans = 0},
	 .bend = cut_tag, .full = true},
	{"IP version 2", V_IPV4_MALFORMED, DROP, V4, MODE_ALWAYS, {.flags = SYN},
	 .bend = bad_version},
	{"cut in the IP header", V_IPV4_MALFORMED, DROP, V4, MODE_ALWAYS, {.flags = SYN},
	 .bend = cut_ip},
	{"IP checksum", V_IPV4_MALFORMED, DROP, V4, MODE_ALWAYS, {.flags = SYN},
	 .bend = ip_checksum_wrong, .after = is_empty},
	{"IP checksum, with options", V_IPV4_MALFORMED, DROP, V4, MODE_ALWAYS,
	 {.flags = SYN, .ip_options = 40}, .bend = ip_checksum_wrong},
	{"IP version 2", V_IPV6_MALFORMED, DROP, V6, MODE_ALWAYS, {.flags = SYN},
	 .bend = bad_version},
	{"cut in the IP header", V_IPV6_MALFORMED, DROP, V6, MODE_ALWAYS, {.flags = SYN},
	 .bend = cut_ip},
	{"9 extension headers", V_IPV6_EXT_CHAIN, DROP, V6, MODE_ALWAYS,
	 {.flags = SYN, .ext = {60, 60, 60, 60, 60, 60, 60, 60, 60}, .exts = 9}},
	{"4 KB of extension headers", V_IPV6_EXT_CHAIN, DROP, V6, MODE_ALWAYS,
	 {.flags = SYN, .ext = {60, 60, 60, 60}, .exts = 4, .ext_words = 126}},
	{"cut in the TCP header", V_TCP_MALFORMED, DROP, BOTH, MODE_ALWAYS, {.flags = SYN},
	 .bend = cut_tcp},
	{"TCP header of 16 bytes", V_TCP_MALFORMED, DROP, BOTH, MODE_ALWAYS, {.flags = SYN},
	 .bend = short_header},
	{"no flags", V_TCP_FLAGS, DROP, BOTH, MODE_ALWAYS, {.flags = 0}, .after = is_empty},
	{"SYN and FIN", V_TCP_FLAGS, DROP, BOTH, MODE_ALWAYS, {.flags = SYN | FIN}},
	{"SYN and RST", V_TCP_FLAGS, DROP, BOTH, MODE_ALWAYS, {.flags = SYN | RST | ACK}},
	{"all flags", V_TCP_FLAGS, DROP, BOTH, MODE_ALWAYS, {.flags = 0xff}},
	{"SYN with FIN of an open connection", V_TCP_FLAGS, DROP, BOTH, MODE_ALWAYS,
	 {.flags = SYN | FIN}, with_open, .after = is_open},
	{"option of length 1", V_TCP_OPTIONS, DROP, BOTH, MODE_ALWAYS,
	 {.flags = SYN, .options_len = 8}, .bend = option_length_1, .after = is_empty},
	{"fragmented SYN", V_SYN_FRAGMENT, DROP, V4, MODE_ALWAYS, {.flags = SYN, .frag = 0x2000},
	 .after = is_empty},
	{"fragmented SYN", V_SYN_FRAGMENT, DROP, V6, MODE_ALWAYS, {.flags = SYN, .frag = 1},
	 .after = is_empty},
	{"fragmented SYN while calm", V_SYN_FRAGMENT, DROP, V4, MODE_AUTO,
	 {.flags = SYN, .frag = 0x2000}},
	{"multicast source", V_SYN_SOURCE, DROP, BOTH, MODE_ALWAYS, {.flags = SYN},
	 .bend = source_multicast, .after = is_empty},
	{"source port 0", V_SYN_SOURCE, DROP, BOTH, MODE_ALWAYS, {.flags = SYN},
	 .bend = source_port_0, .after = is_empty},
	{"LAND", V_SYN_SOURCE, DROP, BOTH, MODE_ALWAYS, {.flags = SYN}, .bend = source_is_target},
	{"frame shorter than its datagram", V_REPLY_FAILED, DROP, BOTH, MODE_ALWAYS,
	 {.flags = SYN}, .bend = ip_too_long, .after = is_empty},
};
// clang-format on

static void close_sockets(void)
{
	while (n_sockets)
		close(sockets[--n_sockets]);
}

static void run_row(const struct row *row, bool ipv6, u8 vlans)
{
	static struct frame f;
	static struct run r;
	struct spec s = row->spec;

	s.ipv6 = ipv6;
	s.vlans = row->full ? s.vlans : vlans;
	s.client = 0;
	prog_reset(row->mode);
	if (row->before)
		row->before(&s);
	frame_build(&f, &s);
	if (row->bend)
		row->bend(&f);
	prog_xdp(&r, f.bytes, f.len);
	close_sockets();
	expect(&r, row->v, row->action);
	if (row->after)
		row->after(&s, &f, &r);
}

static void test_row(void **state)
{
	const struct row *row = *state;

	for (u8 vlans = 0; vlans <= (row->full ? 0 : 2); vlans++)
		for (int ipv6 = 0; ipv6 < 2; ipv6++)
			if (row->family == BOTH || row->family == (ipv6 ? V6 : V4)) {
				prog_quick(vlans != 1);
				run_row(row, ipv6, vlans);
			}
}

/* Given by TC alone (see test_tc.c). */
static bool of_tc(enum synstile_verdict v)
{
	return v == V_FINISHED || v == V_FINISH_NO_LISTENER || v == V_FINISH_REFUSED ||
	       v == V_FINISH_QUEUE_FULL || v == V_RST_HELD;
}

static void test_every_verdict_was_seen(void **state)
{
	bool missing = false;

	(void)state;
	for (int v = 0; v < V_COUNT; v++) {
		if (!prog_seen(v) && !of_tc(v)) {
			print_error("no row gives %s\n", verdict_name(v));
			missing = true;
		}
	}
	assert_false(missing);
}

static int open_programs(void **state)
{
	(void)state;
	prog_open(OWN_COOKIES, 1024);
	prog_addresses();
	return 0;
}

static int close_programs(void **state)
{
	(void)state;
	prog_close();
	return 0;
}

static int close_after(void **state)
{
	(void)state;
	close_sockets();
	return 0;
}

int main(void)
{
	static struct CMUnitTest tests[ARRAY_SIZE(rows) + 1];
	static char names[ARRAY_SIZE(rows)][100];
	size_t n = 0;

	for (; n < ARRAY_SIZE(rows); n++) {
		snprintf(names[n], sizeof(names[n]), "%s: %s", verdict_name(rows[n].v),
			 rows[n].name);
		tests[n] = (struct CMUnitTest){.name = names[n],
					       .test_func = test_row,
					       .teardown_func = close_after,
					       .initial_state = (void *)&rows[n]};
	}
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_every_verdict_was_seen);
	return _cmocka_run_group_tests("verdicts", tests, n, open_programs, close_programs);
}
