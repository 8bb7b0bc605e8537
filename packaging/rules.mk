# SPDX-License-Identifier: GPL-2.0-only
# Manual pages, what `make install` installs where, and the Debian package.

MANUAL := synstile.8 synstile.yaml.5 synstile-events.5
all: $(MANUAL:%=$(BUILD)/man/%)

# The date in the page is the source's, so that the same source makes the same page.
$(BUILD)/man/%: docs/%.scd packaging/mantidy.awk
	$(call say,MAN,$@)
	@command -v scdoc >/dev/null || { echo "make: no scdoc here: run 'sudo make deps' first" >&2; exit 1; }
	$(Q)mkdir -p $(@D)
	$(Q)SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(stat -c %Y $<)} scdoc <$< >$@.tmp
	$(Q)awk -f packaging/mantidy.awk $@.tmp >$@ && rm $@.tmp

# --- installing

LIBDIR   ?= $(PREFIX)/lib/synstile
DOCDIR   ?= $(PREFIX)/share/doc/synstile
BASHDIR  ?= $(PREFIX)/share/bash-completion/completions
ZSHDIR   ?= $(PREFIX)/share/zsh/site-functions
UNITDIR  ?= $(PREFIX)/lib/systemd/system
SYSTEMD  ?= $(wildcard /usr/lib/systemd/system /lib/systemd/system)
GRAFANA  := $(wildcard packaging/grafana/*.json)
ALERTS   := $(wildcard packaging/prometheus/*.yml)
DOCUMENTS := README.md $(wildcard docs/*.md docs/*.json)

# mode:from:to. Names that end in .in are to have their @directories@ filled in.
INSTALLED := 755:$(BUILD)/synstile:$(SBINDIR)/synstile \
	755:packaging/instances.in:$(LIBDIR)/instances \
	$(foreach m,$(MANUAL),644:$(BUILD)/man/$(m):$(MANDIR)/man$(lastword $(subst ., ,$(m)))/$(m)) \
	644:packaging/completions/synstile.bash:$(BASHDIR)/synstile \
	644:packaging/completions/synstile.zsh:$(ZSHDIR)/_synstile \
	644:packaging/policy.yaml:$(DOCDIR)/examples/policy.yaml \
	$(foreach f,$(GRAFANA),644:$(f):$(DOCDIR)/examples/grafana/$(notdir $(f))) \
	$(foreach f,$(ALERTS),644:$(f):$(DOCDIR)/examples/prometheus/$(notdir $(f))) \
	$(foreach f,$(DOCUMENTS),644:$(f):$(DOCDIR)/$(notdir $(f)))
ifneq ($(SYSTEMD),)
INSTALLED += 755:packaging/systemd/service-stop.in:$(LIBDIR)/service-stop \
	644:packaging/systemd/synstile@.service.in:$(UNITDIR)/synstile@.service \
	644:packaging/systemd/synstile-web.service.in:$(UNITDIR)/synstile-web.service \
	644:packaging/systemd/sysusers.conf:$(PREFIX)/lib/sysusers.d/synstile.conf \
	644:packaging/systemd/tmpfiles.conf:$(PREFIX)/lib/tmpfiles.d/synstile.conf
endif

install: all
	@set -e; for line in $(INSTALLED); do \
		mode=$${line%%:*} to=$(DESTDIR)$${line##*:} from=$${line#*:}; from=$${from%:*}; \
		echo "  INSTALL	$$to"; \
		install -D -m $$mode $$from $$to; \
		case $$from in *.in) sed -i 's,@SBINDIR@,$(SBINDIR),; s,@LIBDIR@,$(LIBDIR),' $$to ;; esac; \
	done

# The directories too that nobody else has files in.
uninstall:
	@set -e; for line in $(INSTALLED); do rm -fv $(DESTDIR)$${line##*:}; done
	@for dir in $(LIBDIR) $(DOCDIR)/examples/grafana $(DOCDIR)/examples/prometheus $(DOCDIR)/examples $(DOCDIR); do \
		test ! -d $(DESTDIR)$$dir || rmdir --ignore-fail-on-non-empty $(DESTDIR)$$dir; done

# --- the Debian package: build/synstile_VERSION_ARCH.deb

deb:
	@tests/deps.sh build package
	$(Q)packaging/make-deb.sh $(abspath $(BUILD)) $(VERSION)

# What needs no package: manual pages, completion, make install.
test-install: all
	$(Q)SYNSTILE_BUILD=$(abspath $(BUILD)) $(PYTHON) -m pytest -q -p no:cacheprovider tests/package \
		--ignore tests/package/test_deb.py

test-package:
	@tests/deps.sh build package
	@$(again) all
	$(Q)SYNSTILE_BUILD=$(abspath $(BUILD)) $(PYTHON) -m pytest -p no:cacheprovider tests/package $(ARGS)

.PHONY: install uninstall deb test-install test-package
