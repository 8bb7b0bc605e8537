/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A small TCP endpoint, written down from RFC 9293 3.10 and from nothing else: what
 * it does with each segment, and which it may send. It has no congestion control, keeps no
 * segment that comes out of order, and is in no hurry.
 */
#ifndef SYNSTILE_TEST_ENDPOINT_H
#define SYNSTILE_TEST_ENDPOINT_H

#include "follow.h"

#define ENDPOINT_WINDOW 1000
#define ENDPOINT_MSS    200

struct segment {
	u32 seq, ack, len;
	u8 flags;
	bool probe; /* a keepalive */
};

/* Half of a state: what has happened to an end. The states of RFC 9293 are combinations. */
struct facts {
	bool sent_syn, got_syn, syn_acked;
	bool sent_fin, got_fin, fin_acked;
};

struct endpoint {
	u8 state; /* enum tcp_state */
	u32 iss, una, nxt, rcv_nxt;
	u32 to_send;    /* bytes that the application has written */
	bool closing;   /* and no more will come */
	bool ack_due;   /* a delayed ACK */
	bool reset;     /* CLOSED by a reset, either way */
	bool linux_syn; /* answers a repeated SYN as Linux does, with its SYN-ACK */
	struct facts facts;
	/* where it puts what it sends */
	void (*send)(struct endpoint *e, const struct segment *s);
};

static inline bool at_or_after(u32 a, u32 b)
{
	return (s32)(a - b) >= 0;
}

/* ---- sending ---- */

static inline void endpoint_emit(struct endpoint *e, u8 flags, u32 seq, u32 len)
{
	const struct segment s = {
		.seq = seq, .ack = flags & TCP_ACK ? e->rcv_nxt : 0, .len = len, .flags = flags};

	if (flags & TCP_ACK)
		e->ack_due = false;
	e->send(e, &s);
}

static inline void endpoint_ack(struct endpoint *e)
{
	endpoint_emit(e, TCP_ACK, e->nxt, 0);
}

static inline void endpoint_open(struct endpoint *e)
{
	e->state = ST_SYN_SENT;
	e->facts.sent_syn = true;
	e->una = e->iss;
	e->nxt = e->iss + 1;
	endpoint_emit(e, TCP_SYN, e->iss, 0);
}

static inline bool endpoint_may_send(const struct endpoint *e)
{
	return e->state == ST_ESTABLISHED || e->state == ST_CLOSE_WAIT ||
	       (e->state == ST_SYN_RECEIVED && !e->to_send && e->closing);
}

/* New data, and the FIN when all is sent. False: nothing to send now. */
static inline bool endpoint_send(struct endpoint *e, u32 most, bool fin_alone)
{
	u32 room = e->una + ENDPOINT_WINDOW - e->nxt, len = e->to_send;
	u32 seq = e->nxt;
	bool fin;

	if (!endpoint_may_send(e) || !room || e->facts.sent_fin)
		return false;
	len = len > most ? most : len;
	len = len > room ? room : len;
	fin = e->closing && len == e->to_send && room > len && !(len && fin_alone);
	if (!len && !fin)
		return false;
	e->to_send -= len;
	e->nxt += len + fin;
	if (fin) {
		e->facts.sent_fin = true;
		e->state = e->state == ST_CLOSE_WAIT ? ST_LAST_ACK : ST_FIN_WAIT_1;
	}
	endpoint_emit(e, TCP_ACK | (fin ? TCP_FIN : 0), seq, len);
	return true;
}

/* The retransmission timer. False: nothing to repeat. */
static inline bool endpoint_repeat(struct endpoint *e, u32 most)
{
	u32 end = e->nxt - e->facts.sent_fin, len = end - e->una;

	if (e->state == ST_CLOSED || e->state == ST_LISTEN || e->una == e->nxt)
		return false;
	if (!e->facts.syn_acked) {
		endpoint_emit(e, e->facts.got_syn ? TCP_SYN | TCP_ACK : TCP_SYN, e->iss, 0);
		return true;
	}
	len = len > most ? most : len;
	endpoint_emit(e, TCP_ACK | (e->facts.sent_fin && e->una + len == end ? TCP_FIN : 0), e->una,
		      len);
	return true;
}

/* RFC 9293 3.8.4 */
static inline bool endpoint_probe(struct endpoint *e, u32 garbage)
{
	const struct segment s = {.seq = e->nxt - 1,
				  .ack = e->rcv_nxt,
				  .len = garbage,
				  .flags = TCP_ACK,
				  .probe = true};

	if (e->una != e->nxt || (e->state != ST_ESTABLISHED && e->state != ST_CLOSE_WAIT))
		return false;
	e->send(e, &s);
	return true;
}

/* ABORT. In SYN-SENT nothing is sent, so that is left out. */
static inline bool endpoint_abort(struct endpoint *e)
{
	if (e->state < ST_SYN_RECEIVED || e->state > ST_CLOSE_WAIT)
		return false;
	e->state = ST_CLOSED;
	e->reset = true;
	endpoint_emit(e, TCP_RST, e->nxt, 0);
	return true;
}

/* ---- receiving: 3.10.7, in its order ---- */

static inline void endpoint_refuse(struct endpoint *e, const struct segment *s)
{
	const struct segment with_ack = {.seq = s->ack, .flags = TCP_RST};
	const struct segment without = {.ack = s->seq + s->len + !!(s->flags & TCP_SYN) +
					       !!(s->flags & TCP_FIN),
					.flags = TCP_RST | TCP_ACK};

	if (!(s->flags & TCP_RST))
		e->send(e, s->flags & TCP_ACK ? &with_ack : &without);
}

static inline void endpoint_closed(struct endpoint *e)
{
	e->state = ST_CLOSED;
	e->reset = true;
}

