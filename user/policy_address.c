// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "policy_address.h"
#include "policy_errors.h"
#include "policy_value.h"

static const u8 mapped[12] = {[10] = 0xff, 0xff}; /* RFC 4291 2.5.5.2 */

bool addr_is_ipv4(const struct addr *a)
{
	return !memcmp(a->b, mapped, sizeof(mapped));
}

static int wrong(char why[ADDRESS_WHY_SIZE], const char *fmt, ...) PRINTF(2, 3);

static int wrong(char why[ADDRESS_WHY_SIZE], const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, ADDRESS_WHY_SIZE, fmt, args);
	va_end(args);
	return -EINVAL;
}

static bool address_parse(const char *text, struct addr *a)
{
	memcpy(a->b, mapped, sizeof(mapped));
	return inet_pton(AF_INET, text, a->b + 12) == 1 || inet_pton(AF_INET6, text, a->b) == 1;
}

static const char *address_text(const struct addr *a, char buf[INET6_ADDRSTRLEN])
{
	bool ipv4 = addr_is_ipv4(a);

	return inet_ntop(ipv4 ? AF_INET : AF_INET6, a->b + (ipv4 ? 12 : 0), buf, INET6_ADDRSTRLEN);
}

/* ---- listen ---- */

/* "80" or "80-89", at the end of `text`. */
static int ports_of(const char *text, const char *ports, struct policy_listen *l,
		    char why[ADDRESS_WHY_SIZE])
{
	char buf[SHOWN_SIZE];
	u64 first, last;
	bool number = digits(&ports, &first);

	last = first;
	if (number && *ports == '-') {
		ports++;
		number = digits(&ports, &last);
	}
	if (!number || *ports)
		return wrong(why, "%s is not ADDRESS:PORT", shown(text, buf));
	if (first < 1 || first > 65535 || last < 1 || last > 65535)
		return wrong(why, "%s: a port is out of range: 1 to 65535", shown(text, buf));
	if (first > last)
		return wrong(why, "%s: the ports run backwards", shown(text, buf));
	l->first = first;
	l->last = last;
	return 0;
}

/* The address without its brackets. */
static int address_of(const char *text, const char *address, bool brackets, struct policy_listen *l,
		      char why[ADDRESS_WHY_SIZE])
{
	static const struct addr none;
	char buf[SHOWN_SIZE];

	if (strchr(address, '%'))
		return wrong(why, "%s: no zone (%%) here: name the interface in `interfaces`",
			     shown(text, buf));
	if (!address_parse(address, &l->addr))
		return wrong(why, "%s is not ADDRESS:PORT", shown(text, buf));
	if (brackets != !!strchr(address, ':'))
		return wrong(why, "%s: brackets are for IPv6, as in \"[2001:db8::1]:80\"",
			     shown(text, buf));
	if (brackets && addr_is_ipv4(&l->addr))
		return wrong(why, "%s: write an IPv4 address as such", shown(text, buf));
	l->what = LISTEN_ADDRESS;
	if (!memcmp(&l->addr, &none, sizeof(none)))
		l->what = LISTEN_IPV6;
	else if (!brackets && !l->addr.w[3])
		l->what = LISTEN_IPV4;
	return 0;
}

int listen_parse(const char *text, struct policy_listen *l, char why[ADDRESS_WHY_SIZE])
{
	const char *colon = strrchr(text, ':');
	char address[64], buf[SHOWN_SIZE];
	bool brackets;
	size_t n;
	int err;

	if (!colon && strspn(text, "0123456789-") == strlen(text) && *text)
		return wrong(why, "%s is not ADDRESS:PORT; at all addresses: \"*:%.16s\"",
			     shown(text, buf), text);
	if (!colon || colon == text || (size_t)(colon - text) >= sizeof(address))
		return wrong(why, "%s is not ADDRESS:PORT", shown(text, buf));
	err = ports_of(text, colon + 1, l, why);
	if (err)
		return err;
	n = colon - text;
	if (n == 1 && text[0] == '*') {
		l->what = LISTEN_ANY;
		return 0;
	}
	brackets = text[0] == '[' && text[n - 1] == ']' && n > 1;
	snprintf(address, sizeof(address), "%.*s", (int)(brackets ? n - 2 : n), text + brackets);
	return address_of(text, address, brackets, l, why);
}

