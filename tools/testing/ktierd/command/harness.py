# SPDX-License-Identifier: GPL-2.0
"""What the tests of ktierctl share: TAP, ktierd's files, and processes with memory."""

import atexit
import ctypes
import mmap
import os
import pathlib
import signal
import subprocess
import sys
import time
import traceback

TOP = pathlib.Path(__file__).resolve().parents[4]
KTIERD = pathlib.Path("/sys/kernel/mm/ktierd")
MADV_TIER = 96
MPOL_PREFERRED = 1
PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
SYS_SET_MEMPOLICY = 238
PAGE = 4096
PATIENCE = 300  # seconds, and at least as many looks

libc = ctypes.CDLL(None, use_errno=True)


class Tap:
    """Run tests, each a function without arguments named by its docstring."""

    def __init__(self, *tests):
        self.failed = 0
        print(f"TAP version 13\n1..{len(tests)}", flush=True)
        for number, test in enumerate(tests, 1):
            self.run(number, test)

    def run(self, number, test):
        name = test.__doc__.splitlines()[0]
        try:
            test()
        except Exception:  # pylint: disable=broad-except
            self.failed += 1
            for line in traceback.format_exc().splitlines():
                print("#", line)
            print(f"not ok {number} {name}", flush=True)
        else:
            print(f"ok {number} {name}", flush=True)

    def end(self):
        sys.exit(1 if self.failed else 0)


def equal(found, wanted, what=""):
    """Complain of what differs."""
    if found != wanted:
        raise AssertionError(f"{what}: found {found!r}, wanted {wanted!r}")


def ktierctl(*arguments, status=0, **options):
    """Run it; its stdout. Its exit status must be this one."""
    done = subprocess.run(["ktierctl", *arguments], text=True, capture_output=True,
                          stdin=subprocess.DEVNULL, check=False, **options)
    if done.returncode != status:
        raise AssertionError(f"ktierctl {' '.join(arguments)}: {done}")
    return done.stdout if status == 0 else done.stdout + done.stderr


def number(name):
    """What a file of ktierd holds."""
    return int((KTIERD / name).read_text())


def setting(name):
    return int(pathlib.Path(f"/proc/sys/vm/ktierd_{name}").read_text())


def process_stat(pid):
    """The lines of ktierd_stat."""
    lines = pathlib.Path(f"/proc/{pid}/ktierd_stat").read_text().splitlines()
    return {name: int(value) for name, value in map(str.split, lines)}


def tune(**values):
    """Set sysctls until the program ends; enabled is one of them here."""
    for name, value in values.items():
        path = KTIERD / name
        if name != "enabled":
            path = pathlib.Path(f"/proc/sys/vm/ktierd_{name}")
        old = path.read_text()
        atexit.register(path.write_text, old)
        path.write_text(str(value))


def wait_for(condition, what):
    """Look until it is true; how long that takes says nothing."""
    end = time.monotonic() + PATIENCE
    looks = PATIENCE
    while not condition():
        looks -= 1
        if looks < 0 and time.monotonic() > end:
            raise AssertionError(f"waited in vain: {what}")
        time.sleep(1)


def freeze():
    """Switch ktierd off and wait until it has noticed: then no figure changes."""
    (KTIERD / "enabled").write_text("0")
    seen = []

    def still():
        seen.append([number(n) for n in ("scans", "pages_promoted", "pages_demoted", "scan_ms")])
        return len(seen) > 2 and seen[-1] == seen[-2] == seen[-3]
    wait_for(still, "a disabled ktierd to stand still")


def thaw():
    (KTIERD / "enabled").write_text("1")


class Process:
    """
    A process with some private memory, which it touches all the time, or only once.
    It ends with this program, or by end().
    """

    def __init__(self, mib, busy=True, mark=True, node=None, uid=0):
        self.pages = mib * 256
        reader, writer = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            self._live(writer, busy, mark, node, uid)
        os.close(writer)
        self.address = int(os.read(reader, 32))
        os.close(reader)
        atexit.register(self.end)

    def _live(self, writer, busy, mark, node, uid):
        try:
            if uid:
                os.setgroups([])
                os.setgid(uid)
                os.setuid(uid)
            libc.prctl(PR_SET_DUMPABLE, 1)  # as that ends with root's rights
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if node is not None:
                mask = ctypes.c_ulong(1 << node)
                libc.syscall(SYS_SET_MEMPOLICY, MPOL_PREFERRED, ctypes.byref(mask), 64)
            memory = mmap.mmap(-1, self.pages * PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            if mark:
                memory.madvise(MADV_TIER)
            some = b"x" * self.pages
            memory[::PAGE] = some
            address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
            os.write(writer, b"%d" % address)
            while True:
                if busy:
                    memory[::PAGE] = some
                time.sleep(0.02)
        finally:
            os._exit(1)

    def end(self):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0


def nobody(arguments):
    """A command as another user, who has no rights."""
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *arguments]
