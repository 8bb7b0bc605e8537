/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The states of both ends of a connection (RFC 9293 3.3.2, 3.10), told from the
 * segments that pass. Pure.
 *
 * Each segment adds facts about the side that sent it (struct flow_side): what it
 * sent, what it acknowledged. A side's state is a function of both sides' facts,
 * so that it does not matter which CPU saw what first:
 *
 *	    its SYN  other's SYN    its FIN    other's FIN
 *	    acked    acked by it    acked      acked by it
 *	    -        -                                        SYN-SENT
 *	    -        yes                                      SYN-RECEIVED
 *	    yes      yes            not sent   -              ESTABLISHED
 *	                            not sent   yes            CLOSE-WAIT
 *	                            -          -              FIN-WAIT-1
 *	                            yes        -              FIN-WAIT-2
 *	                            -          yes            CLOSING; LAST-ACK if
 *	                                                      the other's FIN came first
 *	                            yes        yes            TIME-WAIT; CLOSED if
 *	                                                      the other's FIN came first
 *
 * So what a side has received shows by its acknowledgement. Only where it will not send one,
 * a segment counts as received once it was seen here: the ACK of a FIN, and of a SYN-ACK.
 *
 * The host's own stack is trusted. What comes from the far side must be
 * what the host's stack would accept (RFC 9293 3.10.7.4, RFC 5961), or it changes nothing.
 */
#ifndef SYNSTILE_TCP_STATE_H
#define SYNSTILE_TCP_STATE_H

#include "clock.h"
#include "packet.h"
#include "synstile/flow.h"
#include "synstile/oddity.h"

#define WSCALE_UNKNOWN 14

/* One packet of one side's. */
struct tcp_segment {
	u32 seq;
	u32 ack;
	u32 len;      /* payload, bytes */
	u32 segments; /* 1, but for GSO */
	u16 window;   /* as in the header */
	u8 flags;     /* enum tcp_flag */
	u8 trusted;   /* sent by the host's own stack */
};

/* What a segment was. */
enum tcp_note {
	/* bits 0 to 5: 1 << enum oddity; it then changed nothing */
	NOTE_ODD = (1 << ODD_COUNT) - 1,
	NOTE_RETRANSMISSION =
		1 << 8, /* payload or FIN that began below what was seen; a SYN again */
	NOTE_KEEPALIVE = 1 << 9,
	NOTE_RESET = 1 << 10, /* both sides are closed now */
	NOTE_NEW = 1 << 11,   /* the host's stack began another connection: see flow_restart */
};

#define TCP_DATA_FLAGS (TCP_ACK | TCP_PSH | TCP_URG | TCP_ECE | TCP_CWR)

static inline __attribute__((always_inline)) bool tcp_after(u32 a, u32 b)
{
	return (s32)(a - b) > 0;
}

/* ---- states from facts ---- */

/* Has s acknowledged all that o sent, and with it o's FIN? */
static inline __attribute__((always_inline)) bool tcp_got_fin(const struct flow_side *s,
							      const struct flow_side *o)
{
	const u16 known = SIDE_FIN | SIDE_NXT;

	if (s->flags & SIDE_SAW_FIN || o->flags & SIDE_FIN_DONE)
		return true;
	return (o->flags & known) == known && s->flags & SIDE_ACKED && !tcp_after(o->nxt, s->acked);
}

/* Has s acknowledged o's SYN? */
static inline __attribute__((always_inline)) bool tcp_got_syn(const struct flow_side *s,
							      const struct flow_side *o)
{
	return o->flags & SIDE_SYN && s->flags & SIDE_ACKED && tcp_after(s->acked, o->isn);
}

static inline __attribute__((always_inline)) u8 tcp_opening_state(const struct flow_side *s,
								  const struct flow_side *o)
{
	if (!tcp_got_syn(s, o))
		return ST_SYN_SENT;
	return tcp_got_syn(o, s) && !(s->flags & SIDE_SYN_AGAIN) ? ST_ESTABLISHED : ST_SYN_RECEIVED;
}

static inline __attribute__((always_inline)) u8 tcp_closing_state(const struct flow_side *s,
								  const struct flow_side *o)
{
	bool done = tcp_got_fin(o, s);

	if (!tcp_got_fin(s, o))
		return done ? ST_FIN_WAIT_2 : ST_FIN_WAIT_1;
	if (s->flags & SIDE_PASSIVE)
		return done ? ST_CLOSED : ST_LAST_ACK;
	return done ? ST_TIME_WAIT : ST_CLOSING;
}

