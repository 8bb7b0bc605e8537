// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer: any bytes as a frame. Nothing outside them is read, and what parse_packet()
 * calls a segment lies inside them.
 *
 * The first byte says how the frame begins (random bytes hardly ever look like Ethernet):
 * 0 to 5 IPv4 or IPv6 behind 0 to 2 tags, with TCP where nothing else is said; others as is.
 */
#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "packet.h"
#include "tcp_options.h"

#define CHECK(x)                                                                                   \
	do {                                                                                       \
		if (!(x))                                                                          \
			abort();                                                                   \
	} while (0)

static void check_segment(const struct packet *pkt, u8 *frame, size_t len)
{
	struct tcp_options o;
	u32 w[5], room;

	CHECK(pkt->l3 == 14 || pkt->l3 == 18 || pkt->l3 == 22);
	CHECK(pkt->l4 >= pkt->l3 + (pkt->ipv4 ? 20 : 40) && pkt->l4 <= L4_OFFSET_MAX);
	CHECK(pkt->l4 + 20u <= len);
	CHECK(pkt->tcp_len >= 20 && pkt->tcp_len <= 60 && pkt->tcp_len % 4 == 0);
	CHECK(tcp_at(pkt, frame) == (void *)(frame + pkt->l4));
	if (!parse_tcp_options(&o, pkt, frame, frame + len))
		return;
	CHECK(o.wscale <= TCP_MAX_WSCALE && !(o.features & ~(TCP_TSTAMP | TCP_SACK | TCP_WSCALE)));
	if (pkt->l4 + pkt->tcp_len > len)
		return; /* XDP answers no SYN that is cut */
	room = (pkt->tcp_len - 20) / 4;
	const struct synack_options out = {.mss = 1460, .wscale = 7, .features = o.features};
	CHECK(synack_options_write(w, &out, room) <= room);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	enum synstile_verdict v;
	struct packet pkt;
	u8 *memory, *frame;
	size_t len;

	if (size < 1)
		return 0;
	len = size - 1;
	memory = malloc(len + 2); /* the IP header lies aligned, as drivers place it */
	frame = memory + 2;
	memcpy(frame, data + 1, len);
	if (data[0] < 6 && len >= 64) {
		static struct frame f;
		struct spec s = {.ipv6 = data[0] & 1, .vlans = data[0] / 2};

		frame_build(&f, &s);
		memcpy(frame, f.bytes, f.l3); /* Ethernet and tags */
		frame[f.l3] = s.ipv6 ? 0x60 | (frame[f.l3] & 15) : 0x40 | (frame[f.l3] & 15);
	}
	v = parse_packet(&pkt, frame, frame + len);
	CHECK(v <= V_GO_ON);
	if (v == V_GO_ON)
		check_segment(&pkt, frame, len);
	free(memory);
	return 0;
}
