# SPDX-License-Identifier: GPL-2.0-only
# playwright-core, which drives Chromium in tests/net/test_web.py: fetched once, into BUILD/web.

WEB_TOOLS := $(BUILD)/web/node_modules/.package-lock.json

web-tools: $(WEB_TOOLS)

$(WEB_TOOLS): tests/web/package.json tests/web/package-lock.json
	$(call say,NPM,$@)
	$(Q)mkdir -p $(BUILD)/web && cp $^ $(BUILD)/web/ && \
		cd $(BUILD)/web && npm ci --ignore-scripts --no-audit --no-fund --silent && touch $(abspath $@)

.PHONY: web-tools
