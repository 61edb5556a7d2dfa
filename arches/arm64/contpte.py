"""Contiguous blocks, transparent to core-mm (arch/arm64/mm/contpte.c; Linux 6.12.107, 7.3.4)."""

from __future__ import annotations

from arches.arm64.features import arch_feature
from arches.arm64.cpufeature import cpu
from arches.arm64.events import (
    CLEAR_FLUSH_YOUNG,
    CLEAR_FLUSH_YOUNG_PTES,
    CLEAR_FULL,
    CLEAR_YOUNG_DIRTY,
    CONVERT,
    GET,
    GET_AND_CLEAR_FULL,
    GET_LOCKLESS,
    SET_ACCESS_FLAGS,
    SET_PTES,
    TEST_AND_CLEAR_YOUNG,
    TEST_AND_CLEAR_YOUNG_PTES,
    UNFOLD_PARTIAL,
    WRPROTECT,
)
from arches.arm64.fault import ACCESS_FLAGS, __ptep_set_access_flags
from arches.arm64.pgtable import (
    ___ptep_set_wrprotect,
    __clear_full_ptes,
    __clear_young_dirty_ptes,
    __get_and_clear_full_ptes,
    __ptep_get_and_clear,
    __ptep_test_and_clear_young,
    __set_pte,
    __set_ptes,
    __wrprotect_ptes,
    pte_dirty,
    pte_mkclean,
    pte_mkcont,
    pte_mkdirty,
    pte_mknoncont,
    pte_mkold,
    pte_mkyoung,
    pte_pfn,
    pte_pgprot,
    pte_valid,
    pte_valid_cont,
    pte_write,
    pte_young,
)
from arches.arm64.pgtable_hwdef import PTE_ADDR_LOW, PTE_CONT, PTE_SPECIAL, PTE_UXN
from arches.arm64.tlbflush import (
    __flush_tlb_range,
    flush_tlb_page_nosync,
    flush_tlb_range_nosync,
    local_flush_tlb_range,
)
from core_mm import hookspecs as hook
from core_mm.decl import always_inline, noinline
from core_mm.folio import folio_nr_pages, page_folio
from core_mm.hookspecs import hookimpl
from core_mm.mm_types import VMA, cfg
from core_mm.rwonce import READ_ONCE, WRITE_ONCE
from core_mm.vmstat import CONT_INSTALL, FOLD, UNFOLD, convert, count

INIT_MM = 1


def contpte_align_down(ptep: int) -> int:
    """The block's first entry."""
    return ptep & -cfg.cont_ptes


def cont_size() -> int:
    """Bytes of a block."""
    return cfg.cont_ptes << cfg.page_shift


def mm_is_user(mm: int) -> int:
    """Kernel mappings are never folded."""
    return mm != INIT_MM


def pfn_align_down(pte: int) -> int:
    """`pte` with the frame of its block's first page."""
    return pte & ~(cont_size() - cfg.page_size)


@noinline
def contpte_convert(mm: int, addr: int, ptep: int, pte: int) -> int:
    """Break before make: clear the block, flush it, write it again with all of its A/D state."""
    count(CONVERT, 1)
    start = contpte_align_down(ptep)
    base = addr & -cont_size()
    pte = pfn_align_down(pte)
    dirty, young = 0, 0
    for i in range(cfg.cont_ptes):
        old = __ptep_get_and_clear(start + i)
        dirty |= pte_dirty(old)
        young |= pte_young(old)
    if dirty:
        pte = pte_mkdirty(pte)
    if young:
        pte = pte_mkyoung(pte)
    if not elide_flush():
        __flush_tlb_range(mm, base, base + cont_size(), cfg.page_size, 1, 3)
    return __set_ptes(start, pte, cfg.cont_ptes)


def elide_flush() -> int:
    """With a high level of break-before-make the flush of the changed page is enough."""
    return (arch_feature.contpte_elide_bbml3 and cpu.bbml3) or (
        arch_feature.contpte_elide_bbml2 and cpu.bbml2_noabort
    )


def contpte_try_unfold(mm: int, addr: int, ptep: int, pte: int) -> int:
    """Make the block of a folded entry ordinary."""
    return __contpte_try_unfold(mm, addr, ptep, pte) if pte_valid_cont(pte) else 0


