// SPDX-License-Identifier: GPL-2.0-only
/*
 * The states of both ends, told from segments: one table per chapter of a
 * connection's life. A row is a segment that passes, and the states of client and server as
 * they are known after it. Numbers count from each side's initial sequence number,
 * as in a packet dump: the SYN is 0, the first byte 1.
 *
 * Each table is run with numbers that wrap in every place, and with the host as the client
 * and as the server: what the host sends is believed, what the far side sends is judged.
 */
#include "row.h"

enum {
	END,
	C, /* the client sends it */
	S, /* the server does */
};

struct story {
	const char *name;
	u8 host; /* C or S if it is told of a host in this role only, else 0 */
	struct row rows[20];
};

// clang-format off
#define HANDSHAKE \
	{C, SYN,       0, 0, 0, SYN_SENT,    LISTEN},       \
	{S, SYN | ACK, 0, 1, 0, SYN_SENT,    SYN_RECEIVED}, \
	{C, ACK,       1, 1, 0, ESTABLISHED, ESTABLISHED}

static const struct story opening[] = {
	{"three-way handshake", 0, {HANDSHAKE}},
	{"the SYN is lost on its way", 0, {
		{C, SYN,       0, 0, 0, SYN_SENT,    LISTEN},
		{C, SYN,       0, 0, 0, SYN_SENT,    LISTEN, AGAIN},
		{C, SYN,       0, 0, 0, SYN_SENT,    LISTEN, AGAIN},
		{S, SYN | ACK, 0, 1, 0, SYN_SENT,    SYN_RECEIVED},
		{C, ACK,       1, 1, 0, ESTABLISHED, ESTABLISHED}}},
	{"the SYN-ACK is lost, and both sides repeat themselves", 0, {
		{C, SYN,       0, 0, 0, SYN_SENT,    LISTEN},
		{S, SYN | ACK, 0, 1, 0, SYN_SENT,    SYN_RECEIVED},
		{C, SYN,       0, 0, 0, SYN_SENT,    SYN_RECEIVED, AGAIN},
		{S, SYN | ACK, 0, 1, 0, SYN_SENT,    SYN_RECEIVED, AGAIN},
		{S, SYN | ACK, 0, 1, 0, SYN_SENT,    SYN_RECEIVED, AGAIN},
		{C, ACK,       1, 1, 0, ESTABLISHED, ESTABLISHED}}},
	{"the ACK is lost: the server shows that it still waits for it", 0, {
		HANDSHAKE,
		{S, SYN | ACK, 0, 1, 0, ESTABLISHED, SYN_RECEIVED, AGAIN},
		{C, ACK,       1, 1, 0, ESTABLISHED, ESTABLISHED},
		{S, SYN | ACK, 0, 1, 0, ESTABLISHED, SYN_RECEIVED, AGAIN},
		{S, SYN | ACK, 0, 1, 0, ESTABLISHED, SYN_RECEIVED, AGAIN},
		{C, PSH | ACK, 1, 1, 9, ESTABLISHED, ESTABLISHED}}},
	{"the ACK is lost, and a FIN follows it", 0, {
		HANDSHAKE,
		{S, SYN | ACK, 0, 1, 0, ESTABLISHED, SYN_RECEIVED, AGAIN},
		{C, FIN | ACK, 1, 1, 0, FIN_WAIT_1,  ESTABLISHED}}},
	{"a SYN-ACK that wandered in the network says nothing any more", 0, {
		HANDSHAKE,
		{C, PSH | ACK, 1,  1, 9, ESTABLISHED, ESTABLISHED},
		{S, ACK,       1, 10, 0, ESTABLISHED, ESTABLISHED},
		{S, SYN | ACK, 0,  1, 0, ESTABLISHED, ESTABLISHED, AGAIN},
		{C, ACK,      10,  1, 0, ESTABLISHED, ESTABLISHED}}},
	{"the ACK carries data", 0, {
		{C, SYN,       0,  0, 0, SYN_SENT,    LISTEN},
		{S, SYN | ACK, 0,  1, 0, SYN_SENT,    SYN_RECEIVED},
		{C, PSH | ACK, 1,  1, 9, ESTABLISHED, ESTABLISHED},
		{S, ACK,       1, 10, 0, ESTABLISHED, ESTABLISHED}}},
	{"Fast Open: data in the SYN, answered before the handshake is over", 0, {
		{C, SYN,       0,  0, 9, SYN_SENT,    LISTEN},
		{S, SYN | ACK, 0, 10, 0, SYN_SENT,    SYN_RECEIVED},
		{S, PSH | ACK, 1, 10, 5, SYN_SENT,    SYN_RECEIVED},
		{C, ACK,      10,  6, 0, ESTABLISHED, ESTABLISHED}}},
	{"Fast Open that the server does not take up", 0, {
		{C, SYN,       0,  0, 9, SYN_SENT,    LISTEN},
		{S, SYN | ACK, 0,  1, 0, SYN_SENT,    SYN_RECEIVED},
		{C, PSH | ACK, 1,  1, 9, ESTABLISHED, ESTABLISHED, AGAIN},
		{S, ACK,       1, 10, 0, ESTABLISHED, ESTABLISHED}}},
	{"data in the SYN-ACK", 0, {
		{C, SYN,       0,  0, 0, SYN_SENT,    LISTEN},
		{S, SYN | ACK, 0,  1, 5, SYN_SENT,    SYN_RECEIVED},
		{C, ACK,       1,  6, 0, ESTABLISHED, ESTABLISHED}}},
	{"simultaneous open (RFC 9293 3.5, figure 7)", 0, {
		{C, SYN,       0, 0, 0, SYN_SENT,     LISTEN},
		{S, SYN,       0, 0, 0, SYN_SENT,     SYN_SENT},
		{C, SYN | ACK, 0, 1, 0, SYN_RECEIVED, SYN_SENT},
		{S, SYN | ACK, 0, 1, 0, ESTABLISHED,  ESTABLISHED},
		{C, PSH | ACK, 1, 1, 9, ESTABLISHED,  ESTABLISHED}}},
	{"simultaneous open: a SYN-ACK is lost behind us", 0, {
		{C, SYN,       0, 0, 0, SYN_SENT,     LISTEN},
		{S, SYN,       0, 0, 0, SYN_SENT,     SYN_SENT},
		{C, SYN | ACK, 0, 1, 0, SYN_RECEIVED, SYN_SENT},
		{S, SYN | ACK, 0, 1, 0, ESTABLISHED,  ESTABLISHED},
		{S, SYN | ACK, 0, 1, 0, ESTABLISHED,  SYN_RECEIVED, AGAIN},
		{C, ACK,       1, 1, 0, ESTABLISHED,  ESTABLISHED}}},
	{"simultaneous open: the first SYN is lost, and the other side's comes", 0, {
		{C, SYN,       0, 0, 0, SYN_SENT,     LISTEN},
		{C, SYN,       0, 0, 0, SYN_SENT,     LISTEN, AGAIN},
		{S, SYN,       0, 0, 0, SYN_SENT,     SYN_SENT},
		{C, SYN | ACK, 0, 1, 0, SYN_RECEIVED, SYN_SENT},
		{C, SYN | ACK, 0, 1, 0, SYN_RECEIVED, SYN_SENT, AGAIN},
		{S, ACK,       1, 1, 0, ESTABLISHED,  ESTABLISHED}}},
	{"the client starts anew, with another ISN, before it was answered", 0, {
		{C, SYN,         0,    0, 0, SYN_SENT,    LISTEN},
		{C, SYN,       500,    0, 0, SYN_SENT,    LISTEN},
		{S, SYN | ACK,   0,  501, 0, SYN_SENT,    SYN_RECEIVED},
		{C, ACK,       501,    1, 0, ESTABLISHED, ESTABLISHED}}},
};

