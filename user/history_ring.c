// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "history_ring.h"

int history_ring_init(struct history_ring *h, u32 rows, u32 tracks)
{
	*h = (struct history_ring){.rows = rows, .tracks = tracks};
	h->when = calloc(rows, sizeof(*h->when));
	h->at = calloc(tracks, sizeof(*h->at));
	if (h->at)
		h->at[0].row = calloc(rows, sizeof(*h->at[0].row));
	if (h->when && h->at && h->at[0].row)
		return 0;
	history_ring_free(h);
	return -ENOMEM;
}

void history_ring_free(struct history_ring *h)
{
	u32 i;

	for (i = 0; h->at && i < h->tracks; i++)
		free(h->at[i].row);
	free(h->at);
	free(h->when);
	*h = (struct history_ring){0};
}

static u32 place(const struct history_ring *h, u64 row)
{
	return row % h->rows;
}

void history_ring_next(struct history_ring *h, u64 when)
{
	u32 at = place(h, h->count), i;

	for (i = 0; i < h->tracks; i++)
		if (h->at[i].row)
			h->at[i].row[at].n[0] = HISTORY_UNKNOWN;
	h->when[at] = when;
	h->count++;
}

struct history_track *history_ring_find(const struct history_ring *h, u32 owner)
{
	u32 i;

	if (!owner)
		return &h->at[0];
	for (i = 1; i < h->tracks; i++)
		if (h->at[i].owner == owner)
			return &h->at[i];
	return NULL;
}

void history_ring_forget(struct history_track *t)
{
	t->owner = 0;
	t->attacked = false;
}

/* Whose could another one have? */
static struct history_track *choose(const struct history_ring *h, bool attacked, u32 grace)
{
	struct history_track *best = NULL, *t;

	for (t = h->at + 1; t < h->at + h->tracks; t++) {
		if (!t->owner)
			return t;
		if (t->attacked || (!attacked && h->count - t->active <= grace))
			continue;
		if (!best || t->active < best->active)
			best = t;
	}
	return best;
}

struct history_track *history_ring_track(struct history_ring *h, u32 owner, bool active,
					 bool attacked, u32 grace)
{
	struct history_track *t = history_ring_find(h, owner);

	active |= attacked;
	if (!t && active) {
		t = choose(h, attacked, grace);
		if (t && !t->row)
			t->row = calloc(h->rows, sizeof(*t->row));
		if (!t || !t->row)
			return NULL;
		t->owner = owner;
		t->first = h->count - 1;
	}
	if (t && active)
		t->active = h->count;
	if (t)
		t->attacked = attacked;
	return t;
}

void history_ring_put(struct history_ring *h, struct history_track *t,
		      const struct history_row *row)
{
	struct history_row *to = &t->row[place(h, h->count - 1)];

	*to = *row;
	if (to->n[0] == HISTORY_UNKNOWN)
		to->n[0]--;
}

u64 history_ring_begin(const struct history_ring *h, const struct history_track *t)
{
	u64 kept = h->count > h->rows ? h->count - h->rows : 0;

	return t->first > kept ? t->first : kept;
}

const struct history_row *history_ring_at(const struct history_ring *h,
					  const struct history_track *t, u64 row)
{
	const struct history_row *r;

	if (row < history_ring_begin(h, t) || row >= h->count)
		return NULL;
	r = &t->row[place(h, row)];
	return r->n[0] == HISTORY_UNKNOWN ? NULL : r;
}
