#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""How many instructions stock Debian needs from the kernel's entry to its first program, on QEMU as it is and on
Bulkhead in the same QEMU, and how many of those are Bulkhead's: with a quiet console and a talking one. Counted by a
plugin of QEMU's (qemu-count.c) and, beside it, by the guest's TSC. Prints; asserts nothing. usage: bench_boot.py"""
import collections
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from bhtool import initramfs  # noqa: E402
from bhtool.system import BUILD, IMAGE, ROOT  # noqa: E402

KERNEL = os.path.join(BUILD, "linux-cloud-amd64")
ENTRY = 0x1000200  # preferred address + 0x200, the 64-bit entry; nokaslr keeps the rest in place too
CMDLINE = "console=ttyS0 %snokaslr panic=-1 tsc0=0000000000000000"
MODES = {"quiet": "quiet ", "talking": ""}
KVM = {"quiet": 1.0053, "talking": 1.0725}  # Linux 6.1's KVM on the same emulator, measured before
GOAL = {"quiet": 1.003, "talking": 1.02}
NATIVE = ["qemu-system-x86_64", "-accel", "tcg,thread=single", "-cpu", "max", "-M", "q35", "-m", "256", "-smp", "1",
          "-display", "none", "-net", "none", "-no-reboot", "-icount", "shift=0,sleep=off", "-seed", "1",
          "-rtc", "base=2026-01-01,clock=vm"]
KINDS = {0x60: "interrupt", 0x64: "interrupt window", 0x72: "CPUID", 0x78: "HLT", 0x7b: "port", 0x7c: "MSR",
         0x81: "VMMCALL", 0x89: "WBINVD", 0x400: "MMIO"}  # APM 2, appendix C "SVM Intercept Exit Codes"
SYSTEM = """/dts-v1/;
/ {
	compatible = "bulkhead,system-1";
	partitions {
		linux {
			cpus = <0>;
			memory = <256>;
			boot = "linux";
			kernel = "%s/vmlinuz";
			initrd = "boot.img";
			cmdline = "%s";
			on-exit = "shutdown";
		};
	};
};
"""


def symbol(path, name):
    listing = subprocess.run(["nm", path], stdout=subprocess.PIPE, text=True, check=True).stdout
    return int(re.search(r"^([0-9a-f]+) \w %s$" % name, listing, re.M).group(1), 16)


def text_of(path):
    """Return: first and last address of the code in an ELF file"""
    listing = subprocess.run(["readelf", "-lW", path], stdout=subprocess.PIPE, text=True, check=True).stdout
    at, size = re.search(r"LOAD +\S+ (0x\w+) \S+ \S+ (0x\w+) R E", listing).groups()
    return int(at, 16), int(at, 16) + int(size, 16)


def prepare(work):
    """Compiles PID 1 and the plugin. Return: where PID 1's main() is"""
    init = os.path.join(work, "init")
    subprocess.run(["gcc", "-O2", "-static", "-no-pie", "-o", init, os.path.join(ROOT, "test", "emu", "boot_init.c")],
                   check=True)
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", os.path.join(work, "count.so"),
                    os.path.join(ROOT, "tools", "qemu-count.c")], check=True)
    with open(init, "rb") as f:
        cpio = initramfs.base(f.read())
    with open(os.path.join(work, "boot.img"), "wb") as f:
        f.write(cpio.bytes())
    return symbol(init, "main")


def plugin(work, code, stop):
    return ["-plugin", "%s/count.so,lo=%x,hi=%x,start=%x,stop=%x,out=%s/count" % (work, *code, ENTRY, stop, work)]


def counted(work, text):
    """Return: {all, hypervisor, ticks}; empty if the run came to nothing"""
    path = os.path.join(work, "count")
    ticks = re.search(r"boot ticks=(\d+)", text)
    if not ticks or not os.path.exists(path):
        return {}
    with open(path, encoding="ascii") as f:
        found = re.match(r"all=(\d+) hypervisor=(\d+)", f.read())
    os.remove(path)
    return {"all": int(found[1]), "hypervisor": int(found[2]), "ticks": int(ticks[1])}


