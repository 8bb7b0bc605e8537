/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Following a connection as bpf/flow.bpf.h does: a SYN opens a record, and each later
 * segment adds to it. On the way, what must hold for every segment is checked.
 */
#ifndef SYNSTILE_TEST_FOLLOW_H
#define SYNSTILE_TEST_FOLLOW_H

#include "unit.h"
#include "tcp_state.h"

static inline const char *state_name(u8 state)
{
	static const char *const names[] = {
#define X(id, name) [ST_##id] = name,
		SYNSTILE_TCP_STATES(X)
#undef X
	};

	return state < ST_COUNT ? names[state] : "no state";
}

/* A SYN of `side` opens the record *f. Windows are not scaled. */
static inline void follow_open(struct flow *f, u32 side, const struct tcp_segment *t)
{
	struct flow_side *s = &f->side[side];

	memset(f, 0, sizeof(*f));
	f->flags = side == LOCAL ? FLOW_OPENED_LOCAL : 0;
	s->flags = SIDE_SYN | SIDE_NXT;
	s->isn = t->seq;
	s->nxt = t->seq + 1 + t->len;
	s->syns = s->segments = 1;
	s->bytes = t->len;
	f->word = tcp_word(f, 0);
}

/* What is not believed, or is for another connection, must leave the record as it was. */
static inline void follow_checks(const struct flow *before, const struct flow *after, u32 notes,
				 u32 side, const struct tcp_segment *t)
{
	struct flow quick = *before;
	struct flow_side *s = &quick.side[side], *o = &quick.side[!side];

	if (notes & (NOTE_ODD | NOTE_NEW))
		assert_memory_equal(before->side, after->side, sizeof(before->side));
	if (flow_phase(before->word) != FLOW_OPEN || !tcp_take_quickly(s, o, t))
		return;
	assert_int_equal(notes, 0);
	s->limit = after->side[side].limit;            /* what it needs for itself */
	if (t->trusted && tcp_after(t->ack, o->nxt)) { /* that can wait for the next slow one */
		o->nxt = t->ack;
		o->flags |= SIDE_GAP;
	}
	assert_memory_equal(quick.side, after->side, sizeof(quick.side));
	assert_int_equal(tcp_word(&quick, before->word), before->word);
}

/* Any later segment of `side`. Returns enum tcp_note. */
static inline u32 follow(struct flow *f, u32 side, const struct tcp_segment *t)
{
	const struct flow before = *f;
	u32 notes = tcp_take_segment(&f->side[side], &f->side[!side], t);

	follow_checks(&before, f, notes, side, t);
	if (notes & NOTE_RESET)
		f->word = flow_word(ST_CLOSED, ST_CLOSED, FLOW_CLOSED, flow_changes(f->word) + 1);
	else
		f->word = tcp_word(f, f->word);
	return notes;
}

#endif
