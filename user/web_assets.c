// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include <synstile/verdict.h>

#include "web_assets.h"

#define HTML "text/html; charset=utf-8"
#define CSS  "text/css; charset=utf-8"
#define JS   "text/javascript; charset=utf-8"
#define SVG  "image/svg+xml"
#define TEXT "text/plain; charset=utf-8"
#define JSON "application/json"

/* X(id, where it is served, type, file) */
#define ASSETS(X)                                                                                  \
	X(index, "/", HTML, "index.html")                                                          \
	X(style, "/assets/style.css", CSS, "style.css")                                            \
	X(app, "/assets/app.js", JS, "app.js")                                                     \
	X(dom, "/assets/dom.js", JS, "dom.js")                                                     \
	X(format, "/assets/format.js", JS, "format.js")                                            \
	X(live, "/assets/live.js", JS, "live.js")                                                  \
	X(charts, "/assets/charts.js", JS, "charts.js")                                            \
	X(table, "/assets/table.js", JS, "table.js")                                               \
	X(views, "/assets/views.js", JS, "views.js")                                               \
	X(conns, "/assets/conns.js", JS, "conns.js")                                               \
	X(diagram, "/assets/diagram.js", JS, "diagram.js")                                         \
	X(theme, "/assets/theme.js", JS, "theme.js")                                               \
	X(icon, "/assets/icon.svg", SVG, "icon.svg")                                               \
	X(uplot, "/assets/vendor/uPlot.esm.js", JS, "vendor/uPlot.esm.js")                         \
	X(uplot_css, "/assets/vendor/uPlot.min.css", CSS, "vendor/uPlot.min.css")                  \
	X(uplot_license, "/assets/vendor/LICENSE", TEXT, "vendor/LICENSE")

/* Relative to where make runs; see the Makefile for what this depends on. */
#define X(id, path, type, file)                                                                    \
	__asm__(".pushsection .rodata\n"                                                           \
		".global web_" #id "_begin, web_" #id "_end\n"                                     \
		"web_" #id "_begin: .incbin \"user/web/" file "\"\n"                               \
		"web_" #id "_end: .byte 0\n"                                                       \
		".popsection\n");                                                                  \
	extern const char web_##id##_begin[], web_##id##_end[];
ASSETS(X)
#undef X

/* {"":[], "syn_cookie":["REPLY","what it means"], ...} */
static const char verdicts[] = "{\"\":[]"
#define X(id, action, name, help) ",\"" name "\":[\"" #action "\",\"" help "\"]"
	SYNSTILE_VERDICTS(X)
#undef X
		"}";

const struct web_asset *web_asset_find(const char *path)
{
	static const struct web_asset all[] = {
#define X(id, path, type, file) {path, type, web_##id##_begin, web_##id##_end},
		ASSETS(X)
#undef X
			{"/assets/verdicts.json", JSON, verdicts, verdicts + sizeof(verdicts) - 1},
	};
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (!strcmp(all[i].path, path))
			return &all[i];
	return NULL;
}

/* FNV-1a, 64 bits */
const char *web_asset_tag(const struct web_asset *a, char tag[WEB_ETAG_SIZE])
{
	unsigned long long hash = 0xcbf29ce484222325ULL;
	const char *at;

	for (at = a->begin; at < a->end; at++)
		hash = (hash ^ (unsigned char)*at) * 0x100000001b3ULL;
	snprintf(tag, WEB_ETAG_SIZE, "\"%016llx\"", hash);
	return tag;
}
