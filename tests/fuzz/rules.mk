# SPDX-License-Identifier: GPL-2.0-only
# Fuzzing of what reads packets and policies. Debian's clang-14 brings libFuzzer; clang-19 does so
# only with libclang-rt-19-dev.

FUZZ_SECONDS ?= 60
FUZZ_CLANG ?= clang-14
FUZZERS := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))

fuzz: $(FUZZERS)
	$(Q)mkdir -p $(FUZZERS:=.corpus)
	$(Q)$(foreach t,$(FUZZERS),$t -max_total_time=$(FUZZ_SECONDS) -use_value_profile=1 -artifact_prefix=$t. \
		-print_final_stats=1 $(FUZZ_ARGS_$(notdir $t)) $t.corpus $(SEEDS_$(notdir $t)) &&) true

FUZZ_ARGS_fuzz_packet := -max_len=400
FUZZ_ARGS_fuzz_policy := -max_len=2000
SEEDS_fuzz_policy := tests/unit/policy/good tests/unit/policy/bad

$(BUILD)/fuzz:
	$(Q)mkdir -p $@

$(BUILD)/fuzz/fuzz_packet: tests/unit/frame.c
$(BUILD)/fuzz/fuzz_policy: ALL_CFLAGS += -Iuser
$(BUILD)/fuzz/fuzz_policy: FUZZ_LIBS := -lyaml -ljansson
$(BUILD)/fuzz/fuzz_policy: $(POLICY_SRC)
$(BUILD)/fuzz/%: tests/fuzz/%.c | $(BUILD)/fuzz
	$(call say,FUZZ,$@)
	$(Q)$(FUZZ_CLANG) $(filter-out -fstack-protector-strong,$(ALL_CFLAGS)) -Itests/unit -MM -MP -MT $@ $(filter %.c,$^) >$@.d
	$(Q)$(FUZZ_CLANG) $(filter-out -fstack-protector-strong,$(ALL_CFLAGS)) -O1 -Itests/unit -Wno-missing-prototypes \
		-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -o $@ $(filter %.c,$^) $(FUZZ_LIBS)

.PHONY: fuzz
