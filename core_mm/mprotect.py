"""mprotect (mm/mprotect.c; one PTE at a time in Linux 6.12, folio batches since 6.17)."""

from __future__ import annotations

from core_mm.features import feature
from core_mm import huge_memory
from core_mm.decl import always_inline, noinline
from core_mm.folio import PageAnonExclusive, folio_test_anon, folio_test_large, page_folio
from core_mm.gup import populate_vma_page_range
from core_mm.hookspecs import (
    modify_prot_commit_ptes, modify_prot_start_ptes, pmd_leaf, pte_advance_pfn, pte_dirty, pte_mkwrite,
    pte_modify, pte_needs_flush, pte_pfn, pte_present, pte_protnone, pte_special, pte_write, ptep_get,
    ptep_modify_prot_commit, ptep_modify_prot_start,
)  # fmt: skip
from core_mm.internal import FPB_RESPECT_SOFT_DIRTY, FPB_RESPECT_WRITE, folio_pte_batch_flags
from core_mm.lazy_mmu import lazy_mmu_mode_disable, lazy_mmu_mode_enable
from core_mm.mm_types import (
    EACCES, EINVAL, ENOMEM, VM_ACCESS_FLAGS, VM_ACCOUNT, VM_LOCKED, VM_NORESERVE, VM_SHARED, VM_WRITE, VMA, cfg,
    ptes,
)  # fmt: skip
from core_mm.mmap import bad_range, page_align
from core_mm.mmu_gather import (
    tlb_end_vma, tlb_finish_mmu, tlb_flush_pte_range, tlb_gather_mmu, tlb_start_vma,
)  # fmt: skip
from core_mm.pgtable import pmd_addr_end, pmd_hole_end, pmd_off, pte_offset_map
from core_mm.tlb_batched import flush_tlb_batched_pending
from core_mm.vma import vma_is_anonymous, vma_set_page_prot, vma_wants_writenotify
from core_mm.vma_merge import vma_modify
from core_mm.vma_tree import find_vma_intersection

MM_CP_TRY_CHANGE_WRITABLE = 1
RESPECT = FPB_RESPECT_SOFT_DIRTY | FPB_RESPECT_WRITE


def mprotect(mm: int, start: int, size: int, prot: int) -> int:
    """The system call: one gather, VMA by VMA. Returns 0 or -errno (do_mprotect_pkey)."""
    if size == 0:
        return 0
    size = page_align(size)
    if bad_range(start, size):
        return -EINVAL
    end = start + size
    vma = find_vma_intersection(mm, start, end)
    if vma == 0 or VMA.vm_start[vma] > start:
        return -ENOMEM
    tlb = tlb_gather_mmu(mm)
    error = 0
    at = start
    while at < end and error == 0:
        if vma == 0 or VMA.vm_start[vma] > at:
            error = -ENOMEM
        else:
            part_end = min(VMA.vm_end[vma], end)
            vma, error = mprotect_fixup(tlb, vma, at, part_end, prot)
            at = max(part_end, VMA.vm_end[vma]) if error == 0 else part_end
            vma = VMA.vm_next[vma] if error == 0 else 0
    tlb_finish_mmu(tlb)
    return error


def new_protection(vma: int, prot: int) -> int:
    """vm_flags of `vma` after mprotect, or -EACCES."""
    flags = prot & VM_ACCESS_FLAGS | VMA.vm_flags[vma] & ~VM_ACCESS_FLAGS
    if flags & ~(flags >> 4) & VM_ACCESS_FLAGS:
        return -EACCES
    if flags == VMA.vm_flags[vma]:
        return flags
    if flags & VM_WRITE:
        if not flags & (VM_SHARED | VM_NORESERVE):  # of others, what may be written is accounted for already
            flags |= VM_ACCOUNT
    elif flags & VM_ACCOUNT and vma_is_anonymous(vma) and VMA.anon_vma[vma] == 0:
        flags &= ~VM_ACCOUNT
    return flags


