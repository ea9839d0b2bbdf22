# SPDX-License-Identifier: BSD-2-Clause
"""Writes initramfs images (newc cpio, gzip): busybox and an init script, plus whatever is asked."""
import gzip
import lzma
import os
import re

BUSYBOX = "/bin/busybox"
S_IFDIR, S_IFREG, S_IFCHR, S_IFLNK = 0o040000, 0o100000, 0o020000, 0o120000


class Cpio:
    """A newc archive in memory. Inode numbers and times are fixed: same input, same bytes."""

    def __init__(self):
        self.parts, self.ino, self.dirs = [], 0, set()

    def _entry(self, name, mode, data=b"", rdev=(0, 0)):
        self.ino += 1
        fields = [self.ino, mode, 0, 0, 1, 0, len(data), 0, 0, rdev[0], rdev[1], len(name) + 1, 0]
        head = b"070701" + b"".join(b"%08x" % f for f in fields) + name.encode() + b"\0"
        self.parts += [head, b"\0" * (-len(head) % 4), data, b"\0" * (-len(data) % 4)]

    def mkdir(self, path):
        parts = path.strip("/").split("/")
        for i in range(1, len(parts) + 1):
            sub = "/".join(parts[:i])
            if sub and sub not in self.dirs:
                self.dirs.add(sub)
                self._entry(sub, S_IFDIR | 0o755)

    def file(self, path, data, mode=0o755):
        self.mkdir(os.path.dirname(path))
        self._entry(path, S_IFREG | mode, data)

    def link(self, path, target):
        self.mkdir(os.path.dirname(path))
        self._entry(path, S_IFLNK | 0o777, target.encode())

    def node(self, path, major, minor):
        self._entry(path, S_IFCHR | 0o600, rdev=(major, minor))

    def bytes(self):
        self._entry("TRAILER!!!", 0)
        return gzip.compress(b"".join(self.parts), compresslevel=1, mtime=0)


def base(init, busybox=BUSYBOX):
    """busybox, its usual directories, and `init`, a script or a program, as /init."""
    cpio = Cpio()
    for d in ("bin", "dev", "proc", "sys", "tmp", "etc", "root"):
        cpio.mkdir(d)
    cpio.node("dev/console", 5, 1)
    with open(busybox, "rb") as f:
        cpio.file("bin/busybox", f.read())
    cpio.link("bin/sh", "busybox")
    cpio.file("init", init.encode() if isinstance(init, str) else init)
    return cpio


def find_module(root, name):
    pattern = re.compile(re.escape(name).replace("_", "[-_]") + r"\.ko(\.xz)?$")
    for path, _, files in os.walk(root):
        for f in files:
            if pattern.match(f):
                return os.path.join(path, f)
    return None


def read_module(path):
    with open(path, "rb") as f:
        data = f.read()
    return lzma.decompress(data) if path.endswith(".xz") else data


def add_modules(cpio, root, names):
    """The modules and what they depend on, as /modules/NN.ko in the order to insert them."""
    done = []

    def visit(name):
        if name in done:
            return
        path = find_module(root, name)
        if path is None:
            return  # built in
        data = read_module(path)
        match = re.search(rb"(?:^|\0)depends=([^\0]*)\0", data)
        for dep in filter(None, match.group(1).decode().split(",") if match else []):
            visit(dep)
        done.append(name)
        cpio.file("modules/%02d-%s.ko" % (len(done), name), data)

    for n in names:
        visit(n)
