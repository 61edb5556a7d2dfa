"""Calls of hooks of leaves and of comparisons, as roots that both engines can run."""

from __future__ import annotations

from core_mm import hookspecs as hook


def same(pte_a: int, pte_b: int) -> int:
    """pte_same."""
    return hook.pte_same(pte_a, pte_b)


def needs_flush(oldpmd: int, newpmd: int) -> int:
    """huge_pmd_needs_flush."""
    return hook.huge_pmd_needs_flush(oldpmd, newpmd)


def get_and_clear(mm: int, addr: int, pmdp: int) -> int:
    """pmdp_huge_get_and_clear."""
    return hook.pmdp_huge_get_and_clear(mm, addr, pmdp)


def invalidate_ad(vma: int, addr: int, pmdp: int) -> int:
    """pmdp_invalidate_ad."""
    return hook.pmdp_invalidate_ad(vma, addr, pmdp)


CALLS = (same, needs_flush, get_and_clear, invalidate_ad)
