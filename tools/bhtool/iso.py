# SPDX-License-Identifier: BSD-2-Clause
"""One GRUB image for BIOS, UEFI and USB sticks."""
import os
import shutil

from .system import IMAGE, Fault, capture

# only modules that exist for both i386-pc and x86_64-efi
GRUB_MODULES = "multiboot2 normal iso9660 serial terminal part_gpt part_msdos all_video echo boot"
CFG = """serial --unit=0 --speed=115200
terminal_input serial console
terminal_output serial console
set timeout=0
menuentry bulkhead {
	multiboot2 /boot/bulkhead.elf %s
	module2 /boot/system.dtb system.dtb
%s}
"""


def make_iso(system, out, work, cmdline=""):
    stage = os.path.join(work, "iso")
    shutil.rmtree(stage, ignore_errors=True)
    os.makedirs(os.path.join(stage, "boot", "grub"))
    shutil.copy(IMAGE, os.path.join(stage, "boot", "bulkhead.elf"))
    shutil.copy(system.dtb, os.path.join(stage, "boot", "system.dtb"))
    lines = ""
    for i, (name, path) in enumerate(system.present()):
        shutil.copy(path, os.path.join(stage, "boot", "m%d" % i))
        lines += '\tmodule2 /boot/m%d "%s"\n' % (i, name)
    with open(os.path.join(stage, "boot", "grub", "grub.cfg"), "w", encoding="ascii") as f:
        f.write(CFG % (cmdline, lines))
    done = capture(["grub-mkrescue", "-o", out, "--install-modules=" + GRUB_MODULES, "--fonts=",
                    "--locales=", "--themes=", stage])
    if done.returncode:
        raise Fault("grub-mkrescue: " + done.stderr.strip())
