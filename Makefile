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

AGENT_PKGS := libbpf libmicrohttpd jansson yaml-0.1
CTL_PKGS   := libcurl jansson ncursesw yaml-0.1

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
SHARED_OBJ := $(patsubst %.c,$(B)/%.o,$(filter-out %_main.c,$(wildcard lib/*.c features/*.c policy/*.c)))
AGENT_OBJ  := $(patsubst %.c,$(B)/%.o,$(wildcard agent/*.c agent/*/*.c))
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
	@$(MAKE) --no-print-directory all tests
	@tests/run

test-vm: all ## run the guest tests on every kernel; KERNEL=6.12 TEST=name for one
	@scripts/deps build test --install
	@tests/vm/run "$(KERNEL)" "$(TEST)"

bench: all ## measure cost, side by side with other tools, and print the tables
	@scripts/deps build bench --install
	@bench/run $(BENCH)

bench-vm: all ## measure in guests what acting brings; BENCH="-k 6.12 weights" for a part
	@scripts/deps build test --install
	@bench/vm/run $(BENCH)

C_FILES  := $(filter-out vmlinux.h,$(shell git ls-files '*.c' '*.h' 2>/dev/null))

check: ## format, warnings of gcc and clang, shellcheck, licence lines
	@$(CLANG_FORMAT) --dry-run --Werror $(C_FILES) && echo "ok format"
	@$(MAKE) --no-print-directory -s all && echo "ok warnings (gcc)"
	@$(MAKE) --no-print-directory -s B=build/clang CC=$(CLANG) all && echo "ok warnings (clang)"
	@tests/lint

MAN := $(patsubst docs/%.scd,$(B)/%,$(wildcard docs/*.scd))
$(B)/%: docs/%.scd | $(B)
	scdoc <$< >$@
man: $(MAN) ## build the man pages (needs scdoc)

install: all man ## install below $(DESTDIR)$(PREFIX)
	install -D -m 755 $(B)/vstord $(DESTDIR)$(PREFIX)/sbin/vstord
	install -D -m 755 $(B)/vstorctl $(DESTDIR)$(PREFIX)/bin/vstorctl
	install -D -m 755 $(B)/vstor-actor $(DESTDIR)$(PREFIX)/sbin/vstor-actor
	for m in $(MAN); do install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man$${m##*.} $$m || exit; done
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/vstor README.md LICENSE docs/*.md

$(B):
	@mkdir -p $@

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 24

clean: ## remove what was built
	rm -rf $(B)

.PHONY: all tests run test test-vm bench bench-vm check man install help clean
.DELETE_ON_ERROR:
.SECONDARY:
-include $(wildcard $(B)/*.d $(B)/*/*.d $(B)/*/*/*.d)
