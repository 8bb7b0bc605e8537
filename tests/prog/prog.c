// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "prog.h"
#include "synstile/flow_filter.h"
#include "tcp_state.h"
#include "synstile_sweep.skel.h"
#include "synstile_tc.skel.h"
#include "synstile_xdp.skel.h"

const char *verdict_name(enum synstile_verdict v)
{
	static const char *const names[] = {
#define X(id, action, name, help) [V_##id] = name,
		SYNSTILE_VERDICTS(X)
#undef X
	};

	return v < V_COUNT ? names[v] : "no verdict";
}

/* What verdict.h says becomes of the packet, as XDP has it. */
#define ACTION_PASS  XDP_PASS
#define ACTION_DROP  XDP_DROP
#define ACTION_REPLY XDP_TX
static const int verdict_actions[V_COUNT] = {
#define X(id, action, name, help) [V_##id] = ACTION_##action,
	SYNSTILE_VERDICTS(X)
#undef X
};

static struct synstile_xdp *xdp;
static struct synstile_tc *tc;
static struct synstile_sweep *sweep;
static struct settings settings;
static struct flow_filter *filter; /* the map itself */
static u64 counts[SYNSTILE_COUNTERS];
static bool seen[V_COUNT];
static bool quick = true;
static int cpus;
static u32 ring_bytes = EVENT_RING_BYTES;
static u32 max_verified = 65536;
static struct maps maps;
static bool limited; /* there may be something in the map `limit` */
static struct ring_buffer *ring;

static void put(struct bpf_map *map, const void *key, const void *value)
{
	if (bpf_map_update_elem(bpf_map__fd(map), key, value, BPF_ANY))
		fail_msg("map %s: %s", bpf_map__name(map), strerror(errno));
}

static void get(struct bpf_map *map, u32 index, void *value)
{
	if (bpf_map_lookup_elem(bpf_map__fd(map), &index, value))
		fail_msg("map %s: %s", bpf_map__name(map), strerror(errno));
}

static u32 *flow_counter(const struct flow_key *key)
{
	u32 hash = flow_filter_hash(key);

	return &filter[hash / FLOW_FILTER_SLOTS].n[hash % FLOW_FILTER_SLOTS];
}

/* Delete all flows, and with each its count: then nothing must be left in the filter. */
static void clear_flows(void)
{
	int fd = bpf_map__fd(xdp->maps.flows);
	struct flow_key key;

	while (!bpf_map_get_next_key(fd, NULL, &key)) {
		if (!(*flow_counter(&key))--)
			fail_msg("a flow that the filter does not count");
		bpf_map_delete_elem(fd, &key);
	}
	for (u32 i = 0; i < FLOW_FILTER_LINES * FLOW_FILTER_SLOTS; i++) {
		u32 *n = &filter[i / FLOW_FILTER_SLOTS].n[i % FLOW_FILTER_SLOTS];

		if (*n) {
			*n = 0;
			fail_msg("the filter counts a flow that is gone");
		}
	}
}

/* ---- events ---- */

/* Where prog_events() wants them. */
static struct inbox {
	struct event *out;
	u32 max, n;
} inbox;

static int on_event(void *ctx, void *data, size_t size)
{
	struct inbox *in = ctx;

	assert_int_equal(size, sizeof(struct event));
	if (in->n < in->max)
		memcpy(&in->out[in->n], data, size);
	in->n++;
	return 0;
}

void prog_ring(u32 bytes)
{
	ring_bytes = bytes;
}

u32 prog_events(struct event *out, u32 max)
{
	inbox = (struct inbox){.out = out, .max = max};
	assert_true(ring_buffer__consume(ring) >= 0);
	return inbox.n;
}

/* Set every CPU's value in a per-CPU map to 0. */
static void clear_percpu_at(struct bpf_map *map, u32 index)
{
	static u8 zeroes[4096 * 64];

	put(map, &index, zeroes);
}

static void clear_percpu(struct bpf_map *map)
{
	for (u32 i = 0; i < bpf_map__max_entries(map); i++)
		clear_percpu_at(map, i);
}

