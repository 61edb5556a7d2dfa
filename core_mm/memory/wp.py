"""Write faults on read-only entries: reuse the page or copy it (mm/memory.c:do_wp_page; Linux 6.12, 7.3)."""

from __future__ import annotations

from core_mm import content
from core_mm.features import feature
from core_mm.folio import (
    PageAnonExclusive,
    SetPageAnonExclusive,
    folio_alloc,
    folio_get,
    folio_mapcount,
    folio_mark_dirty,
    folio_put,
    folio_ref_count,
    folio_test_anon,
    folio_test_large,
    folio_test_swapcache,
    page_folio,
)
from core_mm.hookspecs import (
    pfn_pte,
    pte_mkdirty,
    pte_mkyoung,
    pte_pfn,
    pte_same,
    pte_special,
    ptep_clear_flush,
    ptep_get,
    ptep_set_access_flags,
    set_ptes,
    update_mmu_cache_range,
    update_mmu_tlb_range,
)
from core_mm.mapping import shmem_mapping
from core_mm.memory.entry import maybe_mkwrite
from core_mm.lru import folio_add_lru, folio_in_lru_batch, folio_test_lru, lru_add_drain
from core_mm.memory.rss import add_mm_counter, mm_counter
from core_mm.mm_types import MM_ANONPAGES, VM_MAYSHARE, VM_SHARED, VMA, cfg
from core_mm.rmap import (
    anon_vma_prepare,
    folio_add_new_anon_rmap,
    folio_maybe_mapped_shared,
    folio_move_anon_rmap,
    folio_remove_rmap_ptes,
)
from core_mm.swap_state import folio_free_swap, free_swap_cache
from core_mm.vm_fault import VM_FAULT_OOM
from core_mm.vmstat import DO_WP_PAGE, FAULT_COW, FAULT_REUSE, PTEP_CLEAR_FLUSH, count


def do_wp_page(vma: int, address: int, ptep: int, orig: int) -> int:
    """Resolve a write to the read-only entry `orig`; 0 or VM_FAULT_*."""
    count(DO_WP_PAGE, 1)
    ptep_get(ptep)  # userfaultfd_pte_wp() looks at the entry before it knows that there is no userfaultfd
    page = 0 if pte_special(orig) else pte_pfn(orig)
    folio = page_folio(page) if page else 0
    if VMA.vm_flags[vma] & (VM_SHARED | VM_MAYSHARE):
        return wp_page_shared(vma, address, ptep, orig, folio)
    if folio and folio_test_anon(folio):
        if PageAnonExclusive(page) or wp_can_reuse_anon_folio(folio, vma):
            SetPageAnonExclusive(page)
            return wp_page_reuse(vma, address, ptep, orig)
    if folio:
        folio_get(folio)
    return wp_page_copy(vma, address, ptep, orig, page, folio)


def wp_can_reuse_anon_folio(folio: int, vma: int) -> int:
    """Whether nobody but this mapping can reach the folio."""
    if folio_test_large(folio):
        return feature.reuse_large_anon and wp_can_reuse_large_anon_folio(folio)
    new, cached = not folio_test_lru(folio), int(folio_test_swapcache(folio) != 0)
    others = folio_ref_count(folio) + folio_in_lru_batch(folio) - 1
    if others > (cached if feature.fault_keeps_lru_batches else 2 - new):
        return 0
    if new:
        lru_add_drain()
    if folio_ref_count(folio) + folio_in_lru_batch(folio) > 1 + cached:
        return 0
    if folio_test_swapcache(folio):
        folio_free_swap(folio)
    if folio_ref_count(folio) != 1:
        return 0
    folio_move_anon_rmap(folio, vma)
    return 1


def wp_can_reuse_large_anon_folio(folio: int) -> int:
    """Whether one mm owns all mappings, and these are all references; a lone page is copied and the rest freed."""
    if folio_mapcount(folio) <= 1 or folio_maybe_mapped_shared(folio):
        return 0
    if folio_test_swapcache(folio):
        folio_free_swap(folio)
    return folio_mapcount(folio) == folio_ref_count(folio)


def wp_page_reuse(vma: int, address: int, ptep: int, orig: int) -> int:
    """Make the entry writable and dirty where it is."""
    count(FAULT_REUSE, 1)
    entry = maybe_mkwrite(pte_mkdirty(pte_mkyoung(orig)), vma)
    if ptep_set_access_flags(vma, address, ptep, entry, 1):
        update_mmu_cache_range(0, vma, address, ptep, 1)
    return 0


def wp_page_shared(vma: int, address: int, ptep: int, orig: int, folio: int) -> int:
    """Write to a page of a shared mapping: the file system is told before it becomes writable."""
    folio_get(folio)
    if not shmem_mapping(VMA.vm_file[vma]):
        folio_mark_dirty(folio)  # do_page_mkwrite()
        if not pte_same(ptep_get(ptep), orig):
            update_mmu_tlb_range(vma, address, ptep, 1)
            return folio_put(folio)
    wp_page_reuse(vma, address, ptep, orig)
    folio_mark_dirty(folio)
    return folio_put(folio)


def wp_page_copy(vma: int, address: int, ptep: int, orig: int, page: int, folio: int) -> int:
    """Map a copy instead; the caller holds a reference to the old folio (0: the zero page)."""
    if anon_vma_prepare(vma):
        return put_old(folio, VM_FAULT_OOM)
    new = folio_alloc(0)
    if not new:
        return put_old(folio, VM_FAULT_OOM)
    if not pte_same(ptep_get(ptep), orig):
        update_mmu_tlb_range(vma, address, ptep, 1)
        folio_put(new)
        return put_old(folio, 0)
    if cfg.content:
        content.copy_user_page(new, page)
    mm = VMA.vm_mm[vma]
    if folio and not folio_test_anon(folio):
        add_mm_counter(mm, mm_counter(folio), -1)
    if not folio or not folio_test_anon(folio):
        add_mm_counter(mm, MM_ANONPAGES, 1)
    install_copy(vma, address, ptep, new)
    count(FAULT_COW, 1)
    if folio:
        folio_remove_rmap_ptes(folio, page, 1, vma)
        free_swap_cache(folio)
        folio_put(folio)
    return put_old(folio, 0)


def install_copy(vma: int, address: int, ptep: int, new: int) -> int:
    """Replace the entry: clear and flush first, so that no CPU sees the old page after the new one."""
    entry = maybe_mkwrite(pte_mkdirty(pfn_pte(new, VMA.vm_page_prot[vma])), vma)
    count(PTEP_CLEAR_FLUSH, 1)
    ptep_clear_flush(vma, address, ptep)
    folio_add_new_anon_rmap(new, vma, address, 1)
    folio_add_lru(new)
    set_ptes(VMA.vm_mm[vma], address, ptep, entry, 1)
    return update_mmu_cache_range(0, vma, address, ptep, 1)


def put_old(folio: int, result: int) -> int:
    """Drop the reference that the fault took."""
    if folio:
        folio_put(folio)
    return result