/* The state of side s. `first`: what it is in before anything was heard of it. */
static inline __attribute__((always_inline)) u8 tcp_side_state(const struct flow_side *s,
							       const struct flow_side *o, u8 first)
{
	if (s->flags & SIDE_FIN)
		return tcp_closing_state(s, o);
	if (tcp_got_fin(s, o))
		return ST_CLOSE_WAIT;
	if (s->flags & SIDE_OPEN)
		return ST_ESTABLISHED;
	if (s->flags & SIDE_SYN)
		return tcp_opening_state(s, o);
	return s->flags & SIDE_HALF ? ST_SYN_RECEIVED : first;
}

static inline __attribute__((always_inline)) u8 tcp_phase(const struct flow *f, u8 remote, u8 local)
{
	const u16 r = f->side[REMOTE].flags, l = f->side[LOCAL].flags;

	if (r & l & SIDE_FIN)
		return FLOW_CLOSED;
	if ((r | l) & SIDE_FIN)
		return FLOW_CLOSING;
	if (f->flags & FLOW_JOINED)
		return local == ST_SYN_RECEIVED ? FLOW_HALF_OPEN : FLOW_OPEN;
	return remote >= ST_ESTABLISHED && local >= ST_ESTABLISHED ? FLOW_OPEN : FLOW_HALF_OPEN;
}

/* The word that the facts call for; other states get the next number. A proven client stays
 * one until the stack has shown that it took it: see SETTLE_TAKEN. */
static inline __attribute__((always_inline)) u32 tcp_word(const struct flow *f, u32 old)
{
	const struct flow_side *r = &f->side[REMOTE], *l = &f->side[LOCAL];
	u8 first = l->flags & SIDE_HALF     ? ST_SYN_SENT
		   : f->flags & FLOW_JOINED ? ST_UNKNOWN
					    : ST_LISTEN;
	u8 remote = tcp_side_state(r, l, first), local = tcp_side_state(l, r, first);
	u8 phase = flow_phase(old) == FLOW_PROVEN ? FLOW_PROVEN : tcp_phase(f, remote, local);
	bool taken = f->handed && !(f->flags & FLOW_HELD);
	u8 n;

	if (phase == FLOW_PROVEN && !taken)
		local = ST_SYN_RECEIVED;
	n = flow_changes(old) +
	    (remote != flow_state(old, REMOTE) || local != flow_state(old, LOCAL));

	return flow_word(remote, local, phase, n);
}

/* ---- facts from segments ---- */

/* Does s's segment reach beyond what o allows? A probe of a closed window may hold a byte. */
static inline __attribute__((always_inline)) bool tcp_beyond_window(const struct flow_side *o,
								    const struct tcp_segment *t)
{
	return o->flags & SIDE_ACKED && tcp_after(t->seq + t->len, o->edge + 1);
}

/* The largest window that a side can offer. */
static inline __attribute__((always_inline)) u32 tcp_max_window(const struct flow_side *s)
{
	return 65535u << (s->wscale & 15);
}

/* ... or is it further below what o has than any repetition could be? */
static inline __attribute__((always_inline)) bool tcp_below_window(const struct flow_side *o,
								   const struct tcp_segment *t)
{
	return o->flags & SIDE_ACKED &&
	       tcp_after(o->acked - tcp_max_window(o), t->seq + t->len + 1);
}

/* Does o have all of this already? Then it answers with an ACK, and does not look at t->ack. */
static inline __attribute__((always_inline)) bool tcp_is_old(const struct flow_side *o,
							     const struct tcp_segment *t)
{
	return o->flags & SIDE_ACKED &&
	       tcp_after(o->acked, t->seq + t->len + !!(t->flags & TCP_FIN));
}

/*
 * RFC 5961 5.2: neither of data never sent, nor older than the largest window. A side that we
 * met when it sent a keepalive may have sent one byte more than is known.
 */
static inline __attribute__((always_inline)) bool
tcp_bad_ack(const struct flow_side *s, const struct flow_side *o, const struct tcp_segment *t)
{
	bool met = (o->flags & (SIDE_OPEN | SIDE_SYN | SIDE_FIN)) == SIDE_OPEN;

	if (o->flags & SIDE_NXT && tcp_after(t->ack, o->nxt + met))
		return true;
	return s->flags & SIDE_ACKED && tcp_after(s->acked - tcp_max_window(s), t->ack);
}

/* Does this acknowledge o's SYN, and nothing that was not sent? */
static inline __attribute__((always_inline)) bool tcp_acks_syn(const struct flow_side *o,
							       const struct tcp_segment *t)
{
	return o->flags & SIDE_SYN && tcp_after(t->ack, o->isn) && !tcp_after(t->ack, o->nxt);
}