static u64 sum_percpu(struct bpf_map *map, u32 index)
{
	static u64 values[4096];
	u64 sum = 0;

	get(map, index, values);
	for (int cpu = 0; cpu < cpus; cpu++)
		sum += values[cpu];
	return sum;
}

u64 prog_lost(enum event_type type, enum lost_stage stage)
{
	return sum_percpu(xdp->maps.lost, type * LOST_STAGES + stage);
}

u64 prog_odd(enum oddity which)
{
	return sum_percpu(xdp->maps.oddities, which);
}

/* XDP's maps, for another object too. */
static void share_maps(struct bpf_object *obj)
{
	struct bpf_map *map, *of_xdp;

	bpf_object__for_each_map (map, obj) {
		of_xdp = bpf_object__find_map_by_name(xdp->obj, bpf_map__name(map));
		if (of_xdp && !bpf_map__is_internal(map))
			assert_int_equal(bpf_map__reuse_fd(map, bpf_map__fd(of_xdp)), 0);
	}
}

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, format, args) : 0;
}

static void take_maps(void)
{
	maps = (struct maps){.services = bpf_map__fd(xdp->maps.services),
			     .settings = bpf_map__fd(xdp->maps.settings),
			     .load = bpf_map__fd(xdp->maps.load),
			     .rules = bpf_map__fd(xdp->maps.rules),
			     .prefixes = bpf_map__fd(xdp->maps.prefixes),
			     .verified = bpf_map__fd(xdp->maps.verified),
			     .distinct = bpf_map__fd(xdp->maps.distinct),
			     .samples = bpf_map__fd(xdp->maps.samples),
			     .handshakes = bpf_map__fd(xdp->maps.handshakes)};
}

void prog_open(u32 backend, u32 max_flows)
{
	libbpf_set_print(quiet);
	if (unshare(CLONE_NEWNET))
		fail_msg("a network namespace: %s (run as root)", strerror(errno));
	cpus = libbpf_num_possible_cpus();
	assert_in_range(cpus, 1, 4096);
	xdp = synstile_xdp__open();
	assert_non_null(xdp);
	xdp->rodata->cookie_backend = backend;
	bpf_map__set_max_entries(xdp->maps.flows, max_flows);
	bpf_map__set_max_entries(xdp->maps.events, ring_bytes);
	bpf_map__set_max_entries(xdp->maps.verified, max_verified);
	if (synstile_xdp__load(xdp)) {
		synstile_xdp__destroy(xdp);
		xdp = NULL;
		fail_msg("the XDP program does not load: %s", strerror(errno));
	}
	filter = mmap(NULL, FLOW_FILTER_LINES * sizeof(*filter), PROT_READ | PROT_WRITE, MAP_SHARED,
		      bpf_map__fd(xdp->maps.filter), 0);
	assert_true(filter != MAP_FAILED);
	ring = ring_buffer__new(bpf_map__fd(xdp->maps.events), on_event, &inbox, NULL);
	assert_non_null(ring);
	take_maps();
	tc = synstile_tc__open();
	assert_non_null(tc);
	tc->rodata->cookie_backend = backend;
	bpf_map__set_max_entries(tc->maps.events, ring_bytes);
	share_maps(tc->obj);
	if (synstile_tc__load(tc)) {
		synstile_tc__destroy(tc);
		tc = NULL;
	}
	sweep = synstile_sweep__open();
	assert_non_null(sweep);
	bpf_map__set_max_entries(sweep->maps.events, ring_bytes);
	share_maps(sweep->obj);
	assert_int_equal(synstile_sweep__load(sweep), 0);
	memset(seen, 0, sizeof(seen));
	memset(counts, 0, sizeof(counts));
	prog_reset(MODE_ALWAYS);
}

