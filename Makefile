# SPDX-License-Identifier: GPL-2.0-only
#
# synstile: `sudo make run` and `sudo make test` do everything on a fresh Debian 12.
# `make help` lists the rest. V=1 shows the commands.

VERSION  := 0.1.0
BUILD    := build
PREFIX   ?= /usr/local
SBINDIR  ?= $(PREFIX)/sbin
MANDIR   ?= $(PREFIX)/share/man

# Looked up when used, since `make deps` may just have installed them.
CLANG    ?= $(firstword $(foreach c,clang-19 clang-16 clang-14 clang,$(shell command -v $(c) 2>/dev/null)) clang-19)
BPFTOOL  ?= $(shell PATH="$$PATH:/usr/sbin" command -v bpftool || echo bpftool)
CC       := gcc
PYTHON   ?= /usr/bin/python3
export PYTHONDONTWRITEBYTECODE := 1

ARCH     := $(shell uname -m | sed -e 's/x86_64/x86/' -e 's/aarch64/arm64/' -e 's/ppc64le/powerpc/' -e 's/s390x/s390/')
PKGS     := libbpf libxdp jansson libmnl libevent libcurl libnftables libcap-ng yaml-0.1 ncursesw libsystemd
WARN     := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes
CFLAGS   ?= -O2 -g
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE -DVERSION='"$(VERSION)"' $(WARN) -Iinclude -Ibpf -I$(BUILD) \
	   -fstack-protector-strong $(CFLAGS)
# -fno-strict-aliasing: packets are read and written as words of several sizes; -ffile-prefix-map: the
# same source makes the same program, wherever it is built
BPF_CFLAGS := -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_$(ARCH) -Wall -Wextra -Werror -Wshadow \
	   -Wno-unused-parameter -fno-strict-aliasing -ffile-prefix-map=$(CURDIR)=. -Iinclude -Ibpf -I$(BUILD)
LDLIBS    = $(shell pkg-config --libs $(PKGS))

Q := $(if $(V),,@)
say = $(if $(V),,@echo "  $(1)	$(2)")
# A second make, so that it sees what a first step has installed or built.
again = $(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))

