"""Comparing a step: what counts, and what does not."""

import json

import pytest

from mmarch.measurement import Phase, Ptes
from mmarch.measurement.notation import (
    Frame,
    Leaf,
    Observed,
    Tlbi,
    attributes,
    coded,
    entries,
    first_address,
    pte_runs,
)
from mmarch.truth.compare_steps import compare_phase, compare_ptes, is_compared

PAGE = 4096
BASE = 0x200200000
FRAME = Frame(PAGE, BASE)
AF, NG, UXN, DBM, DIRTY, CONT, RO, USER = 1 << 10, 1 << 11, 1 << 54, 1 << 51, 1 << 55, 1 << 52, 1 << 7, 1 << 6
WRITABLE = 1 | USER | AF | NG | UXN | DBM | DIRTY


def phase(**fields):
    """A measured phase with nothing in it but `fields`."""
    base = {"scenario": "s", "order": 0, "kind": "anon", "phase": "p", "type": "phase", "tlbi": [], "tlbi_listed": True,
            "tlbi_region": {}, "aside1is": 0, "convert": 0, "dsb_tlb": {}, "calls": {}}  # fmt: skip
    return Phase.model_validate_json(json.dumps({**base, **fields}))


def at(page, op="vale1is", pages=1, ttl=0):
    """A TLBI at a page from BASE."""
    return Tlbi(op, BASE + page * PAGE, pages, ttl)


def fields(found):
    """The names of the fields that differ."""
    return [difference.field for difference in found]


def test_runs_take_the_step_of_their_second_entry():
    """Greedy coding: zero, negative and large steps; a run ends where the step changes."""
    pages = [0, 1, 2, 2, 2, 9, 8, 7]
    runs = coded(entries([at(p) for p in pages], FRAME))
    assert runs == [("vale1is", 0, 1, 0, 3, 1), ("vale1is", 2, 1, 0, 2, 0), ("vale1is", 9, 1, 0, 3, -1)]


def test_runs_end_where_operation_pages_or_hint_change():
    """Neighbours of another kind are runs of their own; whole-ASID ones have no page."""
    tlbi = [
        at(0),
        at(1, ttl=7),
        at(2, "rvale1is", 16, 3),
        at(18, "rvale1is", 2, 3),
        Tlbi("aside1is"),
        Tlbi("aside1is"),
    ]
    assert [run[4] for run in coded(entries(tlbi, FRAME))] == [1, 1, 1, 1, 2]
    assert coded(entries(tlbi, FRAME))[-1] == ("aside1is", None, None, None, 2, 0)


def test_errata_and_foreign_addresses_are_not_listed():
    """The repeated invalidation of address 0 and those outside the scenarios' addresses do not break a run."""
    tlbi = [at(0), Tlbi("vale1is", 0), at(1), Tlbi("vale1is", 0xFFFF_0000_0000), at(2), Tlbi("vmalle1is")]
    assert coded(entries(tlbi, FRAME)) == [("vale1is", 0, 1, 0, 3, 1)]
    assert first_address(tlbi[1:]) == BASE + PAGE


def test_regions_name_the_operation():
    """With regions, the name follows the operation and pages count from the region's start."""
    frame = Frame(PAGE, regions=(("A", BASE, 4 * PAGE), ("B", BASE + (10 << 20), PAGE)))
    found = entries([at(3), at(2560, "vae1is"), at(5)], frame)
    assert [(run[0], run[1]) for run in found] == [("vale1is A", 3), ("vae1is B", 0), ("vale1is A", 5)]


def test_an_equal_phase_has_no_differences():
    """Order, operands, conversions, DSBs and calls agree."""
    measured = phase(tlbi=[["vale1is", 0, 1, 7, 2, 1]], dsb_tlb={"ish": 1}, calls={"tlb_finish_mmu": 1})
    seen = Observed(
        [at(0, ttl=7), at(1, ttl=7)], {"ish": 1, "nsh": 0}, {"tlb_finish_mmu": 1, "do_wp_page": 5}
    )
    assert compare_phase(measured, seen, FRAME) == []


@pytest.mark.parametrize(
    ("seen", "field"),
    [(Observed([at(1), at(0)]), "tlbi"), (Observed([at(0), at(1, ttl=7)]), "tlbi"), (Observed([at(0)]), "tlbi"),
     (Observed([at(0), at(1)], {"ish": 1}), "dsb"),
     (Observed([at(0), at(1)], {}, {"tlb_next_batch": 1}), "calls tlb_next_batch"),
     (Observed([at(0), at(1)], {}, {"contpte_set_ptes": 1}), "calls contpte_set_ptes")],
)  # fmt: skip
def test_a_phase_differs_in_order_operand_number_dsb_or_call(seen, field):
    """Each is found, and only it."""
    assert fields(compare_phase(phase(tlbi=[["vale1is", 0, 1, 0, 2, 1]]), seen, FRAME)) == [field]


def test_conversions_are_counted_by_their_calls():
    """`convert` is the number of contpte_convert entries."""
    seen = Observed(calls={"contpte_convert": 3})
    assert fields(compare_phase(phase(convert=2, calls={"contpte_convert": 3}), seen, FRAME)) == ["convert"]


def test_steps_of_processes_compare_region_and_conversions_only():
    """Fork, exit and reap: the recording program's own pages hide in DSBs, calls and whole-ASID operations."""
    tlbi = [["aside1is", None, None, None, 2, 0]]
    measured = phase(tlbi=tlbi, aside1is=2, dsb_tlb={"ish": 9}, calls={"tlb_next_batch": 4})
    assert compare_phase(measured, Observed([Tlbi("aside1is")]), FRAME, process=True) == []
    assert fields(compare_phase(measured, Observed([at(0)]), FRAME, process=True)) == ["tlbi"]
    assert fields(compare_phase(measured, Observed(), FRAME)) == ["tlbi", "dsb", "calls tlb_next_batch"]


