# SPDX-License-Identifier: GPL-2.0-only
# Unit tests of the pure headers, on the host. test_odds counts billions of cookies
# and is therefore built without sanitizers.

UNIT := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/test_*.c))
SANITIZE := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

test-unit: $(UNIT)
	$(Q)rc=0; for t in $^; do $$t || { echo "make: $$t failed" >&2; rc=1; }; done; exit $$rc

$(BUILD)/unit:
	$(Q)mkdir -p $@

$(BUILD)/unit/test_odds: SANITIZE := -O2
$(BUILD)/unit/test_packet $(BUILD)/unit/test_options: tests/unit/frame.c
$(BUILD)/unit/test_%: tests/unit/test_%.c | $(BUILD)/unit
	$(call say,CC,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(SANITIZE) -MMD -MP -MF $@.d $(LDFLAGS) -o $@ $(filter %.c,$^) -lcmocka

.PHONY: test-unit
