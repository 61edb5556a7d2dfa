"""The check of what hooks say that add rights to an entry, on hooks that say otherwise."""

from __future__ import annotations

import pytest

from mmarch.check.tiers.access_flags import access_flags_said
from tests.mmarch.check.edited import told
from tests.mutants.mutant import Edit

CONTPTE, FAULT, PMD = "arches.arm64.contpte", "arches.arm64.fault", "arches.arm64.pmd"
SAYS = {
    "ptep_set_access_flags": Edit(FAULT, "if pte == entry:\n        return 0", "if pte == entry:\n        return 1"),
    "has said otherwise": Edit(PMD, "if pmd == entry:\n        return 0", "if pmd == entry:\n        return 1"),
    "says that it does not": Edit(
        CONTPTE,
        "        flush_block(VMA.vm_mm[vma], base)\n    return 1",
        "        flush_block(VMA.vm_mm[vma], base)\n    return 0",
    ),
}


@pytest.mark.parametrize("words", SAYS)
def test_a_hook_that_says_otherwise(words: str) -> None:
    """That it has changed what was so already, of entries or of leaves alone, or not what it has."""
    assert words in told(access_flags_said, SAYS[words], "arm64", release="6.12")
