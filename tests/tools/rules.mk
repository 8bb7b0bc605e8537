# SPDX-License-Identifier: GPL-2.0-only
# Programs for tests, lab and bench. Included by the top Makefile, after its first target.

TOOLS := $(addprefix $(BUILD)/tools/,flood flood.bpf.o many xdp_pass.bpf.o dropper.bpf.o xdp_swap.bpf.o empty.bpf.o)

tools: $(TOOLS)

$(BUILD)/tools:
	$(Q)mkdir -p $@

$(BUILD)/tools/%.bpf.o: tests/tools/%.bpf.c $(BUILD)/vmlinux.h | $(BUILD)/tools
	$(call say,BPF,$@)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MF $(@:.o=.d) -c $< -o $@

$(BUILD)/tools/%.skel.h: $(BUILD)/tools/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $*_bpf >$@.tmp && mv $@.tmp $@

$(BUILD)/tools/flood: tests/tools/flood.c $(BUILD)/tools/flood.skel.h
	$(call say,CC,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -I$(BUILD)/tools -MMD -MP -MF $@.d $(LDFLAGS) -o $@ $< $(shell pkg-config --cflags --libs libbpf)

$(BUILD)/tools/many: tests/tools/many.c | $(BUILD)/tools
	$(call say,CC,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -MF $@.d $(LDFLAGS) -o $@ $<

.PHONY: tools