def mprotect_fixup(tlb: int, vma: int, start: int, end: int, prot: int) -> tuple[int, int]:
    """[start, end) of one VMA. Returns the VMA it is in afterwards, and 0 or -errno."""
    old = VMA.vm_flags[vma]
    flags = new_protection(vma, prot)
    if flags < 0:
        return vma, flags
    if flags == old:
        return vma, 0
    changed = vma_modify(vma, start, end, flags)
    if changed == 0:
        return vma, -ENOMEM
    VMA.vm_flags[changed] = flags
    vma_set_page_prot(changed)
    cp_flags = MM_CP_TRY_CHANGE_WRITABLE if vma_wants_manual_pte_write_upgrade(changed) else 0
    change_protection(tlb, changed, start, end, cp_flags)
    if old & (VM_WRITE | VM_SHARED | VM_LOCKED) == VM_LOCKED and flags & VM_WRITE:
        populate_vma_page_range(changed, start, end)
    return changed, 0


def vma_wants_manual_pte_write_upgrade(vma: int) -> int:
    """Whether present entries may become writable here rather than by a fault (include/linux/mm.h)."""
    if VMA.vm_flags[vma] & VM_SHARED:
        return vma_wants_writenotify(vma)
    return VMA.vm_flags[vma] & VM_WRITE


def change_protection(tlb: int, vma: int, addr: int, end: int, cp_flags: int) -> int:
    """Give the entries of a range the protection of the VMA."""
    tlb_start_vma(tlb, vma)
    while addr < end:
        pmdp = pmd_off(VMA.vm_mm[vma], addr)
        after = pmd_addr_end(addr, end) if pmdp else pmd_hole_end(VMA.vm_mm[vma], addr, end)
        if pmdp:
            change_pmd(tlb, vma, pmdp, addr, after, cp_flags)
        addr = after
    return tlb_end_vma(tlb, vma)


def change_pmd(tlb: int, vma: int, pmdp: int, addr: int, end: int, cp_flags: int) -> int:
    """What lies under one PMD; a huge page that is changed in part is split."""
    newprot = VMA.vm_page_prot[vma]
    if pmd_leaf(ptes[pmdp]):
        if end - addr == cfg.pmd_size:
            if huge_memory.change_huge_pmd(tlb, vma, pmdp, addr, newprot, cp_flags):
                return 0
        else:
            huge_memory.split_huge_pmd(vma, pmdp, addr)
    ptep = pte_offset_map(pmdp, addr)
    if ptep == 0:
        return 0
    flush_tlb_batched_pending(VMA.vm_mm[vma])
    lazy_mmu_mode_enable()
    if feature.mprotect_batch:
        change_pte_batches(tlb, vma, ptep, addr, end, newprot, cp_flags)
    else:
        change_ptes(tlb, vma, ptep, addr, end, newprot, cp_flags)
    return lazy_mmu_mode_disable()


@noinline
def change_ptes(tlb: int, vma: int, ptep: int, addr: int, end: int, newprot: int, cp_flags: int) -> int:
    """Linux 6.12: every PTE by itself; the gather hears of all that must be flushed at the end."""
    first, last = end, addr
    while addr < end:
        if pte_present(ptep_get(ptep)):
            old = ptep_modify_prot_start(vma, addr, ptep)
            new = pte_modify(old, newprot)
            if cp_flags & MM_CP_TRY_CHANGE_WRITABLE and not pte_write(new) and can_change_pte_writable(vma, new):
                new = pte_mkwrite(new)
            ptep_modify_prot_commit(vma, addr, ptep, old, new)
            if pte_needs_flush(old, new):
                first, last = min(first, addr), addr + cfg.page_size
        ptep += 1
        addr += cfg.page_size
    return tlb_flush_pte_range(tlb, first, last - first) if first < last else 0