void prog_close(void)
{
	if (!xdp)
		return;
	clear_flows();
	ring_buffer__free(ring);
	munmap(filter, FLOW_FILTER_LINES * sizeof(*filter));
	synstile_sweep__destroy(sweep);
	synstile_tc__destroy(tc);
	synstile_xdp__destroy(xdp);
	xdp = NULL;
	tc = NULL;
	sweep = NULL;
}

bool prog_has_tc(void)
{
	return tc;
}

/* Whether the entry in `ports` knows the service's IPv4 address, too. */
static void put_port(void)
{
	const u32 index = PORT;
	struct port_entry port = {.flags = PORT_ANY};
	struct addr client, server;

	frame_addresses(&(struct spec){0}, client.b, server.b);
	if (quick) {
		port.addr4 = server.w[3];
		port.quick = (struct listen_entry){.service = {SERVICE, SERVICE}, .window = WINDOW};
	}
	put(xdp->maps.ports, &index, &port);
}

void prog_quick(bool yes)
{
	quick = yes;
}

static void put_listener(bool ipv6)
{
	const struct spec s = {.ipv6 = ipv6};
	struct listener_key key = {.port = host_to_be16(PORT)};
	const struct listen_entry entry = {.service = {SERVICE, SERVICE}, .window = WINDOW};
	u8 client[16];

	frame_addresses(&s, client, key.addr.b);
	put(xdp->maps.listeners, &key, &entry);
}

static void reset_settings(void)
{
	u64 seed = 2;

	memset(&settings, 0, sizeof(settings));
	settings.flags = TCP_FEATURES | SET_READY;
	settings.rcv_wscale = RCV_WSCALE;
	settings.ttl = TTL;
	settings.hop_limit = HOP_LIMIT;
	settings.ts_offset = 0xfffff000;
	for (int i = 0; i < 2; i++) {
		settings.key.k[i] = random64(&seed);
		settings.previous.k[i] = random64(&seed);
		settings.source_key[i] = random64(&seed);
	}
	cookie_fill_codes(settings.cookie_codes);
	prog_put_settings();
}

/* Of sources nothing is known, and nothing is said. */
static void reset_sources(void)
{
	static u64 zeroes[LIMIT_ROWS * LIMIT_COLUMNS];
	static u32 keys[LIMIT_ROWS * LIMIT_COLUMNS];
	u32 n = LIMIT_ROWS * LIMIT_COLUMNS;
	int fd = bpf_map__fd(xdp->maps.verified);
	struct addr source;

	for (u32 slot = 0; slot < POLICY_SLOTS; slot++) {
		assert_int_equal(maps_set_rules(&maps, slot, &(struct rules){0}), 0);
		assert_int_equal(maps_set_prefixes(&maps, slot, -1), 0);
	}
	while (!bpf_map_get_next_key(fd, NULL, &source))
		bpf_map_delete_elem(fd, &source);
	for (u32 i = 0; i < n; i++)
		keys[i] = i;
	if (limited && bpf_map_update_batch(bpf_map__fd(xdp->maps.limit), keys, zeroes, &n, NULL))
		fail_msg("map limit: %s", strerror(errno));
	limited = false;
}

void prog_reset(enum service_mode mode)
{
	const struct service s = {.mode = mode,
				  .used = 1,
				  .features = TCP_FEATURES,
				  .wscale = SERVICE_NO_WSCALE,
				  .half_open_attack_above = 1000000,
				  .half_open_calm_below = 500000,
				  .rate_attack_above = 1000000000,
				  .rate_calm_below = 500000000,
				  .hold_ms = 60000};
	const struct pressure p = {.window_start = prog_now()};
	const struct iface dev = {.ifindex = 1, .mss4 = MSS4, .mss6 = MSS6};
	const struct shared sh = {0};
	const u32 zero = 0;

	clear_flows();
	reset_settings();
	reset_sources();
	assert_int_equal(maps_forget_counts(&maps, SERVICE), 0);
	prog_put_service(&s);
	prog_put_pressure(&p);
	prog_put_shared(&sh);
	put(xdp->maps.iface, &zero, &dev);
	put_port();
	put_listener(false);
	put_listener(true);
	prog_events(NULL, 0);
	clear_percpu(xdp->maps.lost);
	clear_percpu(xdp->maps.oddities);
	clear_percpu(xdp->maps.limits);
}

