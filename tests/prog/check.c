// SPDX-License-Identifier: GPL-2.0-only
#include "check.h"

static void check_ethernet(const struct frame *in, const u8 *out)
{
	assert_memory_equal(out, in->bytes + 6, 6);
	assert_memory_equal(out + 6, in->bytes, 6);
	assert_memory_equal(out + 12, in->bytes + 12, in->l3 - 12); /* tags and type */
}

/* The IP header of the answer; returns where TCP begins. */
static u32 check_ip(const struct frame *in, const struct spec *s, const u8 *out)
{
	const u8 *ip = out + in->l3;
	u8 client[16], server[16];

	frame_addresses(s, client, server);
	if (s->ipv6) {
		assert_int_equal(get32(ip), 0x60000000);
		assert_int_equal(get16(ip + 4), in->tcp_len);
		assert_int_equal(ip[6], 6);
		assert_int_equal(ip[7], HOP_LIMIT);
		assert_memory_equal(ip + 8, server, 16);
		assert_memory_equal(ip + 24, client, 16);
		return in->l3 + 40;
	}
	assert_int_equal(ip[0], 0x45);
	assert_int_equal(ip[1], 0);
	assert_int_equal(get16(ip + 2), 20 + in->tcp_len);
	assert_int_equal(get16(ip + 4), 0);      /* RFC 6864: ID of an atomic datagram */
	assert_int_equal(get16(ip + 6), 0x4000); /* DF */
	assert_int_equal(ip[8], TTL);
	assert_int_equal(ip[9], 6);
	assert_int_equal(inet_checksum(ip, 20), 0);
	assert_memory_equal(ip + 12, server + 12, 4);
	assert_memory_equal(ip + 16, client + 12, 4);
	return in->l3 + 20;
}

static void read_answer_options(struct answer *a, const u8 *p, u32 len)
{
	for (u32 i = 0; i < len && p[i];) {
		if (p[i] == 1) {
			i++;
			continue;
		}
		assert_true(i + 1 < len && p[i + 1] >= 2 && i + p[i + 1] <= len);
		if (p[i] == 2 && p[i + 1] == 4) {
			assert_int_equal(a->mss, 0); /* none twice */
			a->mss = get16(p + i + 2);
		} else if (p[i] == 3 && p[i + 1] == 3) {
			assert_false(a->features & TCP_WSCALE);
			a->features |= TCP_WSCALE;
			a->wscale = p[i + 2];
		} else if (p[i] == 4 && p[i + 1] == 2) {
			assert_false(a->features & TCP_SACK);
			a->features |= TCP_SACK;
		} else if (p[i] == 8 && p[i + 1] == 10) {
			assert_false(a->features & TCP_TSTAMP);
			a->features |= TCP_TSTAMP;
			a->tsval = get32(p + i + 2);
			a->tsecr = get32(p + i + 6);
		} else {
			fail_msg("option %u of %u bytes in the answer", p[i], p[i + 1]);
		}
		i += p[i + 1];
	}
}

void check_answer(struct answer *a, const struct frame *in, const struct spec *s,
		  const struct run *r)
{
	const u8 *tcp;
	u32 l4;

	assert_int_equal(r->action, XDP_TX);
	assert_int_equal(r->out_len, in->len);
	check_ethernet(in, r->out);
	l4 = check_ip(in, s, r->out);
	tcp = r->out + l4;
	assert_memory_equal(tcp, in->bytes + in->l4 + 2, 2);
	assert_memory_equal(tcp + 2, in->bytes + in->l4, 2);
	assert_int_equal(tcp[12], in->tcp_len / 4 << 4);
	assert_int_equal(get16(tcp + 18), 0); /* urgent pointer */
	assert_int_equal(tcp_checksum(r->out + in->l3, s->ipv6, tcp, in->tcp_len), 0);
	for (u32 i = l4 + in->tcp_len; i < in->end; i++)
		assert_int_equal(r->out[i], 0); /* nothing of what the SYN carried comes back */
	*a = (struct answer){.seq = get32(tcp + 4),
			     .ack = get32(tcp + 8),
			     .flags = tcp[13],
			     .window = get16(tcp + 14)};
	read_answer_options(a, tcp + 20, in->tcp_len - 20);
}

