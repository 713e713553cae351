# SPDX-License-Identifier: GPL-2.0-only
# `make help` lists what can be made.
VERSION := 0.1.0
PREFIX  ?= /usr/local
B       := build

CLANG        ?= $(firstword $(foreach v,19 18 17 16,$(shell command -v clang-$(v))) clang)
CLANG_FORMAT ?= $(firstword $(foreach v,19 18 17 16,$(shell command -v clang-format-$(v))) clang-format)
BPFTOOL      ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
PKG_CONFIG   ?= pkg-config

WARN     := -Wall -Wextra -Werror -Wno-unused-parameter
CPPFLAGS += -D_GNU_SOURCE -DVSTOR_VERSION='"$(VERSION)"' -Iinclude -I. -I$(B)
CFLAGS   ?= -O2 -g
CFLAGS   += -std=gnu11 $(WARN)
DEPFLAGS  = -MMD -MP

AGENT_PKGS := libbpf libmicrohttpd jansson yaml-0.1 libzstd zlib
CTL_PKGS   := libcurl jansson ncursesw yaml-0.1 libzstd

all: $(B)/vstord $(B)/vstorctl $(B)/vstor-actor ## build the agent, the command and the actor

# --- kernel side: every bpf/*.bpf.c becomes a skeleton ---
BPF_CC    = $(CLANG) -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_x86 -D__bpf__ $(WARN) -Iinclude -I.
BPF_SRC  := $(wildcard bpf/*.bpf.c)
BPF_SKEL := $(BPF_SRC:bpf/%.bpf.c=$(B)/%.skel.h)

$(B)/%.bpf.o: bpf/%.bpf.c | $(B)
	$(BPF_CC) $(DEPFLAGS) -MT $@ -c $< -o $@.tmp
	$(BPFTOOL) gen object $@ $@.tmp && rm $@.tmp # drops DWARF, keeps BTF

$(B)/%.skel.h: $(B)/%.bpf.o
	$(BPFTOOL) gen skeleton $< name $(subst .,_,$*)_bpf >$@.tmp && mv $@.tmp $@

$(B)/skeletons.h: $(BPF_SKEL)
	printf '#include "%s"\n' $(notdir $^) >$@

# --- user side. What both programs may need is in one archive: the linker takes the members that are used. ---
# A recording is shown by the code that shows a snapshot, so vstorctl has that as well.
SHOWN_SRC  := agent/snapshot.c $(addprefix agent/sinks/,out.c render.c render_cache.c render_insight.c render_waits.c)
SHARED_OBJ := $(patsubst %.c,$(B)/%.o,$(filter-out %_main.c,$(wildcard lib/*.c features/*.c policy/*.c)) $(SHOWN_SRC))
AGENT_OBJ  := $(patsubst %.c,$(B)/%.o,$(filter-out $(SHOWN_SRC),$(wildcard agent/*.c agent/*/*.c)))
CTL_OBJ    := $(patsubst %.c,$(B)/%.o,$(wildcard ctl/*.c))

$(B)/agent/%.o: CFLAGS += $(shell $(PKG_CONFIG) --cflags $(AGENT_PKGS))
$(B)/ctl/%.o:   CFLAGS += $(shell $(PKG_CONFIG) --cflags $(CTL_PKGS))
$(AGENT_OBJ): $(BPF_SKEL) $(B)/skeletons.h
$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(DEPFLAGS) -c $< -o $@

$(B)/libvstor.a: $(SHARED_OBJ)
	rm -f $@ && $(AR) rcs $@ $^
$(B)/vstord: $(AGENT_OBJ) $(B)/libvstor.a
	$(CC) $(LDFLAGS) -Wl,--as-needed -o $@ $^ $(shell $(PKG_CONFIG) --libs $(AGENT_PKGS)) -lcap -lm
$(B)/vstorctl: $(CTL_OBJ) $(B)/libvstor.a
	$(CC) $(LDFLAGS) -Wl,--as-needed -o $@ $^ $(shell $(PKG_CONFIG) --libs $(CTL_PKGS) libbpf) -lm
$(B)/vstor-actor: $(B)/policy/actor_main.o $(B)/libvstor.a
	$(CC) $(LDFLAGS) -Wl,--as-needed -o $@ $^ -lcap -lseccomp

# --- unit tests: a line "LINK: FILE.c ... -lLIB ..." in tests/unit/NAME_test.c names what it needs ---
UNIT_SRC := $(wildcard tests/unit/*_test.c)
UNIT_BIN := $(UNIT_SRC:%.c=$(B)/%)
unit_link = $(shell sed -n 's/.*LINK: *\(.*[^ *\/]\).*/\1/p' $(1))
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all

define unit_rule
$(B)/$(1:.c=): $(1) $(filter %.c,$(call unit_link,$(1)))
	@mkdir -p $$(@D)
	$$(CC) $$(CPPFLAGS) -O1 -g -std=gnu11 $$(WARN) $$(SANITIZE) $$(DEPFLAGS) -MT $$@ -o $$@ $$< $(call unit_link,$(1)) -lcmocka
endef
$(foreach t,$(UNIT_SRC),$(eval $(call unit_rule,$(t))))

# --- programs that the tests of bpf/ and the e2e tests use ---
TEST_BIN := $(B)/tests/e2e/actor_drive \
	$(addprefix $(B)/tests/bpf/,kind_trace insns lock_load disk_load fsync_load fsync_rows hint_load)

$(B)/tests/bpf/%.bpf.o: tests/bpf/%.bpf.c
	@mkdir -p $(@D)
	$(BPF_CC) -Ibpf $(DEPFLAGS) -MT $@ -c $< -o $@.tmp
	$(BPFTOOL) gen object $@ $@.tmp && rm $@.tmp
$(B)/tests/bpf/%.skel.h: $(B)/tests/bpf/%.bpf.o
	$(BPFTOOL) gen skeleton $< name $*_bpf >$@.tmp && mv $@.tmp $@
$(B)/tests/bpf/kind_trace: $(B)/tests/bpf/kind_trace.skel.h
$(B)/tests/bpf/%: tests/bpf/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -I$(B)/tests/bpf $(CFLAGS) $(DEPFLAGS) -MT $@ -o $@ $< -lbpf

$(B)/tests/e2e/%: tests/e2e/%.c $(B)/libvstor.a
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(DEPFLAGS) -MT $@ -o $@ $< $(B)/libvstor.a

tests: $(UNIT_BIN) $(TEST_BIN) ## build the programs that the tests need

# --- what people type ---
run: ## install what is missing, build, start the agent (observe only) and show vstorctl top
	@scripts/deps build --install
	@$(MAKE) --no-print-directory -s all
	@scripts/run

test: ## install what is missing, build, run every test that can run here
	@scripts/deps build test --install
	@$(MAKE) --no-print-directory -j"$$(nproc)" all tests
	@tests/run

test-vm: all ## run the guest tests on every kernel; KERNEL=6.12 TEST=name for one
	@scripts/deps build test --install
	@tests/vm/run "$(KERNEL)" "$(TEST)"

fuzz: ## run the fuzz targets, 60 s of a processor each; SECONDS_EACH=600 for more
	@scripts/deps build --install
	@tests/fuzz/run $(or $(SECONDS_EACH),60)

bench: all ## measure cost, side by side with other tools, and print the tables
	@scripts/deps build bench --install
	@bench/run $(BENCH)

bench-vm: all ## measure in guests what acting brings; BENCH="-k 6.12 weights" for a part
	@scripts/deps build test --install
	@bench/vm/run $(BENCH)

C_FILES  := $(filter-out vmlinux.h,$(shell git ls-files '*.c' '*.h' 2>/dev/null))

check: ## format, warnings of gcc and clang, shellcheck, licence lines, dashboards and alerts
	@$(CLANG_FORMAT) --dry-run --Werror $(C_FILES) && echo "ok format"
	@$(MAKE) --no-print-directory -s all && echo "ok warnings (gcc)"
	@$(MAKE) --no-print-directory -s B=build/clang CC=$(CLANG) all && echo "ok warnings (clang)"
	@tests/lint
	@tests/dashboards/run

MAN := $(patsubst docs/%.scd,$(B)/%,$(wildcard docs/*.scd))
$(B)/%: docs/%.scd | $(B)
	scdoc <$< >$@
man: $(MAN) ## build the man pages (needs scdoc)

# zsh of Debian looks in /usr/share/zsh/vendor-completions, but below /usr/local only in site-functions.
ZSH_DIR := $(if $(filter /usr,$(PREFIX)),vendor-completions,site-functions)
COMPLETION := $(addprefix $(B)/completion/vstorctl.,bash zsh fish)
$(B)/completion/vstorctl.%: scripts/completion $(B)/vstorctl
	@mkdir -p $(@D)
	scripts/completion $(B)/vstorctl $* >$@
completion: $(COMPLETION) ## completions of bash, zsh and fish, made from the table of commands

install: all man completion ## install below $(DESTDIR)$(PREFIX), and /etc/vstor/vstord.conf if there is none
	install -D -m 755 $(B)/vstord $(DESTDIR)$(PREFIX)/sbin/vstord
	install -D -m 755 $(B)/vstorctl $(DESTDIR)$(PREFIX)/bin/vstorctl
	install -D -m 755 $(B)/vstor-actor $(DESTDIR)$(PREFIX)/sbin/vstor-actor
	for m in $(MAN); do install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man$${m##*.} $$m || exit; done
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/vstor *.md LICENSE docs/*.md docs/vstorctl.schema.json
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/vstor/runbooks docs/runbooks/*.md
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/vstor/dashboards dashboards/rules.yaml dashboards/*.json
	install -D -m 644 $(B)/completion/vstorctl.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/vstorctl
	install -D -m 644 $(B)/completion/vstorctl.zsh $(DESTDIR)$(PREFIX)/share/zsh/$(ZSH_DIR)/_vstorctl
	install -D -m 644 $(B)/completion/vstorctl.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/vstorctl.fish
	install -D -m 644 deploy/systemd/vstor.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/vstor.conf
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)/etc/vstor
	sed 's|/usr/sbin/vstor|$(PREFIX)/sbin/vstor|' deploy/systemd/vstor.service >$(DESTDIR)$(PREFIX)/lib/systemd/system/vstor.service
	[ -e $(DESTDIR)/etc/vstor/vstord.conf ] || install -m 644 deploy/systemd/vstord.conf $(DESTDIR)/etc/vstor/vstord.conf

# Debian's tools want debian/ at the root of a tree of their own. Objects are kept, so that the next package takes less time.
DEB := $(B)/deb/vstor-$(VERSION)
deb: ## build the Debian package, in build/
	@scripts/deps build package --install
	@rm -rf $(DEB) && mkdir -p $(DEB)
	@git ls-files -z --cached | tar -c --null -T - | tar -x -C $(DEB)
	@cp -r deploy/debian $(DEB)/debian
	cd $(DEB) && VSTOR_BUILD=$(abspath $(B)/deb/obj) dpkg-buildpackage -b -us -uc
	mv $(B)/deb/vstor_*.deb $(B)/
	lintian --fail-on warning,error $(B)/vstor_$(VERSION)_*.deb

image: all ## make a container image of the programs and their libraries, in build/; needs no network
	@scripts/image $(B) $(VERSION) $(B)/vstor-$(VERSION)-image.tar

$(B):
	@mkdir -p $@

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 24

clean: ## remove what was built
	rm -rf $(B)

.PHONY: all tests run test test-vm fuzz bench bench-vm check man completion install deb image help clean
.DELETE_ON_ERROR:
.SECONDARY:
-include $(wildcard $(B)/*.d $(B)/*/*.d $(B)/*/*/*.d)