static const struct story closing[] = {
	{"the client closes first", 0, {
		HANDSHAKE,
		{C, PSH | ACK,   1,   1, 100, ESTABLISHED, ESTABLISHED},
		{S, ACK,         1, 101,   0, ESTABLISHED, ESTABLISHED},
		{S, PSH | ACK,   1, 101, 300, ESTABLISHED, ESTABLISHED},
		{C, ACK,       101, 301,   0, ESTABLISHED, ESTABLISHED},
		{C, FIN | ACK, 101, 301,   0, FIN_WAIT_1,  ESTABLISHED},
		{S, ACK,       301, 102,   0, FIN_WAIT_2,  CLOSE_WAIT},
		{S, FIN | ACK, 301, 102,   0, FIN_WAIT_2,  LAST_ACK},
		{C, ACK,       102, 302,   0, TIME_WAIT,   CLOSED}}},
	{"the server closes first", 0, {
		HANDSHAKE,
		{S, PSH | ACK,   1,   1, 300, ESTABLISHED, ESTABLISHED},
		{S, FIN | ACK, 301,   1,   0, ESTABLISHED, FIN_WAIT_1},
		{C, ACK,         1, 301,   0, ESTABLISHED, FIN_WAIT_1}, /* of the data only */
		{C, ACK,         1, 302,   0, CLOSE_WAIT,  FIN_WAIT_2},
		{C, FIN | ACK,   1, 302,   0, LAST_ACK,    FIN_WAIT_2},
		{S, ACK,       302,   2,   0, CLOSED,      TIME_WAIT}}},
	{"in three segments: the FIN carries the ACK of the other one", 0, {
		HANDSHAKE,
		{C, FIN | ACK, 1, 1, 0, FIN_WAIT_1, ESTABLISHED},
		{S, FIN | ACK, 1, 2, 0, FIN_WAIT_2, LAST_ACK},
		{C, ACK,       2, 2, 0, TIME_WAIT,  CLOSED}}},
	{"half-closed: the server goes on sending for as long as it likes", 0, {
		HANDSHAKE,
		{C, FIN | ACK,   1,   1,   0, FIN_WAIT_1, ESTABLISHED},
		{S, ACK,         1,   2,   0, FIN_WAIT_2, CLOSE_WAIT},
		{S, PSH | ACK,   1,   2, 500, FIN_WAIT_2, CLOSE_WAIT},
		{C, ACK,         2, 501,   0, FIN_WAIT_2, CLOSE_WAIT},
		{S, PSH | ACK, 501,   2, 500, FIN_WAIT_2, CLOSE_WAIT},
		{S, PSH | ACK, 501,   2, 500, FIN_WAIT_2, CLOSE_WAIT, AGAIN},
		{C, ACK,         2, 1001,  0, FIN_WAIT_2, CLOSE_WAIT},
		{S, FIN | ACK, 1001,  2,   0, FIN_WAIT_2, LAST_ACK},
		{C, ACK,         2, 1002,  0, TIME_WAIT,  CLOSED}}},
	{"half-closed: the client goes on sending", 0, {
		HANDSHAKE,
		{S, FIN | ACK,   1,   1,   0, ESTABLISHED, FIN_WAIT_1},
		{C, PSH | ACK,   1,   2, 500, CLOSE_WAIT,  FIN_WAIT_2},
		{S, ACK,         2, 501,   0, CLOSE_WAIT,  FIN_WAIT_2},
		{C, PSH | ACK, 501,   2, 500, CLOSE_WAIT,  FIN_WAIT_2},
		{S, ACK,         2, 1001,  0, CLOSE_WAIT,  FIN_WAIT_2},
		{C, FIN | ACK, 1001,  2,   0, LAST_ACK,    FIN_WAIT_2},
		{S, ACK,         2, 1002,  0, CLOSED,      TIME_WAIT}}},
	{"FIN with data", 0, {
		HANDSHAKE,
		{C, FIN | PSH | ACK, 1,  1, 50, FIN_WAIT_1, ESTABLISHED},
		{S, ACK,             1, 51,  0, FIN_WAIT_1, ESTABLISHED},
		{S, ACK,             1, 52,  0, FIN_WAIT_2, CLOSE_WAIT},
		{S, FIN | PSH | ACK, 1, 52, 70, FIN_WAIT_2, LAST_ACK},
		{C, ACK,            52, 72,  0, TIME_WAIT,  CLOSED}}},
	{"simultaneous close", 0, {
		HANDSHAKE,
		{C, FIN | ACK, 1, 1, 0, FIN_WAIT_1, ESTABLISHED},
		{S, FIN | ACK, 1, 1, 0, FIN_WAIT_1, FIN_WAIT_1},
		{C, ACK,       2, 2, 0, CLOSING,    FIN_WAIT_2},
		{S, ACK,       2, 2, 0, TIME_WAIT,  TIME_WAIT}}},
	{"simultaneous close, and data on its way both ways", 0, {
		HANDSHAKE,
		{C, FIN | PSH | ACK,  1,  1, 40, FIN_WAIT_1, ESTABLISHED},
		{S, FIN | PSH | ACK,  1,  1, 60, FIN_WAIT_1, FIN_WAIT_1},
		{S, ACK,             62, 42,  0, FIN_WAIT_2, CLOSING},
		{C, ACK,             42, 61,  0, FIN_WAIT_2, CLOSING}, /* of the data only */
		{C, ACK,             42, 62,  0, TIME_WAIT,  TIME_WAIT}}},
	{"FINs repeated in every state", 0, {
		HANDSHAKE,
		{C, FIN | ACK, 1, 1, 0, FIN_WAIT_1, ESTABLISHED},
		{C, FIN | ACK, 1, 1, 0, FIN_WAIT_1, ESTABLISHED, AGAIN},
		{S, ACK,       1, 2, 0, FIN_WAIT_2, CLOSE_WAIT},
		{C, FIN | ACK, 1, 1, 0, FIN_WAIT_2, CLOSE_WAIT, AGAIN},
		{S, FIN | ACK, 1, 2, 0, FIN_WAIT_2, LAST_ACK},
		{S, FIN | ACK, 1, 2, 0, FIN_WAIT_2, LAST_ACK, AGAIN},
		{C, ACK,       2, 2, 0, TIME_WAIT,  CLOSED},
		/* The last ACK did not get there. That the server was in LAST-ACK all the
		 * time can be known only now, and is put right by the next segment. */
		{S, FIN | ACK, 1, 2, 0, TIME_WAIT,  CLOSED, AGAIN},
		{C, ACK,       2, 2, 0, TIME_WAIT,  CLOSED}}},
	{"the FIN is repeated with more data than before in front", 0, {
		HANDSHAKE,
		{C, PSH | ACK,        1, 1, 10, ESTABLISHED, ESTABLISHED},
		{C, FIN | PSH | ACK, 11, 1, 10, FIN_WAIT_1,  ESTABLISHED},
		{C, FIN | PSH | ACK,  1, 1, 20, FIN_WAIT_1,  ESTABLISHED, AGAIN},
		{S, ACK,              1, 22, 0, FIN_WAIT_2,  CLOSE_WAIT}}},
	{"data before the FIN is lost on its way to us", 0, {
		HANDSHAKE,
		{C, FIN | ACK,  101,   1,   0, FIN_WAIT_1, ESTABLISHED},
		{S, ACK,          1,   1,   0, FIN_WAIT_1, ESTABLISHED},
		{C, PSH | ACK,    1,   1, 100, FIN_WAIT_1, ESTABLISHED, AGAIN},
		{S, ACK,          1, 102,   0, FIN_WAIT_2, CLOSE_WAIT}}},
	{"the server closes in SYN-RECEIVED (RFC 9293 3.10.4)", 0, {
		{C, SYN,       0, 0, 0, SYN_SENT,    LISTEN},
		{S, SYN | ACK, 0, 1, 0, SYN_SENT,    SYN_RECEIVED},
		{S, FIN | ACK, 1, 1, 0, SYN_SENT,    FIN_WAIT_1},
		{C, ACK,       1, 1, 0, ESTABLISHED, FIN_WAIT_1},
		{C, ACK,       1, 2, 0, CLOSE_WAIT,  FIN_WAIT_2}}},
	{"the client has nothing to say", 0, {
		{C, SYN,       0, 0, 0, SYN_SENT,    LISTEN},
		{S, SYN | ACK, 0, 1, 0, SYN_SENT,    SYN_RECEIVED},
		{C, FIN | ACK, 1, 1, 0, FIN_WAIT_1,  ESTABLISHED},
		{S, FIN | ACK, 1, 2, 0, FIN_WAIT_2,  LAST_ACK},
		{C, ACK,       2, 2, 0, TIME_WAIT,   CLOSED}}},
};

