"""Faults on file mappings (mm/memory.c:do_fault; Linux 6.12, 7.3)."""

from __future__ import annotations

from core_mm.features import feature
from core_mm import content, filemap, shmem
from core_mm.folio import (
    folio_alloc,
    folio_mark_dirty,
    folio_nr_pages,
    folio_order,
    folio_put,
    folio_ref_add,
    page_folio,
)
from core_mm.hookspecs import (
    update_mmu_tlb_range,
)
from core_mm.mapping import shmem_mapping
from core_mm.memory.entry import pte_range_none, vmf_pte_changed
from core_mm.memory.rss import add_mm_counter, mm_counter
from core_mm.memory.set_pte import do_set_pmd, pmd_is_free, set_pte_range, table_window
from core_mm.mm_types import (
    INODE,
    MM_ANONPAGES,
    PAGE,
    VM_SHARED,
    VMA,
    cfg,
)
from core_mm.page_cache import pages_of_size
from core_mm.pgtable import pte_alloc, pte_offset_map
from core_mm.rmap import (
    anon_vma_prepare,
    linear_page_index,
)
from core_mm.uapi import ACCESS_WRITE, FILE_SHMEM
from core_mm.vm_fault import VM_FAULT_NOPAGE, VM_FAULT_OOM, VM_FAULT_RETRY
from core_mm.vmstat import FAULT_AROUND, FAULT_COW, FAULT_FILE, FAULT_SHMEM, count

# --- the three faults ---


def do_fault(vma: int, address: int, pmdp: int, orig: int, valid: int, access: int) -> int:
    """A missing page of a file; `valid` says that a table was there and held `orig`. 0 or VM_FAULT_*."""
    count(FAULT_SHMEM if shmem_mapping(VMA.vm_file[vma]) else FAULT_FILE, 1)
    if access != ACCESS_WRITE:
        ret = do_read_fault(vma, address, pmdp, orig, valid, access)
    elif VMA.vm_flags[vma] & VM_SHARED:
        ret = do_shared_fault(vma, address, pmdp, orig, valid, access)
    else:
        ret = do_cow_fault(vma, address, pmdp, orig, valid, access)
    return ret & ~VM_FAULT_NOPAGE


def do_read_fault(vma: int, address: int, pmdp: int, orig: int, valid: int, access: int) -> int:
    """A read; after it brought pages in it begins again, and finds them cached."""
    ret = read_fault(vma, address, pmdp, orig, valid, access, 0)
    if ret & VM_FAULT_RETRY:
        ret = read_fault(vma, address, pmdp, orig, valid, access, ret)
    return ret


def read_fault(vma: int, address: int, pmdp: int, orig: int, valid: int, access: int, tried: int) -> int:
    """Map what is cached around it, else bring the page in and map that."""
    if cfg.fault_around_bytes > cfg.page_size:
        ret = do_fault_around(vma, address, pmdp, access, tried)
        if ret:
            return ret
    page, ret = vm_fault(vma, address, tried)
    if ret:
        return ret
    ret = finish_fault(vma, address, pmdp, page, orig, valid, access)
    return put_page(page, ret)


def do_cow_fault(vma: int, address: int, pmdp: int, orig: int, valid: int, access: int) -> int:
    """A write to a private mapping maps a copy at once."""
    if anon_vma_prepare(vma):
        return VM_FAULT_OOM
    copy = folio_alloc(0)
    if not copy:
        return VM_FAULT_OOM
    page, ret = vm_fault_to_write(vma, address)
    if ret:
        return put_page(copy, ret)
    if cfg.content:
        content.copy_user_page(copy, page)
    count(FAULT_COW, 1)
    ret = finish_fault(vma, address, pmdp, copy, orig, valid, access)
    put_page(copy, ret)
    folio_put(page_folio(page))
    return ret


def do_shared_fault(vma: int, address: int, pmdp: int, orig: int, valid: int, access: int) -> int:
    """A write to a shared mapping: tell the file system, map, mark dirty."""
    page, ret = vm_fault_to_write(vma, address)
    if ret:
        return ret
    if not shmem_mapping(VMA.vm_file[vma]):
        folio_mark_dirty(page_folio(page))
    ret = finish_fault(vma, address, pmdp, page, orig, valid, access)
    if not ret:
        folio_mark_dirty(page_folio(page))  # fault_dirty_shared_page()
    return put_page(page, ret)


