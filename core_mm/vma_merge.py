"""Merging VMAs (mm/vma.c: vma_merge_new_range, vma_merge_existing_range, vma_modify)."""

from __future__ import annotations

from core_mm.features import feature
from core_mm import rmap
from core_mm.mm_types import AVC, ENOMEM, VM_PFNMAP, VMA, cfg
from core_mm.vma import discard_vma, split_vma, vma_adjust_trans_huge, vma_adjusted

VM_SPECIAL = VM_PFNMAP  # of the kernel's, all that the twin has


def vma_pages(vma: int) -> int:
    """Length in pages."""
    return (VMA.vm_end[vma] - VMA.vm_start[vma]) >> cfg.page_shift


def is_singular(vma: int) -> int:
    """Whether its only anon_vma is its own (`list_is_singular` of the chain)."""
    return int(VMA.avc[vma] != 0 and AVC.same_vma[VMA.avc[vma]] == 0)


def vma_is_fork_child(vma: int) -> int:
    """Whether it may hold pages that a parent's VMA holds too."""
    return int(vma != 0 and VMA.anon_vma[vma] != 0 and not is_singular(vma))


def is_mergeable_anon_vma(tgt: int, src: int, src_anon: int) -> int:
    """Whether `tgt` may take over pages of `src_anon`; `src` is the VMA that has it, 0: a new or copied one."""
    tgt_anon = VMA.anon_vma[tgt]
    if not feature.merge_faulted_vmas:
        return int(tgt_anon == src_anon or ((tgt_anon == 0 or src_anon == 0) and is_singular(tgt)))
    if tgt_anon == 0 and src_anon:
        return int(not vma_is_fork_child(src))
    if tgt_anon and src_anon == 0:
        return int(not vma_is_fork_child(tgt))
    return int(tgt_anon == src_anon)


def is_mergeable_vma(vma: int, flags: int, file: int) -> int:
    """Same flags, same file."""
    return int(VMA.vm_flags[vma] == flags and VMA.vm_file[vma] == file)


def can_vma_merge_after(prev: int, src: int, src_anon: int, pgoff: int, flags: int, file: int) -> int:
    """Whether a range with these properties continues `prev`."""
    if not is_mergeable_vma(prev, flags, file):
        return 0
    if not is_mergeable_anon_vma(prev, src, src_anon):
        return 0
    return int(VMA.vm_pgoff[prev] + vma_pages(prev) == pgoff)


def can_vma_merge_before(after: int, src: int, src_anon: int, end_pgoff: int, flags: int, file: int) -> int:
    """Whether `after` continues a range with these properties."""
    if not is_mergeable_vma(after, flags, file):
        return 0
    if not is_mergeable_anon_vma(after, src, src_anon):
        return 0
    return int(VMA.vm_pgoff[after] == end_pgoff)


def are_anon_vmas_compatible(vma1: int, vma2: int) -> int:
    """Whether the two may become one."""
    one = VMA.anon_vma[vma1]
    two = VMA.anon_vma[vma2]
    return int(one == 0 or two == 0 or one == two)


def dup_anon_vma(dst: int, src: int) -> int:
    """The growing VMA must reach the pages of the shrinking one. Returns 0 or -ENOMEM."""
    if VMA.anon_vma[src] and not VMA.anon_vma[dst]:
        VMA.anon_vma[dst] = VMA.anon_vma[src]
        if rmap.anon_vma_clone(dst, src):
            VMA.anon_vma[dst] = 0
            return -ENOMEM
    return 0


def vma_set_range(vma: int, start: int, end: int, pgoff: int) -> int:
    """Move its borders."""
    VMA.vm_start[vma] = start
    VMA.vm_end[vma] = end
    VMA.vm_pgoff[vma] = pgoff
    return vma_adjusted(vma)