/*
 * RFC 5961 3.2: a reset counts only at exactly the number that o expects next. That
 * lies between what it has acknowledged and all that s has sent. RFC 9293 3.10.7.3: o has
 * no numbers yet, so the reset must acknowledge its SYN.
 */
static inline __attribute__((always_inline)) bool
tcp_rst_valid(const struct flow_side *s, const struct flow_side *o, const struct tcp_segment *t)
{
	if (o->flags & SIDE_ACKED)
		return t->seq == o->acked || (tcp_after(t->seq, o->acked) && s->flags & SIDE_NXT &&
					      !tcp_after(t->seq, s->nxt));
	/* ... or come right behind the SYN that o has got, or will get */
	if (o->flags & SIDE_SYN && !(s->flags & SIDE_SYN && t->seq == s->nxt))
		return t->flags & TCP_ACK && tcp_acks_syn(o, t);
	/* else there may be nothing to hold against it */
	return !(s->flags & SIDE_NXT) || t->seq == s->nxt;
}

static inline __attribute__((always_inline)) void tcp_take_ack(struct flow_side *s,
							       const struct tcp_segment *t)
{
	u32 edge = t->ack + ((u32)t->window << (t->flags & TCP_SYN ? 0 : s->wscale & 15));

	if (!(s->flags & SIDE_ACKED)) {
		s->acked = t->ack;
		s->edge = edge;
		s->flags |= SIDE_ACKED;
	}
	if (tcp_after(t->ack, s->acked))
		s->acked = t->ack;
	if (tcp_after(edge, s->edge))
		s->edge = edge;
	if (t->ack == s->acked && !t->window != !!(s->flags & SIDE_ZERO_WINDOW))
		s->flags ^= SIDE_ZERO_WINDOW;
}

/* Is this SYN-ACK an answer to the SYN that we know of? The stack may have seen one that we did
 * not: before we attached. */
static inline __attribute__((always_inline)) bool tcp_answers_syn(struct flow_side *o,
								  const struct tcp_segment *t)
{
	if (t->trusted && !(o->flags & SIDE_SYN)) {
		o->isn = t->ack - 1;
		o->nxt = t->ack;
		o->flags |= SIDE_SYN | SIDE_NXT;
	}
	/* with data in the SYN (RFC 7413) it may acknowledge that, too */
	return tcp_acks_syn(o, t);
}

/* A SYN or SYN-ACK of s's. */
static inline __attribute__((always_inline)) u32
tcp_take_syn(struct flow_side *s, struct flow_side *o, const struct tcp_segment *t)
{
	bool again = s->flags & SIDE_SYN && s->isn == t->seq;
	/* in a simultaneous open the SYN-ACK has the ISN of the SYN, and is no repetition */
	bool repeated = again && (!(t->flags & TCP_ACK) || s->flags & SIDE_ACKED);

	/* another ISN is believed as long as nobody has answered the first one */
	if (!again && ((s->flags | o->flags) & (SIDE_OPEN | SIDE_FIN) || tcp_got_syn(o, s)))
		return t->trusted ? NOTE_NEW : 1 << ODD_SYN;
	if (t->flags & TCP_ACK && !tcp_answers_syn(o, t))
		return t->trusted ? NOTE_NEW : 1 << ODD_ACK;
	/* not if it wandered in the network while the connection went on */
	if (repeated && t->flags & TCP_ACK && tcp_got_syn(o, s) && s->nxt == s->isn + 1 &&
	    s->acked == t->ack)
		s->flags |= SIDE_SYN_AGAIN;
	if (!again) {
		s->isn = t->seq;
		s->nxt = t->seq + 1 + t->len;
		s->flags |= SIDE_SYN | SIDE_NXT;
	}
	if (s->syns < 255)
		s->syns++;
	if (t->flags & TCP_ACK)
		tcp_take_ack(s, t);
	return repeated ? NOTE_RETRANSMISSION : 0;
}

/* Is it a question whether o is still there? Below what was sent, with nothing but perhaps
 * a byte of garbage, all being acknowledged. With a closed window it asks for that. */
static inline __attribute__((always_inline)) bool
tcp_is_keepalive(const struct flow_side *s, const struct flow_side *o, const struct tcp_segment *t)
{
	return s->flags & SIDE_NXT && t->seq + 1 == s->nxt && t->len <= 1 &&
	       !(t->flags & TCP_FIN) && o->flags & SIDE_ACKED && o->acked == s->nxt &&
	       !(o->flags & SIDE_ZERO_WINDOW);
}

