# SPDX-License-Identifier: GPL-2.0-only
# Unit tests of the pure headers, and of what user space makes of events, on the host. test_odds counts billions of cookies
# and is therefore built without sanitizers.

UNIT := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/test_*.c))
SANITIZE := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

test-unit: $(UNIT)
	$(Q)rc=0; for t in $^; do $$t || { echo "make: $$t failed" >&2; rc=1; }; done; exit $$rc

$(BUILD)/unit:
	$(Q)mkdir -p $@

$(BUILD)/unit/test_odds: SANITIZE := -O2
$(BUILD)/unit/test_packet $(BUILD)/unit/test_options: tests/unit/frame.c
$(BUILD)/unit/test_event_%: ALL_CFLAGS += -Iuser
$(BUILD)/unit/test_event_%: UNIT_LIBS := -ljansson -lbpf
$(BUILD)/unit/test_event_json: $(addprefix user/,event_json.c event_names.c maps.c sample_weights.c log.c attack_json.c top_sources.c)
$(BUILD)/unit/test_detect $(BUILD)/unit/test_top_sources $(BUILD)/unit/test_backlog: ALL_CFLAGS += -Iuser
$(BUILD)/unit/test_backlog: user/backlog.c
$(BUILD)/unit/test_detect: user/judge.c user/traffic.c
$(BUILD)/unit/test_top_sources: $(addprefix user/,top_sources.c overflow.c log.c)
$(BUILD)/unit/test_event_text: $(addprefix user/,event_text.c event_json.c event_names.c maps.c sample_weights.c log.c)
$(BUILD)/unit/test_event_filter: $(addprefix user/,event_filter.c event_names.c log.c)
$(BUILD)/unit/test_conns $(BUILD)/unit/test_half_open: ALL_CFLAGS += -Iuser
$(BUILD)/unit/test_half_open: UNIT_LIBS := -ljansson
$(BUILD)/unit/test_conns_page: ALL_CFLAGS += -Iuser
$(BUILD)/unit/test_conns_page: $(addprefix user/,conns_page.c conns.c event_names.c log.c)
$(BUILD)/unit/test_half_open: user/half_open.c user/half_open_list.c
$(BUILD)/unit/test_keys $(BUILD)/unit/test_synack_timer: ALL_CFLAGS += -Iuser
$(BUILD)/unit/test_keys: UNIT_LIBS := -ljansson
$(BUILD)/unit/test_keys: $(addprefix user/,keys.c log.c moment.c)
$(BUILD)/unit/test_distinct: ALL_CFLAGS += -Iuser
$(BUILD)/unit/test_distinct $(BUILD)/unit/test_limit: UNIT_LIBS := -lm
$(BUILD)/unit/test_distinct: user/distinct.c
$(BUILD)/unit/test_conns: $(addprefix user/,conns.c event_names.c log.c moment.c)
$(BUILD)/unit/test_firewall: ALL_CFLAGS += -Iuser
$(BUILD)/unit/test_firewall: UNIT_LIBS := -ljansson
$(BUILD)/unit/test_firewall: $(addprefix user/,firewall.c nft_json.c ports.c log.c)
$(BUILD)/unit/test_published: ALL_CFLAGS += -Iuser
$(BUILD)/unit/test_published: UNIT_LIBS := -ljansson
$(BUILD)/unit/test_published: $(addprefix user/,published_nft.c published_walk.c nft_json.c ports.c log.c)
$(BUILD)/unit/test_policy: ALL_CFLAGS += -Iuser
$(BUILD)/unit/test_policy: UNIT_LIBS := -lyaml -ljansson
$(BUILD)/unit/test_policy: $(POLICY_SRC)
$(BUILD)/unit/test_services: ALL_CFLAGS += -Iuser
$(BUILD)/unit/test_services: UNIT_LIBS := -lyaml -ljansson
$(BUILD)/unit/test_services: user/services.c user/rules.c $(POLICY_SRC)
$(BUILD)/unit/test_history $(BUILD)/unit/test_metrics_text $(BUILD)/unit/test_rates: ALL_CFLAGS += -Iuser
$(BUILD)/unit/test_rates: user/rates.c user/log.c
$(BUILD)/unit/test_history: user/history_ring.c
$(BUILD)/unit/test_metrics_text: user/metrics_text.c
$(BUILD)/unit/test_top: ALL_CFLAGS += -Iuser
$(BUILD)/unit/test_top: UNIT_LIBS := -ljansson
$(BUILD)/unit/test_top: $(patsubst %,user/top_%.c,canvas chart draw frame help history keys panes record table \
	table_half_open table_services table_sources table_verdicts text)
$(BUILD)/unit/test_live $(BUILD)/unit/test_event_log: ALL_CFLAGS += -Iuser
$(BUILD)/unit/test_live: UNIT_LIBS := -lbpf
$(BUILD)/unit/test_live: $(addprefix user/,half_open_oldest.c syn_sources.c sample_weights.c top_sources.c moment.c log.c)
$(BUILD)/unit/test_sampling: ALL_CFLAGS += -Iuser
$(BUILD)/unit/test_sampling: $(addprefix user/,sample_weights.c top_sources.c)
$(BUILD)/unit/test_event_log: UNIT_LIBS := -levent
$(BUILD)/unit/test_event_log: $(addprefix user/,event_log.c event_id.c moment.c)
$(BUILD)/unit/test_%: tests/unit/test_%.c | $(BUILD)/unit
	$(call say,CC,$@)
	@# -MMD would keep the last source's headers only
	$(Q)$(CC) $(ALL_CFLAGS) -MM -MP -MT $@ $(filter %.c,$^) >$@.d
	$(Q)$(CC) $(ALL_CFLAGS) $(SANITIZE) $(LDFLAGS) -o $@ $(filter %.c,$^) -lcmocka $(UNIT_LIBS)

.PHONY: test-unit