BPF_OBJS := synstile_xdp synstile_tc synstile_sweep
SKELS    := $(BPF_OBJS:%=$(BUILD)/%.skel.h)
USER_OBJS := $(patsubst user/%.c,$(BUILD)/user/%.o,$(wildcard user/*.c))

all: $(BUILD)/synstile

help:
	@echo 'For root, on Debian 12 (what is missing gets installed):'
	@echo '  make run              the lab: a flood without synstile, then with it, and the dashboard'
	@echo '  make run IFACE=eth0   protect that interface (ARGS="--mode always" for more)'
	@echo '  make test             unit, prog and net tests; test-unit, test-prog, test-net for one'
	@echo '  make test-vm          the same on other kernels, emulated (KERNELS="6.1 6.12 new")'
	@echo '  make bench            what a packet costs, and the agent (ARGS=--agent: only that)'
	@echo '  make docs             what commands print in docs/ anew, from the lab; make picture: the dashboard'
	@echo '  make deps             packages to build and test'
	@echo 'For anyone:'
	@echo '  make                  $(BUILD)/synstile (CLANG=clang-14 BUILD=build14: another compiler)'
	@echo '  make lint             formatting, static analysis'
	@echo '  make fuzz             libFuzzer on what reads packets and policies (FUZZ_SECONDS=60)'
	@echo '  make install          PREFIX=/usr/local, DESTDIR=; and uninstall, clean'
	@echo '  make deb              the Debian package; make test-package (root): is it a good one?'

# --- the program

$(BUILD)/vmlinux.h: | $(BUILD)
	$(call say,BTF,$@)
	@for t in $(CLANG) $(BPFTOOL) $(CC) pkg-config; do command -v $$t >/dev/null || \
		{ echo "make: no $$t here: run 'sudo make deps' first" >&2; exit 1; }; done
	@test -r /sys/kernel/btf/vmlinux || { echo "make: this kernel has no BTF (/sys/kernel/btf/vmlinux):" \
		"build on one with CONFIG_DEBUG_INFO_BTF=y" >&2; exit 1; }
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

# they are in it, by .incbin
$(BUILD)/user/web_assets.o: $(wildcard user/web/* user/web/vendor/*)

$(BUILD)/synstile: $(USER_OBJS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD) $(BUILD)/user:
	$(Q)mkdir -p $@

include packaging/rules.mk

# --- running it

deps:
	@tests/deps.sh build lab test web

ifdef IFACE
run:
	@tests/deps.sh build
	@$(again) all
	$(Q)$(BUILD)/synstile attach $(IFACE) $(ARGS)
else
run:
	@tests/deps.sh build lab
	@$(again) all tools
	$(Q)SYNSTILE_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/net/demo.py $(ARGS)
endif

# The same with sanitizers, for tests that throw things at it. With them, gcc warns of what cannot be.
ASAN_FLAGS := -O1 -Wno-error -fsanitize=address,undefined -fno-omit-frame-pointer
ASAN_OBJS := $(USER_OBJS:$(BUILD)/user/%=$(BUILD)/asan/%)

asan: $(BUILD)/asan/synstile

$(BUILD)/asan/%.o: user/%.c | $(SKELS) $(BUILD)/asan
	$(call say,CC,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ASAN_FLAGS) $(shell pkg-config --cflags $(PKGS)) -MMD -MP -c $< -o $@

$(BUILD)/asan/synstile: $(ASAN_OBJS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ASAN_FLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/asan:
	$(Q)mkdir -p $@

$(BUILD)/asan/web_assets.o: $(wildcard user/web/* user/web/vendor/*)

# --- tests: each of tests/*/rules.mk makes programs; what runs them is here or there

fuzz: fuzz-deps # before its own prerequisites
fuzz-deps:
	@tests/deps.sh fuzz

# What reads and prints policies, without the agent and its maps.
POLICY_SRC := user/policy.c user/log.c \
	$(patsubst %,user/policy_%.c,address check diff errors find json prefixes read value view yaml)

include $(wildcard tests/*/rules.mk)

tests: all asan tools $(UNIT) $(PROG)

test: deps
	@$(again) tests
	@$(MAKE) --no-print-directory test-unit test-prog test-install
	@$(MAKE) --no-print-directory test-net

# Most of them wait most of the time. A file's tests stay together: some share a lab. One that hangs
# is told as such.
WORKERS  ?= 2
test-net: all asan tools web-tools
	$(Q)SYNSTILE_BUILD=$(abspath $(BUILD)) $(PYTHON) -m pytest -p no:cacheprovider -n $(WORKERS) \
		--dist loadfile --timeout 600 --durations=10 tests/net $(ARGS)

test-vm:
	@tests/deps.sh build lab test vm
	@$(again) tests
	$(Q)BUILD=$(abspath $(BUILD)) tests/vm/test-vm.sh $(KERNELS)

bench:
	@tests/deps.sh build lab
	@$(again) all tools
	$(Q)SYNSTILE_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/bench.py $(ARGS)

# The tables of docs/operations.md need no lab; the others show what happens in it.
docs: all tools
	@tests/deps.sh build lab test
	$(Q)$(PYTHON) docs/operations.py
	$(Q)SYNSTILE_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/net/walk.py
	$(Q)SYNSTILE_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/net/guide.py

picture:
	@tests/deps.sh build lab test
	@$(again) all tools
	$(Q)SYNSTILE_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/net/picture.py

C_FILES  := $(wildcard bpf/*.[ch] include/synstile/*.h user/*.[ch] tests/*/*.[ch])
SH_FILES := $(wildcard .ci/run tests/*.sh tests/*/*.sh packaging/*.sh packaging/instances.in packaging/systemd/service-stop.in)
PY_FILES := $(wildcard docs/*.py tests/*/*.py)
MK_FILES := Makefile packaging/rules.mk $(wildcard tests/*/rules.mk)

lint:
	@tests/deps.sh build lint
	$(call say,SPDX,)
	@bad=$$(grep -LE 'SPDX-License-Identifier: GPL-2.0-only( \*/)?$$' $(C_FILES) $(SH_FILES) $(PY_FILES) $(MK_FILES)); \
		test -z "$$bad" || { echo "lint: no SPDX line in" $$bad >&2; exit 1; }
	$(call say,SHELL,)
	$(Q)shellcheck -S warning $(SH_FILES)
	$(call say,PYTHON,)
	$(Q)$(PYTHON) -m pyflakes $(PY_FILES)
	$(call say,FORMAT,)
	$(Q)clang-format-14 --dry-run -Werror $(C_FILES)
	@$(again) tidy

tidy: $(patsubst %.c,$(BUILD)/tidy/%.ok,$(filter-out %.bpf.c,$(filter %.c,$(C_FILES))))

# skeletons, as bpftool writes them, look like leaks
$(foreach f,user/datapath tests/tools/flood tests/prog/prog,$(BUILD)/tidy/$(f).ok): TIDY_FLAGS := --checks=-clang-analyzer-unix.Malloc
$(BUILD)/tidy/%.ok: %.c .clang-tidy $(filter %.h,$(C_FILES)) | $(SKELS) $(BUILD)/tools/flood.skel.h
	$(call say,TIDY,$<)
	$(Q)mkdir -p $(@D) && clang-tidy-14 --quiet $(TIDY_FLAGS) $< -- $(filter-out -I$(BUILD),$(ALL_CFLAGS)) -Iuser -Itests/unit \
		-Itests/prog -isystem $(BUILD) -isystem $(BUILD)/tools 2>/dev/null && touch $@

clean:
	rm -rf $(BUILD)

-include $(wildcard $(BUILD)/*.d $(BUILD)/*/*.d)
.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all asan help deps run tests test test-net test-vm bench docs picture fuzz-deps lint tidy clean
