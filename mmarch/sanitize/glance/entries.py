"""A walk over all page tables: counts what entries refer to, and doubts those that nothing accounts for."""

from __future__ import annotations

from core_mm.hookspecs import (
    pmd_leaf, pmd_pte, pte_pfn, pte_present, pte_special, pte_swp_exclusive, pte_to_swp_entry, pte_write, table_slot,
)  # fmt: skip
from core_mm.mm_types import (
    AVC, MM, PAGE, PG_ANON, PG_LARGE, PG_ORDER_SHIFT, PG_SWAPBACKED, PTDESC, VMA, cfg, mach, ptes,
)  # fmt: skip
from core_mm.swapops import MIGRATION as MIGRATION_ENTRY
from mmarch.sanitize.glance.doubts import (
    DESCRIBED, EXCLUSIVE, LEAF, MAPPINGS, MIGRATION, RMAP, SLOTS, TREE, doubt,
)  # fmt: skip
from mmarch.sanitize.glance.plain import plain_entry
from mmarch.sanitize.glance.scratch import CHAIN, FRAME, KNOWN, SLOT, SPACE, glance


def walk_space(mm: int) -> int:
    """All of an address space."""
    glance.reserve = 0
    if walk_mappings(mm):
        enter_vma(MM.mmap[mm])
        walk_table(mm, MM.pgd[mm], cfg.levels - 1, 0)
    return 0


def walk_mappings(mm: int) -> int:
    """Whether the list of VMAs is sound: in order, and as many as are counted."""
    vma = MM.mmap[mm]
    last = 0
    for _ in range(MM.map_count[mm]):
        if (
            vma <= 0
            or vma >= mach.next_vma
            or VMA.vm_start[vma] < last
            or VMA.vm_end[vma] <= VMA.vm_start[vma]
        ):
            return doubt(MAPPINGS)
        last = VMA.vm_end[vma]
        count_chain(vma)
        vma = VMA.vm_next[vma]
    if vma:
        return doubt(MAPPINGS)
    return 1


def count_chain(vma: int) -> int:
    """The anon_vmas that it hangs in."""
    if 0 < VMA.anon_vma[vma] < mach.next_anon_vma:
        CHAIN.own[VMA.anon_vma[vma]] += 1
    avc = VMA.avc[vma]
    for _ in range(mach.next_avc):
        if avc <= 0 or avc >= mach.next_avc:
            return 0
        if 0 < AVC.anon_vma[avc] < mach.next_anon_vma:
            CHAIN.pairs[AVC.anon_vma[avc]] += 1
        avc = AVC.same_vma[avc]
    return 0


def enter_vma(vma: int) -> int:
    """The walk has come to a mapping, or behind the last one."""
    glance.vma = vma
    glance.anon_vma = 0
    glance.vma_start = VMA.vm_start[vma] >> cfg.page_shift if vma else 0
    glance.vma_end = VMA.vm_end[vma] >> cfg.page_shift if vma else 0
    glance.vma_offset = VMA.vm_pgoff[vma] - glance.vma_start if vma else 0
    return 0


def walk_table(mm: int, slot: int, level: int, base: int) -> int:
    """A table and what hangs in it."""
    if slot <= 0 or slot >= mach.next_table or KNOWN.times[slot]:
        return doubt(TREE)
    use_table(mm, slot, level)
    first = slot << cfg.pte_bits
    for index in range(1 << cfg.pte_bits):
        raw = ptes[first + index]
        if raw:
            if level == 0:
                see_leaf(mm, base + index, plain_entry(raw, index), 0)
            else:
                see_upper(mm, raw, level, base + (index << level * cfg.pte_bits))
    return 0


def use_table(mm: int, slot: int, level: int) -> int:
    """One that hangs in a tree or waits in reserve."""
    KNOWN.times[slot] += 1
    SPACE.tables[mm] += 1
    glance.in_use += 1
    frame = PTDESC.page[slot]
    if PTDESC.mm[slot] != mm or PTDESC.level[slot] != level or frame <= 0 or frame >= glance.frames:
        return doubt(DESCRIBED)
    if FRAME.table[frame]:
        return doubt(DESCRIBED)
    FRAME.table[frame] = 1
    return 0


