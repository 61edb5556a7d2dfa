"""Tier stateful: short programs that broke kernels once, each on the machine that showed it."""

from __future__ import annotations

from collections.abc import Sequence

from core_mm.uapi import ACCESS_READ, ACCESS_WRITE, MADV_DONTNEED, MADV_FREE, MADV_PAGEOUT
from mmarch.check.choices import Choice, arena, perform
from mmarch.check.context import Context
from mmarch.check.driver import Driver
from mmarch.check.outcome import CheckFailed
from mmarch.check.registry import check
from mmarch.sanitize.random_rows import block_pages

R, W = ACCESS_READ, ACCESS_WRITE
RO, RW = 1, 3


def mixed_folio(block: int, size: int) -> list[Choice]:
    """A folio of `size` pages that fork has made read-only, of which one block was written since and folded again."""
    return [
        ("mmap", (1, 0, 4 * block, RW, "anon")), ("touch", (1, 0, size, W)), ("fork", (1, 2)), ("exit", (2,)),
        ("touch", (1, 0, block, W)), ("mprotect", (1, 0, block, RO)), ("mprotect", (1, 0, block, RW)),
    ]  # fmt: skip


def lazy_folio(block: int) -> list[Choice]:
    """MADV_FREE of a folio of which only the first page is writable, then reclaim that finds it dirty again."""
    return [
        ("mmap", (1, 0, 4 * block, RW, "anon")), ("touch", (1, 0, block, W)), ("fork", (1, 2)), ("exit", (2,)),
        ("touch", (1, 0, 1, W)), ("madvise", (1, 0, block, MADV_FREE)), ("touch", (1, 0, 1, W)),
        ("madvise", (1, 0, block, MADV_PAGEOUT)),
    ]  # fmt: skip


