# SPDX-License-Identifier: BSD-2-Clause
"""Which system of in-guest tests runs on which beds, what its log must say, and why a bed is left out.
What a guest cannot show on some bed it says itself, in a line "SKIP <what>: <why>"."""
from dataclasses import dataclass, field

OK, FAILED = 0, 1
ALL = ("qemu-svm", "bochs-vmx", "bochs-svm", "nested")


@dataclass
class Test:
    """@dts: beside this file. @expect: exit status of `bulkhead run`. @log, @absent: regular expressions
    that COM1's log must and must not match, ^ and $ at lines. @timeout: seconds. @icount: on QEMU, the
    machine's clock counts instructions, so that a busy host does not show. @parallel: QEMU's CPUs are
    threads of their own; not where an FPU's state is loaded (tcg() in tools/bhtool/beds.py). @even: no CPU may stand
    still while another one works. @compare: what it says must be the same on
    all its beds."""
    name: str
    dts: str
    beds: tuple = ALL
    skip: dict = field(default_factory=dict)
    expect: int = OK
    log: list = field(default_factory=list)
    absent: list = field(default_factory=lambda: [r"^\[.*\] FAIL", "FATAL"])
    cpus: int = 1
    threads: int = 1  # of a core
    mem: int = None
    icount: bool = False
    parallel: bool = False
    even: bool = False
    compare: bool = True
    timeout: int = 180  # a busy machine makes nested runs take a minute

    def __post_init__(self):
        self.beds = tuple(bed for bed in self.beds if bed not in self.skip)


def good(*names):
    """Each of these partitions gave its own verdict, and the hypervisor agrees."""
    return ([r"^\[%s\] verdict OK checks=\d+ failures=0$" % n for n in names]
            + [r"^bulkhead: \[%s\] verdict=OK reason=\"exit\"" % n for n in names])


def ended(how, *names):
    return [r"^bulkhead: \[%s\] verdict=%s" % (n, how) for n in names]


def same_digest(*names):
    """All of these say the same SHA-256, in whatever order."""
    first, *rest = [r"\[%s\] sha256 " % n for n in names]
    return [r"(?s)\A(?=.*^%s([0-9a-f]{64})$)" % first + "".join(r"(?=.*^%s\1$)" % r for r in rest)]


def stray(name, event, what):
    """The hypervisor names the very instruction that the guest does."""
    return (r"(?s)^\[%s\] %s at rip=(0x[0-9a-f]+)$.*^bulkhead: \[%s\] event=%s cpu=0 rip=\1$"
            % (name, what, name, event))


# Between start and shutdown nobody took a page for good: the two lines are the same
SAME_MEMORY = r"(?s)^bulkhead: memory (image=[^\n]* MiB)$.*^bulkhead: memory \1$"

# What the hypervisor says about a partition that is the same everywhere: how it ended
FATE = r"killed|verdict|exit code|reset by|poweroff by|halted"

# What a guest may say differently on two beds: pattern, what is compared instead, and why it may
MAY_DIFFER = [
    (r"^SKIP .*", "", "what a CPU cannot show is said there only"),
    (r"checks=\d+", "checks=N", "fewer checks where something was skipped, more where a CPU has more features"),
    (r"exits=\d+", "exits=N", "polls, windows and slices depend on time"),
    (r"TSC \d+ kHz", "TSC N kHz", "each bed has a clock of its own"),
    (r"^(slices|EXITBENCH|MIXED) .*", r"\1", "measured time; the guests judge it themselves"),
]

NO_XSETBV = ("QEMU 7.2 does not exit for XSETBV: KVM in between resets XCR0 at its own exits, so what XSAVE "
             "saves varies")
NO_THREADS = "Bochs's ryzen has no CPUID leaf that tells threads from cores"
LONG = "a machine takes ten seconds and more to start there, and tests much like this one do run"
HOST_TIME = "it would measure the host, and takes long"
NO_SHUTDOWN = "Bochs 2.7 as an SVM host lacks the SHUTDOWN intercept: the emulator itself stops"

SHORT_WINDOWS = "KVM in TCG takes longer for an exit and an entry than these windows are"
NO_PREEMPTION = ("Bochs 2.7 as an SVM host delivers none of the host's interrupts while the guest has interrupts "
                 "off, so nothing can end the window of one that spins so")

