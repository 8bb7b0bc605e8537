/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Rows of numbers over time, the newest so many of them: of everything together (index 0), and of
 * some others, which share the times. Pure.
 */
#ifndef SYNSTILE_USER_HISTORY_RING_H
#define SYNSTILE_USER_HISTORY_RING_H

#include <synstile/types.h>

/* X(ID, name) */
#define HISTORY_COLUMNS(X)                                                                         \
	X(SYNS, "syns") /* a second */                                                             \
	X(COOKIES, "cookies")                                                                      \
	X(VALIDATED, "validated")                                                                  \
	X(COMPLETED, "completed")                                                                  \
	X(DROPPED, "dropped")                                                                      \
	X(HALF_OPEN, "half_open") /* then */                                                       \
	X(KERNEL, "kernel_half_open")                                                              \
	X(ATTACKED, "attacked")

enum history_column {
#define X(id, name) HISTORY_##id,
	HISTORY_COLUMNS(X)
#undef X
	HISTORY_WIDTH
};

#define HISTORY_UNKNOWN UINT32_MAX

struct history_row {
	u32 n[HISTORY_WIDTH];
};

struct history_ring {
	u32 rows, tracks;         /* how many there may be; track 0 always is */
	u64 count;                /* rows that there ever were */
	u64 *when;                /* of each row: monotonic ns */
	struct history_track *at; /* by track */
};

struct history_track {
	u32 owner;  /* whatever the caller likes; 0: nobody's */
	u64 first;  /* the row that it began with */
	u64 active; /* the row in which something last happened */
	bool attacked;
	struct history_row *row; /* NULL until it is first used */
};

/* -ENOMEM. */
int history_ring_init(struct history_ring *h, u32 rows, u32 tracks);
void history_ring_free(struct history_ring *h);

/* A new row, in which every track is nothing yet. */
void history_ring_next(struct history_ring *h, u64 when);
/* The track of this owner: the one it has, or a free one, or that of whoever has been inactive for
 * longest. An owner without traffic gets none, one that is attacked takes it from one that is not,
 * and any other takes none from who was active in the last `grace` rows. NULL: none. */
struct history_track *history_ring_track(struct history_ring *h, u32 owner, bool active,
					 bool attacked, u32 grace);
struct history_track *history_ring_find(const struct history_ring *h, u32 owner);
/* It is nobody's. */
void history_ring_forget(struct history_track *t);
/* Writes the newest row. */
void history_ring_put(struct history_ring *h, struct history_track *t,
		      const struct history_row *row);
/* The first row that the track still has, and the one behind its last. */
u64 history_ring_begin(const struct history_ring *h, const struct history_track *t);
/* NULL: the track has no such row. */
const struct history_row *history_ring_at(const struct history_ring *h,
					  const struct history_track *t, u64 row);

#endif