/* Which counters moved since the last call? */
static void count(struct run *r, bool silent)
{
	static u64 values[SYNSTILE_COUNTERS * 4096];
	u32 keys[SYNSTILE_COUNTERS], batch, n = SYNSTILE_COUNTERS;
	u64 moved = 0;

	if (bpf_map_lookup_batch(bpf_map__fd(xdp->maps.counters), NULL, &batch, keys, values, &n,
				 NULL) &&
	    errno != ENOENT)
		fail_msg("counters: %s", strerror(errno));
	assert_int_equal(n, SYNSTILE_COUNTERS);
	r->verdict = V_COUNT;
	r->bank = BANK_DONE;
	for (u32 i = 0; i < n; i++) {
		u64 sum = 0;

		for (int cpu = 0; cpu < cpus; cpu++)
			sum += values[(u64)i * cpus + cpu];
		if (sum != counts[keys[i]]) {
			r->verdict = keys[i] % V_COUNT;
			r->bank = keys[i] / V_COUNT;
			moved += sum - counts[keys[i]];
			counts[keys[i]] = sum;
		}
	}
	if (moved > 1 || (!moved && !silent))
		fail_msg("%llu verdicts were counted for one packet", moved);
	if (moved && r->bank == BANK_DONE)
		seen[r->verdict] = true;
}

static void run(struct run *r, struct bpf_program *prog, const u8 *frame, u32 len, bool silent)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = len,
		    .data_out = r->out, .data_size_out = sizeof(r->out), .repeat = 1);
	int err = bpf_prog_test_run_opts(bpf_program__fd(prog), &opts);

	if (err)
		fail_msg("test_run of %s on %u bytes: %s", bpf_program__name(prog), len,
			 strerror(errno));
	r->action = opts.retval;
	r->out_len = opts.data_size_out;
	count(r, silent);
}

/* What XDP must do. A packet that it only observes passes, also one that nothing counted. */
static int action_of(const struct run *r)
{
	return r->bank || r->verdict >= V_COUNT ? XDP_PASS : verdict_actions[r->verdict];
}

void prog_xdp(struct run *r, const u8 *frame, u32 len)
{
	run(r, xdp->progs.synstile_xdp, frame, len, false);
	if (r->action != action_of(r))
		fail_msg("%s%s, but XDP action %d", verdict_name(r->verdict),
			 r->bank ? " (observed)" : "", r->action);
	if (r->action == XDP_PASS) {
		assert_int_equal(r->out_len, len);
		assert_memory_equal(r->out, frame, len); /* passed: untouched */
	}
}

static bool sees_mac_len(void)
{
	struct utsname u;
	int major = 0, minor = 0;

	uname(&u);
	assert_int_equal(sscanf(u.release, "%d.%d", &major, &minor), 2);
	return major > 6 || (major == 6 && minor >= 2);
}

void prog_tc_ingress(struct run *r, const struct frame *f)
{
	u32 skip = sees_mac_len() ? 14 : 0;

	run(r, tc->progs.synstile_tc_ingress, f->bytes + skip, f->len - skip, true);
	assert_memory_equal(r->out, f->bytes + skip, f->len - skip);
}

void prog_tc_egress(struct run *r, const u8 *frame, u32 len)
{
	run(r, tc->progs.synstile_tc_egress, frame, len, true);
	assert_memory_equal(r->out, frame, len);
}

void prog_sends(struct run *r, const struct spec *s, u32 side, u8 flags, u32 seq, u32 ack,
		u16 payload)
{
	struct spec t = *s;
	struct frame frame;

	t.from_server = side == LOCAL;
	t.flags = flags;
	t.seq = seq;
	t.ack = ack;
	t.payload = payload;
	frame_build(&frame, &t);
	if (side == LOCAL)
		prog_tc_egress(r, frame.bytes, frame.len);
	else
		prog_xdp(r, frame.bytes, frame.len);
}