def vm_fault(vma: int, address: int, tried: int) -> tuple[int, int]:
    """vma->vm_ops->fault(): the page with a reference, and 0 or VM_FAULT_*."""
    index = linear_page_index(vma, address)
    if shmem_mapping(VMA.vm_file[vma]):
        page, ret = shmem.shmem_fault(vma, address, index)
    else:
        page, ret = filemap.filemap_fault(vma, index, tried)
    return page, ret


def vm_fault_to_write(vma: int, address: int) -> tuple[int, int]:
    """The same for a write, to which beginning again makes no other difference."""
    page, ret = vm_fault(vma, address, 0)
    if ret & VM_FAULT_RETRY:
        page, ret = vm_fault(vma, address, 1)
    return page, ret


def put_page(page: int, result: int) -> int:
    """Drop the fault's reference, unless the mapping has taken it over."""
    if result:
        folio_put(page_folio(page))
    return result


# --- mapping ---


def do_fault_around(vma: int, address: int, pmdp: int, access: int, tried: int) -> int:
    """Map the cached pages of the window around a read fault; VM_FAULT_NOPAGE if its own is among them."""
    pages = cfg.fault_around_bytes >> cfg.page_shift
    index = linear_page_index(vma, address)
    low, high = table_window(vma, address)
    slot = (address >> cfg.page_shift) & (cfg.ptrs_per_pte - 1)
    first = max(index - (slot & (pages - 1)), low)
    ret = filemap.filemap_map_pages(vma, address, pmdp, first, min(first + pages, high) - 1, access, tried)
    if ret & VM_FAULT_NOPAGE:
        count(FAULT_AROUND, 1)
    return ret


def finish_fault(vma: int, address: int, pmdp: int, page: int, orig: int, valid: int, access: int) -> int:
    """Map the page that the fault got, and the rest of its folio where that is done; 0 or VM_FAULT_*."""
    mm, folio = VMA.vm_mm[vma], page_folio(page)
    cow = access == ACCESS_WRITE and not VMA.vm_flags[vma] & VM_SHARED
    single = not cow and feature.map_within_eof and crosses_end(VMA.vm_file[vma], folio)
    if pmd_is_free(pmdp):
        if folio_order(folio) == cfg.pmd_order and not single and not do_set_pmd(vma, address, pmdp, folio, access):
            return 0
        if pte_alloc(mm, pmdp):
            return VM_FAULT_OOM
    nr, addr = 1, address
    if not single:
        nr, addr = whole_folio(vma, address, folio, page)
    ptep = pte_offset_map(pmdp, addr)
    if nr > 1 and not pte_range_none(ptep, nr):
        nr, addr = 1, address
        ptep = pte_offset_map(pmdp, addr)
    if nr == 1 and vmf_pte_changed(ptep, orig, valid):
        update_mmu_tlb_range(vma, addr, ptep, 1)
        return VM_FAULT_NOPAGE
    first = page if nr == 1 else folio
    folio_ref_add(folio, nr - 1)
    set_pte_range(vma, address, folio, first, nr, addr, ptep, access)
    return add_mm_counter(mm, MM_ANONPAGES if cow else mm_counter(folio), nr)


def crosses_end(inode: int, folio: int) -> int:
    """Whether a folio has pages behind the end of its file; those of shared memory may be mapped."""
    return not shmem_mapping(inode) and pages_of_size(INODE.size[inode]) < PAGE.index[folio] + folio_nr_pages(folio)


def maps_whole(inode: int) -> int:
    """Whether a fault maps all of a folio: of every file since 6.18, of tmpfs since 6.17, of shared memory always."""
    if feature.finish_fault_folio or INODE.kind[inode] == FILE_SHMEM:
        return 1
    return feature.finish_fault_tmpfs and shmem_mapping(inode)


def whole_folio(vma: int, address: int, folio: int, page: int) -> tuple[int, int]:
    """How many pages to map, from which address: the folio of shared anonymous memory; any folio since 6.18."""
    nr = folio_nr_pages(folio)
    inode = VMA.vm_file[vma]
    if nr == 1 or not maps_whole(inode):
        return 1, address
    first, after = table_window(vma, address)
    start = PAGE.index[folio]
    if start < first or start + nr > after:
        return 1, address
    return nr, address - ((page - folio) << cfg.page_shift)
