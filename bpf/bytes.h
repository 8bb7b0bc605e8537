/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Byte order, for headers that are compiled both for BPF and for the host.
 */
#ifndef SYNSTILE_BYTES_H
#define SYNSTILE_BYTES_H

#include "synstile/types.h"

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define be16_to_host(x) __builtin_bswap16(x)
#define be32_to_host(x) __builtin_bswap32(x)
#else
#define be16_to_host(x) (x)
#define be32_to_host(x) (x)
#endif
#define host_to_be16 be16_to_host
#define host_to_be32 be32_to_host

#endif
