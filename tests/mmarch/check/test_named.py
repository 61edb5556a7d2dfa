"""The check that core-mm's own functions get what parameters are named after, on a core-mm that does otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from mmarch.check.tiers.counting import arguments_are_named
from tests.mmarch.check.edited import told
from tests.mutants.mutant import Edit

ARM64: dict[str, Any] = {"arch": "arm64", "release": "6.12", "share": 0.1}
ADDS = "folio_add_anon_rmap_ptes(folio, {}, {}, vma, {}, exclusive)"
ZAPS = "return nr, zap_present_folio_ptes(tlb, vma, folio, page, {}, pte, nr, addr)"
UNMAPS = "return unmap_page_range(tlb, vma, start, {}, details)"


def wrong(module: str, call: str, right: tuple[str, ...], instead: tuple[str, ...]) -> Edit:
    """A call with other arguments."""
    return Edit(module, call.format(*right), call.format(*instead))


def added(page: str, nr: str, address: str) -> Edit:
    """What is swapped in is mapped."""
    return wrong("core_mm.memory.swap_fault", ADDS, ("page", "nr", "address"), (page, nr, address))


WRONG = {
    "nr is some": added("page", "0", "address"),
    "address lies in vma": added("page", "nr", "address + (1 << 40)"),
    "page is one of folio": added("page + (1 << 9)", "nr", "address"),
    "ptep is the entry of addr": wrong("core_mm.memory.zap", ZAPS, ("ptep",), ("(ptep ^ 1)",)),
    "addr < end": wrong("core_mm.memory.zap", UNMAPS, ("end",), ("start",)),
}


@pytest.mark.parametrize("rule", WRONG)
def test_a_function_that_gets_something_else(rule: str) -> None:
    """The function, the arguments that are wrong, and what they ought to be."""
    said = told(arguments_are_named, WRONG[rule], **ARM64)
    assert said.startswith("core-mm calls "), said
    assert f"right is: {rule}" in said, said