/* RFC 9293 3.10.7, RFC 5961 3.2: in SYN-SENT a reset must acknowledge the SYN, else it
 * must have the very number that is expected next. */
static const struct story resets[] = {
	{"connection refused", 0, {
		{C, SYN,        0, 0, 0, SYN_SENT, LISTEN},
		{S, RST | ACK,  0, 0, 0, SYN_SENT, LISTEN, BAD_RST},
		{S, RST | ACK,  0, 2, 0, SYN_SENT, LISTEN, BAD_RST},
		{S, RST,        0, 1, 0, SYN_SENT, LISTEN, BAD_RST},
		{S, RST | ACK,  0, 1, 0, CLOSED,   CLOSED, RESET}}},
	{"the client gives up before it was answered", 0, {
		{C, SYN,  0, 0, 0, SYN_SENT, LISTEN},
		{C, RST,  0, 0, 0, SYN_SENT, LISTEN, BAD_RST},
		{C, RST,  2, 0, 0, SYN_SENT, LISTEN, BAD_RST},
		{C, RST, 99, 0, 0, SYN_SENT, LISTEN, BAD_RST},
		{C, RST,  1, 0, 0, CLOSED,   CLOSED, RESET}}},
	{"the client wants no such connection (a scanner)", 0, {
		{C, SYN,        0, 0, 0, SYN_SENT, LISTEN},
		{S, SYN | ACK,  0, 1, 0, SYN_SENT, SYN_RECEIVED},
		{C, RST,        0, 0, 0, SYN_SENT, SYN_RECEIVED, BAD_RST},
		{C, RST,        2, 0, 0, SYN_SENT, SYN_RECEIVED, BAD_RST},
		{C, RST,      500, 0, 0, SYN_SENT, SYN_RECEIVED, BAD_RST},
		{C, RST,        1, 0, 0, CLOSED,   CLOSED, RESET}}},
	{"the server takes its SYN-ACK back", 0, {
		{C, SYN,       0,  0, 0, SYN_SENT, LISTEN},
		{S, SYN | ACK, 0,  1, 0, SYN_SENT, SYN_RECEIVED},
		{S, RST,       0,  0, 0, SYN_SENT, SYN_RECEIVED, BAD_RST},
		{S, RST,      99,  0, 0, SYN_SENT, SYN_RECEIVED, BAD_RST},
		{S, RST | ACK, 0, 99, 0, SYN_SENT, SYN_RECEIVED, BAD_RST},
		{S, RST,       1,  0, 0, CLOSED,   CLOSED, RESET}}},
	{"the same, as Linux does", 0, {
		{C, SYN,       0,  0, 0, SYN_SENT, LISTEN},
		{S, SYN | ACK, 0,  1, 0, SYN_SENT, SYN_RECEIVED},
		{S, RST | ACK, 1,  1, 0, CLOSED,   CLOSED, RESET}}},
	{"the host refuses an answer to a SYN of long ago; its own SYN lives", C, {
		{C, SYN,       0,    0, 0, SYN_SENT, LISTEN},
		{S, SYN | ACK, 0, 5555, 0, SYN_SENT, LISTEN, BAD_ACK},
		{C, RST,    5555,    0, 0, SYN_SENT, LISTEN, BAD_RST},
		{S, SYN | ACK, 0,    1, 0, SYN_SENT, SYN_RECEIVED},
		{C, ACK,       1,    1, 0, ESTABLISHED, ESTABLISHED}}},
	{"the host refuses an ACK of long ago; its SYN-ACK lives", S, {
		{C, SYN,       0,    0, 0, SYN_SENT, LISTEN},
		{S, SYN | ACK, 0,    1, 0, SYN_SENT, SYN_RECEIVED},
		{C, ACK,       1, 5555, 0, SYN_SENT, SYN_RECEIVED, BAD_ACK},
		{S, RST,    5555,    0, 0, SYN_SENT, SYN_RECEIVED, BAD_RST},
		{C, ACK,       1,    1, 0, ESTABLISHED, ESTABLISHED}}},
	{"a reset may come before what it follows was acknowledged, not beyond it", 0, {
		HANDSHAKE,
		{C, PSH | ACK,  1,  1, 100, ESTABLISHED, ESTABLISHED},
		{C, RST | ACK,  0,  1,   0, ESTABLISHED, ESTABLISHED, BAD_RST},
		{C, RST | ACK, 102, 1,   0, ESTABLISHED, ESTABLISHED, BAD_RST},
		{C, RST | ACK, 101, 1,   0, CLOSED,      CLOSED, RESET}}},
	{"simultaneous open, refused", 0, {
		{C, SYN,       0, 0, 0, SYN_SENT, LISTEN},
		{S, SYN,       0, 0, 0, SYN_SENT, SYN_SENT},
		{S, RST | ACK, 1, 1, 0, CLOSED,   CLOSED, RESET}}},
};

