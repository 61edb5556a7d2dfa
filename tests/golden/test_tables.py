"""The twin's counts against tables worked out from the kernel's algorithms."""

from __future__ import annotations

import pytest

from core_mm import uapi
from tests.golden.tables import COLUMNS, TABLES
from tests.support.twin import A1, ONE_IMAGE, Twin, delta

pytestmark = pytest.mark.optimized

BASE = 1 << 38  # aligned to 1 GiB, far from anything else
GUARD = 2 << 20
PAGE = 4096
SIZES = {"2 MiB": 2 << 20, "1 GiB": 1 << 30}
ANON = uapi.MAP_PRIVATE | uapi.MAP_ANONYMOUS | uapi.MAP_FIXED
RW = uapi.PROT_READ | uapi.PROT_WRITE

VARIANTS: dict[str, dict[str, object]] = {
    "a": {"release": "6.12", "without": frozenset({"zap_batch", "fork_batch"})},
    "a1": {"release": "6.12", "without": A1},
    "b": {"release": "6.12"},
    "c": {"release": "7.3"},
}
CASES = [key for key in TABLES if key[2] in VARIANTS]


def mapped(engine: str, size: str, order: int, variant: str, cpu: str) -> tuple[Twin, dict[str, int]]:
    """A populated region between guards, and what populating it caused."""
    length = SIZES[size]
    shared = ONE_IMAGE if engine == "linked" else {"roots": ONE_IMAGE["roots"]}
    twin = Twin(engine, order=order, cpu=cpu, memory=8 << 30, **shared, **VARIANTS[variant])
    none = uapi.MAP_NORESERVE | ANON
    assert twin.do(uapi.OP_MMAP, 1, BASE - GUARD, length + 2 * GUARD, uapi.PROT_NONE, none, -1) >= 0
    assert twin.do(uapi.OP_MMAP, 1, BASE, length, RW, ANON, -1) >= 0
    advice = uapi.MADV_HUGEPAGE if order else uapi.MADV_NOHUGEPAGE
    assert twin.do(uapi.OP_MADVISE, 1, BASE, length, advice) == 0
    caused = twin.measure(uapi.OP_TOUCH, 1, BASE, length // PAGE, uapi.ACCESS_WRITE)
    if order == 9:
        before = twin.counts()
        split(twin, length)
        caused = delta(before, twin.counts())
    return twin, caused


def split(twin: Twin, length: int) -> None:
    """Map every huge page of the region by PTEs."""
    tables = twin.machine.memory.tables
    mm = int(tables["TASK"]["mm"][2])  # row 0 is no task
    vma = next(i for i in range(1, 64) if tables["VMA"]["vm_start"][i] == BASE and tables["VMA"]["vm_mm"][i] == mm)
    for address in range(BASE, BASE + length, 2 << 20):
        pmdp = twin.machine.call("pmd_off", mm, address)
        twin.machine.call("split_huge_pmd", vma, pmdp, address)


def operation(name: str, length: int) -> tuple[int, ...]:
    """The operation row of a table row."""
    fifth = BASE + 5 * PAGE
    return {
        "munmap": (uapi.OP_MUNMAP, 1, BASE, length),
        "dontneed": (uapi.OP_MADVISE, 1, BASE, length, uapi.MADV_DONTNEED),
        "dontneed_1": (uapi.OP_MADVISE, 1, fifth, PAGE, uapi.MADV_DONTNEED),
        "fork": (uapi.OP_FORK, 1, 2),
        "mprotect": (uapi.OP_MPROTECT, 1, BASE, length, uapi.PROT_READ),
        "mprotect_1": (uapi.OP_MPROTECT, 1, fifth, PAGE, uapi.PROT_READ),
        "exit": (uapi.OP_EXIT, 1),
    }[name]


def row(caused: dict[str, int]) -> dict[str, int]:
    """A table row from events."""
    return {
        "reads": caused["pte_read"],
        "writes": caused["pte_write"],
        "folds": caused["fold"],
        "unfolds": caused["unfold"],
        "installs": caused["cont_install"],
        "tlbi": sum(n for name, n in caused.items() if name.startswith("tlbi_")),
        "dsb": sum(n for name, n in caused.items() if name.startswith("dsb_")),
    }


def expected(key: tuple[str, int, str], name: str, cpu: str) -> dict[str, int]:
    """The table's row for a CPU with or without range operations."""
    values = dict(zip(COLUMNS, TABLES[key][name], strict=True))
    with_range, without = values.pop("tlbi_range"), values.pop("tlbi_norange")
    values["tlbi"] = with_range if cpu == "range" else without
    if cpu == "norange":
        flushes = leaf_flushes(key, name) if key[2] != "c" else 0
        # fewer flushes reach FULL where a range flush of the same pages is one flush all the same
        values["dsb"] += flushes
    return values


def leaf_flushes(key: tuple[str, int, str], name: str) -> int:
    """Range flushes that become ASID-wide: each executes one `dsb ish` more on 6.12."""
    size, order, variant = key
    rows = TABLES[key]
    if name == "mprotect":
        return 1
    if name in ("munmap", "dontneed"):
        unfolds = rows["dontneed"][3]
        wide = rows["dontneed"][5] - 16 * unfolds
        return wide + (name == "munmap" and size == "1 GiB")
    return 0


def cases(size: str) -> list[object]:
    """Every table row of a size, on both CPUs."""
    return [
        pytest.param(key, name, cpu, id=f"{key[1]}-{key[2]}-{name}-{cpu}")
        for key in CASES
        if key[0] == size
        for name in TABLES[key]
        for cpu in ("range", "norange")
    ]


@pytest.mark.parametrize("engine", ["interpreted", "linked"])
@pytest.mark.parametrize(("key", "name", "cpu"), cases("2 MiB"))
def test_2mib(engine: str, key: tuple[str, int, str], name: str, cpu: str) -> None:
    """Every row for 2 MiB, in both engines."""
    check(engine, key, name, cpu)


@pytest.mark.parametrize(("key", "name", "cpu"), cases("1 GiB"))
def test_1gib(key: tuple[str, int, str], name: str, cpu: str) -> None:
    """Every row for 1 GiB, linked."""
    check("linked", key, name, cpu)


def check(engine: str, key: tuple[str, int, str], name: str, cpu: str) -> None:
    """Compare one row."""
    size, order, variant = key
    twin, caused = mapped(engine, size, order, variant, cpu)
    if name != "populate":
        caused = twin.measure(*operation(name, SIZES[size]))
    assert row(caused) == expected(key, name, cpu)
