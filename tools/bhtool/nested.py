# SPDX-License-Identifier: BSD-2-Clause
"""The bed `nested`: KVM as the machine. L1 is Debian's kernel with kvm-amd in QEMU's TCG; it takes ten seconds to
start, and then runs systems one after another, each as an L2 of its own. A run has an L1 to itself, or uses one
that runs already (--l1), as the tests do.

L1's second serial port is its door, the socket DIR/door. A line there is the name of a directory in DIR/shared: L1
runs its l2.sh and answers "done STATUS"; the line "stop" ends what runs. DIR/ready is there while L1 waits for
work: who takes it removes it, and gives it back only after a run that ended by itself."""
import os
import shutil
import socket
import subprocess
import tempfile
import time

from . import initramfs
from .system import BUILD, IMAGE, Fault, build

SPARE = 1024  # MiB of L1 beside its L2's
START_LIMIT, STOP_LIMIT = 300, 10  # seconds

L1_INIT = """#!/bin/sh
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
for m in /modules/*.ko; do insmod $m; done
mkdir -p /usr /work /out /boot
mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288,ro,cache=loose usr /usr
mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288 out /out
ln -s usr/lib /lib; ln -s usr/lib64 /lib64
ip link set lo up 2>/dev/null
exec </dev/ttyS1 3>/dev/ttyS1
stty raw -echo
touch /out/starting
mv /out/starting /out/ready # in one step: it may be taken at once
while read word; do
	case $word in
	stop) kill -9 $(cat /tmp/pid) ;;
	*)	(cd /out/$word
		sh ./l2.sh </dev/null >l2.log 2>&1 &
		echo $! >/tmp/pid
		wait $!
		echo "done $?" >&3) & ;;
	esac
done
poweroff -f
"""


