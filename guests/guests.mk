# SPDX-License-Identifier: BSD-2-Clause
# Guest images: ours (ELF32 containers of 64-bit code) and Debian's kernel with an initramfs.
$(B)/linux/vmlinuz: | deps-run
	$(Q)tools/fetch-kernel $(B)/linux
$(B)/linux/initrd.img: tools/make-initrd tools/bhtool/initramfs.py tools/bhtool/demo_init.sh | deps-run
	@mkdir -p $(@D)
	$(Q)tools/make-initrd $@
# software that nobody here wrote, and the ELF file in Debian's kernel
SOFTWARE := $(patsubst %,$(B)/software/%,memtest64.bin memtest32.bin xen.elf vmlinux)
$(filter-out %/vmlinux,$(SOFTWARE)) &: tools/fetch-software | deps-run
	$(Q)tools/fetch-software $(B)/software
$(B)/software/vmlinux: $(B)/linux/vmlinuz tools/extract-vmlinux
	@mkdir -p $(@D)
	$(Q)tools/extract-vmlinux $< $@

# guests/<name>/*.c and guests/lib make build/guests/<name>.elf
GUEST_FLAGS := -std=gnu11 -O2 -g -Iguests -Iinclude -ffreestanding -fno-pic -fno-pie -mno-red-zone -mcmodel=small \
	   -mgeneral-regs-only -fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables \
	   -Wall -Wextra -Werror -MMD -MP
GUEST_NAMES := $(filter-out lib linux,$(sort $(notdir $(patsubst %/,%,$(dir $(wildcard guests/*/*.c))))))
GUESTS := $(GUEST_NAMES:%=$(B)/guests/%.elf)
GUEST_LIB := $(patsubst %,$(B)/guests/obj/%.o,$(wildcard guests/lib/*.c guests/lib/*.S))

$(B)/guests/obj/%.o: % Makefile guests/guests.mk | deps-build
	@mkdir -p $(@D)
	$(Q)$(CC) $(GUEST_FLAGS) -c $< -o $@
.SECONDEXPANSION:
$(B)/guests/%.elf: $(GUEST_LIB) $$(patsubst $$(percent),$(B)/guests/obj/$$(percent).o,$$(wildcard guests/$$*/*.c guests/$$*/*.S)) guests/lib/guest.ld
	$(Q)$(CC) -nostdlib -static -no-pie -Wl,-T,guests/lib/guest.ld -Wl,--build-id=none -Wl,-z,max-page-size=4096 \
		-Wl,--no-warn-rwx-segments -o $@.64 $(filter %.o,$^)
	$(Q)objcopy -O elf32-i386 $@.64 $@
percent := %
# a flat image: EB FE, jump to itself
GUESTS += $(B)/guests/spin.bin
$(B)/guests/spin.bin:
	@mkdir -p $(@D)
	$(Q)printf '\353\376' >$@
# multiboot by addresses in the header: the file begins 64 bytes before what is loaded at 2 MiB
GUESTS += $(B)/guests/kludge.bin
$(B)/guests/kludge.bin: $(B)/guests/obj/guests/kludge.S.o
	$(Q)ld -N -e 0 -Ttext=0x1fffc0 --oformat binary -o $@ $<
# one flat guest, entered at each of its stages
GUESTS += $(B)/guests/flat-real.bin $(B)/guests/flat-protected.bin $(B)/guests/flat-long.bin
$(B)/guests/flat.elf.64: $(B)/guests/obj/guests/flat.S.o
	$(Q)ld -N -e 0 --section-start=.real=0x8000 --section-start=.protected=0x9000 --section-start=.long=0xa000 -o $@ $<
$(B)/guests/flat-real.bin: FROM := -j .real -j .protected -j .long
$(B)/guests/flat-protected.bin: FROM := -j .protected -j .long
$(B)/guests/flat-long.bin: FROM := -j .long
$(B)/guests/flat-%.bin: $(B)/guests/flat.elf.64
	$(Q)objcopy -O binary $(FROM) $< $@
# a program for Linux, with parts of the guests' library
LINUX_CHAN := $(B)/linux/chan
$(LINUX_CHAN): guests/linux/chan.c guests/lib/ring.c guests/lib/sha256.c guests/lib/ring.h guests/lib/sha256.h | deps-build
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -O2 -Iguests -Iinclude -Wall -Wextra -Werror -static -o $@ $(filter %.c,$^)
.PHONY: guests software
guests: $(GUESTS) $(LINUX_CHAN)
software: $(SOFTWARE)