@noinline
def __contpte_try_unfold(mm: int, addr: int, ptep: int, pte: int) -> int:
    """For user mappings."""
    if mm_is_user(mm):
        convert(UNFOLD, addr & -cont_size(), 1)
        contpte_convert(mm, addr, ptep, pte_mknoncont(pte))
    return 0


def contpte_try_fold(mm: int, addr: int, ptep: int, pte: int) -> int:
    """Fold after the last entry of a block was set, if the cheap conditions hold."""
    last = cfg.cont_ptes - 1
    if ptep & last != last or pte_pfn(pte) & last != last:
        return 0
    if not pte_valid(pte) or pte & (PTE_CONT | PTE_SPECIAL) or not cpu.contpte:
        return 0
    return __contpte_try_fold(mm, addr, ptep, pte)


@noinline
def __contpte_try_fold(mm: int, addr: int, ptep: int, pte: int) -> int:
    """One folio over the whole block, and every entry equal but for young and dirty."""
    if not mm_is_user(mm) or not folio_covers(addr, pte_pfn(pte)):
        return 0
    start = contpte_align_down(ptep)
    expected = pte_mkold(pte_mkclean(pfn_align_down(pte)))
    for i in range(cfg.cont_ptes):
        if pte_mkold(pte_mkclean(READ_ONCE(start + i))) != expected:
            return 0
        expected += cfg.page_size
    convert(FOLD, addr & -cont_size(), 1)
    return contpte_convert(mm, addr, ptep, pte_mkcont(pte))


def folio_covers(addr: int, pfn: int) -> int:
    """Whether the folio of `pfn`, mapped at `addr`, spans the block around `addr`."""
    folio = page_folio(pfn)
    first = addr - ((pfn - folio) << cfg.page_shift)
    base = addr & -cont_size()
    return first <= base and first + (folio_nr_pages(folio) << cfg.page_shift) >= base + cont_size()


@noinline
def contpte_try_unfold_partial(mm: int, addr: int, ptep: int, nr: int) -> int:
    """Unfold the ragged edges of a batch; blocks that it covers whole stay folded."""
    count(UNFOLD_PARTIAL, 1)
    last = cfg.cont_ptes - 1
    if ptep & last != 0 or nr < cfg.cont_ptes:
        contpte_try_unfold(mm, addr, ptep, READ_ONCE(ptep))
    end = ptep + nr
    if end & last != 0:
        contpte_try_unfold(mm, addr + ((nr - 1) << cfg.page_shift), end - 1, READ_ONCE(end - 1))
    return 0


# --- reading ---


@hookimpl
def ptep_get(ptep: int) -> int:
    """Of a block, with the accessed and dirty state of all of its entries."""
    pte = READ_ONCE(ptep)
    return contpte_ptep_get(ptep, pte) if pte_valid_cont(pte) else pte


@noinline
def contpte_ptep_get(ptep: int, pte: int) -> int:
    """The gathered value of a folded entry."""
    count(GET, 1)
    if arch_feature.contpte_get_early_exit:
        return gather_early_exit(ptep, pte)
    start = contpte_align_down(ptep)
    dirty, young = 0, 0
    for i in range(cfg.cont_ptes):
        other = READ_ONCE(start + i)
        dirty |= pte_dirty(other)
        young |= pte_young(other)
    if dirty:
        pte = pte_mkdirty(pte)
    return pte_mkyoung(pte) if young else pte


def gather_early_exit(ptep: int, pte: int) -> int:
    """7.x stops as soon as it has found a dirty and a young entry."""
    start = contpte_align_down(ptep)
    for i in range(cfg.cont_ptes):
        other = READ_ONCE(start + i)
        if pte_dirty(other):
            pte = pte_mkdirty(pte)
            for j in range(i, cfg.cont_ptes):
                if pte_young(READ_ONCE(start + j)):
                    return pte_mkyoung(pte)
            return pte
        if pte_young(other):
            pte = pte_mkyoung(pte)
            for j in range(i + 1, cfg.cont_ptes):
                if pte_dirty(READ_ONCE(start + j)):
                    return pte_mkdirty(pte)
            return pte
    return pte