/* What the far side, or someone in its name, can send to no effect. */
static const struct story bad[] = {
	{"an ACK before there was anything to acknowledge", S, {
		{C, SYN,       0,          0, 0, SYN_SENT, LISTEN},
		{C, ACK,       1,          1, 0, SYN_SENT, LISTEN, BAD_ACK},
		{C, ACK,       1, 1000000000, 0, SYN_SENT, LISTEN, BAD_ACK},
		{C, PSH | ACK, 1,          1, 9, SYN_SENT, LISTEN, BAD_ACK},
		{S, SYN | ACK, 0,          1, 0, SYN_SENT, SYN_RECEIVED}}},
	{"an ACK of the wrong SYN-ACK", S, {
		{C, SYN,       0, 0, 0, SYN_SENT, LISTEN},
		{S, SYN | ACK, 0, 1, 0, SYN_SENT, SYN_RECEIVED},
		{C, ACK,       1, 0, 0, SYN_SENT, SYN_RECEIVED, BAD_ACK},
		{C, ACK,       1, 2, 0, SYN_SENT, SYN_RECEIVED, BAD_ACK},
		{C, PSH | ACK, 1, -40000, 9, SYN_SENT, SYN_RECEIVED, BAD_ACK},
		{C, ACK,       1, 1, 0, ESTABLISHED, ESTABLISHED}}},
	{"an ACK of the right SYN-ACK, but from nowhere", S, {
		{C, SYN,            0, 0, 0, SYN_SENT, LISTEN},
		{S, SYN | ACK,      0, 1, 0, SYN_SENT, SYN_RECEIVED},
		{C, PSH | ACK,   5000, 1, 9, SYN_SENT, SYN_RECEIVED, BAD_WINDOW},
		{C, PSH | ACK, -90000, 1, 9, SYN_SENT, SYN_RECEIVED, BAD_WINDOW}}},
	{"a SYN-ACK for another SYN", C, {
		{C, SYN,       0, 0, 0, SYN_SENT, LISTEN},
		{S, SYN | ACK, 0, 0, 0, SYN_SENT, LISTEN, BAD_ACK},
		{S, SYN | ACK, 0, 2, 0, SYN_SENT, LISTEN, BAD_ACK},
		{S, ACK,       1, 1, 0, SYN_SENT, LISTEN, BAD_ACK},
		{S, PSH | ACK, 1, 1, 9, SYN_SENT, LISTEN, BAD_ACK},
		{S, SYN | ACK, 0, 1, 0, SYN_SENT, SYN_RECEIVED}}},
	{"SYNs to a connection that is established", S, {
		HANDSHAKE,
		{C, SYN,         1,    0, 0, ESTABLISHED, ESTABLISHED, BAD_SYN},
		{C, SYN,       500,    0, 0, ESTABLISHED, ESTABLISHED, BAD_SYN},
		{C, SYN,    900000,    0, 0, ESTABLISHED, ESTABLISHED, BAD_SYN},
		{C, SYN | ACK, 500,    1, 0, ESTABLISHED, ESTABLISHED, BAD_SYN},
		{C, SYN | ACK, 500, 7777, 0, ESTABLISHED, ESTABLISHED, BAD_SYN},
		{C, SYN | ACK,   0, 7777, 0, ESTABLISHED, ESTABLISHED, BAD_ACK},
		{S, ACK,         1,    1, 0, ESTABLISHED, ESTABLISHED}, /* "is it you?" */
		{C, ACK,         1,    1, 0, ESTABLISHED, ESTABLISHED}}},
	{"SYN-ACKs to a connection that is established", C, {
		HANDSHAKE,
		{S, SYN | ACK, 500,    1, 0, ESTABLISHED, ESTABLISHED, BAD_SYN},
		{S, SYN | ACK, 500, 7777, 0, ESTABLISHED, ESTABLISHED, BAD_SYN},
		{S, SYN | ACK,   0, 7777, 0, ESTABLISHED, ESTABLISHED, BAD_ACK},
		{S, SYN,       500,    0, 0, ESTABLISHED, ESTABLISHED, BAD_SYN}}},
	{"acknowledged what was never sent, or long ago (RFC 5961 5.2)", S, {
		HANDSHAKE,
		{S, PSH | ACK, 1,     1, 100, ESTABLISHED, ESTABLISHED},
		{C, ACK,       1,   102,   0, ESTABLISHED, ESTABLISHED, BAD_ACK},
		{C, FIN | ACK, 1,  9999,   0, ESTABLISHED, ESTABLISHED, BAD_ACK},
		{C, ACK,       1, 1 - 65536, 0, ESTABLISHED, ESTABLISHED, BAD_ACK},
		{C, FIN | ACK, 1, 1 - 99999, 0, ESTABLISHED, ESTABLISHED, BAD_ACK},
		{C, ACK,       1, 1 - 65535, 0, ESTABLISHED, ESTABLISHED},
		{C, ACK,       1,   101,   0, ESTABLISHED, ESTABLISHED}}},
	{"beyond the window that the host offered, or far below", S, {
		HANDSHAKE,
		{C, PSH | ACK,    1, 1, WINDOW + 2, ESTABLISHED, ESTABLISHED, BAD_WINDOW},
		{C, PSH | ACK, 1002, 1,  10, ESTABLISHED, ESTABLISHED, BAD_WINDOW},
		{C, FIN | ACK, 9999, 1,   0, ESTABLISHED, ESTABLISHED, BAD_WINDOW},
		{C, PSH | ACK, -65600, 1, 10, ESTABLISHED, ESTABLISHED, BAD_WINDOW},
		{C, FIN | ACK, -65600, 1, 10, ESTABLISHED, ESTABLISHED, BAD_WINDOW},
		{C, PSH | ACK, -65546, 1, 10, ESTABLISHED, ESTABLISHED, BAD_WINDOW},
		{C, PSH | ACK, -65545, 1, 10, ESTABLISHED, ESTABLISHED, AGAIN},
		{C, PSH | ACK, 2000000000, 1, 10, ESTABLISHED, ESTABLISHED, BAD_WINDOW},
		{C, PSH | ACK,    1, 1, WINDOW, ESTABLISHED, ESTABLISHED},
		/* one byte may ask whether the window opens again */
		{C, PSH | ACK, 1001, 1,   1, ESTABLISHED, ESTABLISHED},
		{C, PSH | ACK, 1002, 1,   1, ESTABLISHED, ESTABLISHED, BAD_WINDOW}}},
	{"below what the host has: a repetition, whose ACK the host does not read", S, {
		HANDSHAKE,
		{C, PSH | ACK,  1,   1, 100, ESTABLISHED, ESTABLISHED},
		{S, ACK,        1, 101,   0, ESTABLISHED, ESTABLISHED},
		{S, FIN | ACK,  1, 101,   0, ESTABLISHED, FIN_WAIT_1},
		{C, PSH | ACK,  1,   2,  50, ESTABLISHED, FIN_WAIT_1, AGAIN},
		{C, ACK,      101,   2,   0, CLOSE_WAIT,  FIN_WAIT_2}}},
	{"a FIN in front of data that was seen", S, {
		HANDSHAKE,
		{C, PSH | ACK,      1, 1, 100, ESTABLISHED, ESTABLISHED},
		{C, FIN | ACK,     50, 1,   0, ESTABLISHED, ESTABLISHED, BAD_FIN},
		{C, FIN | PSH | ACK, 1, 1, 99, ESTABLISHED, ESTABLISHED, BAD_FIN},
		{C, FIN | PSH | ACK, 1, 1, 100, FIN_WAIT_1, ESTABLISHED, AGAIN}}},
	{"in TIME-WAIT: the host may take up a new SYN, and its SYN-ACK shows that", S, {
		HANDSHAKE,
		{S, FIN | ACK,      1,     1, 0, ESTABLISHED, FIN_WAIT_1},
		{C, FIN | ACK,      1,     2, 0, LAST_ACK,    FIN_WAIT_2},
		{S, ACK,            2,     2, 0, CLOSED,      TIME_WAIT},
		{C, SYN,        90000,     0, 0, CLOSED,      TIME_WAIT, BAD_SYN},
		{S, SYN | ACK, 700000, 90001, 0, CLOSED,      TIME_WAIT, NEW}}},
	{"in TIME-WAIT: the host itself opens the next connection", C, {
		HANDSHAKE,
		{C, FIN | ACK,     1, 1, 0, FIN_WAIT_1, ESTABLISHED},
		{S, FIN | ACK,     1, 2, 0, FIN_WAIT_2, LAST_ACK},
		{C, ACK,           2, 2, 0, TIME_WAIT,  CLOSED},
		{C, SYN,       90000, 0, 0, TIME_WAIT,  CLOSED, NEW}}},
	{"the host has a TIME-WAIT that we know nothing of, and defends it", S, {
		{C, SYN,            0,     0, 0, SYN_SENT, LISTEN},
		{S, ACK,       300000, 90000, 0, SYN_SENT, LISTEN, BAD_ACK},
		{C, RST,        90000,     0, 0, SYN_SENT, LISTEN, BAD_RST},
		{C, SYN,            0,     0, 0, SYN_SENT, LISTEN, AGAIN},
		{S, SYN | ACK,      0,     1, 0, SYN_SENT, SYN_RECEIVED},
		{C, ACK,            1,     1, 0, ESTABLISHED, ESTABLISHED}}},
};

