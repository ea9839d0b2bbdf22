# SPDX-License-Identifier: BSD-2-Clause
# Guest images: ours (ELF32 containers of 64-bit code) and Debian's kernel with an initramfs.
$(B)/linux/vmlinuz: | deps-run
	$(Q)tools/fetch-kernel $(B)/linux
$(B)/linux/initrd.img: tools/make-initrd tools/bhtool/initramfs.py tools/bhtool/demo_init.sh | deps-run
	@mkdir -p $(@D)
	$(Q)tools/make-initrd $@
