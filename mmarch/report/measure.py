"""`mmarch measure` as text: the table of `run`, then each step with its operands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mmarch.measurement import Meta, Phase, Ptes, totals
from mmarch.report.forms import terminal
from mmarch.report.run import document
from mmarch.runs.result import Result
from mmarch.table import number, table, wrap

MOST_STEPS = 60
MOST_RUNS = 12


def render(result: Result, steps: Sequence[Phase | Ptes], calls: Sequence[tuple[str, int]]) -> list[str]:
    """Counts by operation, entries of functions, and what each step did."""
    lines = terminal(document(result)).splitlines()
    entered = [[name, number(count)] for name, count in calls if count]
    if entered:
        lines += ["", *table(["function", "entries"], entered)]
    return [*lines, "", *_steps(steps)]


def about(meta: Meta) -> list[str]:
    """Where the numbers come from."""
    config = f"config sha256 {meta.config[:12]}…" if meta.config else "its config is unknown"
    return wrap(f"measured on {meta.kernel} ({config}), {meta.qemu}")


def _steps(steps: Sequence[Phase | Ptes]) -> list[str]:
    lines = []
    for step in steps[:MOST_STEPS]:
        lines += _phase(step) if isinstance(step, Phase) else _ptes(step)
    if len(steps) > MOST_STEPS:
        lines.append(f"… {len(steps) - MOST_STEPS} more; -o FILE has them all")
    return lines


def _phase(step: Phase) -> list[str]:
    lines = wrap(f"{step.phase}: {step.failed}" if step.failed else step.phase)
    for op, page, covers, ttl, repeat, stride in step.tlbi[:MOST_RUNS]:
        times = f" x{number(repeat)}" if repeat > 1 else ""
        apart = f" {stride} apart" if repeat > 1 and stride != 1 else ""
        where = "" if page is None else f" page {page}{times}{apart}, covers {covers}, ttl {ttl}"
        lines.append(f"  {op}{where or times}")
    lines += _more(step.tlbi)
    facts = [f"DSBs {totals(step.dsb_tlb)}"] if step.dsb_tlb else []
    facts += [f"conversions {step.convert}"] if step.convert else []
    asked = {name.removeprefix("ipi_"): n for name, n in step.calls.items() if name.startswith("ipi_")}
    facts += [f"asked of other CPUs: {totals(asked)}"] if asked else []
    return lines + (wrap("  " + "; ".join(facts), "    ") if facts else [])


def _ptes(step: Ptes) -> list[str]:
    lines = wrap(
        f"  {step.phase}: {step.valid_pages} of {step.pages} pages mapped, {step.cont_pages} with CONT"
    )
    lines += [f"    {page} {level} x{count} {words}" for page, level, count, words in step.runs[:MOST_RUNS]]
    return lines + _more(step.runs)


def _more(items: Iterable[object]) -> list[str]:
    left = len(list(items)) - MOST_RUNS
    return [f"    … {left} more"] if left > 0 else []