/* What passes elsewhere, and shows only in what the host makes of it. */
static const struct story elsewhere[] = {
	{"the far side's data came in by another interface", S, {
		HANDSHAKE,
		{S, ACK,         1, 501,   0, ESTABLISHED, ESTABLISHED},
		{C, PSH | ACK, 501,   1, 100, ESTABLISHED, ESTABLISHED}}},
	{"the far side's FIN, too; then it comes here, again", S, {
		HANDSHAKE,
		{S, ACK,         1, 501,   0, ESTABLISHED, ESTABLISHED},
		{C, FIN | ACK, 499,   1,   0, ESTABLISHED, ESTABLISHED, BAD_FIN},
		{C, FIN | ACK, 500,   1,   0, FIN_WAIT_2,  CLOSE_WAIT, AGAIN}}},
	{"the SYN-ACK left by another interface", S, {
		{C, SYN,       0, 0, 0, SYN_SENT,    LISTEN},
		{S, PSH | ACK, 1, 1, 9, ESTABLISHED, ESTABLISHED},
		{C, ACK,       1, 10, 0, ESTABLISHED, ESTABLISHED}}},
	{"the SYN-ACK came in by another interface", C, {
		{C, SYN,       0, 0, 0, SYN_SENT,    LISTEN},
		{C, ACK,       1, 1, 0, ESTABLISHED, ESTABLISHED},
		{S, PSH | ACK, 1, 2, 9, ESTABLISHED, ESTABLISHED, BAD_ACK},
		{S, PSH | ACK, 1, 1, 9, ESTABLISHED, ESTABLISHED},
		{S, ACK,      10, 2, 0, ESTABLISHED, ESTABLISHED, BAD_ACK}}},
};
// clang-format on

/* A story that is being told: with these ISNs, of a host that is the client or the server. */
struct telling {
	const struct story *story;
	u8 host;
	u32 isn[S + 1];
	struct flow flow;
	/* where each side is: the end of what it sent, and what it acknowledged */
	u32 end[S + 1], acked[S + 1];
	bool has_acked[S + 1];
};

static u8 other(u8 who)
{
	return C + S - who;
}

static u32 side_of(const struct telling *t, u8 who)
{
	return who == t->host ? LOCAL : REMOTE;
}

static u8 state_of(const struct telling *t, u8 who)
{
	return flow_state(t->flow.word, side_of(t, who));
}

static struct tcp_segment segment_of(const struct telling *t, const struct row *r)
{
	return (struct tcp_segment){.seq = t->isn[r->who] + r->seq,
				    .ack = r->flags & ACK ? t->isn[other(r->who)] + r->ack : 0,
				    .len = r->len,
				    .segments = 1,
				    .window = WINDOW,
				    .flags = r->flags,
				    .trusted = r->who == t->host};
}