class L1:
    """Runs until stop(). @dir: its door and what it shares; @logs: where l1.log and emulator.log go."""

    def __init__(self, path, logs, mem):
        self.dir = path
        os.makedirs(os.path.join(path, "shared"))
        with open(os.path.join(logs, "emulator.log"), "wb") as out:
            self.process = subprocess.Popen(self._args(logs, mem), stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def _initrd(self):
        build("build/linux/vmlinuz")
        cpio = initramfs.base(L1_INIT)
        initramfs.add_modules(cpio, os.path.join(BUILD, "linux", "lib", "modules"),
                              ["virtio_pci", "9pnet_virtio", "9p", "kvm-amd"])
        path = os.path.join(self.dir, "l1.img")
        with open(path, "wb") as f:
            f.write(cpio.bytes())
        return path

    def _args(self, logs, mem):
        qemu = "qemu-system-x86_64"
        if not shutil.which(qemu):
            raise Fault("%s is not installed: make run (or make test) does that" % qemu)
        share = "local,security_model=none,path="
        return ["setpriv", "--pdeathsig", "KILL",  # with the thread that started it, whatever ends that
                qemu, "-accel", "tcg", "-cpu", "max", "-M", "q35", "-m", str(mem), "-smp", "1", "-display", "none",
                "-no-reboot", "-net", "none", "-serial", "file:" + os.path.join(logs, "l1.log"),
                "-serial", "unix:%s,server=on,wait=off" % door(self.dir),
                "-virtfs", share + "/usr,mount_tag=usr,readonly=on,multidevs=remap",
                "-virtfs", share + os.path.join(self.dir, "shared") + ",mount_tag=out",
                "-kernel", os.path.join(BUILD, "linux", "vmlinuz"), "-initrd", self._initrd(),
                "-append", "console=ttyS0 loglevel=5 panic=-1"]

    def wait_ready(self):
        deadline = time.monotonic() + START_LIMIT
        while not os.path.exists(ready(self.dir)):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise Fault("nested: L1 does not start")
            time.sleep(0.1)

    def is_ready(self):
        return self.process.poll() is None and os.path.exists(ready(self.dir))

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def ready(path):
    return os.path.join(path, "shared", "ready")


def door(path):
    """A socket's path has at most 107 bytes: from here, if that is shorter."""
    return min(os.path.join(path, "door"), os.path.relpath(os.path.join(path, "door")), key=len)


class L2:
    """@run in an L1; to be used like a subprocess.Popen."""

    def __init__(self, run, smp):
        self.run, self.returncode, self.stopped = run, None, False
        self.own = None if run.opts.l1 else L1(os.path.join(run.work, "l1"), run.dir, run.opts.mem + SPARE)
        if self.own:
            self.own.wait_ready()
        self.l1 = self.own.dir if self.own else os.path.abspath(run.opts.l1)
        if not os.path.exists(ready(self.l1)):
            raise Fault("nested: no L1 waits in %s" % run.opts.l1)
        os.remove(ready(self.l1))
        self.dir = tempfile.mkdtemp(dir=os.path.join(self.l1, "shared"))
        self._files(smp)
        self.said, self.socket = b"", socket.socket(socket.AF_UNIX)
        try:
            self.socket.connect(door(self.l1))
        except OSError as error:
            raise Fault("nested: no L1 answers in %s" % self.l1) from error
        self.socket.setblocking(False)
        self._say(os.path.basename(self.dir))

    def _files(self, smp):
        """The image and its files are copied to where L1 sees them."""
        opts = self.run.opts
        build("build/bulkhead.elf32")
        shutil.copy(IMAGE + "32", os.path.join(self.dir, "bulkhead.elf32"))
        shutil.copy(self.run.system.dtb, os.path.join(self.dir, "system.dtb"))
        items = ["system.dtb system.dtb"]
        for i, (name, path) in enumerate(self.run.system.present()):
            shutil.copy(path, os.path.join(self.dir, "m%d" % i))
            items.append("m%d %s" % (i, name.replace(",", ",,")))
        with open(os.path.join(self.dir, "l2.sh"), "w", encoding="ascii") as f:
            f.write("exec /usr/bin/qemu-system-x86_64 -accel kvm -cpu host -M q35 -nodefaults -display none "
                    "-no-reboot -m %d -smp %s -serial file:com1.log -serial file:com2.log "
                    "-kernel bulkhead.elf32 -initrd '%s' -append '%s'\n" % (opts.mem, smp, ",".join(items), opts.append))
        for i in (0, 1):  # L2's logs are written where the caller reads them
            name = os.path.join(self.dir, "com%d.log" % (i + 1))
            open(name, "wb").close()
            os.replace(name, self.run.com[i])
            os.link(self.run.com[i], name)

    def _say(self, word):
        try:
            self.socket.sendall(word.encode() + b"\n")
        except OSError:
            pass  # L1 is gone: poll() finds that out

    def poll(self):
        while self.returncode is None:
            try:
                data = self.socket.recv(4096)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            self.said += data
            if not data:
                self.said, self.returncode = b"", 1
            elif b"\n" in self.said:
                self.returncode = int(self.said.split()[1])
        return self.returncode

    def fault(self):
        """As beds.emulator_fault(); L1's shell says 128 + N for an end by signal N."""
        status = self.poll()
        if status is not None and not self.said:
            return "nested: L1 itself died"
        if status is not None and status > 128:
            return "nested: L2's QEMU ended by signal %d" % (status - 128)
        return "nested: L2's QEMU ended with exit status %d" % status if status else None

    def kill(self):
        self.stopped = True
        self._say("stop")
        deadline = time.monotonic() + STOP_LIMIT
        while not self.own and self.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)

    def wait(self):
        """Nothing is left of the run but its logs; an L1 that did its work waits for more."""
        in_order = self.said and self.returncode is not None and not self.stopped
        self.socket.close()
        if self.own:
            self.own.stop()
        else:
            shutil.copy(os.path.join(self.l1, "l1.log"), self.run.dir)
        if os.path.exists(os.path.join(self.dir, "l2.log")):
            shutil.copy(os.path.join(self.dir, "l2.log"), self.run.dir)
        shutil.rmtree(self.dir, ignore_errors=True)
        if in_order:
            open(ready(self.l1), "wb").close()
