"""`--format`: one answer in the form its reader wants."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence

from mmarch.errors import InputError
from mmarch.history import History, packed
from mmarch.history.top import folded
from mmarch.plugins import load_arch
from mmarch.report import compare, fastpath, features, perfetto, run
from mmarch.report.document import Document
from mmarch.report.forms import lkml, markdown, page, terminal
from mmarch.runs.costs import Priced, load_costs
from mmarch.runs.result import Ablation, Answer, Comparison, FeatureAblation, Result, frame

FORMS: Mapping[str, Callable[[Document], str]] = {
    "table": terminal, "markdown": markdown, "lkml": lkml, "html": page,
}  # fmt: skip
TABLES = ("csv", "parquet")
FORMATS = ("table", "markdown", "lkml", "fastpath", "json", *TABLES)
INSIDE = ("folded", "perfetto", "history")  # of a history


def render(
    found: Answer | Sequence[Result] | History,
    form: str = "table",
    costs: str = "",
    by_op: bool = False,
    sort: str = "",
    count: str = "tlbi",
) -> bytes:
    """An answer, or those of several runs, in a format; a history in one of INSIDE.

    costs  a cost profile: its estimates stand in the tables for people; the other formats hold counts
    by_op  of a comparison: also a table for each system call
    sort   of features: by which count
    count  of `folded`: tlbi, unfold or fault
    """
    if isinstance(found, History):
        return _inside(found, form, count)
    answers = found if isinstance(found, Sequence) else [found]
    if form in TABLES:
        return _frame(answers, form)
    if form == "json":
        texts = [item.model_dump_json(indent=2, exclude_none=True) for item in answers]
        return _line(texts[0] if answers is not found else f"[{','.join(texts)}]")
    if form == "fastpath":
        return _line(_fastpath(found))
    between = "\n" if form == "html" else "\n\n"
    return _line(between.join(FORMS[form](document(item, costs, by_op, sort)) for item in answers))


def _line(text: str) -> bytes:
    return f"{text}\n".encode()


def _frame(answers: Sequence[Answer], form: str) -> bytes:
    data = frame(record for item in answers for record in item.records())
    if form == "csv":
        return data.write_csv().encode()
    file = io.BytesIO()
    data.write_parquet(file)
    return file.getvalue()


def _inside(history: History, form: str, count: str) -> bytes:
    if form == "perfetto":
        return perfetto.trace(history)
    if form == "history":
        return packed(history)
    if form != "folded":
        raise InputError(f"a history has no format {form}; it has: {', '.join(INSIDE)}")
    return _line("\n".join(folded(history, count)))


def _fastpath(found: Answer | Sequence[Result]) -> str:
    if isinstance(found, Comparison):
        return fastpath.compare(found)
    if isinstance(found, Ablation):
        return fastpath.ablate(found)
    if isinstance(found, FeatureAblation):
        return fastpath.between(found)
    return fastpath.run(found if isinstance(found, Sequence) else [found])


def document(found: Answer, costs: str = "", by_op: bool = False, sort: str = "") -> Document:
    """An answer before it has a form."""
    if isinstance(found, Comparison):
        each = found.workloads()[0]
        return compare.compare(found, [p for result in each if (p := _priced(costs, result))], by_op)
    if isinstance(found, Ablation):
        return compare.ablate(found, _priced(costs, found.baseline))
    if isinstance(found, FeatureAblation):
        return features.between(found, sort)
    return run.document(found, _priced(costs, found))


def _priced(costs: str, result: Result) -> Priced | None:
    return load_costs(costs, load_arch(result.configuration.arch).descriptor) if costs else None