/* How far a side has come, as an ideal receiver next to it would know. */
static void move(struct telling *t, const struct row *r, const struct tcp_segment *seg)
{
	u32 end = seg->seq + seg->len + !!(seg->flags & (SYN | FIN));

	if (r->notes & ~AGAIN)
		return;
	if ((seg->flags & SYN && !(r->notes & AGAIN)) || tcp_after(end, t->end[r->who]))
		t->end[r->who] = end;
	if (!(seg->flags & ACK))
		return;
	if (!t->has_acked[r->who] || tcp_after(seg->ack, t->acked[r->who]))
		t->acked[r->who] = seg->ack;
	t->has_acked[r->who] = true;
}

static void tell_row(struct telling *t, u32 n)
{
	const struct row *r = &t->story->rows[n];
	struct tcp_segment seg = segment_of(t, r);
	u32 notes = 0;

	if (!n)
		follow_open(&t->flow, side_of(t, C), &seg);
	else
		notes = follow(&t->flow, side_of(t, r->who), &seg);
	if (notes != r->notes || state_of(t, C) != r->client || state_of(t, S) != r->server)
		fail_msg("\"%s\", host is the %s, ISNs %x %x: after row %u %s %s, notes %x; "
			 "expected %s %s, notes %x",
			 t->story->name, t->host == C ? "client" : "server", t->isn[C], t->isn[S],
			 n + 1, state_name(state_of(t, C)), state_name(state_of(t, S)), notes,
			 state_name(r->client), state_name(r->server), r->notes);
	move(t, r, &seg);
}

/* Calls `each` after every row of every telling of the story. */
static void tell(const struct story *story, void (*each)(const struct telling *t))
{
	for (u32 n = 0; n < 2 * ARRAY_SIZE(isns) * ARRAY_SIZE(isns); n++) {
		struct telling t = {.story = story, .host = n & 1 ? C : S};

		t.isn[C] = isns[n / 2 % ARRAY_SIZE(isns)];
		t.isn[S] = isns[n / 2 / ARRAY_SIZE(isns)];
		if (story->host && story->host != t.host)
			continue;
		for (u32 row = 0; row < ARRAY_SIZE(story->rows) && story->rows[row].who; row++) {
			tell_row(&t, row);
			if (each)
				each(&t);
		}
	}
}

#define TELL(stories, each)                                                                        \
	for (size_t story = 0; story < ARRAY_SIZE(stories); story++)                               \
	tell(&(stories)[story], each)

static void test_opening(void **state)
{
	(void)state;
	TELL(opening, NULL);
}

static void test_closing(void **state)
{
	(void)state;
	TELL(closing, NULL);
}

static void test_resets(void **state)
{
	(void)state;
	TELL(resets, NULL);
}

static void test_bad(void **state)
{
	(void)state;
	TELL(bad, NULL);
}

static void test_elsewhere(void **state)
{
	(void)state;
	TELL(elsewhere, NULL);
}

/* ---- at every point of every story ---- */

/* This segment comes now: what is it? The story goes on as if it had not come. */
static u32 what_is(const struct telling *t, u8 who, struct tcp_segment seg)
{
	struct flow f = t->flow;
	u32 notes;

	seg.trusted = who == t->host;
	seg.segments = 1;
	notes = follow(&f, side_of(t, who), &seg);
	if (notes & NOTE_RESET) {
		assert_int_equal(flow_state(f.word, REMOTE), ST_CLOSED);
		assert_int_equal(flow_state(f.word, LOCAL), ST_CLOSED);
		assert_int_equal(flow_phase(f.word), FLOW_CLOSED);
	} else if (notes & NOTE_ODD) {
		assert_int_equal(f.word, t->flow.word);
	}
	return notes;
}

static bool is_open(const struct telling *t)
{
	return state_of(t, C) >= ST_ESTABLISHED && state_of(t, S) >= ST_ESTABLISHED;
}

static void reset_at_every_point(const struct telling *t)
{
	static const s32 off[] = {1, 2, 500, 999, 1000, 100000, 0x7fffff00};

	if (!is_open(t))
		return;
	for (u8 who = C; who <= S; who++) {
		u32 next = t->end[who], known = t->acked[other(who)];
		u8 flags = who == C ? RST : RST | ACK;

		assert_int_equal(what_is(t, who, (struct tcp_segment){.seq = next, .flags = flags}),
				 RESET);
		/* where data is on its way, the receiver may not have got it */
		assert_int_equal(
			what_is(t, who, (struct tcp_segment){.seq = known, .flags = flags}), RESET);
		for (size_t i = 0; i < ARRAY_SIZE(off); i++) {
			assert_int_equal(
				what_is(t, who,
					(struct tcp_segment){.seq = next + off[i], .flags = flags}),
				BAD_RST);
			assert_int_equal(what_is(t, who,
						 (struct tcp_segment){.seq = known - off[i],
								      .flags = flags}),
					 BAD_RST);
		}
	}
}

static void test_reset_at_every_point(void **state)
{
	(void)state;
	TELL(opening, reset_at_every_point);
	TELL(closing, reset_at_every_point);
}

/* Someone who knows addresses and ports, and guesses the rest. */
static void attack_at_every_point(const struct telling *t)
{
	u8 who = other(t->host);
	u32 seq = t->end[who], ack = t->end[t->host];

	if (!is_open(t))
		return;
	assert_int_equal(what_is(t, who, (struct tcp_segment){.seq = seq + 7, .flags = SYN}),
			 BAD_SYN);
	for (u8 flags = 0; flags < 4; flags++) {
		struct tcp_segment seg = {.seq = seq,
					  .ack = ack + 1,
					  .len = flags & 2 ? 9 : 0,
					  .window = 9,
					  .flags = flags & 1 ? FIN | ACK : ACK};

		assert_int_equal(what_is(t, who, seg), BAD_ACK);
		seg.ack = ack + 0x7fffff00;
		assert_int_equal(what_is(t, who, seg), BAD_ACK);
		seg.ack = t->acked[who] - 65536;
		assert_int_equal(what_is(t, who, seg), BAD_ACK);
		seg.ack = ack;
		seg.seq = t->acked[t->host] + WINDOW + 2;
		assert_int_equal(what_is(t, who, seg), BAD_WINDOW);
		seg.seq = t->acked[t->host] - 65536 - 12;
		assert_int_equal(what_is(t, who, seg), BAD_WINDOW);
	}
}

static void test_attack_at_every_point(void **state)
{
	(void)state;
	TELL(opening, attack_at_every_point);
	TELL(closing, attack_at_every_point);
}