void check_synack(struct answer *a, const struct frame *in, const struct spec *s,
		  const struct run *r, u8 offered)
{
	const struct settings *set = prog_settings();
	struct tcp_options o;
	u32 room = in->tcp_len - 20;

	check_answer(a, in, s, r);
	offered &= set->flags;
	assert_int_equal(a->ack, s->seq + 1);
	assert_int_equal(a->flags & ~ECE, SYN | ACK);
	if (a->flags & ECE)
		a->features |= TCP_ECN;
	assert_true(a->window > 0);
	assert_false(a->features & ~offered); /* RFC 7323, 2018, 3168: only what was offered */
	if (offered & TCP_TSTAMP)
		assert_int_equal(a->features, offered);
	if (a->features & TCP_WSCALE)
		assert_int_equal(a->wscale, RCV_WSCALE);
	if (a->features & TCP_TSTAMP) {
		memset(&o, 0, sizeof(o));
		tcp_options_walk(&o, in->bytes + in->l4 + 20, in->bytes + in->len, room);
		assert_int_equal(a->tsecr, o.tsval);
	}
	if (a->mss)
		assert_int_equal(a->mss, s->ipv6 ? MSS6 : MSS4);
}

void offer_options(struct spec *s, u8 features, u16 mss, u8 wscale)
{
	u8 *p = s->options;

	if (mss) {
		*p++ = 2, *p++ = 4;
		put16(p, mss);
		p += 2;
	}
	if (features & TCP_SACK)
		*p++ = 4, *p++ = 2;
	if (features & TCP_TSTAMP) {
		*p++ = 8, *p++ = 10;
		put32(p, 0x11223344);
		put32(p + 4, 0);
		p += 8;
	}
	if (features & TCP_WSCALE) {
		*p++ = 1, *p++ = 3, *p++ = 3;
		*p++ = wscale;
	}
	while ((p - s->options) & 3)
		*p++ = 1;
	s->options_len = p - s->options;
	if (features & TCP_ECN)
		s->flags |= ECE | CWR;
}

struct spec next_segment(const struct spec *syn, const struct answer *a, u8 flags, u16 payload)
{
	struct spec s = *syn;

	s.flags = flags;
	s.seq = syn->seq + 1;
	s.ack = a->seq + 1;
	s.payload = payload;
	s.padding = 0;
	s.options_len = 0;
	if (a->features & TCP_TSTAMP) {
		s.options[0] = s.options[1] = 1;
		s.options[2] = 8;
		s.options[3] = 10;
		put32(s.options + 4, 0x11223355);
		put32(s.options + 8, a->tsval);
		s.options_len = 12;
	}
	return s;
}

void run_spec(struct run *r, struct frame *f, const struct spec *s)
{
	frame_build(f, s);
	prog_xdp(r, f->bytes, f->len);
}

void expect(const struct run *r, enum synstile_verdict v, int action)
{
	if (r->verdict != v || r->action != action || r->bank != BANK_DONE)
		fail_msg("expected %s and action %d, got %s%s and %d", verdict_name(v), action,
			 verdict_name(r->verdict), r->bank ? " (observed)" : "", r->action);
}

void get_cookie(struct answer *a, const struct spec *syn)
{
	static struct frame f;
	static struct run r;

	run_spec(&r, &f, syn);
	expect(&r, V_SYN_COOKIE, XDP_TX);
	check_answer(a, &f, syn, &r);
	if (a->flags & ECE)
		a->features |= TCP_ECN;
}

struct spec prove_cookie(struct answer *a, const struct spec *syn, struct run *r, struct frame *f)
{
	struct spec ack;

	get_cookie(a, syn);
	ack = next_segment(syn, a, ACK, 0);
	run_spec(r, f, &ack);
	expect(r, V_COOKIE_VALID, XDP_PASS);
	return ack;
}