static int run_syscall(struct bpf_program *prog, void *ctx, u32 size)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = ctx, .ctx_size_in = size);

	if (bpf_prog_test_run_opts(bpf_program__fd(prog), &opts))
		fail_msg("test_run of %s: %s", bpf_program__name(prog), strerror(errno));
	return opts.retval;
}

void prog_sweep(void)
{
	struct sweep_order order = {0};

	assert_int_equal(run_syscall(sweep->progs.synstile_sweep, &order, sizeof(order)), 0);
}

bool prog_alarm(u32 service, u32 reasons)
{
	struct service_alarm a = {.service = service, .reasons = reasons};

	return !run_syscall(sweep->progs.synstile_alarm, &a, sizeof(a));
}

bool prog_seen(enum synstile_verdict v)
{
	return seen[v];
}

u64 prog_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

struct settings *prog_settings(void)
{
	return &settings;
}

void prog_put_settings(void)
{
	const u32 zero = 0;

	put(xdp->maps.settings, &zero, &settings);
}

void prog_get_service(struct service *s)
{
	get(xdp->maps.services, SERVICE, s);
}

void prog_put_service(const struct service *s)
{
	const u32 index = SERVICE;

	put(xdp->maps.services, &index, s);
}

void prog_get_pressure(struct pressure *p)
{
	get(xdp->maps.pressure, SERVICE, p);
}

void prog_put_pressure(const struct pressure *p)
{
	const u32 index = SERVICE;

	put(xdp->maps.pressure, &index, p);
}

void prog_get_shared(struct shared *s)
{
	get(xdp->maps.shared, 0, s);
}

void prog_put_shared(const struct shared *s)
{
	const u32 zero = 0;

	put(xdp->maps.shared, &zero, s);
}

const struct maps *prog_maps(void)
{
	return &maps;
}

void prog_rules(u32 slot, const struct rules *r)
{
	limited |= r->flags & RULES_LIMIT;
	assert_int_equal(maps_set_rules(&maps, slot, r), 0);
}

void prog_prefixes(u32 slot, const struct prefix_key *keys, const u32 *actions, u32 n)
{
	int trie = maps_new_trie(keys, actions, n);

	assert_true(trie >= 0);
	assert_int_equal(maps_set_prefixes(&maps, slot, trie), 0);
	close(trie);
}

bool prog_verified(struct verified *v, const struct addr *source)
{
	return !bpf_map_lookup_elem(maps.verified, source, v);
}

void prog_put_verified(const struct addr *source, const struct verified *v)
{
	put(xdp->maps.verified, source, v);
}

u32 prog_n_verified(void)
{
	struct addr source, *last = NULL;
	u32 n = 0;

	while (!bpf_map_get_next_key(maps.verified, last, &source)) {
		last = &source;
		n++;
	}
	return n;
}

void prog_max_verified(u32 n)
{
	max_verified = n;
}

u64 prog_load(enum load_kind kind)
{
	u64 sum[LOAD_KINDS];

	assert_int_equal(maps_load(&maps, SERVICE, sum), 0);
	return sum[kind];
}

void prog_put_listener(const struct listener_key *key, const struct listen_entry *l)
{
	put(xdp->maps.listeners, key, l);
}

void prog_put_port(u16 port, const struct port_entry *p)
{
	const u32 index = port;

	put(xdp->maps.ports, &index, p);
}

void prog_cookies_out(void)
{
	struct pressure p;

	prog_get_pressure(&p);
	p.cookie_sent = prog_now();
	prog_put_pressure(&p);
}

void prog_attack(void)
{
	struct pressure p;

	prog_get_pressure(&p);
	p.state = PRESSURE_ATTACK;
	p.since = p.above = prog_now();
	prog_put_pressure(&p);
}

static void make_side(struct flow_side *s, u32 isn, u32 acked)
{
	*s = (struct flow_side){.entered = prog_now(),
				.seen = prog_now(),
				.segments = 1,
				.isn = isn,
				.nxt = isn + 1,
				.acked = acked,
				.edge = acked + WINDOW,
				.flags = SIDE_SYN | SIDE_NXT | SIDE_ACKED,
				.syns = 1};
}

