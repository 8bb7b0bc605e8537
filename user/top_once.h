/* SPDX-License-Identifier: GPL-2.0-only */
/* `synstile top --once`. */
#ifndef SYNSTILE_USER_TOP_ONCE_H
#define SYNSTILE_USER_TOP_ONCE_H

#include "top.h"

/* Writes the frame that `t` has as text of `w` columns. -errno with a reason. */
int top_print(struct top *t, int w, bool color);

#endif
