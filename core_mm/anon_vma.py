"""anon_vma and its chains: which VMAs may map an anonymous page (mm/rmap.c, include/linux/rmap.h).

The AVCs of an anon_vma form a ring that starts at `ANON_VMA.first`, ordered by where their VMAs
start (in the kernel an interval tree), equal ones as they were linked; those of a VMA form a list, newest first.
"""

from __future__ import annotations

from core_mm.fault_inject import should_fail
from core_mm.mm_types import ANON_VMA, AVC, ENOMEM, VM_ACCESS_FLAGS, VMA, cfg, mach


def anon_vma_alloc() -> int:
    """A root anon_vma, or 0."""
    if should_fail():
        return 0
    anon_vma = mach.free_anon_vmas
    if anon_vma:
        mach.free_anon_vmas = ANON_VMA.next[anon_vma]
    else:
        mach.next_anon_vma = max(mach.next_anon_vma, 1)
        anon_vma = mach.next_anon_vma
        mach.next_anon_vma = anon_vma + 1
    ANON_VMA.refcount[anon_vma] = 0
    ANON_VMA.num_children[anon_vma] = 0
    ANON_VMA.num_active_vmas[anon_vma] = 0
    ANON_VMA.parent[anon_vma] = anon_vma
    ANON_VMA.root[anon_vma] = anon_vma
    ANON_VMA.first[anon_vma] = 0
    return anon_vma


def anon_vma_free(anon_vma: int) -> int:
    """Nothing refers to it any more."""
    ANON_VMA.next[anon_vma] = mach.free_anon_vmas
    mach.free_anon_vmas = anon_vma
    return 0


def anon_vma_chain_alloc() -> int:
    """A pair that links nothing yet, or 0."""
    if should_fail():
        return 0
    avc = mach.free_avcs
    if avc:
        mach.free_avcs = AVC.next[avc]
    else:
        mach.next_avc = max(mach.next_avc, 1)
        avc = mach.next_avc
        mach.next_avc = avc + 1
    return avc


def anon_vma_chain_free(avc: int) -> int:
    """Give a pair back."""
    AVC.next[avc] = mach.free_avcs
    mach.free_avcs = avc
    return 0


def anon_vma_chain_link(vma: int, avc: int, anon_vma: int) -> int:
    """The pair becomes the last of the anon_vma, and the first of the VMA."""
    AVC.vma[avc] = vma
    AVC.anon_vma[avc] = anon_vma
    AVC.same_vma[avc] = VMA.avc[vma]
    VMA.avc[vma] = avc
    ANON_VMA.refcount[anon_vma] += 1
    ring_insert(avc, anon_vma)
    return avc


def ring_insert(avc: int, anon_vma: int) -> int:
    """Put a pair into the ring, behind those that do not start later (anon_vma_interval_tree_insert)."""
    first = ANON_VMA.first[anon_vma]
    if not first:
        ANON_VMA.first[anon_vma] = avc
        AVC.next[avc] = avc
        AVC.prev[avc] = avc
        return 0
    start = VMA.vm_pgoff[AVC.vma[avc]]
    before = AVC.prev[first]
    while VMA.vm_pgoff[AVC.vma[before]] > start:
        if before == first:
            ANON_VMA.first[anon_vma] = avc
            before = AVC.prev[before]
            break
        before = AVC.prev[before]
    after = AVC.next[before]
    AVC.next[before] = avc
    AVC.prev[avc] = before
    AVC.next[avc] = after
    AVC.prev[after] = avc
    return 0


def ring_remove(avc: int, anon_vma: int) -> int:
    """Take a pair out of the ring."""
    after, before = AVC.next[avc], AVC.prev[avc]
    AVC.next[before] = after
    AVC.prev[after] = before
    if ANON_VMA.first[anon_vma] == avc:
        ANON_VMA.first[anon_vma] = after if after != avc else 0
    return 0


def anon_vma_update_vma(vma: int) -> int:
    """The borders of a VMA have moved (anon_vma_interval_tree_pre_update_vma, …_post_update_vma)."""
    avc = VMA.avc[vma]
    while avc:
        anon_vma = AVC.anon_vma[avc]
        ring_remove(avc, anon_vma)
        ring_insert(avc, anon_vma)
        avc = AVC.same_vma[avc]
    return 0


def anon_vma_chain_unlink(avc: int) -> int:
    """Take a pair off its anon_vma and free it; the VMA's list is the caller's."""
    anon_vma = AVC.anon_vma[avc]
    ring_remove(avc, anon_vma)
    anon_vma_chain_free(avc)
    ANON_VMA.refcount[anon_vma] -= 1
    if ANON_VMA.refcount[anon_vma] == 0:
        ANON_VMA.num_children[ANON_VMA.parent[anon_vma]] -= 1
        anon_vma_free(anon_vma)
    return 0