static inline void endpoint_take_syn(struct endpoint *e, const struct segment *s)
{
	e->rcv_nxt = s->seq + 1;
	e->facts.got_syn = true;
}

static inline void endpoint_in_listen(struct endpoint *e, const struct segment *s)
{
	if (s->flags & TCP_RST)
		return;
	if (s->flags & TCP_ACK) {
		endpoint_refuse(e, s);
		return;
	}
	if (!(s->flags & TCP_SYN))
		return;
	endpoint_take_syn(e, s);
	e->state = ST_SYN_RECEIVED;
	e->facts.sent_syn = true;
	e->una = e->iss;
	e->nxt = e->iss + 1;
	endpoint_emit(e, TCP_SYN | TCP_ACK, e->iss, 0);
}

static inline void endpoint_in_syn_sent(struct endpoint *e, const struct segment *s)
{
	bool acks = s->flags & TCP_ACK;

	if (acks && s->ack != e->nxt) {
		endpoint_refuse(e, s);
		return;
	}
	if (s->flags & TCP_RST) {
		if (acks)
			endpoint_closed(e);
		return;
	}
	if (!(s->flags & TCP_SYN))
		return;
	endpoint_take_syn(e, s);
	if (acks) {
		e->una = s->ack;
		e->facts.syn_acked = true;
		e->state = ST_ESTABLISHED;
		e->ack_due = true;
	} else {
		e->state = ST_SYN_RECEIVED;
		endpoint_emit(e, TCP_SYN | TCP_ACK, e->iss, 0);
	}
}

/* 3.10.7.4, first */
static inline bool endpoint_acceptable(const struct endpoint *e, const struct segment *s)
{
	u32 len = s->len + !!(s->flags & TCP_SYN) + !!(s->flags & TCP_FIN);
	u32 last = s->seq + (len ? len - 1 : 0);

	return s->seq - e->rcv_nxt < ENDPOINT_WINDOW || last - e->rcv_nxt < ENDPOINT_WINDOW;
}

static inline void endpoint_unacceptable(struct endpoint *e, const struct segment *s)
{
	if (s->flags & TCP_RST)
		return;
	if (s->flags & TCP_SYN && e->state == ST_SYN_RECEIVED && e->linux_syn)
		endpoint_emit(e, TCP_SYN | TCP_ACK, e->iss, 0);
	else
		endpoint_ack(e);
}

/* ... fifth. False: drop the segment. */
static inline bool endpoint_take_ack(struct endpoint *e, const struct segment *s)
{
	if (!(s->flags & TCP_ACK))
		return false;
	if (e->state == ST_SYN_RECEIVED) {
		if (at_or_after(e->una, s->ack) || tcp_after(s->ack, e->nxt)) {
			endpoint_refuse(e, s);
			return false;
		}
		e->state = ST_ESTABLISHED;
	}
	if (tcp_after(s->ack, e->nxt)) {
		endpoint_ack(e);
		return false;
	}
	if (tcp_after(s->ack, e->una))
		e->una = s->ack;
	e->facts.syn_acked |= e->una != e->iss;
	if (!e->facts.sent_fin || e->una != e->nxt)
		return true;
	e->facts.fin_acked = true;
	if (e->state == ST_FIN_WAIT_1)
		e->state = ST_FIN_WAIT_2;
	else if (e->state == ST_CLOSING)
		e->state = ST_TIME_WAIT;
	else if (e->state == ST_LAST_ACK)
		e->state = ST_CLOSED;
	return true;
}

/* ... seventh and eighth */
static inline void endpoint_take_data(struct endpoint *e, const struct segment *s)
{
	u32 end = s->seq + s->len;

	if (!s->len && !(s->flags & TCP_FIN))
		return;
	e->ack_due = true;
	if (tcp_after(s->seq, e->rcv_nxt) || e->facts.got_fin)
		return; /* a gap: say so again */
	if (tcp_after(end, e->rcv_nxt))
		e->rcv_nxt = end;
	if (!(s->flags & TCP_FIN) || end != e->rcv_nxt)
		return;
	e->rcv_nxt++;
	e->facts.got_fin = true;
	if (e->state == ST_ESTABLISHED)
		e->state = ST_CLOSE_WAIT;
	else if (e->state == ST_FIN_WAIT_1)
		e->state = ST_CLOSING;
	else if (e->state == ST_FIN_WAIT_2)
		e->state = ST_TIME_WAIT;
}

static inline void endpoint_take(struct endpoint *e, const struct segment *s)
{
	if (e->state == ST_CLOSED) {
		endpoint_refuse(e, s);
	} else if (e->state == ST_LISTEN) {
		endpoint_in_listen(e, s);
	} else if (e->state == ST_SYN_SENT) {
		endpoint_in_syn_sent(e, s);
	} else if (s->flags & TCP_SYN && s->flags & TCP_ACK && e->state == ST_SYN_RECEIVED) {
		/* simultaneous open: figure 7 of RFC 9293 wants this SYN-ACK to be taken, 3.10.7.4
		 * would answer it with an ACK and wait for one. Both are done. */
		if (endpoint_take_ack(e, s))
			e->ack_due |= e->state != ST_SYN_RECEIVED;
	} else if (!endpoint_acceptable(e, s)) {
		endpoint_unacceptable(e, s);
	} else if (s->flags & TCP_RST) {
		/* RFC 5961 3.2 */
		if (s->seq == e->rcv_nxt)
			endpoint_closed(e);
		else
			endpoint_ack(e);
	} else if (s->flags & TCP_SYN) {
		endpoint_ack(e); /* RFC 5961 4.2 */
	} else if (endpoint_take_ack(e, s)) {
		endpoint_take_data(e, s);
	}
}

#endif
