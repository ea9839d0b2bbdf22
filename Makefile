# SPDX-License-Identifier: BSD-2-Clause
# make: the image. make run: the demo. make test: everything. make help: the rest.
VERSION := 0.1.0
B       ?= build
CC      ?= gcc
HOSTCC  ?= gcc
ROOMS   := boot lib mm drivers vmx svm devices config kernel

-include config/local.mk
Q := $(if $(V),,@)

WARN    := -Wall -Wextra -Wno-psabi -Wconversion -Wshadow -Werror -Wno-sign-conversion -Wmissing-prototypes
COMMON  := -std=gnu11 -g -fno-builtin-log -Iinclude -I. -I$(B)/gen $(WARN) -MMD -MP -DBULKHEAD_VERSION='"$(VERSION)"'
CFLAGS  := $(COMMON) -O2 -ffreestanding -fno-pic -fno-pie -mno-red-zone -mgeneral-regs-only \
	   -mcmodel=small -fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables \
	   -ffunction-sections -fdata-sections -fno-strict-aliasing
# Thunks for indirect branches: lib/thunk.S, docs/speculation.md (GCC only)
THUNKS  := $(if $(findstring clang,$(CC)),-DBULKHEAD_RETPOLINE=0,-DBULKHEAD_RETPOLINE=1 \
	   -mindirect-branch=thunk-extern -mindirect-branch-register -fno-jump-tables)
# An exit's path leads through five rooms: one program to the compiler (GCC only), archives to all others
LTO     := $(if $(findstring clang,$(CC)),,-flto=auto -ffat-lto-objects)
HOSTFLAGS := $(COMMON) -Os -DHOST_TEST -fno-strict-aliasing -fsanitize=address,undefined \
	   -fno-sanitize-recover=all -fno-omit-frame-pointer $(COVFLAGS)

.PHONY: all clean help
all: $(B)/bulkhead.elf

help:
	@echo "make           $(B)/bulkhead.elf, the image"
	@echo "make run       the demo: Debian's kernel beside a bare-metal guest"
	@echo "make test      everything; TESTS='emu -k NAME --bed BED' picks some (docs/testing.md)"
	@echo "make matrix    Debian's kernels: flavours x vCPUs x parameters; MATRIX='686-pae 2' picks some"
	@echo "make fuzz-boot faulty device trees to the host tool and the boot path; BLOBS=1000 SEED=7"
	@echo "make coverage  line coverage of the host tests"
	@echo "make bench     what exits and Linux' start cost; how exact windows are"
	@echo "make arrows size clang guests unit fuzz clean"

include tools/deps.mk

