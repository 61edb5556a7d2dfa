"""Flushes: which instructions, how many, on how many CPUs (arch/x86/mm/tlb.c)."""

from __future__ import annotations

import pytest
from mmarch.testing import Bench

from .support import PAGE

CEILING = 33


def flush(cpu: str, pages: int, release: str = "6.12") -> Bench:
    """A bench on which flush_tlb_range ran over so many pages."""
    bench = Bench("x86", cpu=cpu, release=release)
    bench.flush_tlb_range(bench.vma, bench.addr, bench.addr + pages * PAGE)
    return bench


@pytest.mark.parametrize("pages", [1, 2, CEILING])
def test_page_by_page_up_to_the_ceiling(pages: int) -> None:
    """One INVLPG a page for up to 33 pages."""
    bench = flush("single", pages)
    assert bench.tlbi() == [("invlpg", bench.addr + i * PAGE, 1) for i in range(pages)]
    assert bench.counts() == {"invlpg": pages}


def test_everything_above_the_ceiling() -> None:
    """34 pages are a write of CR3."""
    assert flush("single", CEILING + 1).counts() == {"cr3_write": 1}


def test_pmd_leaves_count_as_one_each() -> None:
    """tlb_flush of 4 MiB of PMD leaves: two INVLPG, as the stride is 2 MiB."""
    bench = Bench("x86", cpu="single")
    bench.tlb_flush(gather(bench, cleared_ptes=0, cleared_pmds=1, end=bench.addr + (2 << 21)))
    assert [a - bench.addr for _, a, _ in bench.tlbi()] == [0, 1 << 21]


def test_pti_doubles() -> None:
    """With PTI the user PCID is flushed too: INVPCID a page, or once on the way back to user space."""
    assert flush("skylake-pti", 3).counts() == {"invlpg": 24, "invpcid_one": 24, "ipi": 7}
    assert flush("sandybridge-pti", 3).counts() == {"invlpg": 12, "user_pcid_flush": 12, "ipi": 3}
    assert flush("haswell-pti", 99).counts() == {"cr3_write": 4, "user_pcid_flush": 4, "ipi": 3}


def test_other_cpus_by_ipi() -> None:
    """Seven IPIs, and eight CPUs that flush."""
    assert flush("zen3", 5).counts() == {"invlpg": 40, "ipi": 7}


