"""Prices of groups of events: non-negative least squares of measured times by the twin's counts of the same work."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from mmarch.errors import InputError
from mmarch.papers.letter import find, read
from mmarch.papers.reproduce import reproduce
from mmarch.runs.result import Counts
from mmarch.suggest import unknown

CONFIDENCE = 0.95
Note = Callable[[str], None]
Progress = Callable[[int, int], None]
Matrix = NDArray[np.float64]


class Time(BaseModel):
    """A measured time with counts of the same work: those of a letter's row, whose time is what it saves, or given.

    held_out  not fitted to, but predicted
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    paper: str = ""
    row: str = ""
    ns: float = Field(default=0, allow_inf_nan=False)
    counts: Mapping[str, int] = {}
    held_out: bool = False
    note: str = ""


class Times(BaseModel):
    """What is fitted: groups of events that have one price, and times. `folder` is where the file lies."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    description: str
    groups: Mapping[str, tuple[str, ...]] = Field(min_length=1)
    times: tuple[Time, ...] = Field(min_length=1)
    folder: str = ""


@dataclass(frozen=True)
class Point:
    """A time, what the prices make of its counts, and the counts of each group."""

    time: Time
    ns: float
    predicted: float
    counts: tuple[int, ...]

    @property
    def off(self) -> float:
        """By what part of the time the prediction is too high or too low."""
        return (self.predicted - self.ns) / abs(self.ns)


@dataclass(frozen=True)
class Fit:
    """Nanoseconds of each group, how sure they are, and every time beside its prediction.

    margins  half of the 95 % interval; empty if there is not more data than groups
    missing  times without counts, and why
    """

    times: Times
    prices: Mapping[str, float]
    margins: Mapping[str, float]
    points: tuple[Point, ...]
    missing: Mapping[str, str] = field(default_factory=dict)

    def profile(self) -> str:
        """A cost profile as TOML, which names its data."""
        fitted = "; ".join(point.time.name for point in self.points if not point.time.held_out)
        lines = [f"name = {_quoted(self.times.name)}", f"description = {_quoted(self.times.description)}"]
        for group, events in self.times.groups.items():
            margin = f" ± {self.margins[group]:.3g} ns (95 %)" if group in self.margins else ""
            source = f"mmarch costs fit, {group}{margin}, from: {fitted}"
            for event in events:
                lines += [
                    "",
                    f"[events.{event}]",
                    f"ns = {self.prices[group]:.6g}",
                    f"source = {_quoted(source)}",
                ]
        return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", " ", escaped) + '"'


def shipped() -> dict[str, Path]:
    """Tables of times that come with mmarch."""
    folder = files("mmarch.papers").joinpath("fits")
    return {item.name.removesuffix(".toml"): Path(str(item)) for item in sorted(folder.iterdir(), key=str)}


def load_times(name: str) -> Times:
    """A table that comes with mmarch, or the TOML file at a path."""
    known = shipped()
    if name not in known and "/" not in name and not name.endswith(".toml"):
        raise unknown("table of times", name, known, f"Known: {', '.join(known)}; or a TOML file.")
    path = known.get(name, Path(name))
    return read(path, Times).model_copy(update={"folder": str(path.parent)})


def fit(
    times: Times,
    series: Sequence[str] = (),
    note: Note = lambda _: None,
    progress: Progress = lambda done, total: None,
) -> Fit:
    """Prices from the times that are not held out, each weighted by its size.

    InputError if there are fewer of them than groups, or if a group is in none of them.
    """
    _scipy()
    found, missing = [], {}
    for done, time in enumerate(times.times):
        ns, counts, needs = _measured(times, time, series, note)
        if needs:
            missing[time.name] = needs
        else:
            found.append((time, ns, tuple(_of(counts, events) for events in times.groups.values())))
        progress(done + 1, len(times.times))
    fitted = [(ns, row) for time, ns, row in found if not time.held_out]
    _enough(times, [row for _, row in fitted])
    prices, margins = solve(np.array([row for _, row in fitted], float), np.array([ns for ns, _ in fitted]))
    points = tuple(Point(time, ns, float(np.dot(row, prices)), row) for time, ns, row in found)
    names = list(times.groups)
    return Fit(
        times, dict(zip(names, prices.tolist(), strict=True)),
        dict(zip(names, margins.tolist(), strict=True)) if len(margins) else {}, points, missing,
    )  # fmt: skip


def _of(counts: Counts, events: Sequence[str]) -> int:
    return sum(counts.get(event, 0) for event in events)


def _measured(times: Times, time: Time, series: Sequence[str], note: Note) -> tuple[float, Counts, str]:
    """Nanoseconds, counts, and why there are none."""
    if not time.paper:
        if time.ns == 0 or not time.counts:
            raise InputError(f"{times.name}: {time.name}: give ns and counts, or paper and row")
        return time.ns, time.counts, ""
    place = Path(times.folder) / time.paper if time.paper.endswith(".toml") else time.paper
    letter = find(str(place))
    case = letter.case(time.row)
    (counted,) = reproduce(letter, series, note, cases=[case]).rows
    return case.saved, counted.saved, counted.missing


def _enough(times: Times, rows: Sequence[tuple[int, ...]]) -> None:
    names = list(times.groups)
    if len(rows) < len(names):
        raise InputError(
            f"{times.name}: {len(rows)} times for {len(names)} groups ({', '.join(names)}): any price would fit; "
            "give more times, or fewer groups"
        )
    never = [name for at, name in enumerate(names) if not any(row[at] for row in rows)]
    if never:
        raise InputError(
            f"{times.name}: no time has events of group {never[0]}; leave it out, or measure some"
        )
    if np.linalg.matrix_rank(np.array(rows, float)) < len(names):
        raise InputError(
            f"{times.name}: groups {', '.join(names)} come in one proportion in all times: their prices cannot be "
            "told apart; join them"
        )


def _scipy() -> tuple[Any, Any]:
    """The solver, and Student's distribution; InputError without them."""
    try:
        from scipy.optimize import nnls
        from scipy.stats import t
    except ImportError:
        raise InputError("costs fit needs a package: pip install 'mmarch[fit]'") from None
    return nnls, t


def solve(counts: Matrix, ns: Matrix) -> tuple[Matrix, Matrix]:
    """Non-negative prices that make the least squares of relative errors, and half of their 95 % intervals.

    The intervals are Student's, of the groups whose price is not zero; none without a degree of freedom.
    InputError without scipy.
    """
    nnls, t = _scipy()
    weighted, target = counts / np.abs(ns)[:, None], np.sign(ns)
    scale = np.abs(weighted).max(axis=0)
    prices = nnls(weighted / scale, target)[0] / scale
    used = prices > 0
    freedom = len(ns) - int(used.sum())
    if not freedom:
        return prices, np.zeros(0)
    variance = float(((weighted @ prices - target) ** 2).sum()) / freedom
    spread = np.zeros(len(prices))
    active = weighted[:, used] / scale[used]
    spread[used] = np.sqrt(np.diag(np.linalg.inv(active.T @ active)) * variance) / scale[used]
    return prices, spread * float(t.ppf((1 + CONFIDENCE) / 2, freedom))