/* Its FIN, which the other side has acknowledged. */
static void make_fin(struct flow_side *s, struct flow_side *other)
{
	s->flags |= SIDE_FIN;
	s->nxt++;
	other->acked++;
}

void prog_make_flow(struct flow *f, u8 phase)
{
	struct flow_side *remote = &f->side[REMOTE], *local = &f->side[LOCAL];

	*f = (struct flow){.service = SERVICE, .admission = ADMIT_CALM, .opened = prog_now()};
	f->mss[REMOTE] = f->mss[LOCAL] = MSS4;
	make_side(remote, ISN_REMOTE, ISN_LOCAL + 1);
	make_side(local, ISN_LOCAL, ISN_REMOTE + 1);
	if (phase == FLOW_HALF_OPEN)
		remote->flags &= ~SIDE_ACKED;
	if (phase >= FLOW_CLOSING)
		make_fin(remote, local);
	if (phase == FLOW_CLOSED) {
		make_fin(local, remote);
		local->flags |= SIDE_PASSIVE;
	}
	if (phase == FLOW_PROVEN) {
		f->admission = ADMIT_COOKIE;
		f->word = flow_word(ST_SYN_SENT, ST_SYN_RECEIVED, FLOW_PROVEN, 0);
	} else {
		f->word = tcp_word(f, 0);
	}
	assert_int_equal(flow_phase(f->word), phase);
}

void prog_key(struct flow_key *key, const struct spec *s)
{
	frame_addresses(s, key->remote.b, key->local.b);
	key->remote_port = host_to_be16(s->sport ? s->sport : 40000);
	key->local_port = host_to_be16(s->dport ? s->dport : PORT);
}

bool prog_flow(struct flow *f, const struct spec *s)
{
	struct flow_key key;

	prog_key(&key, s);
	return !bpf_map_lookup_elem(bpf_map__fd(xdp->maps.flows), &key, f);
}

u8 prog_phase(const struct spec *s)
{
	struct flow f;

	return prog_flow(&f, s) ? flow_phase(f.word) : 0;
}

void prog_put_flow(const struct spec *s, const struct flow *f)
{
	struct flow_key key;
	struct flow there;

	prog_key(&key, s);
	if (!prog_flow(&there, s))
		(*flow_counter(&key))++;
	put(xdp->maps.flows, &key, f);
}

u32 prog_flows(void)
{
	int fd = bpf_map__fd(xdp->maps.flows);
	struct flow_key key, *last = NULL;
	u32 n = 0;

	while (!bpf_map_get_next_key(fd, last, &key)) {
		last = &key;
		n++;
	}
	return n;
}

void prog_unlisten(const struct spec *s)
{
	struct listener_key key = {.port = host_to_be16(PORT)};
	const u32 index = PORT;
	u8 client[16];

	frame_addresses(s, client, key.addr.b);
	bpf_map_delete_elem(bpf_map__fd(xdp->maps.listeners), &key);
	put(xdp->maps.ports, &index, &(struct port_entry){.flags = PORT_ANY});
}

void prog_addresses(void)
{
	static const char *const commands[] = {
		"ip link set lo up",
		"ip addr add 192.0.2.1/32 dev lo",
		"ip addr add 198.51.100.7/32 dev lo",
		"ip addr add 2001:db8::1/128 dev lo nodad",
		"ip addr add 2001:db8:1::7/128 dev lo nodad",
	};

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (system(commands[i]))
			fail_msg("%s", commands[i]);
}

int prog_listen(bool ipv6)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(PORT)};
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	int fd = socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (ipv6 ? bind(fd, (void *)&six, sizeof(six)) : bind(fd, (void *)&four, sizeof(four)))
		fail_msg("bind: %s", strerror(errno));
	assert_int_equal(listen(fd, 16), 0);
	return fd;
}