@hookimpl
def ptep_get_lockless(ptep: int) -> int:
    """A block is read until all of it is consistent; its entries may change meanwhile."""
    pte = READ_ONCE(ptep)
    return contpte_ptep_get_lockless(ptep) if pte_valid_cont(pte) else pte


@noinline
def contpte_ptep_get_lockless(ptep: int) -> int:
    """The gathered value of a folded entry, without the PTL."""
    count(GET_LOCKLESS, 1)
    while True:
        pte = READ_ONCE(ptep)
        if not pte_valid_cont(pte):
            return pte
        pte, consistent = gather_lockless(ptep, pte)
        if consistent:
            return pte


def gather_lockless(ptep: int, pte: int) -> tuple[int, int]:
    """The block's A/D state, and whether every entry looked at belongs to the same block."""
    prot = pte_pgprot(pte_mkold(pte_mkclean(pte)))
    start = contpte_align_down(ptep)
    pfn = pte_pfn(pte) - (ptep - start)
    for i in range(cfg.cont_ptes):
        other = READ_ONCE(start + i)
        same = pte_pgprot(pte_mkold(pte_mkclean(other))) == prot
        if not pte_valid_cont(other) or pte_pfn(other) != pfn + i or not same:
            return pte, 0
        if pte_dirty(other):
            pte = pte_mkdirty(pte)
        if pte_young(other):
            pte = pte_mkyoung(pte)
        if arch_feature.contpte_get_early_exit and pte_dirty(pte) and pte_young(pte):
            return pte, 1
    return pte, 1


@hookimpl
def pte_batch_hint(ptep: int, pte: int) -> int:
    if not pte_valid_cont(pte):
        return 1
    return cfg.cont_ptes - (ptep & (cfg.cont_ptes - 1))


# --- setting ---


@hookimpl
@always_inline
def set_ptes(mm: int, addr: int, ptep: int, pte: int, nr: int) -> int:
    pte = pte_mknoncont(pte)
    if nr == 1:
        contpte_try_unfold(mm, addr, ptep, READ_ONCE(ptep))
        __set_pte(ptep, pte)
        return contpte_try_fold(mm, addr, ptep, pte)
    if not cpu.contpte:
        return __set_ptes(ptep, pte, nr)
    count(SET_PTES, 1)
    if not mm_is_user(mm):
        return __set_ptes(ptep, pte, nr)
    if arch_feature.contpte_invalid_unfolded and not pte_valid(pte):
        return __set_ptes(ptep, pte, nr)
    return contpte_set_ptes(addr, ptep, pte, nr)


@noinline
def contpte_set_ptes(addr: int, ptep: int, pte: int, nr: int) -> int:
    """Whole blocks get the contiguous bit at once, ragged edges do not."""
    mask = cont_size() - 1
    end = addr + (nr << cfg.page_shift)
    output = pte & PTE_ADDR_LOW & -cfg.page_size
    while addr < end:
        after = min((addr + cont_size()) & -cont_size(), end)
        if (addr | after) & mask == 0:
            after = end & -cont_size()
        pages = (after - addr) >> cfg.page_shift
        if (addr | after | output) & mask == 0:
            convert(CONT_INSTALL, addr, pages >> cfg.cont_shift)
            __set_ptes(ptep, pte_mkcont(pte), pages)
        else:
            __set_ptes(ptep, pte, pages)
        addr = after
        ptep += pages
        pte += pages << cfg.page_shift
        output += pages << cfg.page_shift
    return 0


# --- clearing ---


@hookimpl
def pte_clear(mm: int, addr: int, ptep: int) -> int:
    contpte_try_unfold(mm, addr, ptep, READ_ONCE(ptep))
    return WRITE_ONCE(ptep, 0)


@hookimpl
def ptep_get_and_clear(mm: int, addr: int, ptep: int) -> int:
    contpte_try_unfold(mm, addr, ptep, READ_ONCE(ptep))
    return __ptep_get_and_clear(ptep)