@pytest.mark.parametrize(
    ("pages", "expected"),
    [
        (1, [("invlpgb_range", 0, 1)]),
        (8, [("invlpgb_range", 0, 8)]),
        (20, [("invlpgb_range", 0, 8), ("invlpgb_range", 8, 8), ("invlpgb_range", 16, 4)]),
        (34, [("invlpgb_pcid", None, 0)]),
    ],
)
def test_broadcast(pages: int, expected: list[tuple[str, int | None, int]]) -> None:
    """7.x on CPUs with INVLPGB: chunks of the maximum count, one TLBSYNC, no IPI."""
    bench = flush("zen5-invlpgb", pages, "7.3")
    found = [(op, (a - bench.addr) // PAGE if a else None, n) for op, a, n in bench.tlbi()]
    assert found == expected
    counts = bench.counts()
    assert counts["tlbsync"] == 1
    assert "ipi" not in counts


def test_broadcast_needs_7x() -> None:
    """6.12 does not know INVLPGB."""
    assert flush("zen5-invlpgb", 5).counts() == {"invlpg": 40, "ipi": 7}


@pytest.mark.parametrize(
    ("feature", "value", "expected"),
    [("cpus", 3, {"invlpg": 15, "ipi": 2}), ("pti", 1, {"invlpgb_range": 2, "tlbsync": 1})],
)
def test_who_broadcasts(feature: str, value: int, expected: dict[str, int]) -> None:
    """Processes on four CPUs or more have a global ASID; with PTI the user PCID is flushed too."""
    bench = Bench("x86", cpu="zen5-invlpgb", release="7.3")
    bench.machine.memory.set("cpu", feature, value)
    bench.flush_tlb_range(bench.vma, bench.addr, bench.addr + 5 * PAGE)
    assert bench.counts() == expected


def test_broadcast_of_pmd_leaves() -> None:
    """A range of 2 MiB strides takes as many of them in one instruction as of pages."""
    bench = Bench("x86", cpu="zen5-invlpgb", release="7.3")
    bench.tlb_flush(gather(bench, cleared_ptes=0, cleared_pmds=1, end=bench.addr + (3 << 21)))
    assert bench.tlbi() == [("invlpgb_range", bench.addr, 3 * 512)]


def test_one_page_and_all(bench: Bench) -> None:
    """flush_tlb_page rounds down; flush_tlb_mm writes CR3; flush_tlb_all goes by INVPCID."""
    bench.flush_tlb_page(bench.vma, bench.addr + 5 * PAGE + 7)
    bench.flush_tlb_mm(bench.mm)
    bench.flush_tlb_all()
    assert bench.tlbi() == [("invlpg", bench.addr + 5 * PAGE, 1), ("cr3_write", 0, 0), ("invpcid_all", 0, 0)]


def gather(bench: Bench, **fields: int) -> int:
    """A gather that recorded 8 pages."""
    row = bench.machine.memory.tables["GATHER"][1]
    row["mm"], row["start"], row["end"], row["cleared_ptes"] = bench.mm, bench.addr, bench.addr + 8 * PAGE, 1
    for name, value in fields.items():
        row[name] = value
    return 1


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "invlpg"),
        ({"freed_tables": 1}, "invlpg"),
        ({"fullmm": 1}, "cr3_write"),
        ({"need_flush_all": 1}, "cr3_write"),
    ],
)
def test_gathers(bench: Bench, fields: dict[str, int], expected: str) -> None:
    """tlb_flush: the range, also with freed tables as INVLPG drops walk caches; all if the mm goes away."""
    bench.tlb_flush(gather(bench, **fields))
    assert {op for op, _, _ in bench.tlbi()} == {expected}
    assert len(bench.tlbi()) == (8 if expected == "invlpg" else 1)


def test_vmas_share_a_flush(bench: Bench) -> None:
    """tlb_merge_vmas: MMU_GATHER_MERGE_VMAS is selected."""
    assert bench.tlb_merge_vmas() == 1


def test_reclaim_defers_only_where_ipis_are_saved() -> None:
    """arch_tlbbatch_should_defer: not on one CPU."""
    assert [Bench("x86", cpu=cpu).arch_tlbbatch_should_defer(2) for cpu in ("single", "zen3")] == [0, 1]


def test_a_cpu_that_is_behind_flushes_all() -> None:
    """After arch_tlbbatch_add_pending a range will not do, until something has flushed it all."""
    bench = Bench("x86", cpu="zen3")
    page = (bench.vma, bench.addr)
    bench.arch_tlbbatch_add_pending(bench.mm, bench.addr, bench.addr + PAGE)
    for _ in range(2):
        bench.flush_tlb_page(*page)
    bench.arch_tlbbatch_add_pending(bench.mm, bench.addr, bench.addr + PAGE)
    bench.arch_tlbbatch_flush()
    bench.flush_tlb_page(*page)
    assert [op for op, _, _ in bench.tlbi()] == ["cr3_write", "invlpg", "cr3_write_loaded", "invlpg"]


def test_deferred_flushes_by_broadcast() -> None:
    """7.x with INVLPGB: one broadcast and a TLBSYNC."""
    bench = Bench("x86", cpu="zen5-invlpgb", release="7.3")
    bench.arch_tlbbatch_flush()
    assert bench.counts() == {"invlpgb_all": 1, "tlbsync": 1}


def test_every_event_is_described() -> None:
    """The TLB model says what each invalidation does, and names no event that is not counted."""
    arch = Bench("x86").arch
    assert arch.tlb_model is not None
    assert set(arch.tlb_model.tlbi) == set(arch.group("tlbi"))
    assert set(arch.events) - set(arch.tlb_model.tlbi) == {"tlbsync", "ipi", "user_pcid_flush"}
