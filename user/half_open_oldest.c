// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "clock.h"
#include "half_open_oldest.h"
#include "log.h"
#include "moment.h"

#define FILL_PERCENT 75
#define FEW_PERCENT  25                /* fewer than these: younger ones may be listed too */
#define ALL_AGE      (NS_PER_SEC / 16) /* less than that is no bound at all */

struct row {
	u64 opened;
	const struct half_open_conn *conn;
};

struct oldest {
	struct half_open_listed *listed;
	size_t size;
	u64 when; /* the last sweep */
	struct row sorted[HALF_OPEN_LISTED];
};

struct oldest *oldest_new(const struct maps *m)
{
	struct oldest *o = calloc(1, sizeof(*o));
	size_t page = sysconf(_SC_PAGESIZE);

	if (!o)
		return NULL;
	o->size = (sizeof(*o->listed) + page - 1) / page * page;
	o->listed = mmap(NULL, o->size, PROT_READ | PROT_WRITE, MAP_SHARED, m->listed, 0);
	if (o->listed != MAP_FAILED)
		return o;
	fail(errno, "cannot map the list of half-open connections: %s", strerror(errno));
	free(o);
	return NULL;
}

void oldest_free(struct oldest *o)
{
	if (o)
		munmap(o->listed, o->size);
	free(o);
}

static size_t count(const struct oldest *o)
{
	u32 n = o->listed->found;

	return n < HALF_OPEN_LISTED ? n : HALF_OPEN_LISTED;
}

static int older_age(const void *l, const void *r)
{
	const u64 *a = l, *b = r;

	return *a > *b ? -1 : *a < *b;
}

/* What is listed is a sample, in the order of hashes: its ages tell those of all. */
u64 oldest_least_age(u64 *ages, size_t listed, u32 found, u64 now)
{
	if (found > HALF_OPEN_LISTED) {
		qsort(ages, listed, sizeof(*ages), older_age);
		return ages[(u64)listed * HALF_OPEN_LISTED * FILL_PERCENT / 100 / found];
	}
	if (found < HALF_OPEN_LISTED * FEW_PERCENT / 100)
		return now / 2 < ALL_AGE ? 0 : now / 2;
	return now;
}

void oldest_adapt(struct oldest *o)
{
	static u64 ages[HALF_OPEN_LISTED];
	size_t n = count(o), i;

	o->when = monotonic_now();
	for (i = 0; i < n; i++)
		ages[i] = elapsed(o->when, o->listed->at[i].flow.opened);
	o->listed->least_age = oldest_least_age(ages, n, o->listed->found, o->listed->least_age);
}

static int opened_first(const void *l, const void *r)
{
	const struct row *a = l, *b = r;

	return a->opened < b->opened ? -1 : a->opened > b->opened;
}

size_t oldest_sort(struct oldest *o)
{
	size_t n = count(o), i;

	for (i = 0; i < n; i++)
		o->sorted[i] = (struct row){o->listed->at[i].flow.opened, &o->listed->at[i]};
	qsort(o->sorted, n, sizeof(*o->sorted), opened_first);
	return n;
}

const struct half_open_conn *oldest_at(const struct oldest *o, size_t i)
{
	return o->sorted[i].conn;
}

u64 oldest_ms_ago(const struct oldest *o)
{
	return o->when ? elapsed(monotonic_now(), o->when) / NS_PER_MS : 0;
}
