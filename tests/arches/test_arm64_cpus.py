"""The CPU models of arm64 against ID registers that others have read, and what each feature changes."""

from __future__ import annotations

import pytest

from core_mm import uapi
from mmarch import cpus
from mmarch.plugins import load_arch
from mmarch.testing import Bench
from tests.arches.arm64_registers import REGISTERS, detected
from tests.support.computer import Computer

ARM64 = load_arch("arm64").descriptor
NEUTRAL = {"range", "norange", "max"}  # no silicon
BOOT_LOG = {"grace"}  # which names the features
RELEASES = ("6.12", "7.2", "7.3")
PAGE, BLOCK = 4096, 16
VALID, AF, CONT, UXN = 1, 1 << 10, 1 << 52, 1 << 54


@pytest.mark.parametrize("name", sorted(set(ARM64.cpus) - NEUTRAL - BOOT_LOG))
def test_a_model_is_what_linux_finds_in_its_registers(name: str) -> None:
    """Every feature of every core and machine, by the kernel's own rules."""
    assert dict(cpus.find(ARM64, name).features) == detected(REGISTERS[name])


def test_the_neutral_models_and_the_one_from_a_boot_log() -> None:
    """`norange` is `range` without that; Grace's log names TTL, ranges and dirty state on cores of type Neoverse V2."""
    assert cpus.find(ARM64, "range+notlb_range").features == cpus.find(ARM64, "norange").features
    assert cpus.find(ARM64, "grace").features == cpus.find(ARM64, "neoverse-v2").features


def flushes(cpu: str, release: str = "7.3") -> dict[str, list[str]]:
    """The TLBIs of each way to flush."""
    bench, found = Bench("arm64", cpu=cpu, release=release), {}
    end = bench.addr + 3 * PAGE
    for hook, arguments in (
        ("flush_tlb_page", (bench.vma, bench.addr)), ("flush_tlb_range", (bench.vma, bench.addr, end)),
        ("flush_tlb_mm", (bench.mm,)), ("flush_tlb_all", ()),
    ):  # fmt: skip
        bench.reset()
        getattr(bench, hook)(*arguments)
        found[hook] = [op.removeprefix("tlbi_") for op, _, _ in bench.tlbi()]
    return found


@pytest.mark.parametrize("release", RELEASES)
def test_kpti_doubles_what_has_an_asid(release: str) -> None:
    """`__tlbi_user`: the same operation again for the other ASID; the one for all ASIDs is enough."""
    assert flushes("range", release) == {
        "flush_tlb_page": ["vale1is"], "flush_tlb_range": ["rvae1is", "vae1is"], "flush_tlb_mm": ["aside1is"],
        "flush_tlb_all": ["vmalle1is"],
    }  # fmt: skip
    assert flushes("range+kpti", release) == {
        "flush_tlb_page": ["vale1is"] * 2, "flush_tlb_range": ["rvae1is"] * 2 + ["vae1is"] * 2,
        "flush_tlb_mm": ["aside1is"] * 2, "flush_tlb_all": ["vmalle1is"],
    }  # fmt: skip


def test_the_repeated_invalidation_is_not_doubled() -> None:
    """The workaround's own TLBI is of no address space: `__repeat_tlbi_sync` calls `__tlbi`, not `__tlbi_user`."""
    assert flushes("range+kpti+repeat_tlbi")["flush_tlb_mm"] == ["aside1is"] * 2 + ["repeat"]


@pytest.mark.parametrize("release", RELEASES)
def test_the_repeat_comes_once_a_wait(release: str) -> None:
    """One TLBI and one DSB more for a whole flush, however many operations it has."""
    counts = []
    for cpu in ("norange", "norange+repeat_tlbi"):
        bench = Bench("arm64", cpu=cpu, release=release)
        bench.flush_tlb_range(bench.vma, bench.addr, bench.addr + 5 * PAGE)
        counts.append(bench.counts())
    plain, repeated = counts
    assert (plain["tlbi_vae1is"], plain["dsb_ish"]) == (5, 1)
    assert repeated == {**plain, "tlbi_repeat": 1, "dsb_ish": 2}