TESTS = [
    Test("registers", "registers.dts", log=good("cpuid", "msr", "cr", "xsetbv")),
    Test("facts", "facts.dts", cpus=2, log=good("facts")),
    Test("devices", "devices.dts", log=good("pio", "strio", "mmio", "cache")),
    Test("traps", "traps.dts", log=good("exceptions", "undefined", "hypercall", "pause")),
    Test("modes", "modes.dts", log=good("modes", "features")),
    Test("events", "events.dts", log=good("nmi", "window")),
    Test("hlt", "hlt.dts", log=good("hlt")),
    Test("irq", "irq.dts", log=good("irq")),
    Test("legacy", "legacy.dts", log=good("pic", "pit", "rtc", "uart", "acpi", "pci"), timeout=300),
    Test("lapic", "lapic.dts", log=good("lapic")),
    Test("x2apic", "x2apic.dts", log=good("x2apic")),
    Test("ioapic", "ioapic.dts", log=good("ioapic")),
    Test("tsc", "tsc.dts", log=good("tsc")),
    Test("kvmclock", "kvmclock.dts", log=good("kvmclock", "kvmclock-smp"), cpus=2),
    Test("clocks", "clocks.dts", icount=True, timeout=400, log=good("clocks"),
         skip={"nested": "its machine's clock runs on while the host has other work"}),
    Test("fpu", "fpu.dts", skip={"nested": NO_XSETBV}, log=good("fpu-a", "fpu-b", "fpu-c")),
    Test("xstate", "xstate.dts", skip={"nested": NO_XSETBV}, log=good("xstate-a", "xstate-b")),
    Test("debugregs", "debugregs.dts", log=good("debugregs-a", "debugregs-b")),
    Test("slices", "slices.dts", log=good("slices-a", "slices-b")),
    Test("memory", "memory.dts", log=good("modules", "none", "big")),
    Test("protocols", "protocols.dts",
         log=good("multiboot-elf64", "pvh-elf32", "pvh-elf64")
         + ended('OK reason="exit"', "multiboot-addresses", "flat-real", "flat-protected", "flat-long")
         + [r"^\[multiboot-addresses\] \S*kludge.bin for no ELF file$",
            r"^\[flat-real\] real$", r"^\[flat-real\] protected$", r"^\[flat-real\] long$",
            r"^\[flat-protected\] protected$", r"^\[flat-protected\] long$", r"^\[flat-long\] long$"]),
    Test("reinject", "reinject.dts", log=good("reinject")),
    Test("smp", "smp.dts", cpus=4, log=good("smp", "smp-x2")),
    Test("ipi", "ipi.dts", cpus=4, parallel=True, log=good("ipi")),
    Test("ipi-x2", "ipi-x2.dts", skip={"nested": LONG}, cpus=4, parallel=True, log=good("ipi")),
    Test("apclocks", "apclocks.dts", cpus=4, parallel=True, log=good("apclocks")),
    Test("storm", "storm.dts", cpus=4, parallel=True, log=good("storm")),
    Test("storm-burst", "storm-burst.dts", skip={"nested": LONG}, cpus=4, parallel=True, log=good("storm")),
    Test("shootdown", "shootdown.dts", cpus=4, log=good("shootdown")),
    Test("spinners", "spinners.dts", skip={"nested": LONG}, cpus=2, log=good("spinners")),
    Test("windows", "windows.dts", icount=True, skip={"bochs-svm": NO_PREEMPTION}, timeout=300,
         log=good("windows", "spins", "exits", "fills", "interrupts", "sleeps")
         + [r"^bulkhead: schedule cpu=0 frames=\d+ windows=\d+ jitter-max=\d+ \(\d+ ns\) "
            r"jitter-mean=\d+ \(\d+ ns\) overruns=\d+$"]),
    Test("dies", "dies.dts", icount=True, expect=FAILED,
         log=good("windows") + [r"^bulkhead: \[dies\] killed: triple fault",
                                r"^bulkhead: \[dies\] post-mortem: exit triple-fault",
                                r"^bulkhead: \[dies\] exit -1 triple-fault"]
         + ended('FAILED reason="triple fault"', "dies"), skip={"bochs-svm": NO_SHUTDOWN}),
    Test("background", "background.dts", icount=True, cpus=2, timeout=300, skip={"nested": SHORT_WINDOWS},
         log=good("windows", "wide", "leftover", "alone")
         + [r"^bulkhead: schedule cpu=%d frames=" % cpu for cpu in (0, 1)]),
    Test("resets", "resets.dts", expect=FAILED,  # a reset is no clean end
         log=[r"^bulkhead: \[kbc\] reset by keyboard controller", r"^bulkhead: \[cf9\] reset by 0xcf9",
              r"^bulkhead: \[port92\] reset by port 0x92", r"^bulkhead: \[s5\] poweroff by acpi-s5"]
         + ended('FAILED reason="reset"', "kbc", "cf9", "port92") + ended('OK reason="poweroff"', "s5")),
    Test("halted", "halted.dts", expect=FAILED,
         log=[r"^bulkhead: \[halted\] halted with interrupts off for ever"]
         + ended('FAILED reason="halted"', "halted") + good("survivor")),
    Test("triplefault", "triplefault.dts", expect=FAILED, skip={"bochs-svm": NO_SHUTDOWN},
         log=[r"^bulkhead: \[triplefault\] killed: triple fault", r"^bulkhead: \[triplefault\] post-mortem"]
         + ended('FAILED reason="triple fault"', "triplefault") + good("survivor")),
    Test("flip", "flip.dts", cpus=2, parallel=True, log=good("flip")),
    Test("pulse", "pulse.dts", ("bochs-vmx",), cpus=3, timeout=600, even=True, compare=False,  # as thousand
         log=good("pulse") + [r"^\[pulse\] PULSE beats=4000 .* missed=0$", r"^\[probe\] probe mmio done leaks=0 failures=0$"]),
    # not compared: a console that waits for its turn among three guests shows lines in pieces
    Test("lives", "lives.dts", cpus=2, timeout=300, compare=False, log=good("lives", "lives-smp", "survivor") + [SAME_MEMORY]
         + [r"^bulkhead: \[%s\] restart=%d reason=" % (n, k) for n in ("lives", "lives-smp") for k in (1, 13)]
         + [r"^bulkhead: \[%s\] verdict=OK .*restarts=13$" % n for n in ("lives", "lives-smp")]),
    Test("stray", "stray.dts", expect=FAILED,
         log=good("plain", "ignored", "logged", "restarted", "restarted-too")
         + [stray("logged", "io-violation port=0x5a0 width=2 read", "port"),
            stray("logged", "memory-violation address=0xe8000000 width=4 read", "memory"),
            stray("stopped", "io-violation port=0x5a0 width=2 read", "port"),
            r"^bulkhead: \[logged\] event=io-violation port=0x5a1 width=4 write ",
            r"^bulkhead: \[logged\] event=memory-violation address=0xd0000000 width=8 write ",
            r"^bulkhead: \[restarted\] restart=1 reason=\"io-violation\"",
            r"^bulkhead: \[restarted-too\] restart=1 reason=\"memory-violation\""]
         + ended('FAILED reason="io-violation"', "stopped") + ended('FAILED reason="memory-violation"', "stopped-too"),
         absent=[r"^\[.*\] FAIL", "FATAL", r"\[(plain|ignored)\] event=", r"(?s)(\[logged\] event=io-.*){9}",
                 r"(?s)(\[logged\] event=memory-.*){9}", r"(?s)(\[(stopped|restarted)(-too)?\] event=.*){5}"]),
    Test("stray-shutdown", "stray-shutdown.dts", expect=FAILED, skip={"nested": LONG},
         log=[stray("fatal", "memory-violation address=0xe8000000 width=4 read", "memory")]
         + ended('FAILED reason="memory-violation"', "fatal") + ended('OK reason="stopped"', "endless")),
    Test("thousand", "thousand.dts", ("bochs-vmx",), cpus=2, timeout=900, even=True,  # QEMU runs its CPUs unevenly
         log=good("lives", "pulse") + [SAME_MEMORY]
         + [r"^bulkhead: \[lives\] verdict=OK .*restarts=1000$", r"^\[pulse\] PULSE beats=\d+ .* missed=0$"]),
    Test("space", "space.dts", cpus=2, log=good("a", "b", "plain")
         + [r"^bulkhead: space partitions=3 pages4k=\d+ pages2m=\d+ pages1g=0 tables=\d+ shared=0 leaks=0$"]),
    Test("smt", "smt.dts", cpus=4, threads=2, skip={"bochs-svm": NO_THREADS}, log=good("pair", "c", "d")
         + [r"^bulkhead: smt threads=2 cores=2$"]),
    Test("taskswitch", "taskswitch.dts", log=good("taskswitch")),
    Test("debugexit", "debugexit.dts", skip={"nested": LONG}, log=ended('OK reason="exit"', "byte", "word", "dword")),
    Test("debugexit-failed", "debugexit-failed.dts", skip={"nested": LONG}, expect=FAILED,
         log=[r"^bulkhead: \[three\] exit code=3$", r"^bulkhead: \[wide\] exit code=305419896$"]
         + ended("FAILED", "three", "wide")),
    Test("channels", "channels.dts", cpus=2, timeout=300,
         log=good("producer", "consumer", "producer-2", "consumer-2")
         + same_digest("producer", "consumer") + same_digest("producer-2", "consumer-2")),
    Test("channels-long", "channels-long.dts", ("qemu-svm",), cpus=2, timeout=300,
         log=good("producer", "consumer") + same_digest("producer", "consumer")),
    Test("channels-hostile", "channels-hostile.dts", cpus=2, timeout=300, log=good("hostile", "victim", "pci")),
    Test("channels-fatal", "channels-fatal.dts", expect=FAILED,
         log=[r"^bulkhead: \[fetch\] killed: instruction fetch outside memory ",
              r"^bulkhead: \[tables\] killed: code or page tables outside memory ",
              r"^bulkhead: \[setcc\] killed: cannot emulate instruction at MMIO "] + good("other")),
    Test("bench", "bench.dts", skip=dict(nested=HOST_TIME), log=good("bench") + [r"^\[bench\] EXITBENCH %s n=" % n for n in
                                                    ("cpuid0", "mmio_lapic_tpr_w", "hlt_oneshot_long_late")]),
    Test("bench-mixed", "bench-mixed.dts", skip=dict(nested=HOST_TIME), log=good("bench") + [r"^\[bench\] MIXED %s n=" % n for n in
                                                                ("cpuid_d_0", "in_eax_dx_pci", "mmio_xchg_m", "ipi_self")]),
]
