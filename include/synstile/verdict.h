/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every reason for which synstile passes, drops or answers a packet, once.
 *
 * The counters, `synstile status`, the manual and the tests are all made from
 * this table: a reason that is not here does not exist.
 *
 *	X(ID, action, name, help)
 *
 * action is what becomes of the packet: PASS (goes on to the stack), DROP, or
 * REPLY (turned into an answer and sent back where it came from).
 */
#ifndef SYNSTILE_VERDICT_H
#define SYNSTILE_VERDICT_H

// clang-format off
#define SYNSTILE_VERDICTS(X)                                                              \
	/* not ours to judge */                                                           \
	X(OTHER, PASS, "other", "not TCP over IPv4 or IPv6")                              \
	X(FRAGMENT, PASS, "fragment", "a fragment without a SYN to a service")            \
	X(ROUTED, PASS, "routed", "IPv6 routing header with segments left: not the last hop") \
	X(NOT_SERVICE, PASS, "not_service", "TCP, but not to a protected address and port") \
	/* known connections */                                                           \
	X(KNOWN, PASS, "known", "a segment of a connection that synstile follows")        \
	X(SYN_KNOWN, PASS, "syn_known", "a SYN for a connection that the stack still holds (repeated SYN, TIME-WAIT)") \
	X(HALF_OPEN, PASS, "half_open", "a segment of a handshake that is not complete")  \
	X(HANDSHAKE, PASS, "handshake", "the ACK that completes a handshake made by the stack") \
	X(ADOPTED, PASS, "adopted", "first segment seen of a connection that the stack already had") \
	/* new ones, without suspicion */                                                 \
	X(SYN_CALM, PASS, "syn_calm", "a new SYN, passed because the service is calm")    \
	X(SYN_ALLOWED, PASS, "syn_allowed", "a new SYN from a prefix of the allow list")  \
	X(STRAY_CALM, PASS, "stray_calm", "a segment of no connection, passed because the service is calm") \
	/* under pressure */                                                              \
	X(SYN_VERIFIED, PASS, "syn_verified", "a new SYN, passed without a cookie because its source has proved one before") \
	X(SYN_COOKIE, REPLY, "syn_cookie", "a SYN answered with a cookie SYN-ACK")        \
	X(COOKIE_VALID, PASS, "cookie_valid", "a segment that proves a cookie: the connection begins") \
	X(COOKIE_PROBE, REPLY, "cookie_probe", "a keepalive that proves a cookie, answered by a probe for the real ACK") \
	X(COOKIE_AGAIN, PASS, "cookie_again", "a proven connection that the stack has not taken yet") \
	X(COOKIE_INVALID, DROP, "cookie_invalid", "an ACK of no connection whose cookie is forged, altered or expired") \
	X(RST_STRAY, DROP, "rst_stray", "a RST of no connection, under pressure")         \
	X(SYNACK_STRAY, DROP, "synack_stray", "a SYN-ACK that nobody asked for, under pressure") \
	/* sources */                                                                     \
	X(SYN_DENIED, DROP, "syn_denied", "a new SYN from a prefix of the deny list")     \
	X(SYN_LIMIT, DROP, "syn_limit", "a new SYN from a source that sends more of them than its limit") \
	/* malformed: no stack would take it, or it hides a SYN */                        \
	X(ETH_TRUNCATED, DROP, "eth_truncated", "frame ends inside the Ethernet or VLAN header") \
	X(VLAN_DEPTH, PASS, "vlan_depth", "more than two VLAN tags")                      \
	X(IPV4_MALFORMED, DROP, "ipv4_malformed", "IPv4 header truncated, its lengths contradict, or (of a SYN to answer) its checksum is wrong") \
	X(IPV6_MALFORMED, DROP, "ipv6_malformed", "IPv6 or extension header truncated or its lengths contradict") \
	X(IPV6_EXT_CHAIN, DROP, "ipv6_ext_chain", "more IPv6 extension headers than any host sends (8, or 4 KB)") \
	X(TCP_MALFORMED, DROP, "tcp_malformed", "TCP header truncated or its length impossible") \
	X(TCP_FLAGS, DROP, "tcp_flags", "TCP flags that no stack sends (none of SYN, ACK, RST; or SYN with FIN or RST)") \
	X(TCP_OPTIONS, DROP, "tcp_options", "a SYN with malformed options, which a cookie cannot answer") \
	X(SYN_FRAGMENT, DROP, "syn_fragment", "a fragmented SYN to a service")            \
	X(SYN_SOURCE, DROP, "syn_source", "a SYN whose source can never be answered (multicast, loopback, port 0)") \
	/* TC ingress: what became of proven cookies */                                   \
	X(FINISHED, PASS, "finished", "a proven connection handed to its listener")       \
	X(FINISH_NO_LISTENER, PASS, "finish_no_listener", "a proven connection whose listener is gone: the stack resets it") \
	X(FINISH_QUEUE_FULL, PASS, "finish_queue_full", "a proven connection for which its listener has no room: it must try again") \
	X(FINISH_REFUSED, PASS, "finish_refused", "the kernel refused the proven connection") \
	/* TC egress */                                                                   \
	X(RST_HELD, DROP, "rst_held", "the listener's RST to a proven client while its accept queue is full") \
	/* cannot happen unless a table is full or a helper fails */                      \
	X(REPLY_FAILED, DROP, "reply_failed", "a SYN could not be turned into its answer")
// clang-format on

enum synstile_verdict {
#define X(id, action, name, help) V_##id,
	SYNSTILE_VERDICTS(X)
#undef X
	V_COUNT
};

/* Counters come in two banks: what was done, and, in mode observe, what would
 * have been done. Index in the map: bank * V_COUNT + verdict. */
enum synstile_bank {
	BANK_DONE,
	BANK_OBSERVED,
	BANK_COUNT
};

#define SYNSTILE_COUNTERS (V_COUNT * BANK_COUNT)

#endif
