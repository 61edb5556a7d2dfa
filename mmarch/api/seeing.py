"""What happened inside of a run: its history, and the story of one operation."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Unpack

from mmarch.api.choosing import Choosing, Note, Parameters, Progress, Work, prepare, silent, unseen
from mmarch.errors import concerning

if TYPE_CHECKING:
    from mmarch.history import History
    from mmarch.history.story import Story


def record_history(
    workload: Work = "",
    *,
    scenario: str = "",
    backing: str = "",
    parameters: Parameters | None = None,
    note: Note = silent,
    progress: Progress = unseen,
    **chosen: Unpack[Choosing],
) -> History:
    """Run a workload and keep what happened: ``history.tables(at, task)[address]``, as `mmarch map` shows."""
    from mmarch.history import record

    return record(*prepare(workload, scenario, backing, parameters, note, chosen), note, progress)


def save_history(history: History, path: str | os.PathLike[str]) -> None:
    """Write a history as a file, also ``run --format history``; InputError if it cannot be written."""
    from mmarch.history import save

    save(history, os.fspath(path))


def load_history(path: str | os.PathLike[str]) -> History:
    """A history that was saved. The file may be anybody's: reading executes nothing, damage is an InputError."""
    from mmarch.history import load

    return load(os.fspath(path))


def explain(
    workload: Work = "",
    op: str = "",
    *,
    scenario: str = "",
    backing: str = "",
    parameters: Parameters | None = None,
    note: Note = silent,
    **chosen: Unpack[Choosing],
) -> Story:
    """What one operation did; `op` is its row, ``line:N`` of the file, or a step."""
    from mmarch.history.story import tell

    work, setup, request = prepare(workload, scenario, backing, parameters, note, chosen)
    with concerning("op"):
        row = work.find(op)
    return tell(work, setup, row, request, note)
