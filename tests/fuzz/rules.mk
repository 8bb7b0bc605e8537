# SPDX-License-Identifier: GPL-2.0-only
# Fuzzing of what reads packets. Debian's clang-14 brings libFuzzer; clang-19 does so
# only with libclang-rt-19-dev.

FUZZ_SECONDS ?= 60
FUZZ_CLANG ?= clang-14
FUZZERS := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))

fuzz: $(FUZZERS)
	$(Q)for t in $^; do mkdir -p $$t.corpus && $$t -max_total_time=$(FUZZ_SECONDS) -max_len=400 \
		-use_value_profile=1 -artifact_prefix=$$t. -print_final_stats=1 $$t.corpus || exit 1; done

$(BUILD)/fuzz:
	$(Q)mkdir -p $@

$(BUILD)/fuzz/%: tests/fuzz/%.c tests/unit/frame.c | $(BUILD)/fuzz
	$(call say,FUZZ,$@)
	$(Q)$(FUZZ_CLANG) $(filter-out -fstack-protector-strong,$(ALL_CFLAGS)) -O1 -Itests/unit -Wno-missing-prototypes \
		-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -MMD -MP -MF $@.d -o $@ $(filter %.c,$^)

.PHONY: fuzz