src = $(wildcard $(1)/*.c) $(wildcard $(1)/*.S)
obj = $(patsubst %,$(B)/obj/%.o,$(call src,$(1)))
ARCHIVES := $(foreach r,$(ROOMS),$(B)/obj/lib$(r).a)
define room_rule
$(B)/obj/lib$(1).a: $(call obj,$(1)) $($(1)_extra)
	$(Q)rm -f $$@ && $(AR) rcs $$@ $$(filter %.o,$$^)
endef
$(foreach r,$(ROOMS),$(eval $(call room_rule,$(r))))

$(B)/obj/%.c.o: %.c Makefile | deps-build
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(THUNKS) $(LTO) -c $< -o $@
$(B)/obj/%.S.o: %.S Makefile | deps-build
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -c $< -o $@

LIBFDT ?= $(shell $(CC) -print-file-name=libfdt.a)
$(B)/bulkhead.elf: $(ARCHIVES) linker.ld
	$(Q)$(CC) $(if $(LTO),$(CFLAGS) $(THUNKS) $(LTO)) -nostdlib -static -no-pie -Wl,-T,linker.ld,--gc-sections,-z,noexecstack,--build-id=none \
		-Wl,-z,max-page-size=4096 -Wl,--no-warn-rwx-segments -o $@ \
		-Wl,--start-group $(ARCHIVES) $(LIBFDT) -Wl,--end-group
# a 32-bit ELF container of the same bytes: what `qemu -kernel` takes
$(B)/bulkhead.elf32: $(B)/bulkhead.elf
	$(Q)objcopy -O elf32-i386 $< $@

# Host side: a file is pure unless it includes an insn.h (or vmx/vmcs.h, which does); all pure objects are one archive.
PURE_SRC := $(shell grep -LE '(insn|vmcs)\.h"' $(foreach r,boot lib mm drivers devices config kernel vmx svm,$(wildcard $(r)/*.c)) /dev/null | grep -v dev/null)
PURE_OBJ := $(PURE_SRC:%=$(B)/host/%.o)
$(B)/host/libpure.a: $(PURE_OBJ)
	$(Q)rm -f $@ && $(AR) rcs $@ $^
$(B)/host/%.c.o: %.c Makefile | deps-build
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(HOSTFLAGS) -c $< -o $@

UNIT := $(patsubst test/unit/test_%.c,$(B)/host/test_%,$(wildcard test/unit/test_*.c))
$(B)/host/test_%: $(B)/host/test/unit/test_%.c.o $(patsubst %,$(B)/host/%.o,$(filter-out $(wildcard test/unit/test_*.c),$(wildcard test/unit/*.c))) $(B)/host/libpure.a
	$(Q)$(HOSTCC) $(HOSTFLAGS) $^ -o $@ -lcmocka -lfdt $($*_LIBS)
decode_LIBS := -lZydis

FUZZ := $(patsubst test/fuzz/fuzz_%.c,$(B)/host/fuzz_%,$(wildcard test/fuzz/fuzz_*.c))
$(B)/host/fuzz_%: $(B)/host/test/fuzz/fuzz_%.c.o $(B)/host/test/fuzz/driver.c.o $(B)/host/libpure.a
	$(Q)$(HOSTCC) $(HOSTFLAGS) $^ -o $@ -lfdt

.PHONY: unit fuzz
unit: $(UNIT)
	@for t in $(UNIT); do $$t || exit 1; done
FUZZ_RUNS ?= 20000
fuzz: $(FUZZ)
	@for f in $(FUZZ); do $$f $(FUZZ_RUNS) || exit 1; done

# A guest's ACPI tables: compiled once, copied into its memory by kernel/guest_acpi.c
$(B)/gen/acpi_tables.h: $(wildcard kernel/acpi/*.asl)
	@mkdir -p $(@D)
	$(Q)for t in $(basename $(notdir $^)); do \
		iasl -vs -vw 2095 -p $(B)/gen/$$t kernel/acpi/$$t.asl >$(B)/gen/$$t.log || { cat $(B)/gen/$$t.log >&2; exit 1; }; \
		echo "static const unsigned char acpi_$$t[] = {"; \
		od -An -v -tx1 $(B)/gen/$$t.aml | sed 's/ \(..\)/0x\1,/g'; echo "};"; done >$@
$(B)/obj/kernel/guest_acpi.c.o $(B)/host/kernel/guest_acpi.c.o: $(B)/gen/acpi_tables.h

$(B)/host/config-check: $(B)/host/tools/config-check.c.o $(B)/host/libpure.a
	$(Q)$(HOSTCC) $(HOSTFLAGS) $^ -o $@ -lfdt

.SECONDARY:
.DELETE_ON_ERROR:
-include test/test.mk guests/guests.mk

.PHONY: run
DEMO := $(GUESTS) $(B)/linux/vmlinuz $(B)/linux/initrd.img
run: deps-run $(B)/bulkhead.elf $(B)/host/config-check $(DEMO)
	@echo "Ctrl-] ? is Bulkhead's help, Ctrl-a x leaves QEMU; 'poweroff -f' in Linux ends the demo"
	@tools/bulkhead run config/demo.dts --on auto --interactive

clean:
	rm -rf $(B)

-include $(shell find $(B) -name '*.d' 2>/dev/null)
