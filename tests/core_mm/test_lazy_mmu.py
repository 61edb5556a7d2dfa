"""Lazy MMU mode: what core-mm's functions call of an architecture, and what arm64 puts off."""

from __future__ import annotations

import pytest

from arches.arm64.contpte import set_ptes
from arches.arm64.pgtable import set_pte
from arches.generic import arch as generic
from core_mm.lazy_mmu import (
    is_lazy_mmu_mode_active,
    lazy_mmu_mode_disable,
    lazy_mmu_mode_enable,
    lazy_mmu_mode_pause,
    lazy_mmu_mode_resume,
)  # fmt: skip
from tests.core_mm.conftest import Maker

CALLS = {
    "enable": lazy_mmu_mode_enable, "disable": lazy_mmu_mode_disable, "pause": lazy_mmu_mode_pause,
    "resume": lazy_mmu_mode_resume,
}  # fmt: skip
ROOTS = [*CALLS.values(), is_lazy_mmu_mode_active]
OF_ARM64 = [*ROOTS, set_pte, set_ptes]
ENTRY = 1 << 20  # index of an entry that nobody uses
KERNEL, USER = 1 | 1 << 54, 1 | 1 << 6 | 1 << 54  # valid and not executable at EL0, accessible there or not
INIT_MM = 1


def does(words: str) -> list[str]:
    """Names of functions."""
    return ["lazy_mmu_mode_" + word for word in words.split()]


@pytest.mark.parametrize(
    ("words", "active"),
    [
        ("enable", 1), ("enable disable", 0), ("enable enable disable", 1), ("enable enable disable disable", 0),
        ("enable pause", 0), ("enable pause resume", 1), ("enable pause pause resume", 0),
        ("enable pause enable enable", 0), ("enable pause disable resume", 1), ("pause enable resume", 0),
    ],
)  # fmt: skip
def test_sections_of_7_x(bench: Maker, words: str, active: int) -> None:
    """As the comment above them in include/linux/pgtable.h has it: nested, and without effect while paused."""
    machine = bench(arch=generic, release="7.3", roots=ROOTS).machine
    for name in does(words):
        assert machine.call(name) == 0
    assert machine.call("is_lazy_mmu_mode_active") == active
    assert machine.memory.get("mach", "warned") == 0


@pytest.mark.parametrize("words", ["disable", "enable disable disable", "resume", "pause resume resume"])
def test_unbalanced_calls_warn(bench: Maker, words: str) -> None:
    """VM_WARN_ON_ONCE() of a count that would fall below none; the counts stay as they are."""
    made = bench(arch=generic, release="7.3", roots=ROOTS)
    for name in does(words):
        made.machine.call(name)
    assert made.scalar("warned") == 1
    assert (made.scalar("lazy_enabled"), made.scalar("lazy_paused")) == (0, 0)


def test_barriers_of_kernel_entries_wait(bench: Maker) -> None:
    """arm64, Linux 7.3: one pair of barriers for all that waits, where an inner section, a pause or it all ends."""
    made = bench(release="7.3", roots=OF_ARM64)
    call, barriers = made.machine.call, lambda: made.since("dsb_ishst", "isb")
    call("set_pte", ENTRY, KERNEL)
    assert barriers() == [1, 1]  # outside of a section at once
    call("lazy_mmu_mode_enable")
    for i in range(8):
        call("set_pte", ENTRY + i, KERNEL)
    call("set_ptes", INIT_MM, 0, ENTRY, KERNEL, 8)
    assert barriers() == [0, 0]
    for ending in ("enable disable", "pause resume"):
        for name in does(ending):
            call(name)
        assert barriers() == [1, 1]
        call("set_pte", ENTRY, KERNEL)
    call("lazy_mmu_mode_disable")
    assert barriers() == [1, 1]
    call("lazy_mmu_mode_enable")
    call("set_pte", ENTRY, USER)  # TLB maintenance has the barriers of user entries
    call("set_pte", ENTRY, 0)
    call("lazy_mmu_mode_disable")
    assert barriers() == [0, 0]


def test_barriers_of_6_12_do_not(bench: Maker) -> None:
    """Every kernel entry that becomes valid has its own, in a section and out of it."""
    made = bench(release="6.12", roots=OF_ARM64)
    made.machine.call("lazy_mmu_mode_enable")
    made.machine.call("set_ptes", INIT_MM, 0, ENTRY, KERNEL, 8)
    assert made.since("dsb_ishst", "isb") == [8, 8]
    made.machine.call("lazy_mmu_mode_disable")
    assert made.since("dsb_ishst", "isb") == [0, 0]
