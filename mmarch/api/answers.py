"""What the functions return, as a notebook shows it and as `--format` prints it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from mmarch.runs import result

if TYPE_CHECKING:
    from mmarch.history import History

Shown = TypeVar("Shown", bound=result.Model)


class _Shown:
    """A notebook shows the tables."""

    def _repr_html_(self) -> str:
        assert isinstance(self, result.Answer)
        return render(self, "html").decode()


class Result(_Shown, result.Result):
    """Counts of one run; `frame()` has a row for each event of each operation."""


class Comparison(_Shown, result.Comparison):
    """Results side by side; `frame()` has all of their rows, with a column for the configuration's name."""


class Ablation(_Shown, result.Ablation):
    """What each hook buys; `frame()` has a row for each hook and event."""


class FeatureAblation(_Shown, result.FeatureAblation):
    """What each feature between two releases buys; `frame()` has a row for each feature and event."""


def render(
    found: result.Answer | Sequence[result.Result] | History,
    form: str = "table",
    *,
    costs: str = "",
    by_op: bool = False,
    sort: str = "",
    count: str = "tlbi",
) -> bytes:
    """What `--format` prints, of one answer or of several results.

    form   table, markdown, lkml, fastpath, csv, json, parquet, html; of a history folded, perfetto, history
    costs  a cost profile, for the tables
    by_op  of a comparison: also a table for each system call
    sort   of features: by which count
    count  of `folded`: tlbi, unfold or fault
    """  # fmt: skip
    from mmarch.report import formats

    return formats.render(found, form, costs, by_op, sort, count)


def shown(kind: type[Shown], found: result.Model, **changes: Any) -> Shown:
    """The same as a model that a notebook shows."""
    return kind.model_construct(**{**dict(found), **changes})
