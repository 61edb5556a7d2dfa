"""Fences: how many, of which kind, on how many harts (arch/riscv/mm/tlbflush.c)."""

from __future__ import annotations

import pytest
from mmarch.testing import Bench

from .support import PAGE, RW_USER, A, leaf

HARTS = 4


def bench_of(cpu: str, release: str = "6.12") -> Bench:
    """A bench of one CPU model."""
    return Bench("riscv_svnapot", cpu=cpu, release=release)


@pytest.mark.parametrize("pages", [1, 2, 64])
def test_ranges_up_to_the_threshold_go_page_by_page(bench: Bench, pages: int) -> None:
    """flush_tlb_range: one SFENCE.VMA of address and ASID for each page, up to 64."""
    bench.flush_tlb_range(bench.vma, bench.addr, bench.addr + pages * PAGE)
    assert bench.tlbi() == [("sfence_vma_va_asid", bench.addr + i * PAGE, 1) for i in range(pages)]
    assert bench.counts() == {"sfence_vma_va_asid": pages}


def test_longer_ranges_go_whole(bench: Bench) -> None:
    """65 pages are one SFENCE.VMA of the ASID."""
    bench.flush_tlb_range(bench.vma, bench.addr, bench.addr + 65 * PAGE)
    assert bench.tlbi() == [("sfence_vma_asid", 0, 0)]


def test_pmd_leaves_take_one_fence_each(bench: Bench) -> None:
    """flush_pmd_tlb_range has a stride of 2 MiB."""
    bench.flush_pmd_tlb_range(bench.vma, bench.addr, bench.addr + (3 << 21))
    assert [a - bench.addr for _, a, _ in bench.tlbi()] == [0, 2 << 20, 4 << 20]


def test_one_page(bench: Bench) -> None:
    """flush_tlb_page: one fence, of the page that the address lies in."""
    bench.flush_tlb_page(bench.vma, bench.addr + 5 * PAGE + 123)
    assert bench.tlbi() == [("sfence_vma_va_asid", bench.addr + 5 * PAGE, 1)]


def test_all_and_mm(bench: Bench) -> None:
    """flush_tlb_mm takes the ASID, flush_tlb_all everything."""
    bench.flush_tlb_mm(bench.mm)
    bench.flush_tlb_all()
    assert [op for op, _, _ in bench.tlbi()] == ["sfence_vma_asid", "sfence_vma"]


def test_other_harts_by_ipi() -> None:
    """Without SBI fences an IPI goes to each other hart, and every hart runs the same loop."""
    bench = bench_of("rva23")
    bench.flush_tlb_range(bench.vma, bench.addr, bench.addr + 3 * PAGE)
    assert bench.counts() == {"ipi": HARTS - 1, "sfence_vma_va_asid": 3 * HARTS}


def test_other_harts_by_sbi() -> None:
    """With SBI fences one call says it all, whatever the range."""
    bench = bench_of("rva20")
    bench.flush_tlb_page(bench.vma, bench.addr)
    bench.flush_tlb_range(bench.vma, bench.addr, bench.addr + 100 * PAGE)
    bench.flush_tlb_mm(bench.mm)
    bench.flush_tlb_all()
    assert bench.tlbi() == [
        ("sbi_remote_sfence_page", bench.addr, 1),
        ("sbi_remote_sfence_range", bench.addr, 100),
        ("sbi_remote_sfence_asid", 0, 0),
        ("sbi_remote_sfence_all", 0, 0),
    ]
    assert "ipi" not in bench.counts()


def test_svinval_is_used_by_7x_for_more_than_a_page() -> None:
    """SFENCE.W.INVAL, a SINVAL.VMA a page, SFENCE.INVAL.IR; 6.12 does not know it."""
    for release, expected in [
        ("7.3", {"ipi": 3, "sfence_w_inval": 4, "sinval_vma_va_asid": 20, "sfence_inval_ir": 4}),
        ("6.12", {"ipi": 3, "sfence_vma_va_asid": 20}),
    ]:
        bench = bench_of("rva23", release)
        bench.flush_tlb_range(bench.vma, bench.addr, bench.addr + 5 * PAGE)
        assert bench.counts() == expected
        bench.reset()
        bench.flush_tlb_page(bench.vma, bench.addr)
        assert bench.counts() == {"ipi": 3, "sfence_vma_va_asid": 4}


