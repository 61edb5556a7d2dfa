"""Bars on a terminal: one for what a command tells, one for each step that tells nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Column

NEARLY = 0.99  # of an estimate: that a step is done, it says itself


def terminal() -> bool:
    """Whether bars are shown at all."""
    return sys.stderr.isatty()


class Bars(Progress):
    """As wide as the terminal; gone at the end."""

    def __init__(self) -> None:
        name = Column(no_wrap=True, overflow="ellipsis", ratio=1)
        super().__init__(
            TextColumn("{task.description}", table_column=name), BarColumn(30),
            TextColumn("{task.percentage:>3.0f}%"), TimeRemainingColumn(compact=True), TimeElapsedColumn(),
            console=Console(stderr=True), transient=True, expand=True,
        )  # fmt: skip

    def get_renderables(self) -> Iterable[RenderableType]:
        """What is estimated fills as time goes by."""
        for task in self.tasks:
            if task.fields.get("estimated") and task.total:
                self.update(task.id, completed=min(task.elapsed or 0.0, NEARLY * task.total))
        return super().get_renderables()

    @contextmanager
    def waiting(self, what: str, seconds: float) -> Iterator[None]:
        """A bar that fills in about `seconds`; to and fro if nobody knows how long it takes."""
        task = self.add_task(what, total=seconds or None, estimated=True)
        try:
            yield
        finally:
            self.remove_task(task)
