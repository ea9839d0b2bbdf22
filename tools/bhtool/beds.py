# SPDX-License-Identifier: BSD-2-Clause
"""The machines a system can run on: QEMU's TCG (SVM), Bochs (VMX, SVM), KVM, and KVM inside TCG."""
import contextlib
import fcntl
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

from .iso import make_iso
from .nested import L2
from .system import IMAGE, Fault, build

VERDICT = b"bulkhead: shutdown verdict="
HALTED = (b"bulkhead: halted", b"bulkhead: FATAL feature=long-mode")
PORT_PATIENCE = 5.0  # s, for a Bochs to listen for viewers
GRACE, HALTED_GRACE = 3.0, 0.2  # a machine that has halted stays on
OK, FAILED, BAD_INPUT, TIMEOUT = 0, 1, 2, 124
SOFT_OFF, BOCHS_OFF = "ACPI control: soft power off", 1  # Bochs' panic and exit status when it is switched off
BOCHS_MODEL = {"bochs-vmx": "corei7_skylake_x", "bochs-svm": "ryzen"}


def firmware_uefi():
    for path in ("/usr/share/ovmf/OVMF.fd", "/usr/share/qemu/OVMF.fd",
                 "/usr/share/OVMF/OVMF_CODE_4M.fd"):
        if os.path.exists(path):
            return path
    raise Fault("no OVMF firmware: install the package ovmf")


def kvm_can_nest():
    for vendor in ("amd", "intel"):
        try:
            with open("/sys/module/kvm_%s/parameters/nested" % vendor, encoding="ascii") as f:
                if f.read().strip() in ("1", "Y") and os.access("/dev/kvm", os.W_OK):
                    return True
        except OSError:
            pass
    return False


class Run:
    """One run: the system, the options of the command line, and where logs and scratch files go."""

    def __init__(self, system, opts, log_dir, work):
        self.system, self.opts, self.dir, self.work = system, opts, log_dir, work
        self.com = [os.path.join(log_dir, "com1.log"), os.path.join(log_dir, "com2.log")]
        for path in self.com:
            open(path, "wb").close()

    def iso(self):
        path = os.path.join(self.work, "system.iso")
        make_iso(self.system, path, self.work, self.opts.append)
        return path

    def modules(self):
        """-initrd's argument; commas in a command line are doubled (QEMU's multiboot loader)"""
        items = [(self.system.dtb, "system.dtb")]
        items += [(path, name) for name, path in self.system.present()]
        return ",".join("%s %s" % (path, name.replace(",", ",,")) for path, name in items)

    def boot_args(self):
        if self.opts.boot == "kernel":
            build("build/bulkhead.elf32")
            args = ["-kernel", IMAGE + "32", "-initrd", self.modules()]
            return args + (["-append", self.opts.append] if self.opts.append else [])
        args = ["-cdrom", self.iso()]
        return args + (["-bios", firmware_uefi()] if self.opts.boot == "uefi" else [])


def serial_args(run):
    if not run.opts.interactive:
        return ["-serial", "file:" + run.com[0], "-serial", "file:" + run.com[1]]
    return ["-chardev", "stdio,id=c1,mux=on,signal=off,logfile=" + run.com[0],
            "-serial", "chardev:c1", "-mon", "chardev=c1", "-serial", "file:" + run.com[1]]


def tcg(run):
    """QEMU 7.2's FXRSTOR, XRSTOR and FLDENV on any CPU change a word of the first CPU's state without care
    (cpu_clear_ignne(), target/i386/tcg/sysemu/fpu_helper.c). In parallel with a VMRUN there, that word
    loses "nested paging is on" now and then, and the guest ends by a triple fault. So: one thread for all
    CPUs, unless asked otherwise. --icount is one thread anyway."""
    return "tcg,thread=multi" if run.opts.parallel and run.opts.icount is None else "tcg,thread=single"


def smp(run):
    return "cpus=%d,threads=%d" % (run.opts.cpus, run.opts.threads)


def qemu_args(run, accel, cpu):
    args = ["qemu-system-x86_64", "-accel", accel, "-cpu", cpu, "-M", "q35",
            "-m", str(run.opts.mem), "-smp", smp(run), "-display", "none",
            "-net", "none"] + ([] if run.opts.reboot else ["-no-reboot"])
    if run.opts.icount is not None:
        args += ["-icount", "shift=%d,sleep=off" % run.opts.icount, "-rtc", "base=2026-01-01,clock=vm"]
    return args + serial_args(run) + run.boot_args() + shlex.split(run.opts.qemu_args)


def bochs_args(run):
    rc = os.path.join(run.work, "bochsrc")
    share = "/usr/share/bochs"
    mem = run.opts.mem
    log = os.path.join(run.dir, "bochs.log")
    if os.path.exists(log):
        os.remove(log)  # wait_for_port() reads it
    with open(rc, "w", encoding="ascii") as f:
        f.write("\n".join([
            "plugin_ctrl: unmapped=1, biosdev=1, serial=1, iodebug=1",
            "config_interface: textconfig",
            'display_library: rfb, options="timeout=0"',
            "cpu: model=%s, count=%d:1:%d, quantum=%d, ips=%d, reset_on_triple_fault=0, ignore_bad_msrs=0"
            % (run.opts.cpu or BOCHS_MODEL[run.opts.on], run.opts.cpus // run.opts.threads, run.opts.threads,
               run.opts.quantum, run.opts.ips),
            "memory: guest=%d, host=%d" % (mem, mem),
            "romimage: file=%s/BIOS-bochs-latest" % share,
            "vgaromimage: file=%s/VGABIOS-lgpl-latest" % share,
            "ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14",
            "ata0-master: type=cdrom, path=%s, status=inserted" % run.iso(),
            "boot: cdrom",
            "com1: enabled=1, mode=file, dev=%s" % run.com[0],
            "com2: enabled=1, mode=file, dev=%s" % run.com[1],
            "log: %s" % log,
            "panic: action=fatal",
            "clock: sync=none", ""]))
    go = os.path.join(run.work, "go")
    with open(go, "w", encoding="ascii") as f:
        f.write("c\n")
    return ["bochs", "-q", "-f", rc, "-rc", go]


