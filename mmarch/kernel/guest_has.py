"""What a guest found in its kernel, and what that kernel lacks for a program."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from core_mm import uapi
from mmarch.errors import InputError
from mmarch.kernel.program import Program
from mmarch.workload import Workload

SWAPPED = {uapi.FILE_SHMEM, uapi.FILE_TMPFS, uapi.FILE_TMPFS_HUGE}  # kinds of files that are on no disk


class Lacks(InputError):
    """The kernel has not what some programs need; `scenarios` says what, by their names."""

    def __init__(self, message: str, scenarios: Mapping[str, str]) -> None:
        super().__init__(message)
        self.scenarios = scenarios


@dataclass
class Guest:
    """What the guest found in the kernel; `has` are swap, ext4, lru_gen."""

    version: str = ""
    page_size: int = 0
    folio_orders: set[int] = field(default_factory=set)
    shmem_orders: set[int] = field(default_factory=set)
    has: set[str] = field(default_factory=set)


def found(lines: Iterable[str]) -> Guest:
    """By its own first lines."""
    guest = Guest()
    for key, _, value in (line.partition(" ") for line in lines):
        if key == "version":
            guest.version = value.strip()
        elif key == "page_size":
            guest.page_size = int(value)
        elif key == "folio_order":
            guest.folio_orders.add(int(value))
        elif key == "shmem_order":
            guest.shmem_orders.add(int(value))
        elif key == "has":
            guest.has.add(value.strip())
    return guest


def lacking(program: Program, guest: Guest) -> str:
    """What the kernel lacks for a program, with the options that would give it; empty if nothing."""
    workload = program.workload
    kinds = {file.kind for file in workload.files}
    ops = {row[0] for row in workload.ops.tolist()}
    if missing := program.orders - guest.folio_orders:
        return f"folios of order {min(missing)} (mTHP: CONFIG_TRANSPARENT_HUGEPAGE and Linux 6.8)"
    if "swap" not in guest.has and pages_out(workload) and (kinds & SWAPPED or has_anonymous(workload)):
        return "swap (CONFIG_ZRAM and CONFIG_ZSMALLOC, built in or with --modules)"
    if kinds & {uapi.FILE_REGULAR, uapi.FILE_EXT4} and "ext4" not in guest.has:
        return "an ext4 file system (CONFIG_EXT4_FS and CONFIG_BLK_DEV_LOOP, built in or with --modules)"
    if uapi.OP_LRU_GEN_AGE in ops and "lru_gen" not in guest.has:
        return "the multi-gen LRU (CONFIG_LRU_GEN and CONFIG_DEBUG_FS)"
    return ""


def pages_out(workload: Workload) -> bool:
    """Whether anything asks for reclaim."""
    return any(row[0] == uapi.OP_MADVISE and row[4] == uapi.MADV_PAGEOUT for row in workload.ops.tolist())


def has_anonymous(workload: Workload) -> bool:
    """Whether there may be anonymous pages: private memory, or private copies of a file's pages."""
    maps = [row[4:7] for row in workload.ops.tolist() if row[0] == uapi.OP_MMAP]
    return any(
        prot if file < 0 else prot & uapi.PROT_WRITE and flags & uapi.MAP_PRIVATE
        for prot, flags, file in maps
    )
