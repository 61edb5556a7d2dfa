"""The check of what core-mm observes, on a core-mm that looks away."""

from __future__ import annotations

import pytest

from mmarch.check.tiers.observed import observed
from tests.mmarch.check.edited import told
from tests.mutants.mutant import Edit

BLIND = {
    "a task's anonymous pages": Edit(
        "core_mm.observe", "        seen[at + BITS] = MM.rss_anon[mm]\n", "        seen[at + BITS] = MM.rss_file[mm]\n"
    ),
    "pages of files": Edit(
        "core_mm.observe", "    at = new_row(SEEN_CACHED if page else SEEN_STORED", "    at = new_row(SEEN_STORED"
    ),
    "what is dirty": Edit(
        "core_mm.observe", "        bits |= SEEN_DIRTY\n", "        bits = SEEN_DIRTY\n",
    ),
    "which page of its folio is mapped": Edit(
        "core_mm.observe", "    seen[at + PLACE] = pfn - folio\n", "    seen[at + PLACE] = 0\n"
    ),
    "the entry": Edit(
        "core_mm.observe", "pte_advance_pfn(pte, -pfn)\n        seen[at + BITS]", "pte\n        seen[at + BITS]"
    ),
    "that a row is new": Edit("core_mm.observe", "        seen[first + column] = 0\n", "        pass\n"),
    "the last row": Edit("core_mm.observe", "first + WIDTH > cfg", "first + WIDTH >= cfg"),
}  # fmt: skip


@pytest.mark.parametrize("what", BLIND)
def test_something_is_not_seen(what: str) -> None:
    """A row, and what of it is not so."""
    said = told(observed, BLIND[what], "arm64", release="6.12", share=0.1)
    assert "observed row" in said, said