/* ---- phases, which the defence looks at ---- */

static void phase_at_every_point(const struct telling *t)
{
	u8 c = state_of(t, C), s = state_of(t, S), phase = flow_phase(t->flow.word);
	u16 fins = (t->flow.side[C - 1].flags & SIDE_FIN) + (t->flow.side[S - 1].flags & SIDE_FIN);

	if (fins)
		assert_int_equal(phase, fins == SIDE_FIN ? FLOW_CLOSING : FLOW_CLOSED);
	else
		assert_int_equal(phase, c == ST_ESTABLISHED && s == ST_ESTABLISHED
						? FLOW_OPEN
						: FLOW_HALF_OPEN);
}

static void test_phases(void **state)
{
	(void)state;
	TELL(opening, phase_at_every_point);
	TELL(closing, phase_at_every_point);
}

/* The count of changes moves with each change of a state, and only then. */
static void test_changes_are_numbered(void **state)
{
	struct telling t = {.story = &closing[0], .host = S};
	u32 last = 0;

	(void)state;
	for (u32 row = 0; t.story->rows[row].who; row++) {
		u32 states;

		tell_row(&t, row);
		states = t.flow.word & 0xffff;
		if (row)
			assert_int_equal(flow_changes(t.flow.word) - flow_changes(last),
					 states != (last & 0xffff));
		last = t.flow.word;
	}
	assert_int_equal(flow_changes(last), 7);
}

/* A proven client is one until its caller takes it for another; the host is in SYN-RECEIVED until
 * the connection was handed to a listener that had room for it. */
static void test_proven_stays(void **state)
{
	struct telling t = {.story = &closing[0], .host = S};
	u32 word;

	(void)state;
	for (u32 row = 0; row < 3; row++)
		tell_row(&t, row);
	word = flow_word(ST_SYN_SENT, ST_SYN_RECEIVED, FLOW_PROVEN, 255);
	word = tcp_word(&t.flow, word);
	assert_int_equal(word, flow_word(ST_ESTABLISHED, ST_SYN_RECEIVED, FLOW_PROVEN, 0));
	t.flow.handed = 1;
	t.flow.flags |= FLOW_HELD;
	assert_int_equal(tcp_word(&t.flow, word), word);
	t.flow.flags &= ~FLOW_HELD;
	word = tcp_word(&t.flow, word);
	assert_int_equal(word, flow_word(ST_ESTABLISHED, ST_ESTABLISHED, FLOW_PROVEN, 1));
	assert_int_equal(tcp_word(&t.flow, word & ~flow_word(0, 0, 0xff, 0)),
			 flow_word(ST_ESTABLISHED, ST_ESTABLISHED, FLOW_OPEN, 1));
}

/* ---- counts ---- */

/* An established connection, whose sides may speak: the client is the far side. */
static void establish(struct telling *t, u32 client_isn, u32 server_isn)
{
	*t = (struct telling){.story = &opening[0], .host = S};
	t->isn[C] = client_isn;
	t->isn[S] = server_isn;
	for (u32 row = 0; row < 3; row++)
		tell_row(t, row);
}

static u32 send_window(struct telling *t, u8 who, u32 seq, u32 ack, u32 len, u32 segments,
		       u16 window)
{
	struct tcp_segment seg = {.seq = t->isn[who] + seq,
				  .ack = t->isn[other(who)] + ack,
				  .len = len,
				  .segments = segments,
				  .window = window,
				  .flags = ACK,
				  .trusted = who == t->host};

	return follow(&t->flow, side_of(t, who), &seg);
}

static u32 send(struct telling *t, u8 who, u32 seq, u32 ack, u32 len, u32 segments)
{
	return send_window(t, who, seq, ack, len, segments, WINDOW);
}

static void test_counts(void **state)
{
	struct telling t;
	struct flow_side *c, *s;

	(void)state;
	establish(&t, 0xfffffff0, 0xffff0000);
	c = &t.flow.side[REMOTE];
	s = &t.flow.side[LOCAL];
	assert_int_equal(c->segments, 2);
	assert_int_equal(s->segments, 1);
	assert_int_equal(c->bytes + s->bytes, 0);
	assert_int_equal(c->syns, 1);
	assert_int_equal(s->syns, 1);
	/* the host sends 64 KB in one piece, which the card cuts into 45 segments */
	send_window(&t, C, 1, 1, 0, 1, 65535);
	assert_int_equal(send(&t, S, 1, 1, 65160, 45), 0);
	assert_int_equal(s->segments, 46);
	assert_int_equal(s->bytes, 65160);
	assert_int_equal(s->rtx, 0);
	/* three of them again, and then one that begins below and ends beyond what was seen */
	assert_int_equal(send(&t, S, 1449, 1, 4344, 3), AGAIN);
	assert_int_equal(s->rtx, 3);
	assert_int_equal(s->nxt, t.isn[S] + 65161);
	assert_int_equal(send(&t, S, 65160, 1, 2, 1), AGAIN);
	assert_int_equal(s->rtx, 4);
	assert_int_equal(s->nxt, t.isn[S] + 65162);
	assert_int_equal(s->bytes, 65160 + 4344 + 2);
	assert_int_equal(s->segments, 50);
	/* ACKs are never retransmissions */
	assert_int_equal(send(&t, C, 1, 65162, 0, 1), 0);
	assert_int_equal(send(&t, C, 1, 65162, 0, 1), 0);
	assert_int_equal(c->rtx, 0);
	assert_int_equal(c->segments, 5);
	assert_int_equal(c->acked, t.isn[S] + 65162);
	/* what is not believed is not counted; a reset is */
	assert_int_equal(send(&t, C, 1, 99999, 5, 1), BAD_ACK);
	assert_int_equal(c->segments, 5);
	assert_int_equal(c->bytes, 0);
	assert_int_equal(follow(&t.flow, REMOTE,
				&(struct tcp_segment){.seq = c->nxt, .segments = 1, .flags = RST}),
			 RESET);
	assert_int_equal(c->segments, 6);
}

/* Data in order, and the ACKs of it, take the short way; what is unusual does not. */
static void test_usual_is_quick(void **state)
{
	struct telling t;

	(void)state;
	establish(&t, 0xfffffff0, 0x7ffffff0);
	send(&t, S, 1, 1, 100, 1);
	send(&t, C, 1, 101, 10, 1);
	for (u32 n = 0; n < 50; n++) {
		struct flow_side *c = &t.flow.side[REMOTE], *s = &t.flow.side[LOCAL];
		struct tcp_segment data = {.seq = t.isn[S] + 101 + n * 100,
					   .ack = t.isn[C] + 11 + n * 10,
					   .len = 100,
					   .segments = 1,
					   .window = WINDOW,
					   .flags = ACK | PSH,
					   .trusted = true};
		struct tcp_segment back = {.seq = data.ack,
					   .ack = data.seq + 100,
					   .len = 10,
					   .segments = 1,
					   .window = WINDOW,
					   .flags = ACK};

		assert_true(tcp_take_quickly(s, c, &data));
		assert_true(tcp_take_quickly(c, s, &back));
		assert_false(tcp_take_quickly(s, c, &data)); /* again */
		back.seq += 10;
		back.ack++; /* of what was not sent */
		assert_false(tcp_take_quickly(c, s, &back));
		back.ack--;
		back.window = 0;
		assert_false(tcp_take_quickly(c, s, &back));
	}
}

