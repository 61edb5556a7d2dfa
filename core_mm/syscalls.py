"""Running a workload: one row of `ops` after the other."""

from __future__ import annotations

from core_mm.context import check_and_switch_context
from core_mm.file_ops import file_operation
from core_mm.fork import exec_mmap, exit_mm, kernel_clone, mm_alloc, spawn, task_row
from core_mm.madvise import do_madvise
from core_mm.memory.access import access_range
from core_mm.mm_types import EINVAL, MM, SIGSEGV, TASK, cfg, mach, ops, results
from core_mm.mmap import brk, do_mmap, munmap, page_align, task_size
from core_mm.mprotect import mprotect
from core_mm.mremap import mremap
from core_mm.page_alloc import free_area_init
from core_mm.uapi import (
    COLUMNS, OP_BRK, OP_CLONE_VM, OP_EXEC, OP_EXIT, OP_FALLOCATE, OP_FORK, OP_MADVISE, OP_MMAP, OP_MPROTECT, OP_MREMAP,
    OP_MUNMAP, OP_SPAWN, OP_TOUCH, OP_VFORK,
)  # fmt: skip
from core_mm.vmstat import EVENTS, HOOKS, LOG_OP, OP, count, note

ESRCH = 3


def boot() -> int:
    """Prepare a machine: memory, the zero page, init_mm. Rows 0 stay NULL. Returns 0."""
    mach.next_table = max(mach.next_table, 1)
    mach.next_batch = max(mach.next_batch, 1)
    mach.next_gather = max(mach.next_gather, 1)
    mach.next_inode = max(mach.next_inode, 1)
    free_area_init()
    mach.next_mm = 2
    MM.mm_users[1] = 1
    return 0


def run_operations(first: int, last: int) -> int:
    """Run the rows [first, last) and store what each returned. Returns how many failed."""
    failed = 0
    for row in range(first, last):
        result = run_operation(row)
        results[row] = result
        if result < 0:
            failed += 1
    return failed


def run_operation(row: int) -> int:
    """Run one row; its result as the system call's, -errno on failure."""
    at = row * COLUMNS
    op = ops[at]
    if op <= 0 or op > OP_FALLOCATE:
        return -EINVAL
    mach.op = row
    mach.scope = op * (HOOKS * EVENTS)
    mach.error = 0
    count(OP, 1)
    if cfg.log_ptes:
        note(LOG_OP, row, op, ops[at + 1], 0)
    task = task_row(ops[at + 1])
    mm = TASK.mm[task] if task else 0
    if mm == 0:
        if op == OP_SPAWN and task:
            return spawn(task)
        return -ESRCH
    if task != mach.task:
        mach.task = task
        check_and_switch_context(mm)
    if op == OP_TOUCH:
        return touch(mm, ops[at + 2], ops[at + 3], ops[at + 4])
    if op <= OP_MREMAP:
        return memory_operation(op, mm, at + 2)
    if op <= OP_EXIT:
        return process_operation(op, task, ops[at + 2])
    return file_operation(op, mm, at + 2)


def touch(mm: int, addr: int, pages: int, access: int) -> int:
    """The program's own accesses; no address beyond the user's has a page."""
    end = task_size()
    if addr < 0 or addr >= end:
        return -SIGSEGV
    return access_range(mm, addr, min(pages, page_align(end - addr) >> cfg.page_shift), access)


def memory_operation(op: int, mm: int, at: int) -> int:
    """System calls that change an address space."""
    addr = ops[at]
    size = ops[at + 1]
    if op == OP_MMAP:
        return do_mmap(mm, addr, size, ops[at + 2], ops[at + 3], ops[at + 4], ops[at + 5])
    if op == OP_MUNMAP:
        return munmap(mm, addr, size)
    if op == OP_BRK:
        return brk(mm, addr)
    if op == OP_MPROTECT:
        return mprotect(mm, addr, size, ops[at + 2])
    if op == OP_MADVISE:
        return do_madvise(mm, addr, size, ops[at + 2])
    return mremap(mm, addr, size, ops[at + 2], ops[at + 3], ops[at + 4])


def process_operation(op: int, task: int, argument: int) -> int:
    """System calls that make, replace or end an address space."""
    if op == OP_FORK:
        return kernel_clone(task, task_row(argument), 0)
    if op == OP_VFORK or op == OP_CLONE_VM:
        return kernel_clone(task, task_row(argument), 1)
    if op == OP_EXEC:
        return exec_mmap(task, argument)
    mach.task = 0
    return exit_mm(task)


__all__ = ["boot", "mm_alloc", "run_operation", "run_operations"]
