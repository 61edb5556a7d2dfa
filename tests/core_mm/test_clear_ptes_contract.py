"""What the December 2023 patch "mm: Batch-clear PTE ranges during zap_pte_range()" promises of clear_ptes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pluggy
import pytest

from core_mm import hookspecs, uapi
from tests.support.twin import ARCHES, Twin

BASE, PAGE, PAGES = 1 << 38, 4096, 16
SHARED = uapi.MAP_SHARED | uapi.MAP_ANONYMOUS | uapi.MAP_FIXED
RW = uapi.PROT_READ | uapi.PROT_WRITE
LAST, MIDDLE = PAGES - 1, PAGES // 2


def watch(seen: list[dict[str, int]]) -> object:
    """An overlay that notes each call of clear_ptes and what it returned."""

    def clear_ptes(mm: int, addr: int, ptep: int, nr: int, full: int):  # type: ignore[no-untyped-def]
        pte = yield
        seen.append({"addr": addr, "nr": nr, "pte": pte})
        return pte

    mark = pluggy.HookimplMarker(hookspecs.PROJECT)
    return SimpleNamespace(clear_ptes=mark(wrapper=True)(clear_ptes))


def mapped(arch: str, release: str, seen: list[dict[str, int]]) -> tuple[Twin, Any, int]:
    """Two 64 KiB shared folios side by side, every PTE old and clean; the machine, its entries, the first's index."""
    twin = Twin("interpreted", arch=arch, release=release, shmem_orders=1 << 4, overlays=[watch(seen)])
    assert twin.do(uapi.OP_MMAP, 1, BASE, 2 * PAGES * PAGE, RW, SHARED, -1) == BASE
    assert twin.do(uapi.OP_TOUCH, 1, BASE, 2 * PAGES, uapi.ACCESS_WRITE) == 0
    ptes = twin.machine.memory.arrays["ptes"]
    first = next(i for i in range(len(ptes)) if ptes[i] and i % 512 == 0 and all(ptes[i : i + 2 * PAGES]))
    winners = twin.machine.winners
    for i in range(first, first + 2 * PAGES):
        ptes[i] = winners["pte_mkold"](winners["pte_mkclean"](int(ptes[i])))
    return twin, ptes, first


# the fourth version batches only where the architecture hints, which generic does not
CASES = [
    (arch, release)
    for arch in sorted(ARCHES)
    for release in ("contpte-v3", "contpte-v4", "6.12", "7.3")
    if (arch, release) != ("generic", "contpte-v4")
]


@pytest.mark.parametrize(("arch", "release"), CASES)
def test_dirty_of_the_last_and_young_of_a_middle_page_are_returned(arch: str, release: str) -> None:
    """The returned PTE is the first one, with both; the folio is marked once; the batch ends with the folio."""
    seen: list[dict[str, int]] = []
    twin, ptes, first = mapped(arch, release, seen)
    winners = twin.machine.winners
    entry = int(ptes[first])
    ptes[first + LAST] = winners["pte_mkdirty"](int(ptes[first + LAST]))
    ptes[first + MIDDLE] = winners["pte_mkyoung"](int(ptes[first + MIDDLE]))
    caused = twin.measure(uapi.OP_MUNMAP, 1, BASE, 2 * PAGES * PAGE)

    batch = seen[0]
    assert batch["addr"] == BASE
    assert winners["pte_dirty"](batch["pte"]) and winners["pte_young"](batch["pte"])
    clean = winners["pte_mkold"](winners["pte_mkclean"](batch["pte"]))
    assert clean == entry
    assert caused["folio_mark_dirty"] == 1
    assert caused["folio_mark_accessed"] == 1
    assert [call["nr"] for call in seen] == [PAGES, PAGES]