BEDS = {
    "qemu-svm": lambda run: qemu_args(run, tcg(run), run.opts.cpu or "max"),
    "kvm": lambda run: qemu_args(run, "kvm", run.opts.cpu or "host"),
    "bochs-vmx": bochs_args,
    "bochs-svm": bochs_args,
    "nested": None,  # nested.py
}


def tail(path):
    with open(path, "rb") as f:
        f.seek(0, os.SEEK_END)
        f.seek(max(0, f.tell() - 65536))
        return f.read()


def head(path):
    with open(path, "rb") as f:
        return f.read(65536)


def finished(path):
    """Has the hypervisor said its last word? Return: seconds until the machine should be off; None: it has not."""
    text = tail(path)
    if VERDICT in text:
        return GRACE
    return HALTED_GRACE if any(words in text for words in HALTED) else None


def enough(run):
    """Has a guest said what --until waits for?"""
    return run.opts.until and any(re.search(run.opts.until.encode(), tail(path)) for path in run.com)


def verdict(path):
    with open(path, "rb") as f:
        text = f.read()
    if VERDICT + b"OK" in text:
        return OK
    if VERDICT in text:
        return FAILED
    if b"bulkhead: FATAL config" in text:
        return BAD_INPUT
    return FAILED


def wait(run, process):
    """Until the machine is off, the last word is out (then a moment more), enough is seen, or time is up."""
    deadline = time.monotonic() + run.opts.timeout if run.opts.timeout else None
    off_by = None
    while process.poll() is None:
        now = time.monotonic()
        grace = finished(run.com[0]) if off_by is None else None
        if grace is not None:
            off_by = now + grace
        if off_by is not None and now > off_by:
            break
        if enough(run):
            return OK
        if deadline and now > deadline and off_by is None:
            return TIMEOUT
        time.sleep(0.05)
    return None


@contextlib.contextmanager
def one_bochs_at_a_time():
    """Two that look for a port at once may both bind the same one; the second then takes none and dies (gui/rfb.cc:
    SO_REUSEADDR, and a socket that is bound for the next attempt, too)."""
    path = os.path.join(tempfile.gettempdir(), "bulkhead-bochs-%d.lock" % os.getuid())
    with open(path, "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def wait_for_port(run, process):
    log = os.path.join(run.dir, "bochs.log")
    until = time.monotonic() + PORT_PATIENCE
    while process.poll() is None and time.monotonic() < until:
        if os.path.exists(log) and b"listening for connections" in head(log):
            return
        time.sleep(0.02)


def start(run):
    """Return: the emulator's process, or what looks like one."""
    if run.opts.on == "nested":
        return L2(run, smp(run))
    args = BEDS[run.opts.on](run)
    if not shutil.which(args[0]):
        raise Fault("%s is not installed: make run (or make test) does that" % args[0])
    out = None if run.opts.interactive else open(os.path.join(run.dir, "emulator.log"), "wb")
    stdin = None if run.opts.interactive else subprocess.DEVNULL
    env = dict(os.environ, LC_ALL="C")  # Bochs 2.7 with bochs-wx overflows a buffer under UTF-8
    with one_bochs_at_a_time() if args[0] == "bochs" else contextlib.nullcontext():
        process = subprocess.Popen(args, stdin=stdin, stdout=out, stderr=out or sys.stderr, env=env)
        if args[0] == "bochs":
            wait_for_port(run, process)
    return process


def last_panic(run):
    """Bochs' reason to end; a machine that is switched off is one, too."""
    path = os.path.join(run.dir, "bochs.log")
    panics = re.findall(rb">>PANIC<< .*", tail(path)) if os.path.exists(path) else []
    return panics[-1].decode(errors="replace").strip() if panics else ""


def emulator_fault(run, process):
    """What was wrong with the end of an emulator that ended by itself; None: nothing, or it still runs."""
    if run.opts.on == "nested":
        return process.fault()
    name, status = process.args[0], process.poll()
    if status is None:
        return None
    if status < 0:
        return "%s ended by signal %d" % (name, -status)
    panic = last_panic(run) if name == "bochs" else ""
    if panic and SOFT_OFF not in panic:
        return "bochs: " + panic
    if status != (BOCHS_OFF if panic else 0):
        return "%s ended with exit status %d" % (name, status)
    if finished(run.com[0]) is None and not run.opts.interactive:
        return "%s ended before the hypervisor's last word" % name
    return None


def may_have_lost_fault(run):
    """docs/testing.md, "What is left out": Bochs 3 with several CPUs"""
    path = os.path.join(run.dir, "emulator.log")
    return run.opts.on.startswith("bochs") and run.opts.cpus > 1 and os.path.exists(path) \
        and b"Bochs x86 Emulator 3." in tail(path)


def run_on(run):
    """Return: exit status of `tools/bulkhead run`."""
    process = start(run)
    try:
        status = wait(run, process)
        fault = emulator_fault(run, process)
        if fault:
            print("bulkhead: " + fault, file=sys.stderr)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
    status = verdict(run.com[0]) if status is None else status
    if status == FAILED and may_have_lost_fault(run):
        print("bulkhead: Bochs 3 with several CPUs may lose a guest's exception: docs/testing.md", file=sys.stderr)
    return status
