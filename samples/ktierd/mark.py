#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Have ktierd look after a large buffer, and work in a tenth of it.

usage: mark.py [MIB [SECONDS]]
"""
import ctypes
import errno
import mmap
import os
import sys
import time

MADV_TIER = 96      # as in <linux/ktierd.h>
MADV_NOTIER = 97

libc = ctypes.CDLL(None, use_errno=True)
libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def madvise(address, size, advice):
    """madvise(2), with an error as an exception."""
    if libc.madvise(address, size, advice):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def has_ktierd():
    """Can the running kernel do it? Without memory this asks and changes nothing."""
    try:
        madvise(None, 0, MADV_TIER)
    except OSError as error:
        if error.errno == errno.EINVAL:
            return False
        raise
    return True


def advise(buffer, advice):
    """Advise on whole pages of anything writable: an mmap, a bytearray, a numpy array."""
    view = (ctypes.c_char * memoryview(buffer).nbytes).from_buffer(buffer)
    address = ctypes.addressof(view)
    first = -(-address // mmap.PAGESIZE) * mmap.PAGESIZE
    end = (address + len(view)) // mmap.PAGESIZE * mmap.PAGESIZE
    if first < end:
        madvise(first, end - first, advice)


def mark(buffer):
    """Have ktierd keep in DRAM what is used of it, and in slow memory what is not.

    Without ktierd it is memory as any other: a program needs no other way for that.
    """
    if not has_ktierd():
        print("mark.py: this kernel has no ktierd, going on without", file=sys.stderr)
        return
    try:
        advise(buffer, MADV_TIER)
    except OSError as error:
        # EAGAIN: there was no memory for it just now. EINVAL: it can't be tiered.
        print(f"mark.py: the buffer is not marked ({error.strerror}), going on without",
              file=sys.stderr)


def print_where():
    """How much of this process ktierd has found in the top tier and below."""
    try:
        with open("/proc/self/ktierd_stat", encoding="ascii") as file:
            figures = dict(line.split() for line in file)
    except FileNotFoundError:
        return
    print(f"{figures['top_kb']} KiB in the top tier, {figures['low_kb']} KiB in lower tiers",
          flush=True)


def work(buffer, seconds):
    """Use the first tenth, and say now and then where the memory is."""
    end = time.monotonic() + seconds
    shown = 0
    while True:
        for i in range(0, len(buffer) // 10, mmap.PAGESIZE):
            buffer[i] = (buffer[i] + 1) & 255
        if time.monotonic() - shown >= 5:
            shown = time.monotonic()
            print_where()
        if time.monotonic() >= end:
            break


def main():
    size = int(sys.argv[1] if len(sys.argv) > 1 else 256) << 20
    seconds = float(sys.argv[2] if len(sys.argv) > 2 else 300)
    buffer = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    mark(buffer)
    for start in range(0, size, 1 << 20):
        buffer[start:start + (1 << 20)] = b"\1" * (1 << 20)
    work(buffer, seconds)
    if has_ktierd():
        advise(buffer, MADV_NOTIER)


if __name__ == "__main__":
    main()
