/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the observer met and did not believe, or could not follow: counted, never
 * acted upon. The packet itself goes its way (verdict.h).
 */
#ifndef SYNSTILE_ODDITY_H
#define SYNSTILE_ODDITY_H

// clang-format off
/* X(ID, name, help) */
#define SYNSTILE_ODDITIES(X)                                                                   \
	X(WINDOW, "out_of_window", "segments beyond the window that the other side offered")   \
	X(ACK, "ack_unsent", "segments that acknowledge what was never sent, or long ago")     \
	X(RST, "rst_ignored", "resets that do not fit exactly (RFC 5961): blind, or late")     \
	X(SYN, "syn_ignored", "SYNs to connections that are established (RFC 5961)")           \
	X(FIN, "fin_ignored", "FINs in front of data that was seen already")                   \
	X(UNFOLLOWED, "unfollowed", "connections that did not fit into the flow table")
// clang-format on

enum oddity {
#define X(id, name, help) ODD_##id,
	SYNSTILE_ODDITIES(X)
#undef X
	ODD_COUNT
};

#endif
