"""Address spaces and the tasks in them (kernel/fork.c, mm/mmap.c:dup_mmap, fs/exec.c:exec_mmap)."""

from __future__ import annotations

from core_mm import rmap
from core_mm.fault_inject import should_fail
from core_mm.hookspecs import flush_tlb_mm
from core_mm.inode import get_file, i_mmap_insert_after
from core_mm.memory.copy import copy_page_range
from core_mm.mm_types import (
    EAGAIN, EINVAL, ENOMEM, MM, TASK, VM_DONTCOPY, VM_LOCKED, VM_WIPEONFORK, VMA, cfg, mach,
)  # fmt: skip
from core_mm.mmap import exit_mmap
from core_mm.pgtable import pgd_alloc, pgd_free
from core_mm.vma_tree import link_vma, vm_area_dup, vm_area_free
from core_mm.vmstat import LOG_TASK, note


def mm_alloc() -> int:
    """An empty address space with one user, or 0 (kernel/fork.c:mm_init)."""
    if should_fail():
        return 0
    mm = mach.free_mms
    if mm:
        mach.free_mms = MM.next[mm]
    else:
        mm = max(mach.next_mm, 1)
        if mm >= cfg.nr_mms:
            return 0
        mach.next_mm = mm + 1
    clear_mm(mm)
    MM.mm_users[mm] = 1
    MM.pgd[mm] = pgd_alloc(mm)
    if MM.pgd[mm] == 0:
        free_mm(mm)
        return 0
    return mm


def clear_mm(mm: int) -> int:
    """Zero every field."""
    MM.start_brk[mm] = 0
    MM.brk[mm] = 0
    MM.map_count[mm] = 0
    MM.mmap[mm] = 0
    MM.mm_rb[mm] = 0
    MM.mmap_cache[mm] = 0
    MM.asid[mm] = 0
    MM.tlb_flush_pending[mm] = 0
    MM.tlb_flush_batched[mm] = 0
    MM.rss_file[mm] = 0
    MM.rss_anon[mm] = 0
    MM.rss_swap[mm] = 0
    MM.rss_shmem[mm] = 0
    MM.pgtables[mm] = 0
    MM.deposit[mm] = 0
    MM.next[mm] = 0
    return 0


def free_mm(mm: int) -> int:
    """Give the row back."""
    MM.mm_users[mm] = 0
    MM.next[mm] = mach.free_mms
    mach.free_mms = mm
    return 0


def mmget(mm: int) -> int:
    """One more task in it."""
    MM.mm_users[mm] += 1
    return mm


def mmput(mm: int) -> int:
    """One task less; the last one tears it down (kernel/fork.c:mmput)."""
    MM.mm_users[mm] -= 1
    if MM.mm_users[mm] == 0:
        exit_mmap(mm)
        mmdrop(mm)
    return 0


def mmdrop(mm: int) -> int:
    """Free what is left, the top-level table; its ASID is not used again before the generation ends (__mmdrop)."""
    pgd_free(mm)
    return free_mm(mm)


def dup_mm(oldmm: int) -> int:
    """A copy of an address space, or 0 (kernel/fork.c:dup_mm)."""
    mm = mm_alloc()
    if mm == 0:
        return 0
    MM.start_brk[mm] = MM.start_brk[oldmm]
    MM.brk[mm] = MM.brk[oldmm]
    MM.tlb_flush_batched[mm] = MM.tlb_flush_batched[oldmm]
    if dup_mmap(mm, oldmm):
        mmput(mm)
        return 0
    return mm


def dup_mmap(mm: int, oldmm: int) -> int:
    """Copy VMAs and entries; one flush of the parent, whatever happened (mm/mmap.c:dup_mmap). Returns 0 or -ENOMEM."""
    error = 0
    mpnt = MM.mmap[oldmm]
    while mpnt and error == 0:
        if not VMA.vm_flags[mpnt] & VM_DONTCOPY:
            error = dup_vma(mm, mpnt)
        mpnt = VMA.vm_next[mpnt]
    flush_tlb_mm(oldmm)
    return error


def dup_vma(mm: int, mpnt: int) -> int:
    """Copy one VMA with its entries. Returns 0 or -ENOMEM."""
    vma = vm_area_dup(mpnt, mm)
    if vma == 0:
        return -ENOMEM
    VMA.vm_flags[vma] &= ~VM_LOCKED
    if VMA.vm_flags[vma] & VM_WIPEONFORK:
        VMA.anon_vma[vma] = 0
    elif rmap.anon_vma_fork(vma, mpnt):
        VMA.anon_vma[vma] = 0
        vm_area_free(vma)
        return -ENOMEM
    if VMA.vm_file[vma]:
        get_file(VMA.vm_file[vma])
    link_vma(mm, vma)
    i_mmap_insert_after(vma, mpnt)
    if VMA.vm_flags[vma] & VM_WIPEONFORK:
        return 0
    return copy_page_range(vma, mpnt)


def task_row(task: int) -> int:
    """The row of the workload's task number `task`, or 0 if there is none."""
    if task < 0 or task >= cfg.nr_tasks - 1:
        return 0
    return task + 1


def kernel_clone(parent: int, child: int, share_mm: int) -> int:
    """fork, vfork and clone: `child` (a row) gets a copy of the parent's mm, or the mm itself. Returns 0 or -errno."""
    if child == 0 or TASK.mm[child]:
        return -EINVAL
    oldmm = TASK.mm[parent]
    mm = mmget(oldmm) if share_mm else dup_mm(oldmm)
    if mm == 0:
        return -ENOMEM
    set_mm(child, mm)
    TASK.parent[child] = parent
    return 0


def set_mm(task: int, mm: int) -> int:
    """The task's address space from now on; 0: none."""
    TASK.mm[task] = mm
    return note(LOG_TASK, task - 1, mm, 0, 0) if cfg.log_ptes else 0


def spawn(task: int) -> int:
    """A first task with an empty mm, where there is none. Returns 0 or -EAGAIN."""
    mm = mm_alloc()
    if mm == 0:
        return -EAGAIN
    set_mm(task, mm)
    TASK.parent[task] = 0
    return 0


def exec_mmap(task: int, start_brk: int) -> int:
    """A new, empty mm; the old one loses a user (fs/exec.c:exec_mmap). Returns 0 or -ENOMEM."""
    mm = mm_alloc()
    if mm == 0:
        return -ENOMEM
    old = TASK.mm[task]
    set_mm(task, mm)
    MM.start_brk[mm] = start_brk
    MM.brk[mm] = start_brk
    mach.task = 0
    return mmput(old)


def exit_mm(task: int) -> int:
    """The task leaves its mm (kernel/exit.c:exit_mm)."""
    mm = TASK.mm[task]
    set_mm(task, 0)
    return mmput(mm)
