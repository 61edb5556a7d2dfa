"""The bench of checks: what it remembers of entries is still so."""

from __future__ import annotations

from core_mm.rwonce import READ_ONCE
from core_mm.uapi import ACCESS_WRITE
from mmarch.check.bench import Bench
from mmarch.check.context import Context
from mmarch.check.layouts import folio_order
from mmarch.check.loading import load_named


def folded() -> Bench:
    """A bench of this test's own, with three contiguous blocks of arm64."""
    bench = Bench(Context(load_named("arm64").descriptor, load_named("generic").descriptor).config())
    bench.set(0, bench.value(bench.folio(folio_order(bench)), "w"), 3 * bench.block)
    return bench


def test_a_look_sees_what_any_entry_of_the_block_has_become() -> None:
    """ptep_get of one entry of a block tells of the dirty bit of another (contpte_ptep_get)."""
    bench = folded()
    assert not bench.look(0).dirty
    assert bench.touch(5, ACCESS_WRITE)
    assert bench.look(0).dirty


def test_a_look_that_reads_elsewhere_is_not_remembered() -> None:
    """A ptep_get that asks another block is asked again, though its own block is as it was."""
    bench = folded()
    far, whole = bench.ptep(2 * bench.block), bench.looks(0, 1)
    bench.hook.ptep_get = lambda ptep: bench.core(READ_ONCE)(far)
    assert [bench.look(1).pfn] == [whole[0].pfn + 2 * bench.block]
    bench.table[2 * bench.block] = 0
    assert bench.look(1).kind == "none"
