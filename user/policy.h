/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The policy: what an operator wants, read from one YAML file (and the list files that it names).
 * Knows no map and no kernel; synstile.yaml(5) is its manual.
 *
 * Every value knows where it came from, so that `policy show` can say so, and so that what nobody
 * chose may follow the host (a listener's backlog, a sysctl).
 */
#ifndef SYNSTILE_USER_POLICY_H
#define SYNSTILE_USER_POLICY_H

#include <stdio.h>

#include <jansson.h>
#include <synstile/service.h>
#include <synstile/types.h>

#define POLICY_DEFAULT_FILE "/etc/synstile/policy.yaml"

/* How much there may be; more is an error that says so. */
#define POLICY_BYTES_MOST      (16 << 20) /* of all files */
#define POLICY_FILES_MOST      256
#define POLICY_SERVICES_MOST   1000
#define POLICY_LISTEN_MOST     16384   /* of all services */
#define POLICY_INTERFACES_MOST 64      /* of one */
#define POLICY_PREFIXES_MOST   1000000 /* allow and deny */

/* Where a value came from. */
struct origin {
	enum {
		ORIGIN_BUILT_IN, /* nobody chose it */
		ORIGIN_FILE,
		ORIGIN_OPTION, /* of the command line */
	} from;
	u16 file; /* index into struct policy.files */
	u32 line; /* from 1, as the column */
	u32 column;
};

struct value {
	u64 n; /* in the unit of its kind, see enum value_kind */
	struct origin origin;
};

enum value_kind {
	KIND_MODE,    /* enum service_mode */
	KIND_TIME,    /* ms; written 500ms, 63s, 5m, 24h */
	KIND_RATE,    /* per second; written 200/s, 12000/m */
	KIND_COUNT,   /* written 4096 */
	KIND_PERCENT, /* written 20% */
	KIND_BOOL,    /* written true or false */
};

/*
 * What can be said of a service, and in `defaults` of all of them.
 * X(ID, path, kind, least, most, built in, help)
 */
// clang-format off
#define POLICY_SERVICE_VALUES(X)                                                                  \
	X(MODE, "mode", KIND_MODE, MODE_OBSERVE, MODE_ALWAYS, MODE_AUTO,                          \
	  "observe: count only; auto: cookies under attack; always: for every new connection")    \
	X(SYN_CALM, "syn_timeout.calm", KIND_TIME, 1000, 86400000, 63000,                         \
	  "how long a handshake may take when calm; never longer than the kernel waits")          \
	X(SYN_ATTACK, "syn_timeout.attack", KIND_TIME, 1000, 86400000, 3000,                      \
	  "and when half-open connections fill their budget (no more than calm)")                 \
	X(HALF_OPEN_ATTACK, "half_open.attack_above", KIND_COUNT, 2, 1 << 24, 256,                \
	  "half-open connections from which on it is an attack (built in: half the listener's "   \
	  "backlog, 256 at most)")                                                                \
	X(HALF_OPEN_CALM, "half_open.calm_below", KIND_COUNT, 1, 1 << 24, 64,                     \
	  "and below which it may be over (built in: a quarter of attack_above)")                 \
	X(RATE_ATTACK, "syn_rate.attack_above", KIND_RATE, 2, 1000000000, 5000,                   \
	  "new SYNs a second from which on it is an attack")                                      \
	X(RATE_CALM, "syn_rate.calm_below", KIND_RATE, 1, 1000000000, 1000,                       \
	  "and below which it may be over (if not said: a fifth of a chosen attack_above)")       \
	X(COMPLETION_ATTACK, "completion.attack_below", KIND_PERCENT, 0, 99, 20,                  \
	  "handshakes completed, of those begun, below which it is an attack; 0%: never")         \
	X(COMPLETION_RATE, "completion.from_rate", KIND_RATE, 1, 1000000000, 100,                 \
	  "... from this many SYNs a second on")                                                  \
	X(SOURCES_ATTACK, "distinct_sources.attack_above", KIND_RATE, 0, 1000000000, 2500,        \
	  "different sources a second that mostly do not complete: an attack; 0/s: never")        \
	X(QUEUE_OVERFLOW, "queue_overflow", KIND_BOOL, 0, 1, 1,                                   \
	  "the kernel's own request queue overflows: an attack")                                  \
	X(HOLD, "hold", KIND_TIME, 100, 3600000, 10000,                                           \
	  "calm again only after this long below all lower bounds")                               \
	X(MSS, "synack.mss", KIND_COUNT, 88, 65495, 0,                                            \
	  "announce no larger MSS in cookies (built in: what the interface's MTU takes)")         \
	X(WSCALE, "synack.window_scale", KIND_COUNT, 0, 14, 0,                                    \
	  "announce this window scale in own cookies (built in: the kernel's)")                   \
	X(ECN, "synack.ecn", KIND_BOOL, 0, 1, 1,                                                  \
	  "agree to ECN in cookies (built in: as net.ipv4.tcp_ecn says)")

/* What there is once. */
#define POLICY_HOST_VALUES(X)                                                                     \
	X(VERIFIED_FOR, "sources.verified_for", KIND_TIME, 0, 86400000, 0,                        \
	  "a source that proved a cookie passes without one for this long; 0s: never")            \
	X(VERIFIED_RATE, "sources.verified_rate", KIND_RATE, 1, 1000000, 20,                      \
	  "SYNs a second that pass so, per source")                                               \
	X(LIMIT, "sources.syn_limit.per_ipv4", KIND_RATE, 0, 1000000, 0,                          \
	  "SYNs a second per source: IPv4 address or IPv6 prefix; 0/s: no limit")                 \
	X(LIMIT_IPV6_PREFIX, "sources.syn_limit.per_ipv6_prefix", KIND_COUNT, 16, 128, 64,        \
	  "bits of an IPv6 address that make a source")                                           \
	X(LIMIT_BURST, "sources.syn_limit.burst", KIND_COUNT, 1, 10000000, 0,                     \
	  "SYNs at once (built in: twice the limit)")                                             \
	X(SYN_BACKLOG, "kernel.tcp_max_syn_backlog", KIND_COUNT, 128, 1 << 24, 0,                 \
	  "raise net.ipv4.tcp_max_syn_backlog to this (built in: left alone)")                    \
	X(SOMAXCONN, "kernel.somaxconn", KIND_COUNT, 128, 1 << 24, 0,                             \
	  "raise net.core.somaxconn to this (built in: left alone)")                              \
	X(REAP, "kernel.reap_request_sockets", KIND_BOOL, 0, 1, 1,                                \
	  "destroy the kernel's half-open connections that are older than the SYN timeout")       \
	X(ADAPT_RETRIES, "kernel.adapt_synack_retries", KIND_BOOL, 0, 1, 1,                       \
	  "let net.ipv4.tcp_synack_retries follow the SYN timeout")                               \
	X(KEY_LIFE, "keys.life", KIND_TIME, 120000, 86400000, 900000,                             \
	  "how long a key of own cookies signs")                                                  \
	X(MAX_FLOWS, "tables.flows", KIND_COUNT, 1024, 1 << 28, 262144,                           \
	  "connections that can be followed; takes effect at the next first attach")              \
	X(MAX_VERIFIED, "tables.verified", KIND_COUNT, 1024, 1 << 24, 65536,                      \
	  "verified sources that can be known; takes effect at the next first attach")
// clang-format on

enum service_value {
#define X(id, path, kind, least, most, built_in, help) SV_##id,
	POLICY_SERVICE_VALUES(X)
#undef X
	SV_COUNT
};

enum host_value {
#define X(id, path, kind, least, most, built_in, help) HV_##id,
	POLICY_HOST_VALUES(X)
#undef X
	HV_COUNT
};

/* One entry of `listen`: "*:80", "0.0.0.0:80" (all IPv4), "[::]:80" (all IPv6), "192.0.2.1:80-89".
 */
struct policy_listen {
	enum {
		LISTEN_ANY,
		LISTEN_IPV4,
		LISTEN_IPV6,
		LISTEN_ADDRESS
	} what;
	struct addr addr; /* LISTEN_ADDRESS */
	u16 first, last;  /* ports, host order */
	struct origin origin;
};

struct policy_service {
	char name[SERVICE_NAME_SIZE];
	struct origin origin;
	struct value v[SV_COUNT]; /* what it does not say itself comes from `defaults`, with that
				     origin */
	struct policy_listen *listen;
	size_t n_listen;
	char (*interfaces)[16]; /* only what comes in there; none: everywhere */
	size_t n_interfaces;
};

/* ::/0 to ::/80 are IPv6 prefixes that are not meant for IPv4, although IPv4's ::ffff:0:0/96 lies
 * in them. */
struct policy_prefix {
	struct addr addr; /* bits behind the length are 0 */
	u8 bits;          /* of the 128; 96 more than written for IPv4 */
	struct origin origin;
};

/* In the order of addresses, none twice. */
struct policy_prefixes {
	struct policy_prefix *at;
	size_t n;
};

/* A file as it was read: with these a policy can be read again, and gives the same. */
struct policy_file {
	char *name; /* as given, or as written in the policy (made absolute) */
	char *text;
	size_t size;
};

struct policy {
	struct value defaults[SV_COUNT];
	struct value host[HV_COUNT];
	struct policy_service *services;
	size_t n_services;
	struct policy_prefixes allow, deny;
	struct policy_file *files; /* [0] is the policy; none: everything is built in */
	size_t n_files;
	struct policy_index *index; /* for policy_find() */
};

struct policy_errors {
	char **at; /* "policy.yaml:14:9: services[1].listen[0]: ..." by position, all of them */
	size_t n;
};

/* What is built in. NULL: no memory. */
struct policy *policy_built_in(void);
/* Reads the file and those that it names. -EINVAL: see `errors`, which is to be freed in any case;
 * other -errno with a reason. */
int policy_read(const char *path, struct policy **p, struct policy_errors *errors);
/* The same from files that were read before (policy_bundle()). */
int policy_read_bundle(const json_t *bundle, struct policy **p, struct policy_errors *errors);
void policy_free(struct policy *p);
void policy_errors_free(struct policy_errors *errors);

/* {"files": [{"name":, "text":}]}: all that policy_read_bundle() needs. */
json_t *policy_bundle(const struct policy *p);

/* An option of the command line takes precedence over the file. In a service too if it does not
 * say the value itself. */
void policy_set_option(struct policy *p, enum service_value which, u64 n);
void policy_set_host_option(struct policy *p, enum host_value which, u64 n);

/* The service for this address and port as seen at this interface: the first in the order of the
 * file that lists it. NULL: none, so `defaults` hold. */
const struct policy_service *policy_find(const struct policy *p, const struct addr *addr, u16 port,
					 const char *interface);
/* Does any service that has this port name interfaces? */
bool policy_port_by_interface(const struct policy *p, u16 port);

/* Everything in force with its origin: {"defaults": {"mode": {"value": "auto", "from":
 * "policy.yaml:4:9"}, ...}, "services": [...], "sources": ..., ...}. `from` is "option" or "built
 * in" too; what nobody chose and follows something has "follows": in words (and value null if it is
 * no number that is known here). */
json_t *policy_json(const struct policy *p);
/* [{"path": "services.web.mode", "from": "auto", "to": "always"}, ...]; prefixes are listed too,
 * each that comes ("from" null) or goes ("to" null), at most 1,000; then how many "more". */
json_t *policy_diff(const struct policy *from, const struct policy *to);

/* Index: enum service_value, enum host_value. */
extern const char *const service_value_paths[SV_COUNT];
extern const char *const host_value_paths[HV_COUNT];
/* "63s", "200/s", "auto", ... */
#define VALUE_TEXT_SIZE 32
const char *value_text(enum value_kind kind, u64 n, char buf[VALUE_TEXT_SIZE]);

#endif