static void test_syns_stop_at_255(void **state)
{
	const struct tcp_segment syn = {.seq = 5, .flags = SYN, .segments = 1};
	struct flow f;

	(void)state;
	follow_open(&f, REMOTE, &syn);
	for (u32 n = 2; n < 300; n++) {
		assert_int_equal(follow(&f, REMOTE, &syn), AGAIN);
		assert_int_equal(f.side[REMOTE].syns, n < 255 ? n : 255);
		assert_int_equal(f.side[REMOTE].rtx, 0);
	}
}

/* A window is what the header says, times the agreed scale, but not in a SYN. */
static void test_window_scale(void **state)
{
	struct telling t;

	(void)state;
	establish(&t, 77, 88);
	assert_int_equal(t.flow.side[LOCAL].edge, t.isn[C] + 1 + WINDOW);
	t.flow.side[LOCAL].wscale = 7;
	send_window(&t, S, 1, 1, 0, 1, 500);
	assert_int_equal(t.flow.side[LOCAL].edge, t.isn[C] + 1 + (500 << 7));
	assert_int_equal(send(&t, C, 1, 1, (500 << 7) + 2, 1), BAD_WINDOW);
	assert_int_equal(send(&t, C, 1, 1, 500 << 7, 45), 0);
	/* a window that shrinks does not make wrong what is on its way */
	send_window(&t, S, 1, 1, 0, 1, 0);
	assert_int_equal(t.flow.side[LOCAL].edge, t.isn[C] + 1 + (500 << 7));
}

/* ---- keepalives ---- */

/* RFC 9293 3.8.4: a segment one below what was sent, empty or with a byte of garbage. */
static void test_keepalive(void **state)
{
	(void)state;
	for (u32 n = 0; n < 2 * 2 * ARRAY_SIZE(isns); n++) {
		u8 who = n & 1 ? C : S;
		u32 garbage = n >> 1 & 1;
		struct flow_side *prober, *probed;
		struct telling t;

		establish(&t, isns[n / 4], isns[n / 4]);
		prober = &t.flow.side[side_of(&t, who)];
		probed = &t.flow.side[!side_of(&t, who)];
		for (u32 i = 1; i <= 300; i++) {
			assert_int_equal(send(&t, who, 0, 1, garbage, 1), PROBE);
			assert_int_equal(prober->keepalives, i);
			assert_int_equal(probed->probed, i < 255 ? i : 255);
		}
		assert_int_equal(prober->rtx, 0);
		assert_int_equal(send(&t, other(who), 1, 1, 0, 1), 0);
		assert_int_equal(probed->probed, 0);
		assert_int_equal(prober->keepalives, 300);
		/* both may ask, and each question is a sign of life as well */
		send(&t, who, 0, 1, garbage, 1);
		assert_int_equal(send(&t, other(who), 0, 1, 0, 1), PROBE);
		assert_int_equal(probed->probed, 0);
		assert_int_equal(prober->probed, 1);
		assert_int_equal(state_of(&t, C), ST_ESTABLISHED);
		assert_int_equal(state_of(&t, S), ST_ESTABLISHED);
	}
}

static void test_no_keepalive(void **state)
{
	struct telling t;

	(void)state;
	establish(&t, 4000, 0xffffff00);
	send(&t, S, 1, 1, 100, 1);
	/* not all was acknowledged: the last byte again */
	assert_int_equal(send(&t, S, 100, 1, 1, 1), AGAIN);
	send(&t, C, 1, 101, 0, 1);
	assert_int_equal(send(&t, S, 100, 1, 0, 1), PROBE);
	assert_int_equal(send(&t, S, 100, 1, 1, 1), PROBE);
	assert_int_equal(send(&t, S, 99, 1, 0, 1), 0);     /* too far below */
	assert_int_equal(send(&t, S, 99, 1, 2, 1), AGAIN); /* too much */
	/* a closed window: the probe asks for that. Linux' is empty, others' has the next byte. */
	send_window(&t, C, 1, 101, 0, 1, 0);
	assert_int_equal(send(&t, S, 100, 1, 0, 1), 0);
	assert_int_equal(send(&t, S, 101, 1, 1, 1), 0);
	assert_int_equal(t.flow.side[LOCAL].keepalives, 2);
	assert_int_equal(t.flow.side[REMOTE].probed, 0);
	/* it opens again */
	send(&t, C, 1, 102, 0, 1);
	assert_int_equal(send(&t, S, 101, 1, 0, 1), PROBE);
}

/* A FIN that is repeated is none, though it looks like one byte below what was sent. */
static void test_fin_is_no_keepalive(void **state)
{
	struct telling t = {.story = &closing[0], .host = S};

	(void)state;
	for (u32 row = 0; row < 9; row++)
		tell_row(&t, row); /* the client's FIN is acknowledged */
	assert_int_equal(what_is(&t, C,
				 (struct tcp_segment){.seq = t.end[C] - 1,
						      .ack = t.end[S],
						      .window = WINDOW,
						      .flags = FIN | ACK}),
			 AGAIN);
	assert_int_equal(what_is(&t, C,
				 (struct tcp_segment){.seq = t.end[C] - 1,
						      .ack = t.end[S],
						      .window = WINDOW,
						      .flags = ACK}),
			 PROBE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_opening),
		cmocka_unit_test(test_closing),
		cmocka_unit_test(test_resets),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_elsewhere),
		cmocka_unit_test(test_reset_at_every_point),
		cmocka_unit_test(test_attack_at_every_point),
		cmocka_unit_test(test_phases),
		cmocka_unit_test(test_changes_are_numbered),
		cmocka_unit_test(test_proven_stays),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_usual_is_quick),
		cmocka_unit_test(test_syns_stop_at_255),
		cmocka_unit_test(test_window_scale),
		cmocka_unit_test(test_keepalive),
		cmocka_unit_test(test_no_keepalive),
		cmocka_unit_test(test_fin_is_no_keepalive),
	};

	return cmocka_run_group_tests_name("tcp state", tests, NULL, NULL);
}