def leaf(bench: Bench, executable: bool) -> int:
    """An entry of a page that may be written, or executed."""
    bench.set_flags(0x5 if executable else 0x3)
    prot = bench.vm_get_page_prot(0x5 if executable else 0x3)
    return bench.pte_mkyoung(bench.pfn_pte(bench.folio(), prot))


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    ("cpu", "executable", "tlbis"),
    [
        ("range+erratum_2645198", True, 1),
        ("range+erratum_2645198", False, 0),
        ("range", True, 0),
        ("range", False, 0),
    ],
)
def test_erratum_2645198_flushes_executable_entries(
    release: str, cpu: str, executable: bool, tlbis: int
) -> None:
    """mm/mmu.c:ptep_modify_prot_start, modify_prot_start_ptes: if it may be executed, before it is written again."""
    for hook, arguments in (("ptep_modify_prot_start", ()), ("modify_prot_start_ptes", (1,))):
        bench = Bench("arm64", cpu=cpu, release=release)
        entry = leaf(bench, executable)
        assert bool(entry & UXN) is not executable
        bench.set_ptes(bench.mm, bench.addr, bench.ptep, entry, 1)
        bench.reset()
        assert getattr(bench, hook)(bench.vma, bench.addr, bench.ptep, *arguments) & VALID
        assert bench.raw(bench.ptep) == 0
        assert [(op, address) for op, address, _ in bench.tlbi()] == [("tlbi_vale1is", bench.addr)] * tlbis


def unfolded(cpu: str, release: str) -> tuple[int, int]:
    """Conversions and TLBIs when one entry of a block is cleared."""
    bench = Bench("arm64", cpu=cpu, release=release)
    prot = bench.vm_get_page_prot(0x3)
    bench.set_ptes(bench.mm, bench.addr, bench.ptep, bench.pfn_pte(bench.folio(4), prot), BLOCK)
    assert bench.raw(bench.ptep) & CONT
    bench.reset()
    bench.ptep_get_and_clear(bench.mm, bench.addr, bench.ptep)
    return bench.counts()["contpte_convert"], len(bench.tlbi())


@pytest.mark.parametrize(
    ("cpu", "flushing"),
    [
        ("range", {"6.12": 1, "7.2": 1, "7.3": 1}),
        ("range+bbml3", {"6.12": 1, "7.2": 1, "7.3": 0}),
        ("range+bbml2_noabort+bbml3", {"6.12": 1, "7.2": 0, "7.3": 0}),
        ("neoverse-v3+norepeat_tlbi", {"6.12": 1, "7.2": 0, "7.3": 0}),
    ],
)
def test_with_bbm_a_block_is_unfolded_without_a_flush(cpu: str, flushing: dict[str, int]) -> None:
    """`contpte_convert`: 7.2 asks for level 2 without aborts, 7.3 for level 3, 6.12 for nothing."""
    assert {release: unfolded(cpu, release) for release in flushing} == {
        release: (1, tlbis) for release, tlbis in flushing.items()
    }


@pytest.mark.parametrize("release", RELEASES)
def test_nocontpte_never_sets_the_contiguous_bit(release: str) -> None:
    """Neither at once, nor by folding after the last of single entries."""
    for cpu, contiguous in (("range", True), ("range+nocontpte", False)):
        for singly in (False, True):
            bench = Bench("arm64", cpu=cpu, release=release)
            entry = bench.pfn_pte(bench.folio(4), bench.vm_get_page_prot(0x3))
            for i in range(BLOCK if singly else 1):
                nr = 1 if singly else BLOCK
                bench.set_ptes(bench.mm, bench.addr + i * PAGE, bench.ptep + i, entry + i * PAGE, nr)
            assert {bool(bench.raw(bench.ptep + i) & CONT) for i in range(BLOCK)} == {contiguous}


@pytest.mark.parametrize(("cpu", "young"), [("neoverse-n2", True), ("max", False)])
def test_a_split_forgets_with_lpa2_that_pages_are_young(cpu: str, young: bool) -> None:
    """Bit 52 of a migration entry: SWP_PFN_BITS is 40 then; `set_ptes` clears it, as PTE_CONT. Measured on 6.18.15."""
    made = Computer("interpreted", order=4, cpu=cpu)
    made.map(0, 512)
    made.touch(0, 16)
    made.advise(5, 1, uapi.MADV_COLD)
    assert not made.pte(5) & AF
    assert bool(made.pte(4) & AF) is young