def programs(block: int) -> dict[str, tuple[int, list[Choice]]]:
    """Name -> (orders above the block's, steps)."""
    quarter, half = block // 4, block // 2
    return {
        "mremap of a folio with writable and shared pages (04d1c9d60c6e)": (
            1, [*mixed_folio(block, 2 * block), ("mremap", (1, 0, 2 * block, 3 * block))]),
        "reclaim of a lazily freed folio (29f40594a281)": (0, lazy_folio(block)),
        "mremap of pages in swap, away and back": (0, [
            ("mmap", (1, 0, 2 * block, RW, "anon")), ("touch", (1, 0, 2 * block, W)),
            ("madvise", (1, 0, block, MADV_PAGEOUT)), ("mremap", (1, 0, 2 * block, 3 * block)),
            ("mremap", (1, 3 * block, 2 * block, 0)), ("touch", (1, 0, 2 * block, R)),
        ]),
        "mprotect in the middle of a folio (Fixes cac1db8c3aad)": (0, [
            ("mmap", (1, 0, 4 * block, RW, "anon")), ("touch", (1, 0, block, W)), ("fork", (1, 2)), ("exit", (2,)),
            ("touch", (1, 0, 1, W)), ("mprotect", (1, 0, block, RO)), ("mprotect", (1, quarter, half, RW)),
        ]),
        "a fault in a folio that is mapped in part (34b82f33cf3f)": (0, [
            ("mmap", (1, 0, 2 * block, RW, "shmem-shared")), ("touch", (1, 0, block, W)),
            ("madvise", (1, quarter, 2, MADV_DONTNEED)), ("touch", (1, quarter + 1, 1, W)),
            ("touch", (1, 0, block, W)),
        ]),
        "reclaim of a folio across two tables (ddd05742b45b)": (0, [
            ("mmap", (1, 0, block, RW, "shmem-shared")), ("touch", (1, 0, block, W)), ("munmap", (1, 0, block)),
            ("mmap", (1, 2 * block - half, block, RW, "shmem-shared")), ("touch", (1, 2 * block - half, block, R)),
            ("madvise", (1, 2 * block - half, block, MADV_PAGEOUT)), ("touch", (1, 2 * block - half, block, R)),
        ]),
        "reclaim of clean shared memory": (0, [
            ("mmap", (1, 0, block, RW, "shmem-shared")), ("touch", (1, 0, block, R)),
            ("madvise", (1, 0, block, MADV_PAGEOUT)), ("touch", (1, 0, block, W)),
        ]),
        "a dirty shared folio is unmapped at once": (0, [
            ("mmap", (1, 0, block, RW, "shmem-shared")), ("touch", (1, 0, block, W)), ("munmap", (1, 0, block)),
            ("mmap", (1, 0, block, RW, "file-shared")), ("touch", (1, 0, block, W)), ("munmap", (1, 0, block)),
        ]),
        "swap of what is shared, freed and read again": (0, [
            ("mmap", (1, 0, 4 * block, RW, "anon")), ("touch", (1, 0, 3 * block, W)),
            ("madvise", (1, 0, 3 * block, MADV_PAGEOUT)), ("touch", (1, 0, block, W)), ("fork", (1, 2)),
            ("touch", (2, block, quarter, W)), ("munmap", (1, 2 * block, half)), ("exit", (2,)),
            ("mmap", (1, 4 * block, block, RW, "shmem-shared")), ("touch", (1, 4 * block, block, W)),
            ("madvise", (1, 4 * block, block, MADV_PAGEOUT)), ("touch", (1, 4 * block, 1, R)),
        ]),
        "swapoff of what is private, shared and forked": (0, [
            ("mmap", (1, 0, 2 * block, RW, "anon")), ("touch", (1, 0, 2 * block, W)),
            ("mmap", (1, 3 * block, block, RW, "shmem-shared")), ("touch", (1, 3 * block, block, W)), ("fork", (1, 2)),
            ("madvise", (1, 3 * block, block, MADV_PAGEOUT)), ("madvise", (1, 0, 2 * block, MADV_PAGEOUT)),
            ("touch", (2, 0, quarter, W)), ("swapoff", ()), ("touch", (1, 0, 2 * block, W)),
            ("touch", (2, 0, 2 * block, R)), ("touch", (1, 3 * block, block, R)),
        ]),
        "reclaim of a folio of which a page was copied and is in swap (folio_referenced_one, try_to_unmap_one)": (0, [
            ("mmap", (1, 0, block, RW, "shmem-private")), ("touch", (1, 0, block, R)), ("touch", (1, half, 1, W)),
            ("madvise", (1, half, 1, MADV_PAGEOUT)), ("madvise", (1, 0, block, MADV_PAGEOUT)),
            ("touch", (1, 0, block, R)),
        ]),
        "fork of a folio, part by part": (0, [
            ("mmap", (1, 0, 4 * block, RW, "anon")), ("touch", (1, 0, 3 * block, W)), ("fork", (1, 2)),
            ("touch", (2, quarter, half, W)), ("fork", (2, 3)), ("munmap", (1, half, block)),
            ("touch", (3, 0, 3 * block, W)), ("exit", (2,)), ("touch", (1, 0, quarter, W)),
        ]),
    }  # fmt: skip


@check("stateful.history", source="kernel bug fixes, named in the failure")
def history(context: Context) -> None:
    """Programs that broke kernels once do as their users expect."""
    for variant in context.variants():
        block = block_pages(variant.geometry)
        order = block.bit_length() - 1
        for name, (larger, steps) in programs(block).items():
            orders = 1 << order + larger
            run(Driver(variant, orders, 1 << order), name, steps, arena(variant))


def run(driver: Driver, name: str, steps: Sequence[Choice], size: int) -> None:
    """Every step, everything compared after each."""
    for step in steps:
        try:
            perform(driver, step, size)
            driver.compare()
        except CheckFailed as error:
            raise CheckFailed(f"{name}: {error}", error.steps) from None
