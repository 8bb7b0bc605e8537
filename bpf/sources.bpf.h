/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sources of SYNs: prefix lists, the limit, who is verified, how many there are.
 *
 * Asked once for each new SYN to a service, and for nothing else: what belongs to a connection that
 * is known, and what the host opens itself, never comes here.
 */
#ifndef SYNSTILE_SOURCES_BPF_H
#define SYNSTILE_SOURCES_BPF_H

#include "account.bpf.h"
#include "decide.h"
#include "hyperloglog.h"
#include "limit.h"
#include "options.bpf.h"
#include "sampling.h"
#include "source.h"

static __always_inline struct rules *rules_of(const struct segment *seg)
{
	return map_at(&rules, seg->slot % POLICY_SLOTS);
}

static __always_inline u32 source_listed(const struct segment *seg)
{
	struct prefix_key key = {.bits = 8 * sizeof(key.addr), .addr = seg->pkt.key.remote};
	void *trie = map_at(&prefixes, seg->slot % POLICY_SLOTS);
	u32 *action = trie ? bpf_map_lookup_elem(trie, &key) : NULL;

	if (!action)
		return 0;
	return *action == PREFIX_ALLOW  ? SOURCE_ALLOWED
	       : *action == PREFIX_DENY ? SOURCE_DENIED
					: 0;
}

static __always_inline u32 source_limited(const struct rules *r, u64 hash, u64 now)
{
	u64 *a = map_at(&limit, limit_cell(hash, 0)), *b = map_at(&limit, limit_cell(hash, 1));

	return a && b && !limit_take(&r->limit, a, b, now) ? SOURCE_OVER : 0;
}

/* Has this source proved itself? With `take` its SYN is to pass for that: within the rate
 * for which only one CPU gets each place, so that not one SYN more passes. */
static __always_inline u32 source_verified(const struct rules *r, const struct addr *source,
					   u64 now, bool take)
{
	struct verified *v = bpf_map_lookup_elem(&verified, source);
	u64 tat;

	if (!v || v->until <= now)
		return 0;
	tat = v->tat;
	if (!take || !limit_allows(&r->verified, tat, now) ||
	    __sync_val_compare_and_swap(&v->tat, tat, limit_next(&r->verified, tat, now)) != tat)
		return SOURCE_VERIFIED;
	return SOURCE_VERIFIED | SOURCE_WITHIN;
}

static __always_inline u32 source_facts(const struct segment *seg, const struct rules *r,
					const struct addr *source, u64 hash, bool room)
{
	u32 facts = r->flags & RULES_PREFIXES ? source_listed(seg) : 0;

	if (facts || seg->pkt.fragment)
		return facts;
	if (r->flags & RULES_LIMIT)
		facts = source_limited(r, hash, seg->now);
	if (r->flags & RULES_VERIFIED && (facts || room))
		facts |= source_verified(r, source, seg->now, room && !facts);
	return facts;
}

static __always_inline void source_keep(const struct segment *seg, u32 number)
{
	struct samples *ring = map_at(&samples, 0);
	struct syn_sample *s;

	if (!ring)
		return;
	s = &ring->at[ring->n % SAMPLES];
	s->addr = seg->pkt.key.remote;
	s->service = seg->service;
	s->moment = flow_moment(seg->now);
	s->number = number;
	ring->n++;
}

/* Count a SYN to a service and its source; report to the shared state once a tick of the coarse
 * clock. */
static __always_inline void source_count(const struct segment *seg, const struct service *s,
					 struct pressure *p, u64 hash)
{
	struct load *l = map_at(&load, seg->service);
	struct distinct *d = map_at(&distinct, seg->service);
	u32 tick = seg->now >> LOAD_TICK_SHIFT;

	if (!l || !d)
		return;
	hll_add(d, hash, seg->now);
	if (sampling_due(l, tick))
		source_keep(seg, (u32)l->n[LOAD_SYNS]);
	l->n[LOAD_SYNS]++;
	l->fresh++;
	if (l->tick == tick)
		return;
	event_pressure(seg->service, pressure_syns(p, s, l->fresh, seg->now));
	l->fresh = 0;
	l->tick = tick;
}

/*
 * A new SYN: enum source_fact of its source. It is counted, unless the filter keeps it away from
 * the service: what never gets there must not make it ask its clients for cookies.
 * `pressed`: would it get a cookie? Global, for its stack.
 */
__noinline int source_syn(struct segment *seg, u32 pressed)
{
	struct settings *set = map_at(&settings, 0);
	struct addr source;
	struct pressure *p;
	struct service *s;
	struct rules *r;
	u32 facts = 0;
	u64 hash;

	if (!seg || !set)
		return 0;
	r = rules_of(seg);
	s = service_at(seg->service, seg->slot);
	p = map_at(&pressure, seg->service);
	if (!r || !s || !p)
		return 0;
	source_of(&source, &seg->pkt, r->ipv6_prefix);
	hash = source_hash(&source, set->source_key);
	if (r->flags && set->flags & SET_READY)
		facts = source_facts(seg, r, &source, hash,
				     pressed && s->mode == MODE_AUTO && has_room(s, p));
	if (!source_filtered(facts) || s->mode == MODE_OBSERVE)
		source_count(seg, s, p, hash);
	return facts;
}

/* The source of this segment has just proved a cookie. Nothing else enters one, so a flood with
 * forged addresses cannot displace any. */
__noinline int source_proven(struct segment *seg)
{
	struct verified fresh = {}, *v;
	struct addr source;
	struct rules *r;

	if (!seg)
		return 0;
	r = rules_of(seg);
	if (!r || !(r->flags & RULES_VERIFIED))
		return 0;
	source_of(&source, &seg->pkt, r->ipv6_prefix);
	fresh.until = seg->now + r->verified_ns;
	v = bpf_map_lookup_elem(&verified, &source);
	if (v)
		v->until = fresh.until; /* and not what it has used up */
	else
		bpf_map_update_elem(&verified, &source, &fresh, BPF_ANY);
	return 0;
}

#endif
