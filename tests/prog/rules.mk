# SPDX-License-Identifier: GPL-2.0-only
# BPF_PROG_TEST_RUN tables: the real programs, loaded but attached to nothing, in a
# network namespace of each test's own. They need root.

PROG := $(patsubst tests/prog/%.c,$(BUILD)/prog/%,$(wildcard tests/prog/test_*.c))
PROG_LIB := $(BUILD)/prog/prog.o $(BUILD)/prog/check.o $(BUILD)/prog/frame.o \
	$(addprefix $(BUILD)/user/,maps.o sample_weights.o log.o distinct.o)
PROG_CFLAGS = $(ALL_CFLAGS) -Itests/unit -Itests/prog -Iuser

test-prog: $(PROG)
	$(Q)rc=0; for t in $^; do $$t || { echo "make: $$t failed" >&2; rc=1; }; done; exit $$rc

$(BUILD)/prog:
	$(Q)mkdir -p $@

$(BUILD)/prog/frame.o: tests/unit/frame.c | $(BUILD)/prog
	$(call say,CC,$@)
	$(Q)$(CC) $(PROG_CFLAGS) -MMD -MP -MF $@.d -c $< -o $@

$(BUILD)/prog/%.o: tests/prog/%.c | $(BUILD)/prog $(SKELS)
	$(call say,CC,$@)
	$(Q)$(CC) $(PROG_CFLAGS) -MMD -MP -MF $@.d -c $< -o $@

$(BUILD)/prog/test_%: $(BUILD)/prog/test_%.o $(PROG_LIB)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lcmocka $(shell pkg-config --libs libbpf)

.PHONY: test-prog