/* Was what this carries sent before? After a FIN all data is, though we may not have seen that. */
static inline __attribute__((always_inline)) bool tcp_is_repetition(const struct flow_side *s,
								    const struct tcp_segment *t)
{
	if (s->flags & SIDE_NXT)
		return (t->len || t->flags & TCP_FIN) && tcp_after(s->nxt, t->seq);
	return s->flags & SIDE_FIN && t->len && !(t->flags & TCP_FIN);
}

/* The first numbers of a side that was met in mid-stream, perhaps after its FIN. */
static inline __attribute__((always_inline)) void
tcp_meet(struct flow_side *s, const struct flow_side *o, const struct tcp_segment *t)
{
	s->nxt = t->seq + t->len + (s->flags & SIDE_FIN && t->flags & TCP_FIN);
	s->flags |= SIDE_NXT;
	/* an old segment: the host has had more */
	if (!t->trusted && o->flags & SIDE_ACKED && tcp_after(o->acked, s->nxt))
		s->nxt = o->acked;
}

/* A FIN in front of data that was seen already. Where but an ACK told how far s is, the FIN may
 * have been lost on its way to us, and come again. */
static inline __attribute__((always_inline)) bool tcp_bad_fin(const struct flow_side *s,
							      const struct tcp_segment *t)
{
	return t->flags & TCP_FIN && !(s->flags & SIDE_FIN) && s->flags & SIDE_NXT &&
	       tcp_after(s->nxt, t->seq + t->len + !!(s->flags & SIDE_GAP));
}

/* Payload and FIN. */
static inline __attribute__((always_inline)) u32
tcp_take_data(struct flow_side *s, const struct flow_side *o, const struct tcp_segment *t)
{
	u32 end = t->seq + t->len, notes = 0;

	if (tcp_is_repetition(s, t)) {
		s->rtx += t->segments;
		notes = NOTE_RETRANSMISSION;
	} else if (!(s->flags & SIDE_NXT)) {
		tcp_meet(s, o, t);
	}
	/* nothing follows a FIN; but the host's may be adopted, and what was met first, below it */
	if (s->flags & SIDE_NXT && tcp_after(end, s->nxt) &&
	    (!(s->flags & SIDE_FIN) || t->trusted)) {
		s->nxt = end;
		s->flags = (s->flags & ~SIDE_GAP) | (t->len ? 0 : SIDE_GAP);
	}
	if (!(t->flags & TCP_FIN) || s->flags & SIDE_FIN)
		return notes;
	s->nxt = end + 1;
	s->flags |= SIDE_FIN | (tcp_got_fin(s, o) ? SIDE_PASSIVE : 0);
	return notes;
}

static inline __attribute__((always_inline)) void tcp_take_count(struct flow_side *s,
								 const struct tcp_segment *t)
{
	s->segments += t->segments;
	s->bytes += t->len;
	if (s->probed)
		s->probed = 0;
}

/*
 * The usual segment of an established connection (FLOW_OPEN: no FIN yet): new data in order or
 * none, an ACK that makes sense. Does what tcp_take_segment() would, for less; false:
 * that has to. The other side's facts are read only if they must be: its CPU writes
 * them all the time, and a cache line that travels costs more than all of this.
 */
static inline __attribute__((always_inline)) bool
tcp_take_quickly(struct flow_side *s, const struct flow_side *o, const struct tcp_segment *t)
{
	if ((t->flags & (TCP_SYN | TCP_FIN | TCP_RST | TCP_ACK)) != TCP_ACK ||
	    (s->flags & (SIDE_QUICK | SIDE_GAP)) != SIDE_QUICK || t->seq != s->nxt ||
	    tcp_after(s->acked, t->ack) || !t->window)
		return false;
	if (!t->trusted && t->ack != s->acked && tcp_after(t->ack, o->nxt))
		return false;
	if (!t->trusted && tcp_after(t->seq + t->len, s->limit)) {
		if (tcp_beyond_window(o, t))
			return false;
		s->limit = o->edge;
	}
	s->nxt = t->seq + t->len;
	tcp_take_ack(s, t);
	tcp_take_count(s, t);
	return true;
}

/*
 * The first acknowledgement of a side, without SYN: does it fit? If o's SYN was seen it must be of
 * that. (The host's may be of a connection before this one: its TIME-WAIT answers a new SYN so.)
 * If only one SYN was seen then the host alone can know that there was another.
 */
