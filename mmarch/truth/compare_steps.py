"""Is a step of the twin what was measured?

Compared of a phase: the ordered TLBI list (or, where it is not listed whole, its beginning and the
totals), the conversions and, unless the step forks, exits or reaps, the DSBs and calls: those steps
also copy and tear down memory of the recording program that no scenario describes.
Compared of a dump: page counts, and runs of leaf descriptors with their attributes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from mmarch.measurement import Phase, Ptes, totals
from mmarch.measurement.notation import (
    Frame,
    Leaf,
    Observed,
    PteRun,
    Run,
    coded,
    entries,
    expanded,
    op_totals,
    page_counts,
    pte_runs,
    summary,
)

CALLS = frozenset(
    (
        "__tlb_remove_folio_pages",
        "tlb_next_batch",
        "tlb_finish_mmu",
        "tlb_remove_table",
        "ptep_clear_flush",
        "folio_remove_rmap_ptes",
    )
)
# counted by a measurement only if it traced them; then they occur in it
TRACED_CALLS = frozenset(("folio_mark_dirty", "folio_mark_accessed"))
# a recording holds 60,000 events, so the DSBs of a step with thousands of conversions are cut short
MANY_CONVERSIONS = 1000


@dataclass(frozen=True)
class Difference:
    """A field in which twin and measurement differ, both as text."""

    field: str
    measured: str
    twin: str


def compare_phase(
    phase: Phase, seen: Observed, frame: Frame, process: bool = False, traced: Collection[str] = ()
) -> list[Difference]:
    """Differences of one phase; `process`: it forks, exits or reaps; `traced`: names the file counts."""
    singles = entries(seen.tlbi, frame)
    found = (
        []
        if phase.failed == seen.failed
        else [Difference("error", phase.failed or "none", seen.failed or "none")]
    )
    found += _tlbi(phase, singles, seen, process)
    convert = seen.calls.get("contpte_convert", 0)
    if convert != phase.convert:
        found.append(Difference("convert", str(phase.convert), str(convert)))
    if not process:
        found += _counts("dsb", phase.dsb_tlb, seen.dsb, _cut_short(phase, seen))
        found += _calls(phase.calls, seen.calls, traced)
    return found


def _cut_short(phase: Phase, seen: Observed) -> bool:
    fewer = all(n <= seen.dsb.get(domain, 0) for domain, n in phase.dsb_tlb.items())
    return phase.convert >= MANY_CONVERSIONS and fewer


def _tlbi(phase: Phase, singles: list[Run], seen: Observed, process: bool) -> list[Difference]:
    measured = expanded(phase.tlbi)
    if process:
        measured, singles = _with_page(measured), _with_page(singles)
    if phase.tlbi_listed:
        return _difference("tlbi", measured, singles)
    found = _difference("tlbi (beginning)", measured, singles[: len(measured)])
    region = op_totals(seen.tlbi)
    if region != phase.tlbi_region:
        found.append(Difference("tlbi total", totals(phase.tlbi_region), totals(region)))
    asid = sum(1 for single in singles if single[1] is None)
    if not process and asid != phase.aside1is:
        found.append(Difference("aside1is", str(phase.aside1is), str(asid)))
    return found


def _with_page(singles: list[Run]) -> list[Run]:
    return [single for single in singles if single[1] is not None]


def _difference(field: str, measured: list[Run], twin: list[Run]) -> list[Difference]:
    if measured == twin:
        return []
    return [Difference(field, tlbi_text(coded(measured)), tlbi_text(coded(twin)))]


def _counts(field: str, measured: Mapping[str, int], twin: Mapping[str, int], skip: bool) -> list[Difference]:
    kept = [{name: n for name, n in counts.items() if n} for counts in (measured, twin)]
    if skip or kept[0] == kept[1]:
        return []
    return [Difference(field, totals(kept[0]), totals(kept[1]))]


def _calls(measured: Mapping[str, int], twin: Mapping[str, int], traced: Collection[str]) -> list[Difference]:
    names = [name for name in {**measured, **twin} if is_compared(name, traced)]
    return [
        Difference(f"calls {name}", str(measured.get(name, 0)), str(twin.get(name, 0)))
        for name in sorted(names)
        if measured.get(name, 0) != twin.get(name, 0)
    ]


def is_compared(name: str, traced: Collection[str]) -> bool:
    """Whether entries of the function are compared; those of contpte_convert are, as conversions."""
    if name == "contpte_convert":
        return False
    if name in TRACED_CALLS:
        return name in traced
    return name.startswith("contpte_") or name in CALLS


def compare_ptes(dump: Ptes, leaves: Sequence[Leaf], page_size: int) -> list[Difference]:
    """Differences of one dump."""
    runs = pte_runs(leaves)
    if dump.runs_complete:
        measured, twin = list(dump.runs), runs
    else:
        measured = list(dump.runs)
        twin = _beginning(runs, sum(run[2] for run in measured))
    found = []
    if measured != twin:
        found.append(Difference("ptes", ptes_text(measured), ptes_text(twin)))
    if not dump.runs_complete and summary(runs) != dump.summary:
        found.append(Difference("ptes in total", totals(dump.summary), totals(summary(runs))))
    counts = page_counts(runs, page_size)
    if not found and counts != (dump.valid_pages, dump.cont_pages):
        texts = (f"{v} valid, {c} CONT" for v, c in ((dump.valid_pages, dump.cont_pages), counts))
        found.append(Difference("pages", *texts))
    return found


def _beginning(runs: Iterable[PteRun], count: int) -> list[PteRun]:
    kept = []
    for page, level, n, words in runs:
        if count <= 0:
            break
        kept.append((page, level, min(n, count), words))
        count -= n
    return kept


def tlbi_text(runs: Iterable[Run]) -> str:
    """One run a line: `vale1is page 3 x18 step 1, pages 1, ttl 7`."""
    return "\n".join(_run_text(run) for run in runs) or "none"


def _run_text(run: Run) -> str:
    op, page, pages, ttl, repeat, step = run
    times = f" x{repeat}" if repeat > 1 else ""
    if page is None:
        return op + times
    stepped = f" step {step}" if repeat > 1 else ""
    return f"{op} page {page}{times}{stepped}, covers {pages}, ttl {ttl}"


def ptes_text(runs: Iterable[PteRun]) -> str:
    """One run a line: `0 L3 x512 AF rw DBM`."""
    return "\n".join(f"{page} {level} x{count} {words}" for page, level, count, words in runs) or "none"