def anon_vma_prepare(vma: int) -> int:
    """Give a VMA an anon_vma before its first anonymous page; 0 or -ENOMEM."""
    if VMA.anon_vma[vma]:
        return 0
    avc = anon_vma_chain_alloc()
    if not avc:
        return -ENOMEM
    anon_vma = find_mergeable_anon_vma(vma)
    if not anon_vma:
        anon_vma = anon_vma_alloc()
        if not anon_vma:
            anon_vma_chain_free(avc)
            return -ENOMEM
        ANON_VMA.num_children[anon_vma] += 1  # itself
    VMA.anon_vma[vma] = anon_vma
    anon_vma_chain_link(vma, avc, anon_vma)
    ANON_VMA.num_active_vmas[anon_vma] += 1
    return 0


def find_mergeable_anon_vma(vma: int) -> int:
    """The anon_vma of a neighbour that this VMA may be merged with later, else 0."""
    after, before = VMA.vm_next[vma], VMA.vm_prev[vma]
    if after and anon_vma_compatible(vma, after) and is_singular(after):
        return VMA.anon_vma[after]
    if before and anon_vma_compatible(before, vma) and is_singular(before):
        return VMA.anon_vma[before]
    return 0


def is_singular(vma: int) -> int:
    """Whether the VMA has an anon_vma and no other in its chain."""
    avc = VMA.avc[vma]
    return VMA.anon_vma[vma] and avc and not AVC.same_vma[avc]


def anon_vma_compatible(a: int, b: int) -> int:
    """Whether `b` continues `a` but for access permissions."""
    if VMA.vm_end[a] != VMA.vm_start[b] or VMA.vm_file[a] != VMA.vm_file[b]:
        return 0
    if (VMA.vm_flags[a] ^ VMA.vm_flags[b]) & ~VM_ACCESS_FLAGS:
        return 0
    return VMA.vm_pgoff[b] == VMA.vm_pgoff[a] + ((VMA.vm_start[b] - VMA.vm_start[a]) >> cfg.page_shift)


def anon_vma_clone(dst: int, src: int) -> int:
    """Attach `dst` to every anon_vma of `src` (split, merge, mremap, fork); 0 or -ENOMEM."""
    tail = 0
    avc = VMA.avc[src]
    while avc:
        anon_vma = AVC.anon_vma[avc]
        tail = append_link(dst, anon_vma, tail)
        if not tail:
            VMA.anon_vma[dst] = 0
            unlink_anon_vmas(dst)
            return -ENOMEM
        reusable = ANON_VMA.num_children[anon_vma] < 2 and ANON_VMA.num_active_vmas[anon_vma] == 0
        if not VMA.anon_vma[dst] and VMA.anon_vma[src] and reusable:
            VMA.anon_vma[dst] = anon_vma
        avc = AVC.same_vma[avc]
    if VMA.anon_vma[dst]:
        ANON_VMA.num_active_vmas[VMA.anon_vma[dst]] += 1
    return 0


def append_link(vma: int, anon_vma: int, tail: int) -> int:
    """A new pair behind `tail` in the VMA's list (0: in front); returns it, or 0."""
    avc = anon_vma_chain_alloc()
    if not avc:
        return 0
    anon_vma_chain_link(vma, avc, anon_vma)
    if tail:
        VMA.avc[vma] = AVC.same_vma[avc]
        AVC.same_vma[avc] = AVC.same_vma[tail]
        AVC.same_vma[tail] = avc
    return avc


def anon_vma_fork(vma: int, pvma: int) -> int:
    """Attach the child's VMA to the parent's anon_vmas and to one of its own; 0 or -ENOMEM."""
    parent = VMA.anon_vma[pvma]
    if not parent:
        return 0
    VMA.anon_vma[vma] = 0
    if anon_vma_clone(vma, pvma):
        return -ENOMEM
    if VMA.anon_vma[vma]:
        return 0
    anon_vma = anon_vma_alloc()
    avc = anon_vma_chain_alloc() if anon_vma else 0
    if not avc:
        if anon_vma:
            anon_vma_free(anon_vma)
        unlink_anon_vmas(vma)
        return -ENOMEM
    ANON_VMA.num_active_vmas[anon_vma] = 1
    ANON_VMA.root[anon_vma] = ANON_VMA.root[parent]
    ANON_VMA.parent[anon_vma] = parent
    ANON_VMA.num_children[parent] += 1
    VMA.anon_vma[vma] = anon_vma
    anon_vma_chain_link(vma, avc, anon_vma)
    return 0


def unlink_anon_vmas(vma: int) -> int:
    """Detach a VMA from all its anon_vmas, own first."""
    active = VMA.anon_vma[vma]
    if active:
        ANON_VMA.num_active_vmas[active] -= 1
    avc = VMA.avc[vma]
    while avc:
        after = AVC.same_vma[avc]
        anon_vma_chain_unlink(avc)
        avc = after
    VMA.avc[vma] = 0
    VMA.anon_vma[vma] = 0
    return 0