def vma_merge_new_range(
    prev: int, after: int, start: int, end: int, pgoff: int, flags: int, file: int, source: int, just_expand: int
) -> int:
    """Grow a neighbour over the free range [start, end); returns it, or 0 if none fits.

    `prev` and `after` are the VMAs on either side, `after` ignored if `just_expand`;
    `source` is the VMA whose pages will move there (mremap), or 0.
    """
    if flags & VM_SPECIAL:
        return 0
    anon_vma = VMA.anon_vma[source] if source else 0
    end_pgoff = pgoff + ((end - start) >> cfg.page_shift)
    left = int(prev != 0 and VMA.vm_end[prev] == start)
    if left:
        left = can_vma_merge_after(prev, source, anon_vma, pgoff, flags, file)
    right = int(after != 0 and VMA.vm_start[after] == end and not just_expand)
    if right:
        right = can_vma_merge_before(after, source, anon_vma, end_pgoff, flags, file)
    if left and right:
        right = are_anon_vmas_compatible(prev, after)
    if left and right:
        if dup_anon_vma(prev, after):
            return 0
        end = VMA.vm_end[after]
    if left:
        if source and dup_anon_vma(prev, source):
            return 0
        if right:
            discard_vma(after)
        VMA.vm_end[prev] = end
        vma_adjusted(prev)
        return prev
    if right:
        if source and dup_anon_vma(after, source):
            return 0
        vma_set_range(after, start, VMA.vm_end[after], pgoff)
        return after
    return 0


def vma_merge_existing_range(vma: int, start: int, end: int, flags: int) -> int:
    """[start, end) of `vma` gets `flags`: let a neighbour take it over; returns that, or 0."""
    if (VMA.vm_flags[vma] | flags) & VM_SPECIAL:
        return 0
    left_side = int(start == VMA.vm_start[vma])
    right_side = int(end == VMA.vm_end[vma])
    prev = VMA.vm_prev[vma] if left_side else 0
    after = VMA.vm_next[vma] if right_side else 0
    if prev and VMA.vm_end[prev] != start:
        prev = 0
    if after and VMA.vm_start[after] != end:
        after = 0
    pgoff = VMA.vm_pgoff[vma] + ((start - VMA.vm_start[vma]) >> cfg.page_shift)
    end_pgoff = pgoff + ((end - start) >> cfg.page_shift)
    anon = VMA.anon_vma[vma]
    file = VMA.vm_file[vma]
    if prev and not can_vma_merge_after(prev, vma, anon, pgoff, flags, file):
        prev = 0
    if after and not can_vma_merge_before(after, vma, anon, end_pgoff, flags, file):
        after = 0
    if prev and after and not are_anon_vmas_compatible(prev, after):
        after = 0
    if prev and after:
        return merge_both(prev, vma, after)
    if prev:
        return merge_left(prev, vma, end)
    if after:
        return merge_right(after, vma, start, pgoff)
    return 0


def merge_both(prev: int, vma: int, after: int) -> int:
    """`prev` swallows `vma` and `after`."""
    source = vma if VMA.anon_vma[vma] else after
    if dup_anon_vma(prev, source):
        return 0
    end = VMA.vm_end[after]
    discard_vma(vma)
    discard_vma(after)
    VMA.vm_end[prev] = end
    vma_adjusted(prev)
    return prev


def merge_left(prev: int, vma: int, end: int) -> int:
    """`prev` grows to `end`; what is left of `vma` begins there."""
    if dup_anon_vma(prev, vma):
        return 0
    if end == VMA.vm_end[vma]:
        discard_vma(vma)
    else:
        vma_adjust_trans_huge(vma, end, VMA.vm_end[vma])
        shift = (end - VMA.vm_start[vma]) >> cfg.page_shift
        vma_set_range(vma, end, VMA.vm_end[vma], VMA.vm_pgoff[vma] + shift)
    VMA.vm_end[prev] = end
    vma_adjusted(prev)
    return prev


def merge_right(after: int, vma: int, start: int, pgoff: int) -> int:
    """`after` grows down to `start`; what is left of `vma` ends there."""
    if dup_anon_vma(after, vma):
        return 0
    if start == VMA.vm_start[vma]:
        discard_vma(vma)
    else:
        vma_adjust_trans_huge(vma, VMA.vm_start[vma], start)
        VMA.vm_end[vma] = start
        vma_adjusted(vma)
    vma_set_range(after, start, VMA.vm_end[after], pgoff)
    return after


def vma_modify(vma: int, start: int, end: int, flags: int) -> int:
    """The VMA that [start, end) of `vma` is in once it has `flags`: merged, or split off. 0: no memory.

    The caller stores the flags (mm/vma.c:vma_modify).
    """
    merged = vma_merge_existing_range(vma, start, end, flags)
    if merged:
        return merged
    if VMA.vm_start[vma] < start and split_vma(vma, start, 1):
        return 0
    if VMA.vm_end[vma] > end and split_vma(vma, end, 0):
        return 0
    return vma
