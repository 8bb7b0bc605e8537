/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The words in which tables of segments and states are written.
 */
#ifndef SYNSTILE_TEST_ROW_H
#define SYNSTILE_TEST_ROW_H

#include "follow.h"

enum {
	FIN = TCP_FIN,
	SYN = TCP_SYN,
	RST = TCP_RST,
	PSH = TCP_PSH,
	ACK = TCP_ACK
};

enum {
	LISTEN = ST_LISTEN,
	SYN_SENT = ST_SYN_SENT,
	SYN_RECEIVED = ST_SYN_RECEIVED,
	ESTABLISHED = ST_ESTABLISHED,
	FIN_WAIT_1 = ST_FIN_WAIT_1,
	FIN_WAIT_2 = ST_FIN_WAIT_2,
	CLOSE_WAIT = ST_CLOSE_WAIT,
	CLOSING = ST_CLOSING,
	LAST_ACK = ST_LAST_ACK,
	TIME_WAIT = ST_TIME_WAIT,
	CLOSED = ST_CLOSED
};

/* Notes: what a segment is beside what it says */
enum {
	AGAIN = NOTE_RETRANSMISSION,
	PROBE = NOTE_KEEPALIVE,
	RESET = NOTE_RESET,
	NEW = NOTE_NEW,
	/* not believed: it changes nothing */
	BAD_WINDOW = 1 << ODD_WINDOW,
	BAD_ACK = 1 << ODD_ACK,
	BAD_RST = 1 << ODD_RST,
	BAD_SYN = 1 << ODD_SYN,
	BAD_FIN = 1 << ODD_FIN
};

struct row {
	u8 who;
	u8 flags;
	s32 seq, ack;
	u32 len;           /* payload */
	u8 client, server; /* states after it */
	u32 notes;
};

#define WINDOW 1000 /* of every segment in a row */

#pragma GCC diagnostic ignored "-Wmissing-field-initializers" /* most rows have no notes */

/* Initial sequence numbers: some that wrap soon, at either end of what is "after" */
static const u32 isns[] = {0,          1,          0xffffffff, 0xfffffffe, 0xfffffff0,
			   0xffffff9b, 0x7fffffff, 0x80000000, 0x7ffffff0, 0x12345678};

#endif
