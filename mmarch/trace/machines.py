"""What recording has to know of a machine: how the kernel calls its system calls, and the numbers of two of them."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass

from mmarch.errors import InputError


@dataclass(frozen=True)
class Machine:
    """One kind of machine.

    audit_arch      AUDIT_ARCH_* of its 64-bit system calls (include/uapi/linux/audit.h)
    mmap, ftruncate their numbers (arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h)
    """

    audit_arch: int
    mmap: int
    ftruncate: int


MACHINES = {
    "x86_64": Machine(0xC000003E, 9, 77),
    "aarch64": Machine(0xC00000B7, 222, 46),
    "riscv64": Machine(0xC00000F3, 222, 46),
}


def this_machine() -> Machine:
    """The one we run on; InputError if recording does not know it."""
    system, name = platform.system(), platform.machine()
    if system != "Linux" or name not in MACHINES:
        raise InputError(
            f"cannot record on {system} {name}: recording knows the system calls of Linux on "
            f"{', '.join(MACHINES)}; recordings from elsewhere replay anywhere"
        )
    return MACHINES[name]


def page_size() -> int:
    """Bytes of a page of this machine."""
    return os.sysconf("SC_PAGE_SIZE")