def native(work, cmdline, stop):
    args = NATIVE + ["-serial", "stdio", "-kernel", os.path.join(BUILD, "guests", "bzimage.elf"), "-initrd",
                     "%s/vmlinuz %s,%s/boot.img" % (KERNEL, cmdline, work), *plugin(work, (0, 0), stop)]
    try:
        done = subprocess.run(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=400, check=False)
    except subprocess.TimeoutExpired:
        return {}
    return counted(work, done.stdout.decode("latin-1"))


def bulkhead(work, cmdline, stop):
    """Return: as counted(), and the exits by kind and port"""
    with open(os.path.join(work, "boot.dts"), "w", encoding="ascii") as f:
        f.write(SYSTEM % (KERNEL, cmdline))
    more = plugin(work, text_of(IMAGE), stop) + ["-seed", "1", "-d", "in_asm", "-dfilter", "0+1", "-D", work + "/exits"]
    subprocess.run([os.path.join(ROOT, "tools", "bulkhead"), "run", os.path.join(work, "boot.dts"), "--on", "qemu-svm",
                    "--cpus", "1", "--icount", "--timeout", "400", "--log", work, "--qemu-args", " ".join(more)],
                   stdin=subprocess.DEVNULL, check=False)
    with open(os.path.join(work, "com1.log"), encoding="latin-1") as f:
        row = counted(work, f.read())
    row["kinds"] = exits(os.path.join(work, "exits"))
    return row


def exits(path):
    """QEMU logs each #VMEXIT with the code that it translates; -dfilter leaves out the code. Return: {kind: count}"""
    kinds = collections.Counter()
    with open(path, encoding="ascii", errors="replace") as f:
        for code, info in re.findall(r"^vmexit\((\w+), (\w+),", f.read(), re.M):
            code, port = int(code, 16), int(info, 16) >> 16 & 0xffff
            kind = "CR%d" % (code & 15) if code < 0x20 else KINDS.get(code, "exit 0x%x" % code)
            kinds[kind + (" of COM1" if code == 0x7b and port >> 3 == 0x7f else "")] += 1
    return kinds


def print_ratios(rows):
    print("\n| console | QEMU alone | on Bulkhead | of these Bulkhead's | Bulkhead's share | KVM's | goal | exits "
          "| instructions an exit | all/alone |")
    print("|---------|" + "-----------:|" * 9)
    for mode, (alone, ours) in rows.items():
        guest, n = ours["all"] - ours["hypervisor"], sum(ours["kinds"].values())
        print("| %s | %d | %d | %d | %.4f | %.4f | %.3f | %d | %.0f | %.4f |"
              % (mode, alone["all"], ours["all"], ours["hypervisor"], ours["all"] / guest, KVM[mode], GOAL[mode], n,
                 ours["hypervisor"] / n, ours["all"] / alone["all"]))
    for mode, both in rows.items():
        print("%s: TSC, alone %d, on Bulkhead %d" % (mode, *(row["ticks"] for row in both)))


def print_kinds(rows):
    names = sorted({kind for _, ours in rows.values() for kind in ours["kinds"]})
    print("\n| exits, to the power-off |" + "".join(" %s |" % mode for mode in rows))
    print("|---|" + "---:|" * len(rows))
    for name in names:
        print("| %s |" % name + "".join(" %d |" % ours["kinds"][name] for _, ours in rows.values()))


def main():
    if subprocess.run([os.path.join(ROOT, "tools", "fetch-kernel"), KERNEL, "cloud-amd64"], check=False).returncode:
        print("Linux from entry to init: not measured, no kernel")
        return 1
    rows = {}
    with tempfile.TemporaryDirectory() as work:
        stop = prepare(work)
        for mode, word in MODES.items():
            both = native(work, CMDLINE % word, stop), bulkhead(work, CMDLINE % word, stop)
            if not all("all" in row for row in both):
                print("Linux from entry to init, %s: not measured (QEMU without plugins of API 1?)" % mode)
                continue
            rows[mode] = both
    if rows:
        print_ratios(rows)
        print_kinds(rows)
    return 0 if len(rows) == len(MODES) else 1


if __name__ == "__main__":
    sys.exit(main())
