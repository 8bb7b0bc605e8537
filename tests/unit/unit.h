/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every unit test needs: cmocka with the headers that it asks for, and a small
 * random generator with a fixed seed, so that a failure can be had again.
 */
#ifndef SYNSTILE_TEST_UNIT_H
#define SYNSTILE_TEST_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "synstile/types.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof(*(a)))

/* xorshift64* (Vigna 2014); the state must not be 0. */
static inline u64 random64(u64 *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dULL;
}

static inline u32 random_below(u64 *state, u32 bound)
{
	return (random64(state) >> 32) * bound >> 32;
}

#endif
