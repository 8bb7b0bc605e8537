/* SPDX-License-Identifier: GPL-2.0-only */
/* The page: the files of user/web/, as they were when this was built. */
#ifndef SYNSTILE_USER_WEB_ASSETS_H
#define SYNSTILE_USER_WEB_ASSETS_H

#include <stddef.h>

struct web_asset {
	const char *path; /* "/" or "/assets/..." */
	const char *type;
	const char *begin, *end;
};

/* NULL: there is none. */
const struct web_asset *web_asset_find(const char *path);
/* For If-None-Match: another content has another one. */
#define WEB_ETAG_SIZE 24
const char *web_asset_tag(const struct web_asset *a, char tag[WEB_ETAG_SIZE]);

#endif
