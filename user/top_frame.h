/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A frame of GET /v1/live (docs/api.md), as `synstile top` draws it. Whatever a frame lacks is
 * UNKNOWN_NUMBER, or an empty text: the agent may be older or newer than this program.
 */
#ifndef SYNSTILE_USER_TOP_FRAME_H
#define SYNSTILE_USER_TOP_FRAME_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include <synstile/types.h>

#define FRAME_ADDRESS 48
#define FRAME_NAME    64

struct frame_rates {
	s64 syns, cookies, validated, completed, verified, dropped;
	s64 half_open, bound, kernel; /* bound: how many make an attack; kernel: SYN-RECV sockets */
};

struct frame_service {
	char name[FRAME_NAME], state[16], ports[FRAME_NAME];
	char observed_because[128]; /* "": it is not observed against the policy */
	struct frame_rates now;
	s64 for_ms, timeout_ms, attacks;
	bool attacked;
};

struct frame_half_open {
	u64 flow_id;
	char src[FRAME_ADDRESS], dest[FRAME_ADDRESS], service[FRAME_NAME];
	char source[FRAME_ADDRESS + 8]; /* with its port */
	s64 src_port, dest_port, age_ms, left_ms, syns, syn_acks;
	bool by_host; /* the host opened it */
};

struct frame_source {
	char prefix[FRAME_ADDRESS + 4];
	double percent;
	s64 rate;
};

struct frame_verdict {
	char name[FRAME_NAME];
	bool observed; /* what would have been done */
	s64 rate, total;
};

enum spoofed {
	SPOOFED_UNSAID,
	SPOOFED_SAID_NO,
	SPOOFED_SAID_YES,
};

struct top_frame {
	s64 t; /* ms since 1970; -1: not told */
	char instance[300], hostname[FRAME_NAME], version[32];
	bool attack;
	s64 for_ms, uptime_ms;
	char why[512], attacked[512]; /* in words, with commas */
	s64 n_attacked;
	enum spoofed spoofed;
	char mode[16], cookies[16], interfaces[256], policy_file[256];
	s64 policy_generation;
	bool ready;
	struct frame_rates totals;
	s64 flows, open, max_flows, lost;
	s64 half_open_total, listed_ms_ago, sampled, sampled_ms, services_total;

	size_t n_services, n_half_open, n_sources, n_verdicts;
	struct frame_service *services;
	struct frame_half_open *half_open;
	struct frame_source *sources;
	struct frame_verdict *verdicts;
};

/* NULL: it is no frame, or no memory. */
struct top_frame *frame_read(const json_t *j);
void frame_free(struct top_frame *f);
/* NULL if there is none of this name. */
const struct frame_service *frame_service(const struct top_frame *f, const char *name);

#endif