def see_upper(mm: int, raw: int, level: int, page: int) -> int:
    """An entry above the PTEs."""
    if not pmd_leaf(raw):
        return walk_table(mm, table_slot(raw), level - 1, page)
    if level != 1:
        return doubt(TREE)
    return see_leaf(mm, page, pmd_pte(raw), 1)


def see_leaf(mm: int, page: int, pte: int, huge: int) -> int:
    """An entry that maps a page, or stands for one in swap."""
    while glance.vma and page >= glance.vma_end:
        enter_vma(VMA.vm_next[glance.vma])
    if not glance.vma or page < glance.vma_start:
        return doubt(MAPPINGS)
    if not pte_present(pte):
        return see_absent(mm, pte, huge)
    frame = pte_pfn(pte)
    if huge and frame == mach.huge_zero_page:
        glance.reserve += 1
        return 0
    if pte_special(pte):
        return 0
    if frame <= 0 or frame >= glance.frames:
        return doubt(LEAF)
    head = PAGE.head[frame]
    if head <= 0 or head >= glance.frames:
        return doubt(LEAF)
    if huge:
        FRAME.huge[frame] += 1
    else:
        FRAME.mapped[frame] += 1
    return see_page(mm, page, pte, huge, frame, head)


def see_absent(mm: int, pte: int, huge: int) -> int:
    """A page in swap; no page is on its way to another frame between two operations."""
    slot = pte_to_swp_entry(pte)
    if slot & MIGRATION_ENTRY:
        return doubt(MIGRATION)
    SPACE.rss_swap[mm] += 1 << cfg.pmd_order if huge else 1
    if slot < 0 or slot > cfg.swap_slots:
        return doubt(SLOTS)
    SLOT.references[slot] += 1
    if pte_swp_exclusive(pte):
        SLOT.exclusive[slot] = 1
    return 0


def see_page(mm: int, page: int, pte: int, huge: int, frame: int, head: int) -> int:
    """A page that is mapped: whose it is, who counts it, and whether reverse mapping finds the entry."""
    flags = PAGE.flags[head]
    owner = PAGE.mapping[head]
    if flags & PG_LARGE and flags >> PG_ORDER_SHIFT >= 2:
        see_owner(mm, head)
    if PAGE.index[head] + frame - head != glance.vma_offset + page:
        doubt(RMAP)
    if flags & PG_ANON:
        SPACE.rss_anon[mm] += 1 << cfg.pmd_order if huge else 1
        glance.reserve += huge
        if pte_write(pte) and not PAGE.anon_exclusive[frame]:
            doubt(EXCLUSIVE)
        if owner != glance.anon_vma:
            see_chain(owner)
        return 0
    if flags & PG_SWAPBACKED:
        SPACE.rss_shmem[mm] += 1 << cfg.pmd_order if huge else 1
    else:
        SPACE.rss_file[mm] += 1 << cfg.pmd_order if huge else 1
    return 0 if VMA.vm_file[glance.vma] == owner else doubt(RMAP)


def see_owner(mm: int, head: int) -> int:
    """One more entry of a large folio that knows two address spaces by number."""
    if FRAME.mm[head] != mm:
        FRAME.mm[head] = mm
        FRAME.mms[head] += 1
    if PAGE.mapping[head + 1] == mm:
        FRAME.first[head] += 1
    if PAGE.mapping[head + 2] == mm:
        FRAME.second[head] += 1
    return 0


def see_chain(anon_vma: int) -> int:
    """The mapping hangs in the chain of a page's anon_vma."""
    avc = VMA.avc[glance.vma]
    for _ in range(mach.next_avc):
        if avc <= 0 or avc >= mach.next_avc:
            return doubt(RMAP)
        if AVC.anon_vma[avc] == anon_vma and AVC.vma[avc] == glance.vma:
            glance.anon_vma = anon_vma
            return 0
        avc = AVC.same_vma[avc]
    return doubt(RMAP)