def test_an_unlisted_phase_compares_beginning_and_totals():
    """More than 400 instructions: what is listed must come first, and the totals must agree."""
    measured = phase(
        tlbi=[["vale1is", 0, 1, 0, 3, 1]], tlbi_listed=False, tlbi_region={"vale1is": 5}, aside1is=1
    )
    rest = [at(7), at(9), Tlbi("aside1is")]
    assert compare_phase(measured, Observed([at(0), at(1), at(2), *rest]), FRAME) == []
    assert fields(compare_phase(measured, Observed([at(0), at(2), at(1), *rest]), FRAME)) == [
        "tlbi (beginning)"
    ]
    assert fields(compare_phase(measured, Observed([at(0), at(1), at(2), at(7)]), FRAME)) == [
        "tlbi total",
        "aside1is",
    ]


def test_dsbs_may_be_cut_short_only_with_many_conversions():
    """A recording is full after 60,000 events; then fewer DSBs than the twin's are no difference."""
    seen = Observed(dsb={"ish": 4100, "ishst": 2049}, calls={"contpte_convert": 2048})
    assert compare_phase(phase(convert=2048, dsb_tlb={"ish": 3036, "ishst": 1519}), seen, FRAME) == []
    assert fields(compare_phase(phase(convert=2048, dsb_tlb={"ish": 5000}), seen, FRAME)) == ["dsb"]
    few = Observed(dsb={"ish": 6}, calls={"contpte_convert": 2})
    assert fields(compare_phase(phase(convert=2, dsb_tlb={"ish": 4}), few, FRAME)) == ["dsb"]


def test_marks_of_folios_count_where_they_were_traced():
    """folio_mark_dirty and folio_mark_accessed are compared if the file counts them at all."""
    assert not is_compared("folio_mark_dirty", frozenset())
    assert is_compared("folio_mark_dirty", frozenset({"folio_mark_dirty"}))
    assert not is_compared("contpte_convert", frozenset())
    assert is_compared("contpte_ptep_get", frozenset()) and not is_compared(
        "do_wp_page", frozenset({"do_wp_page"})
    )


@pytest.mark.parametrize(
    ("descriptor", "words"),
    [(WRITABLE, "AF rw DBM swdirty nG UXN"), (WRITABLE | CONT, "CONT AF rw DBM swdirty nG UXN"),
     (WRITABLE & ~AF & ~DIRTY | RO, "old RO DBM nG UXN"),
     (WRITABLE & ~DBM & ~DIRTY | RO | 1 << 56, "AF RO nodbm nG special UXN"),
     (WRITABLE & ~USER & ~UXN, "AF rw DBM swdirty nG noEL0"), (0, "none"), (0x123 << 12 | 4, "swap"),
     (NG | AF | DIRTY | UXN | RO, "PROT_NONE AF swdirty"), (NG | UXN | RO, "PROT_NONE old")],
)  # fmt: skip
def test_descriptors_in_words(descriptor, words):
    """Architecture bits, as the measurements name them."""
    assert attributes(descriptor) == words


def dump(runs, complete=True, **fields_):
    """A measured dump."""
    base = {"scenario": "s", "order": 0, "kind": "anon", "phase": "d", "type": "ptes", "pages": 4, "valid_pages": 4,
            "cont_pages": 0, "summary": {}, "runs": runs, "runs_complete": complete}  # fmt: skip
    return Ptes.model_validate_json(json.dumps({**base, **fields_}))


def test_dumps_join_equal_neighbours():
    """Physical contiguity does not matter; levels and attributes do."""
    leaves = [Leaf(0, 3, WRITABLE), Leaf(1, 3, WRITABLE | 7 << 12), Leaf(2, 3, 0), Leaf(3, 2, 0)]
    assert pte_runs(leaves) == [
        (0, "L3", 2, "AF rw DBM swdirty nG UXN"),
        (2, "L3", 1, "none"),
        (3, "L2", 1, "none"),
    ]


def test_dumps_compare_attributes_and_levels():
    """One bit, or one level, is a difference."""
    measured = dump([[0, "L3", 4, "AF rw DBM swdirty nG UXN"]])
    same = [Leaf(i, 3, WRITABLE) for i in range(4)]
    assert compare_ptes(measured, same, PAGE) == []
    assert fields(compare_ptes(measured, [*same[:3], Leaf(3, 3, WRITABLE & ~AF)], PAGE)) == ["ptes"]
    assert fields(compare_ptes(measured, [Leaf(0, 2, WRITABLE)], PAGE)) == ["ptes"]


def test_incomplete_dumps_compare_their_beginning_and_totals():
    """Beyond the listed runs only the totals are known."""
    words = "AF rw DBM swdirty nG UXN"
    measured = dump([[0, "L3", 2, words]], False, summary={f"L3 {words}": 3, "L3 none": 1}, valid_pages=3)
    good = [Leaf(0, 3, WRITABLE), Leaf(1, 3, WRITABLE), Leaf(2, 3, 0), Leaf(3, 3, WRITABLE)]
    assert compare_ptes(measured, good, PAGE) == []
    assert fields(compare_ptes(measured, [*good[:2], *[Leaf(2, 3, WRITABLE)] * 2], PAGE)) == ["ptes in total"]
    assert fields(compare_ptes(measured, [good[2], *good[:2], good[3]], PAGE)) == ["ptes"]
