# SPDX-License-Identifier: GPL-2.0-only
#
# synstile: `sudo make run` and `sudo make test` do everything on a fresh Debian 12.
# V=1 shows the commands.

BUILD    := build
PREFIX   ?= /usr/local
SBINDIR  ?= $(PREFIX)/sbin
MANDIR   ?= $(PREFIX)/share/man
VERSION  := 0.1.0

CLANG    ?= $(firstword $(foreach c,clang-19 clang-16 clang-14 clang,$(shell command -v $(c) 2>/dev/null)) clang-19)
CC       := gcc
BPFTOOL  ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
PYTEST   ?= /usr/bin/python3 -m pytest
PKGS     := libbpf libxdp jansson libmnl
WARN     := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes
CFLAGS   ?= -O2 -g
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE -DVERSION='"$(VERSION)"' $(WARN) -Iinclude -Ibpf -I$(BUILD) \
	   -fstack-protector-strong $(CFLAGS)
BPF_CFLAGS := -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_x86 -Wall -Wextra -Werror -Wshadow -Wno-unused-parameter \
	   -fno-strict-aliasing -Iinclude -Ibpf -I$(BUILD)
LDLIBS    = $(shell pkg-config --libs $(PKGS))

Q := $(if $(V),,@)
say = $(if $(V),,@echo "  $(1)	$(2)")

BPF_OBJS := synstile_xdp synstile_tc synstile_sweep
SKELS    := $(BPF_OBJS:%=$(BUILD)/%.skel.h)
USER_OBJS := $(patsubst user/%.c,$(BUILD)/user/%.o,$(wildcard user/*.c))

all: $(BUILD)/synstile

$(BUILD)/vmlinux.h: | $(BUILD)
	$(call say,BTF,$@)
	$(Q)test -r /sys/kernel/btf/vmlinux || { echo "make: this kernel has no BTF (/sys/kernel/btf/vmlinux): build on one with CONFIG_DEBUG_INFO_BTF=y" >&2; exit 1; }
	$(Q)$(BPFTOOL) btf dump file /sys/kernel/btf/vmlinux format c >$@.tmp && mv $@.tmp $@

$(BUILD)/%.bpf.o: bpf/%.bpf.c $(BUILD)/vmlinux.h
	$(call say,BPF,$@)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MF $(@:.o=.d) -c $< -o $@

$(BUILD)/%.skel.h: $(BUILD)/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $* >$@.tmp && mv $@.tmp $@

$(BUILD)/user/%.o: user/%.c | $(SKELS) $(BUILD)/user
	$(call say,CC,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(shell pkg-config --cflags $(PKGS)) -MMD -MP -c $< -o $@

$(BUILD)/synstile: $(USER_OBJS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD) $(BUILD)/user:
	$(Q)mkdir -p $@

include $(wildcard tests/*/rules.mk)

clean:
	rm -rf $(BUILD)

-include $(wildcard $(BUILD)/*.d $(BUILD)/*/*.d)
.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all clean
