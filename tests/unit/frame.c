// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "frame.h"

static const u8 server_mac[6] = {0x02, 0, 0, 0, 0, 0x01};
static const u8 client_mac[6] = {0x02, 0, 0, 0, 0, 0x07};

u16 get16(const u8 *p)
{
	return p[0] << 8 | p[1];
}

u32 get32(const u8 *p)
{
	return (u32)get16(p) << 16 | get16(p + 2);
}

void put16(u8 *p, u16 x)
{
	p[0] = x >> 8;
	p[1] = x;
}

void put32(u8 *p, u32 x)
{
	put16(p, x >> 16);
	put16(p + 2, x);
}

static u32 sum16(const u8 *p, u32 len)
{
	u32 sum = 0;

	for (u32 i = 0; i < len; i++)
		sum += i & 1 ? p[i] : p[i] << 8;
	return sum;
}

static u16 complement(u32 sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

u16 inet_checksum(const u8 *p, u32 len)
{
	return complement(sum16(p, len));
}

u16 tcp_checksum(const u8 *ip, bool ipv6, const u8 *tcp, u32 len)
{
	u32 sum = 6 + len + sum16(tcp, len);

	return complement(sum + (ipv6 ? sum16(ip + 8, 32) : sum16(ip + 12, 8)));
}

/* 198.51.100.7 and 192.0.2.1; 2001:db8:1::7 and 2001:db8::1; as struct addr has them. */
void frame_addresses(const struct spec *s, u8 client[16], u8 server[16])
{
	static const u8 c4[16] = {[10] = 0xff, [11] = 0xff, [12] = 198, 51, 100, 7};
	static const u8 s4[16] = {[10] = 0xff, [11] = 0xff, [12] = 192, 0, 2, 1};
	static const u8 c6[16] = {0x20, 0x01, 0x0d, 0xb8, 0, 1, [15] = 7};
	static const u8 s6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};

	memcpy(client, s->ipv6 ? c6 : c4, 16);
	memcpy(server, s->ipv6 ? s6 : s4, 16);
	if (s->disguised)
		put16(client + (s->ipv6 ? 4 : 12), s->ipv6 ? 0x86dd : 0x0800);
	put32(client + 12, get32(client + 12) + s->client);
}

static u8 *put_ethernet(u8 *p, const struct spec *s)
{
	memcpy(p, s->from_server ? client_mac : server_mac, 6);
	memcpy(p + 6, s->from_server ? server_mac : client_mac, 6);
	p += 12;
	for (u32 i = 0; i < s->vlans; i++, p += 4) {
		put16(p, s->vlans > 1 && !i ? 0x88a8 : 0x8100);
		put16(p + 2, 0x2064 + i); /* priority 1, tag 100 + i */
	}
	put16(p, s->ipv6 ? 0x86dd : 0x0800);
	return p + 2;
}

static u8 *put_ipv4(u8 *p, const struct spec *s, const u8 *src, const u8 *dst, u32 tcp_len)
{
	u32 header = 20 + s->ip_options;

	p[0] = 0x40 | header / 4;
	p[1] = s->tos;
	put16(p + 2, header + tcp_len + s->payload);
	put16(p + 4, 0x1234);
	put16(p + 6, s->frag);
	p[8] = 57;
	p[9] = 6;
	memcpy(p + 12, src + 12, 4);
	memcpy(p + 16, dst + 12, 4);
	memset(p + 20, 1, s->ip_options); /* no operation */
	return p + header;
}

/* One extension header of type `type`; its first byte says what follows. */
static u8 *put_ext(u8 *p, const struct spec *s, u8 type, u8 next)
{
	u32 size = type == FRAGMENT ? 8 : (s->ext_words + 1) * 8;

	memset(p, 0, size);
	p[0] = next;
	if (type == FRAGMENT) {
		put16(p + 2, s->frag);
		put32(p + 4, 0xabcdef01);
		return p + size;
	}
	p[1] = s->ext_words;
	if (type == ROUTING)
		p[2] = 4; /* segment routing, none left */
	return p + size;
}

static u8 *put_ipv6(u8 *p, const struct spec *s, const u8 *src, const u8 *dst, u32 tcp_len)
{
	u8 chain[16], *start = p;
	u32 n = 0;

	memcpy(chain, s->ext, s->exts);
	n = s->exts;
	if (s->frag)
		chain[n++] = FRAGMENT;
	chain[n] = 6;
	put32(p, 0x60000000 | (u32)s->tos << 20 | 0x12345);
	p[6] = chain[0];
	p[7] = 57;
	memcpy(p + 8, src, 16);
	memcpy(p + 24, dst, 16);
	p += 40;
	for (u32 i = 0; i < n; i++)
		p = put_ext(p, s, chain[i], chain[i + 1]);
	put16(start + 4, p - start - 40 + tcp_len + s->payload);
	return p;
}

static u8 *put_tcp(u8 *p, const struct spec *s, u32 tcp_len)
{
	u16 sport = s->sport ? s->sport : 40000, dport = s->dport ? s->dport : 80;

	put16(p, s->from_server ? dport : sport);
	put16(p + 2, s->from_server ? sport : dport);
	put32(p + 4, s->seq);
	put32(p + 8, s->ack);
	p[12] = tcp_len / 4 << 4;
	p[13] = s->flags;
	put16(p + 14, 64240);
	memcpy(p + 20, s->options, s->options_len);
	memset(p + tcp_len, 0xdd, s->payload);
	return p + tcp_len + s->payload;
}

void frame_ip_checksum(struct frame *f)
{
	u8 *ip = f->bytes + f->l3;

	if (ip[0] >> 4 != 4)
		return;
	put16(ip + 10, 0);
	put16(ip + 10, inet_checksum(ip, (ip[0] & 15) * 4));
}

void frame_checksums(struct frame *f, bool ipv6)
{
	u8 *ip = f->bytes + f->l3, *tcp = f->bytes + f->l4;

	frame_ip_checksum(f);
	put16(tcp + 16, 0);
	put16(tcp + 16, tcp_checksum(ip, ipv6, tcp, f->end - f->l4));
}

void frame_build(struct frame *f, const struct spec *s)
{
	u8 client[16], server[16], *p = f->bytes;
	const u8 *src = s->from_server ? server : client, *dst = s->from_server ? client : server;
	u32 tcp_len = 20 + (s->options_len + 3) / 4 * 4;

	memset(f->bytes, 0, 256);
	frame_addresses(s, client, server);
	p = put_ethernet(p, s);
	f->l3 = p - f->bytes;
	p = s->ipv6 ? put_ipv6(p, s, src, dst, tcp_len) : put_ipv4(p, s, src, dst, tcp_len);
	f->l4 = p - f->bytes;
	f->tcp_len = tcp_len;
	memset(p, 0, tcp_len); /* behind long extension headers nothing was cleared yet */
	p = put_tcp(p, s, tcp_len);
	f->end = p - f->bytes;
	memset(p, 0xee, s->padding);
	f->len = f->end + s->padding;
	frame_checksums(f, s->ipv6);
}