def can_change_pte_writable(vma: int, pte: int) -> int:
    """Whether a write through this entry would need nothing but permission."""
    if pte_protnone(pte):
        return 0
    if VMA.vm_flags[vma] & VM_SHARED:
        return pte_dirty(pte)
    if pte_special(pte):
        return 0
    return PageAnonExclusive(pte_pfn(pte))  # no page but an anonymous one is


@noinline
def change_pte_batches(tlb: int, vma: int, ptep: int, addr: int, end: int, newprot: int, cp_flags: int) -> int:
    """Linux 7.x: batches of PTEs of one folio."""
    while addr < end:
        pte = ptep_get(ptep)
        nr = 1
        if pte_present(pte):
            nr = change_batch(tlb, vma, ptep, pte, addr, (end - addr) >> cfg.page_shift, newprot, cp_flags)
        ptep += nr
        addr += nr << cfg.page_shift
    return 0


def change_batch(
    tlb: int, vma: int, ptep: int, pte: int, addr: int, limit: int, newprot: int, cp_flags: int
) -> int:
    """One batch; returns its length."""
    page = 0 if pte_special(pte) else pte_pfn(pte)
    if page and folio_test_large(page_folio(page)):
        return change_folio_batch(tlb, vma, ptep, pte, addr, limit, newprot, cp_flags)
    change_run(tlb, vma, ptep, addr, page, newprot, cp_flags, 1)
    return 1


def change_folio_batch(
    tlb: int, vma: int, ptep: int, pte: int, addr: int, limit: int, newprot: int, cp_flags: int
) -> int:
    """PTEs of a large folio that follow one another."""
    page = pte_pfn(pte)
    nr, pte = folio_pte_batch_flags(page_folio(page), ptep, pte, limit, RESPECT)
    change_run(tlb, vma, ptep, addr, page, newprot, cp_flags, nr)
    return nr


@always_inline
def change_run(
    tlb: int, vma: int, ptep: int, addr: int, page: int, newprot: int, cp_flags: int, nr: int
) -> int:
    """Give `nr` PTEs, of one folio if `page` is not 0, their new protection."""
    old = modify_prot_start_ptes(vma, addr, ptep, nr)
    new = pte_modify(old, newprot)
    if cp_flags & MM_CP_TRY_CHANGE_WRITABLE and not pte_write(new) and not pte_protnone(new):
        if VMA.vm_flags[vma] & VM_SHARED:
            if pte_dirty(new):
                new = pte_mkwrite(new)
        elif page and folio_test_anon(page_folio(page)):
            return commit_anon_folio_batch(tlb, vma, addr, ptep, page, old, new, nr)
    return prot_commit_flush_ptes(tlb, vma, addr, ptep, old, new, nr)


@always_inline
def commit_anon_folio_batch(
    tlb: int, vma: int, addr: int, ptep: int, page: int, old: int, new: int, nr: int
) -> int:
    """Commit a batch in runs of pages that are exclusive to this mm, or not."""
    if nr == 1:
        if PageAnonExclusive(page):
            new = pte_mkwrite(new)
        return prot_commit_flush_ptes(tlb, vma, addr, ptep, old, new, 1)
    done = 0
    while done < nr:
        exclusive = PageAnonExclusive(page + done)
        run = 1
        while done + run < nr and PageAnonExclusive(page + done + run) == exclusive:
            run += 1
        pte = pte_advance_pfn(new, done)
        if exclusive:
            pte = pte_mkwrite(pte)
        at = addr + (done << cfg.page_shift)
        prot_commit_flush_ptes(tlb, vma, at, ptep + done, pte_advance_pfn(old, done), pte, run)
        done += run
    return 0


@always_inline
def prot_commit_flush_ptes(tlb: int, vma: int, addr: int, ptep: int, old: int, new: int, nr: int) -> int:
    """Install a run, and record the flush it needs."""
    modify_prot_commit_ptes(vma, addr, ptep, old, new, nr)
    if pte_needs_flush(old, new):
        tlb_flush_pte_range(tlb, addr, nr << cfg.page_shift)
    return 0