def test_new_entries_are_fenced_unless_svvptc(bench: Bench, full: Bench) -> None:
    """update_mmu_cache_range and update_mmu_tlb_range: a local fence a page, last page first."""
    for hook in ("update_mmu_cache_range", "update_mmu_tlb_range"):
        vmf = (0,) if hook == "update_mmu_cache_range" else ()
        bench.reset()
        getattr(bench, hook)(*vmf, bench.vma, bench.addr, bench.ptep, 3)
        assert bench.tlbi() == [("sfence_vma_va_local", bench.addr + i * PAGE, 1) for i in (2, 1, 0)]
        getattr(full, hook)(*vmf, full.vma, full.addr, full.ptep, 3)
    assert full.tlbi() == []


def test_access_flags_of_an_entry() -> None:
    """With Svvptc ptep_set_access_flags flushes by itself; without, it says 1 so that the caller fences."""
    for cpu, unchanged, flushes in [("rva23-full", 0, 1), ("rva20", 1, 0)]:
        bench = bench_of(cpu)
        bench.set_ptes(bench.mm, bench.addr, bench.ptep, leaf(9, RW_USER & ~A), 1)
        for changed, result in [(flushes, 1), (0, unchanged)]:
            bench.reset()
            entry = leaf(9, RW_USER)
            assert bench.ptep_set_access_flags(bench.vma, bench.addr, bench.ptep, entry, 0) == result
            assert len(bench.tlbi()) == changed
        assert bench.raw(bench.ptep) == leaf(9, RW_USER)


def gather(bench: Bench, **fields: int) -> int:
    """A gather that recorded 8 pages."""
    row = bench.machine.memory.tables["GATHER"][1]
    row["mm"], row["start"], row["end"], row["cleared_ptes"] = bench.mm, bench.addr, bench.addr + 8 * PAGE, 1
    for name, value in fields.items():
        row[name] = value
    return 1


def test_gathered_leaves_are_flushed_by_range(bench: Bench) -> None:
    """tlb_flush: a fence for each page recorded, each PMD leaf if only such were."""
    bench.tlb_flush(gather(bench))
    assert len(bench.tlbi()) == 8
    bench.reset()
    bench.tlb_flush(gather(bench, cleared_ptes=0, cleared_pmds=1, end=bench.addr + (2 << 21)))
    assert [a for _, a, _ in bench.tlbi()] == [bench.addr, bench.addr + (1 << 21)]


@pytest.mark.parametrize("field", ["fullmm", "need_flush_all", "freed_tables"])
def test_the_rest_flushes_the_address_space(bench: Bench, field: str) -> None:
    """tlb_flush: freed tables need it because a fence with an address leaves cached pointers alone."""
    bench.tlb_flush(gather(bench, **{field: 1}))
    assert bench.tlbi() == [("sfence_vma_asid", 0, 0)]


def test_reclaim_defers_and_then_flushes_everything() -> None:
    """arch_tlbbatch_add_pending only remembers harts, arch_tlbbatch_flush drops all that they have."""
    bench = bench_of("rva23")
    assert bench.arch_tlbbatch_should_defer(bench.mm) == 1
    bench.arch_tlbbatch_add_pending(bench.mm, bench.addr, bench.addr + PAGE)
    assert bench.tlbi() == []
    bench.arch_tlbbatch_flush()
    assert bench.tlbi() == [("sfence_vma", 0, 0)]
    assert bench.counts() == {"ipi": 3, "sfence_vma": 4}


def test_every_event_is_described() -> None:
    """The TLB model says what each invalidation does, and names no event that is not counted."""
    arch = bench_of("rva23").arch
    assert arch.tlb_model is not None
    assert set(arch.tlb_model.tlbi) == set(arch.group("tlbi"))
    assert set(arch.events) - set(arch.tlb_model.tlbi) == {"sfence_w_inval", "sfence_inval_ir", "ipi"}
