# SPDX-License-Identifier: BSD-2-Clause
"""Flattened device trees (Devicetree Specification 0.4, chapter 5), taken apart and put together again, and what can
be wrong with one: wrong names and values in a whole tree, and wrong bytes in the blob. All by one random.Random,
so that a seed gives the same blobs again."""
import struct

BEGIN, END, PROP, NOP, FINISH = 1, 2, 3, 4, 9
MAGIC = 0xD00DFEED
HEADER = struct.Struct(">10I")


class Node:
    def __init__(self, name, props=(), children=()):
        self.name, self.props, self.children = name, list(props), list(children)

    def copy(self):
        return Node(self.name, self.props, [c.copy() for c in self.children])

    def all(self):
        """[(parent, node)], this one not among them"""
        return [pair for c in self.children for pair in [(self, c), *c.all()]]


def text_at(data, at):
    return data[at:data.index(b"\0", at)]


def parse(blob):
    """Of a good blob, as dtc makes them"""
    _, _, at, strings, *_ = HEADER.unpack_from(blob)
    stack, root = [], None
    while True:
        token, = struct.unpack_from(">I", blob, at)
        at += 4
        if token == BEGIN:
            name = text_at(blob, at)
            at = (at + len(name) + 4) & ~3
            node = Node(name)
            if stack:
                stack[-1].children.append(node)
            root = root or node
            stack.append(node)
        elif token == END:
            stack.pop()
        elif token == PROP:
            length, name = struct.unpack_from(">2I", blob, at)
            stack[-1].props.append((text_at(blob, strings + name), blob[at + 8:at + 8 + length]))
            at = (at + 8 + length + 3) & ~3
        elif token == FINISH:
            return root


def pad(data):
    return data + b"\0" * (-len(data) % 4)


def blob_of(root):
    strings, places = b"", {}

    def emit(node):
        nonlocal strings
        out = struct.pack(">I", BEGIN) + pad(node.name + b"\0")
        for name, value in node.props:
            if name not in places:
                places[name] = len(strings)
                strings += name + b"\0"
            out += struct.pack(">3I", PROP, len(value), places[name]) + pad(value)
        return out + b"".join(emit(c) for c in node.children) + struct.pack(">I", END)

    body = emit(root) + struct.pack(">I", FINISH)
    start = HEADER.size + 16  # an empty memory reservation block
    total = start + len(body) + len(strings)
    head = HEADER.pack(MAGIC, total, start, start + len(body), HEADER.size, 17, 16, 0, len(strings), len(body))
    return head + bytes(16) + body + strings


CELLS = [0, 1, 2, 3, 4, 7, 16, 63, 64, 65, 128, 0xF4, 0x3F8, 0xFFFF, 0x10000, 0x100000, 1 << 20, (1 << 20) + 1,
         0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
TEXTS = [b"", b"\0", b"linux\0", b"multiboot\0", b"pvh\0", b"flat\0", b"real\0", b"stop\0", b"restart\0", b"shutdown\0",
         b"log\0", b"com1\0", b"com2\0", b"no-such-file\0", b"no end", b"two\0strings\0", b"\0\0", b" \0", b"\x01\x1b\xff\0",
         b"x" * 127 + b"\0", b"x" * 128 + b"\0", b"y" * 2047 + b"\0", b"y" * 2048 + b"\0", b"%s%n %08x\0",
         b"a\0" * 17, b"\0\0\0"]
NAMES = [b"", b"a", b"a" * 31, b"a" * 32, b"a" * 300, b"a@0", b"a b", b"A", b"-", b"\xe4", b"a/b", b"partitions", b"channels",
         b"health", b"linux", b"%s"]
PROPS = [b"cpus", b"vcpus", b"memory", b"boot", b"kernel", b"initrd", b"cmdline", b"modules", b"on-exit", b"console", b"debug-exit",
         b"test-device", b"watchdog", b"post-port", b"allow-smt-sharing", b"slice-us", b"load-address", b"flat-mode", b"compatible",
         b"poweroff", b"report", b"restart-limit", b"restart-period-ms", b"size", b"writer", b"readers", b"both-ways",
         b"memroy", b"", b"p" * 40, b"\x01", b"#cells"]


class Mutator:
    def __init__(self, rng):
        self.rng = rng

    def value(self, old, others):
        """Another value of a property; @others: all values of the tree"""
        rng = self.rng
        cells = lambda n: b"".join(struct.pack(">I", rng.choice(CELLS)) for _ in range(n))
        return rng.choice([
            lambda: b"", lambda: cells(1), lambda: cells(1), lambda: cells(2), lambda: cells(17),
            lambda: rng.choice(TEXTS), lambda: rng.choice(TEXTS), lambda: rng.choice(others), lambda: old[:-1],
            lambda: old + b"\0", lambda: old + old, lambda: old[:1], lambda: bytes(rng.randrange(256) for _ in range(5)),
        ])()

    def prop(self, root):
        rng = self.rng
        nodes = [root] + [n for _, n in root.all()]
        owners = [n for n in nodes if n.props] or [root]
        node = rng.choice(owners)
        others = [v for n in nodes for _, v in n.props] or [b""]
        i = rng.randrange(len(node.props)) if node.props else 0
        name, value = node.props[i] if node.props else (b"cpus", b"")
        what = rng.randrange(6)
        if what == 0:
            del node.props[i:i + 1]
        elif what == 1:
            node.props.insert(i, (name, value))
        elif what == 2:
            node.props.insert(i, (rng.choice(PROPS), self.value(value, others)))
        elif what == 3:
            node.props[i:i + 1] = [(rng.choice(PROPS), value)]
        else:
            node.props[i:i + 1] = [(name, self.value(value, others))]

    def node(self, root):
        rng = self.rng
        pairs = root.all()
        if not pairs:
            return
        parent, node = rng.choice(pairs)
        what = rng.randrange(6)
        if what == 0:
            parent.children.remove(node)
        elif what == 1:
            parent.children.append(node.copy())
        elif what == 2:
            node.name = rng.choice(NAMES)
        elif what == 3:
            parent.children.append(Node(rng.choice(NAMES), node.props))
        elif what == 4:  # below another one, but not below itself
            other = rng.choice([root] + [n for _, n in pairs])
            if other is not node and all(other is not n for _, n in node.all()):
                parent.children.remove(node)
                other.children.append(node)
        else:  # many of them
            copies = [node.copy() for _ in range(rng.choice([2, 33, 70]))]
            for k, copy in enumerate(copies):
                copy.name = b"%s-%d" % (node.name[:20], k)
            parent.children += copies

    def bytes(self, blob):
        """Anything but the magic number, by which the boot path knows a device tree among its modules"""
        rng = self.rng
        data = bytearray(blob)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(4, HEADER.size) if rng.randrange(4) == 0 else rng.randrange(4, len(data))
            what = rng.randrange(5)
            if what == 0:
                data[at] ^= 1 << rng.randrange(8)
            elif what == 1:
                data[at] = rng.choice([0, 1, 0x7F, 0xFF])
            elif what == 2:
                data[at & ~3:(at & ~3) + 4] = struct.pack(">I", rng.choice(CELLS + [BEGIN, END, PROP, NOP, FINISH]))
            elif what == 3:
                del data[max(at, 8):]
            else:
                data += bytes(rng.randrange(1, 9))
        return bytes(data)

    def blob(self, good):
        root = parse(good)
        for _ in range(self.rng.choice([1, 1, 2, 3, 6])):
            self.rng.choice([self.prop, self.prop, self.node])(root)
        blob = blob_of(root)
        return self.bytes(blob) if self.rng.randrange(4) == 0 else blob