@hookimpl
def clear_ptes(mm: int, addr: int, ptep: int, nr: int, full: int) -> int:
    """`get_and_clear_full_ptes`: whole blocks go without being unfolded."""
    if nr == 1:
        return ptep_get_and_clear(mm, addr, ptep)
    count(GET_AND_CLEAR_FULL, 1)
    contpte_try_unfold_partial(mm, addr, ptep, nr)
    return __get_and_clear_full_ptes(ptep, nr)


@hookimpl
def clear_full_ptes(mm: int, addr: int, ptep: int, nr: int, full: int) -> int:
    if nr == 1:
        ptep_get_and_clear(mm, addr, ptep)
        return 0
    count(CLEAR_FULL, 1)
    contpte_try_unfold_partial(mm, addr, ptep, nr)
    return __clear_full_ptes(ptep, nr)


# --- permissions ---


@hookimpl
def wrprotect_ptes(mm: int, addr: int, ptep: int, nr: int) -> int:
    """A block that is write-protected whole stays folded until the flush that fork does anyway."""
    if nr > 1:
        count(WRPROTECT, 1)
        contpte_try_unfold_partial(mm, addr, ptep, nr)
        return __wrprotect_ptes(ptep, nr)
    pte = READ_ONCE(ptep)
    if pte_valid_cont(pte):
        contpte_try_unfold(mm, addr, ptep, pte)
        pte = pte_mknoncont(pte)
    return ___ptep_set_wrprotect(ptep, pte)


@hookimpl
def ptep_set_wrprotect(mm: int, addr: int, ptep: int) -> int:
    return wrprotect_ptes(mm, addr, ptep, 1)


def widen(ptep: int, nr: int) -> tuple[int, int]:
    """The entries of [ptep, ptep + nr), rounded out to the blocks that its ends lie in."""
    first, end = ptep, ptep + nr
    if pte_valid_cont(READ_ONCE(end - 1)):
        end = (end + cfg.cont_ptes - 1) & -cfg.cont_ptes
    if pte_valid_cont(READ_ONCE(first)):
        first = contpte_align_down(first)
    return first, end - first


@hookimpl
def clear_young_dirty_ptes(vma: int, addr: int, ptep: int, nr: int, flags: int) -> int:
    """Widened to whole blocks, never unfolded: the bits of a block are one."""
    if nr == 1 and not pte_valid_cont(READ_ONCE(ptep)):
        return __clear_young_dirty_ptes(ptep, 1, flags)
    count(CLEAR_YOUNG_DIRTY, 1)
    first, pages = widen(ptep, nr)
    return __clear_young_dirty_ptes(first, pages, flags)


def clear_young(ptep: int, nr: int) -> int:
    """Clear the accessed flags; whether any was set."""
    young = 0
    for i in range(nr):
        young |= __ptep_test_and_clear_young(ptep + i)
    return young


@hookimpl
def ptep_test_and_clear_young(vma: int, addr: int, ptep: int) -> int:
    if arch_feature.clear_young_is_batch:
        return test_and_clear_young_ptes(vma, addr, ptep, 1)
    if not pte_valid_cont(READ_ONCE(ptep)):
        return __ptep_test_and_clear_young(ptep)
    count(TEST_AND_CLEAR_YOUNG, 1)
    return clear_young(contpte_align_down(ptep), cfg.cont_ptes)


@hookimpl
def ptep_clear_flush_young(vma: int, addr: int, ptep: int) -> int:
    """No waiting: a translation that outlives this only ages wrongly."""
    if arch_feature.clear_flush_young_is_batch:
        return clear_flush_young_ptes(vma, addr, ptep, 1)
    mm = VMA.vm_mm[vma]
    if not pte_valid_cont(READ_ONCE(ptep)):
        young = __ptep_test_and_clear_young(ptep)
        if young:
            flush_tlb_page_nosync(mm, addr)
        return young
    count(CLEAR_FLUSH_YOUNG, 1)
    young = clear_young(contpte_align_down(ptep), cfg.cont_ptes)
    if young:
        base = addr & -cont_size()
        flush_tlb_range_nosync(mm, base, base + cont_size(), cfg.page_size, 1, 3)
    return young


@hookimpl
def test_and_clear_young_ptes(vma: int, addr: int, ptep: int, nr: int) -> int:
    if nr == 1 and not pte_valid_cont(READ_ONCE(ptep)):
        return __ptep_test_and_clear_young(ptep)
    count(TEST_AND_CLEAR_YOUNG_PTES, 1)
    first, pages = widen(ptep, nr)
    return clear_young(first, pages)