static inline __attribute__((always_inline)) bool
tcp_take_joining(struct flow_side *s, struct flow_side *o, const struct tcp_segment *t)
{
	if (s->flags & SIDE_ACKED)
		return true;
	if (o->flags & SIDE_SYN && !tcp_acks_syn(o, t))
		return false;
	if (s->flags & SIDE_SYN && o->flags)
		return true;
	if ((s->flags | o->flags) & SIDE_SYN && !(s->flags & SIDE_OPEN)) {
		if (!t->trusted)
			return false;
		o->flags |= SIDE_OPEN;
	}
	s->flags |= SIDE_OPEN;
	return true;
}

/* The acknowledgement of any segment. */
static inline __attribute__((always_inline)) void
tcp_take_news(struct flow_side *s, struct flow_side *o, const struct tcp_segment *t)
{
	if (!t->trusted && tcp_is_old(o, t))
		return;
	if (o->flags & SIDE_NXT && tcp_after(t->ack, o->nxt)) {
		o->nxt = t->ack; /* came in where we do not look; or see tcp_bad_ack() */
		o->flags |= SIDE_GAP;
	}
	tcp_take_ack(s, t);
	if (o->flags & SIDE_SYN_AGAIN)
		o->flags &= ~SIDE_SYN_AGAIN;
}

/* Any segment of side s, other than a SYN that opens a record: see flow.bpf.h. Returns notes. */
static inline __attribute__((always_inline)) u32
tcp_take_segment(struct flow_side *s, struct flow_side *o, const struct tcp_segment *t)
{
	u32 notes;

	if (t->flags & TCP_RST) {
		if (!tcp_rst_valid(s, o, t))
			return 1 << ODD_RST;
		tcp_take_count(s, t);
		return NOTE_RESET;
	}
	if (t->flags & TCP_SYN) {
		notes = tcp_take_syn(s, o, t);
		if (!(notes & (NOTE_ODD | NOTE_NEW)))
			tcp_take_count(s, t);
		return notes;
	}
	if (!t->trusted) {
		if (tcp_beyond_window(o, t) || tcp_below_window(o, t))
			return 1 << ODD_WINDOW;
		if (tcp_bad_ack(s, o, t))
			return 1 << ODD_ACK;
	}
	if (tcp_bad_fin(s, t))
		return 1 << ODD_FIN;
	if (!tcp_take_joining(s, o, t))
		return 1 << ODD_ACK;
	tcp_take_news(s, o, t);
	tcp_take_count(s, t);
	if (!tcp_is_keepalive(s, o, t)) {
		notes = tcp_take_data(s, o, t);
		if ((o->flags & (SIDE_NXT | SIDE_ACKED)) == (SIDE_NXT | SIDE_ACKED)) {
			s->flags |= SIDE_QUICK;
			s->limit = o->edge;
		}
		return notes;
	}
	s->keepalives++;
	if (o->probed < 255)
		o->probed++;
	return NOTE_KEEPALIVE;
}

/* A connection that the host's stack has in `state` (include/net/tcp_states.h), of which
 * nothing else is known. The rest of *f is zero. */
static inline __attribute__((always_inline)) void tcp_adopt(struct flow *f, u32 state)
{
	static const struct {
		u16 local, remote;
	} facts[] = {
		[1 /* ESTABLISHED */] = {SIDE_OPEN, 0},
		[3 /* SYN_RECV */] = {SIDE_HALF, 0},
		[4 /* FIN_WAIT1 */] = {SIDE_FIN, 0},
		[5 /* FIN_WAIT2 */] = {SIDE_FIN | SIDE_FIN_DONE, 0},
		[6 /* TIME_WAIT */] = {SIDE_FIN | SIDE_FIN_DONE | SIDE_SAW_FIN,
				       SIDE_FIN | SIDE_PASSIVE},
		[8 /* CLOSE_WAIT */] = {SIDE_OPEN | SIDE_SAW_FIN, SIDE_FIN},
		[9 /* LAST_ACK */] = {SIDE_FIN | SIDE_SAW_FIN | SIDE_PASSIVE, SIDE_FIN},
		[11 /* CLOSING */] = {SIDE_FIN | SIDE_SAW_FIN, SIDE_FIN},
		[12 /* NEW_SYN_RECV */] = {SIDE_HALF, 0},
	};

	f->flags |= FLOW_JOINED;
	f->admission = ADMIT_ADOPTED;
	f->side[REMOTE].wscale = f->side[LOCAL].wscale = WSCALE_UNKNOWN;
	if (state < sizeof(facts) / sizeof(*facts)) {
		f->side[LOCAL].flags = facts[state].local;
		f->side[REMOTE].flags = facts[state].remote;
	}
	f->word = tcp_word(f, 0);
}

#endif
