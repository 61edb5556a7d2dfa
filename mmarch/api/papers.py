"""Published tables reproduced, and prices of events fitted to measured times."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mmarch.api.choosing import Note, Progress, silent, unseen

if TYPE_CHECKING:
    from mmarch.papers import Fit, Letter, Reproduced


def list_papers() -> dict[str, Letter]:
    """Letters whose measurements come with mmarch, oldest first."""
    from mmarch.papers import known

    return known()


def reproduce(
    paper: str | os.PathLike[str],
    *,
    with_: str | Sequence[str] = (),
    note: Note = silent,
    progress: Progress = unseen,
) -> Reproduced:
    """The twin's counts of the work of a letter, beside what was published.

    paper  its name, or a TOML file of the same form
    with_  series, by name or file, for rows that need one
    """
    from mmarch.papers import find, reproduce

    return reproduce(find(os.fspath(paper)), _series(with_), note, progress)


def fit_costs(
    times: str | os.PathLike[str],
    *,
    with_: str | Sequence[str] = (),
    note: Note = silent,
    progress: Progress = unseen,
) -> Fit:
    """Prices of groups of events from measured times; what is held out stands beside its prediction.

    times  a table that comes with mmarch, or a TOML file
    with_  series, by name or file, for rows that need one
    """
    from mmarch.papers import fit, load_times

    return fit(load_times(os.fspath(times)), _series(with_), note, progress)


def _series(given: str | Sequence[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)
