// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "services.h"

bool policy_protects(const struct policy *p)
{
	bool any = p->defaults[SV_MODE].n != MODE_OBSERVE;
	size_t i;

	for (i = 0; !any && i < p->n_services; i++)
		any = p->services[i].v[SV_MODE].n != MODE_OBSERVE;
	return any;
}

static bool chosen(const struct value *v)
{
	return v->origin.from != ORIGIN_BUILT_IN;
}

/* The kernel gives a handshake up at its own time, whatever a policy says. */
static void set_timeouts(struct service *s, const struct value *v, u32 kernel_ms)
{
	u64 calm = v[SV_SYN_CALM].n, attack = v[SV_SYN_ATTACK].n;

	if (s->mode == MODE_OBSERVE || calm > kernel_ms)
		calm = kernel_ms;
	if (s->mode == MODE_OBSERVE || attack > calm)
		attack = calm;
	s->syn_calm_ms = calm;
	s->syn_attack_ms = attack;
}

/* Half a listener's queue: beyond it, the kernel begins to give up old ones itself. */
static void set_bounds(struct service *s, const struct value *v)
{
	u64 above = v[SV_HALF_OPEN_ATTACK].n, below = v[SV_HALF_OPEN_CALM].n;

	if (!chosen(&v[SV_HALF_OPEN_ATTACK]) && s->backlog / 2 < above)
		above = s->backlog / 2;
	if (above < 2 && !chosen(&v[SV_HALF_OPEN_ATTACK]))
		above = 2;
	if (!chosen(&v[SV_HALF_OPEN_CALM]))
		below = above / 4;
	if (below > above)
		below = above;
	s->half_open_attack_above = above;
	s->half_open_calm_below = below ? below : 1;
}

void service_begin(struct service *s, const char *name, __be16 port, const struct value v[SV_COUNT],
		   u32 kernel_ms)
{
	*s = (struct service){
		.mode = v[SV_MODE].n,
		.rate_attack_above = v[SV_RATE_ATTACK].n,
		.rate_calm_below = v[SV_RATE_CALM].n,
		.hold_ms = v[SV_HOLD].n,
		.port = port,
		.mss = chosen(&v[SV_MSS]) ? v[SV_MSS].n : 0,
		.features = TCP_FEATURES,
		.wscale = chosen(&v[SV_WSCALE]) ? v[SV_WSCALE].n : SERVICE_NO_WSCALE,
		.used = true,
	};
	if (!v[SV_ECN].n)
		s->features &= ~TCP_ECN;
	strncpy(s->name, name, sizeof(s->name) - 1);
	set_timeouts(s, v, kernel_ms);
	/* as for a roomy listener, as long as there is none */
	s->half_open_attack_above = v[SV_HALF_OPEN_ATTACK].n;
	s->half_open_calm_below = v[SV_HALF_OPEN_CALM].n;
}

void service_listens(struct service *s, const struct value v[SV_COUNT], u32 backlog)
{
	if (backlog > s->backlog)
		s->backlog = backlog;
	set_bounds(s, v);
}

void service_hold(struct service *s, enum service_held why, u32 kernel_ms)
{
	if (s->mode == MODE_OBSERVE)
		return;
	s->mode = MODE_OBSERVE;
	s->held = why;
	s->syn_calm_ms = s->syn_attack_ms = kernel_ms;
}

/* ---- */

u16 service_index_find(const struct service_index *x, const char *name)
{
	u16 i;

	for (i = 1; i < SYNSTILE_MAX_SERVICES; i++)
		if (x->of[i].name[0] == name[0] && !strcmp(x->of[i].name, name))
			return i;
	return 0;
}

/* A free one, or that which has been of no use for the longest time. */
static u16 choose(const struct service_index *x, u64 now)
{
	u16 i, best = 0;

	for (i = 1; i < SYNSTILE_MAX_SERVICES; i++) {
		if (!x->of[i].name[0])
			return i;
		if (x->of[i].wanted || !x->of[i].idle || now - x->of[i].idle < INDEX_REST_NS)
			continue;
		if (!best || x->of[i].idle < x->of[best].idle)
			best = i;
	}
	return best;
}

u16 service_index_take(struct service_index *x, const char *name, u64 now, bool *reused)
{
	u16 i = service_index_find(x, name);

	*reused = false;
	if (!i) {
		i = choose(x, now);
		if (!i)
			return 0;
		*reused = x->of[i].name[0];
		service_index_enter(x, i, name);
	}
	x->of[i].wanted = true;
	x->of[i].idle = 0;
	return i;
}

void service_index_enter(struct service_index *x, u16 i, const char *name)
{
	memset(&x->of[i], 0, sizeof(x->of[i]));
	strncpy(x->of[i].name, name, sizeof(x->of[i].name) - 1);
}

bool service_index_rename(struct service_index *x, u16 i, const char *name)
{
	if (x->of[i].wanted)
		return false;
	service_index_enter(x, i, name);
	x->of[i].wanted = true;
	return true;
}

void service_index_unwant(struct service_index *x)
{
	u16 i;

	for (i = 1; i < SYNSTILE_MAX_SERVICES; i++)
		x->of[i].wanted = false;
}

void service_index_seen(struct service_index *x, u16 i, bool refers, u64 now)
{
	if (refers || x->of[i].wanted)
		x->of[i].idle = 0;
	else if (!x->of[i].idle)
		x->of[i].idle = now;
}