const char *listen_text(const struct policy_listen *l, char buf[ADDRESS_TEXT_SIZE])
{
	char address[INET6_ADDRSTRLEN] = "*";
	bool brackets = l->what == LISTEN_IPV6;
	int n;

	if (l->what == LISTEN_ADDRESS) {
		address_text(&l->addr, address);
		brackets = !addr_is_ipv4(&l->addr);
	} else if (l->what != LISTEN_ANY) {
		strcpy(address, brackets ? "::" : "0.0.0.0");
	}
	n = snprintf(buf, ADDRESS_TEXT_SIZE, brackets ? "[%s]:%u" : "%s:%u", address, l->first);
	if (l->last != l->first)
		snprintf(buf + n, ADDRESS_TEXT_SIZE - n, "-%u", l->last);
	return buf;
}

/* ---- prefixes ---- */

/* Clears the bits behind the length; true if there were any. */
static bool clear_behind(struct policy_prefix *p)
{
	unsigned int i, keep;
	bool any = false;

	for (i = p->bits / 8; i < 16; i++) {
		keep = i == p->bits / 8 ? 0xff00 >> p->bits % 8 & 0xff : 0;
		any |= p->addr.b[i] & ~keep;
		p->addr.b[i] &= keep;
	}
	return any;
}

int prefix_parse(const char *text, struct policy_prefix *p, char why[ADDRESS_WHY_SIZE])
{
	const char *slash = strchrnul(text, '/'), *length = slash + 1;
	char address[64], buf[SHOWN_SIZE], meant[ADDRESS_TEXT_SIZE];
	unsigned int most;
	u64 bits;

	if ((size_t)(slash - text) >= sizeof(address))
		return wrong(why, "%s is not an IPv4 or IPv6 prefix", shown(text, buf));
	memcpy(address, text, slash - text);
	address[slash - text] = 0;
	if (!address_parse(address, &p->addr))
		return wrong(why, "%s is not an IPv4 or IPv6 prefix", shown(text, buf));
	if (strchr(address, ':') && addr_is_ipv4(&p->addr))
		return wrong(why, "%s: write an IPv4 prefix as such", shown(text, buf));
	most = addr_is_ipv4(&p->addr) ? 32 : 128;
	bits = most;
	if (*slash && (!digits(&length, &bits) || *length))
		return wrong(why, "%s: a length is expected behind the \"/\": 0 to %u",
			     shown(text, buf), most);
	if (bits > most)
		return wrong(why, "%s: the length is out of range: 0 to %u", shown(text, buf),
			     most);
	p->bits = bits + 128 - most;
	if (!clear_behind(p))
		return 0;
	return wrong(why, "%s has bits behind its length: %s, or %s/%u", text,
		     prefix_text(p, meant), address, most);
}

const char *prefix_text(const struct policy_prefix *p, char buf[ADDRESS_TEXT_SIZE])
{
	char address[INET6_ADDRSTRLEN];

	snprintf(buf, ADDRESS_TEXT_SIZE, "%s/%u", address_text(&p->addr, address),
		 addr_is_ipv4(&p->addr) ? p->bits - 96U : p->bits);
	return buf;
}

int prefix_compare(const struct policy_prefix *a, const struct policy_prefix *b)
{
	int d = memcmp(&a->addr, &b->addr, sizeof(a->addr));

	return d ? d : (int)a->bits - (int)b->bits;
}

bool prefix_contains(const struct policy_prefix *outer, const struct policy_prefix *inner)
{
	unsigned int whole = outer->bits / 8, rest = 0xff00 >> outer->bits % 8 & 0xff;

	if (outer->bits > inner->bits || addr_is_ipv4(&outer->addr) != addr_is_ipv4(&inner->addr))
		return false;
	return !memcmp(&outer->addr, &inner->addr, whole) &&
	       (!rest || !((outer->addr.b[whole] ^ inner->addr.b[whole]) & rest));
}