@hookimpl
def clear_flush_young_ptes(vma: int, addr: int, ptep: int, nr: int) -> int:
    mm = VMA.vm_mm[vma]
    if nr == 1 and not pte_valid_cont(READ_ONCE(ptep)):
        young = __ptep_test_and_clear_young(ptep)
        first, pages = ptep, 1
    else:
        count(CLEAR_FLUSH_YOUNG_PTES, 1)
        first, pages = widen(ptep, nr)
        young = clear_young(first, pages)
    if young:
        start = addr + ((first - ptep) << cfg.page_shift)
        flush_tlb_range_nosync(mm, start, start + (pages << cfg.page_shift), cfg.page_size, 1, 3)
    return young


@hookimpl
def ptep_set_access_flags(vma: int, address: int, ptep: int, entry: int, dirty: int) -> int:
    """A block whose writability does not change takes the flags whole, else it is unfolded."""
    entry = pte_mknoncont(entry)
    pte = READ_ONCE(ptep)
    if not pte_valid_cont(pte):
        return __ptep_set_access_flags(vma, address, ptep, entry, dirty, 3)
    count(SET_ACCESS_FLAGS, 1)
    start = contpte_align_down(ptep)
    if has_flags(ptep, pte, entry):
        return 0
    if pte_write(pte) != pte_write(entry):
        contpte_try_unfold(VMA.vm_mm[vma], address, ptep, pte)
        return __ptep_set_access_flags(vma, address, ptep, entry, dirty, 3)
    base = address & -cont_size()
    each = pfn_align_down(entry)
    for i in range(cfg.cont_ptes):
        __ptep_set_access_flags(vma, base, start + i, each, 0, 3)
        each += cfg.page_size
    if dirty:
        flush_block(VMA.vm_mm[vma], base)
    return 1


def has_flags(ptep: int, pte: int, entry: int) -> int:
    """Whether a block is as `entry` says already."""
    if arch_feature.contpte_flags_of_each:
        return block_has_flags(contpte_align_down(ptep), entry)
    return int(pte_mknoncont(contpte_ptep_get(ptep, pte)) == entry)


def block_has_flags(start: int, entry: int) -> int:
    """Whether every single entry permits what `entry` does; the gathered value would hide a laggard."""
    for i in range(cfg.cont_ptes):
        if (READ_ONCE(start + i) ^ entry) & ACCESS_FLAGS:
            return 0
    return 1


def flush_block(mm: int, base: int) -> int:
    """Drop the translations of one block, or this CPU's alone."""
    if arch_feature.local_fault_flush:
        return local_flush_tlb_range(mm, base, base + cont_size(), cfg.page_size, 3)
    return __flush_tlb_range(mm, base, base + cont_size(), cfg.page_size, 1, 3)


# --- protection changes ---


@hookimpl
@always_inline
def ptep_modify_prot_start(vma: int, addr: int, ptep: int) -> int:
    """Erratum 2645198: an executable entry must not stay cached when its permissions change."""
    if cpu.erratum_2645198:
        pte = READ_ONCE(ptep)
        if pte_valid(pte) and not pte & PTE_UXN:
            return hook.ptep_clear_flush(vma, addr, ptep)
    return ptep_get_and_clear(VMA.vm_mm[vma], addr, ptep)


@hookimpl
def modify_prot_start_ptes(vma: int, addr: int, ptep: int, nr: int) -> int:
    pte = clear_ptes(VMA.vm_mm[vma], addr, ptep, nr, 0)
    if cpu.erratum_2645198 and pte_valid(pte) and not pte & PTE_UXN:
        end = addr + (nr << cfg.page_shift)
        __flush_tlb_range(VMA.vm_mm[vma], addr, end, cfg.page_size, 1, 3)
    return pte


@hookimpl
@always_inline
def modify_prot_commit_ptes(vma: int, addr: int, ptep: int, old_pte: int, pte: int, nr: int) -> int:
    return set_ptes(VMA.vm_mm[vma], addr, ptep, pte, nr)
