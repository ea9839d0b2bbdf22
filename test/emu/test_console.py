# SPDX-License-Identifier: BSD-2-Clause
"""The console: nothing lost, torn or out of order under load; a port of a partition's own; the keyboard
typed to by pexpect, as a user would."""
import re

import pexpect

from machine import OK, ROOT, job

LINES = 10000
ESCAPE = "\x1d"  # Ctrl-]


def wanted(count, fill):
    """What guests/lines prints."""
    for n in range(1, count + 1):
        letters = "".join(chr(ord("a") + (n + k) % 26) for k in range(fill))
        yield "line %05d %s end" % (n, letters)


def need_lines(machine, lines, count, fill):
    want = wanted(count, fill)
    for got, must in zip(lines, want):
        machine.need(got == must, "%r instead of %r" % (got, must))
    machine.need(len(lines) == count, "%d lines, not %d" % (len(lines), count))


def serial(machine):
    # low ips: the UART is no brake
    log = machine.run("serial.dts", "--ips", "1000000", "--parallel", timeout=300)
    machine.need_status(OK)
    for name in ("lines-a", "lines-b"):
        need_lines(machine, re.findall(r"^\[%s\] (line .*)$" % name, log, re.M), LINES, 2)
    switches = len(re.findall(r"^\[lines-a\] line.*\n\[lines-b\] line", log, re.M))
    machine.need(switches > 100, "the two did not run at once: %d switches" % switches)


def raw_port(machine):
    log = machine.run("raw.dts")
    machine.need_status(OK)
    need_lines(machine, re.findall(r"^\[shared-port\] (line .*)$", log, re.M), 500, 20)
    machine.need_absent(r"^\[own-port\]")
    own = machine.read("com2.log").splitlines()
    need_lines(machine, own[:500], 500, 20)
    machine.need("[" not in machine.read("com2.log"), "COM2 has something besides the guest's bytes")


class Terminal:
    """A user before `tools/bulkhead run --interactive`"""

    def __init__(self, machine, dts, limit):
        args = machine.args(dts, "--interactive", timeout=limit)
        self.machine, self.log = machine, open(machine.path("terminal.log"), "wb")
        self.child = pexpect.spawn(args[0], args[1:], cwd=ROOT, timeout=limit, echo=False,
                                   logfile=self.log)

    def expect(self, pattern):
        try:
            self.child.expect(pattern)
        except (pexpect.TIMEOUT, pexpect.EOF):
            self.machine.fail("not on the terminal: " + pattern)

    def type(self, text):
        """As slowly as a person, nearly: a serial line has little room"""
        for char in text:
            self.child.send(char)
            self.child.expect(pexpect.TIMEOUT, timeout=0.02)

    def close(self):
        self.child.expect(pexpect.EOF)
        self.child.close()
        self.log.close()
        return self.child.exitstatus


def keyboard_echo(machine):
    terminal = Terminal(machine, "echo.dts", 60)
    for _ in range(2):
        terminal.expect(r"\[echo-[ab]\] ready")
    terminal.type("first\r")
    terminal.expect(r"\[echo-a\] echo first\r")
    terminal.type(ESCAPE + "1")
    terminal.expect(r"bulkhead: keyboard to \[echo-b\]")
    terminal.type("second\r")
    terminal.expect(r"\[echo-b\] echo second\r")
    terminal.type(ESCAPE + "?")
    terminal.expect(r"bulkhead: Ctrl-\] 0\.\.9 .*\? this")
    terminal.expect(r"bulkhead:   0 \[echo-a\]")
    terminal.expect(r"bulkhead: \* 1 \[echo-b\]")
    terminal.type(ESCAPE + "7")
    terminal.expect(r"bulkhead: no partition 7")
    terminal.type(ESCAPE + "n" + "quit\r")
    terminal.expect(r"bulkhead: \[echo-a\] verdict=OK")
    terminal.type(ESCAPE + "1" + "a" + ESCAPE + ESCAPE + "b\r")
    terminal.expect("\\[echo-b\\] echo a\x1db\r")
    terminal.type("quit\r")
    terminal.expect(r"bulkhead: shutdown verdict=OK")
    machine.status = terminal.close()
    machine.need_status(OK)
    machine.need_absent(r"\[echo-a\] echo second", r"\[echo-b\] echo first")


def keyboard_linux(machine):
    terminal = Terminal(machine, "keyboard.dts", 120)
    terminal.expect(r"\[linux\] guest: shell")
    terminal.expect(r"# ")
    terminal.type("echo typed-$((6*7))\r")
    terminal.expect(r"\[linux\] typed-42\r")
    terminal.type(ESCAPE + "1hello\r")
    terminal.expect(r"\[echo\] echo hello\r")
    terminal.type(ESCAPE + "0poweroff -f\r")
    terminal.expect(r"bulkhead: shutdown verdict=OK")
    machine.status = terminal.close()
    machine.need_status(OK)


def jobs():
    yield job("serial", "bochs-vmx", serial, 40)
    yield job("serial", "qemu-svm", serial, 10)
    yield job("raw-port", "bochs-vmx", raw_port)
    yield job("raw-port", "qemu-svm", raw_port)
    yield job("keyboard", "qemu-svm", keyboard_echo, 10)
    yield job("keyboard-linux", "qemu-svm", keyboard_linux, 25)
