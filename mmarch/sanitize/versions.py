"""Page -> version, as a dictionary and, for whoever compares many pages at once, as sorted arrays."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]
MANY = 1000  # changes from which on arrays are made anew


class Versions(dict[int, int]):
    """A dictionary that knows which of its keys changed since `arrays` was last asked for."""

    def __init__(self, items: Any = ()) -> None:
        super().__init__(items)
        self._pages: Numbers | None = None
        self._versions: Numbers = np.zeros(0, np.int64)
        self._changed: set[int] = set()

    def __setitem__(self, page: int, version: int) -> None:
        super().__setitem__(page, version)
        if self._pages is not None:
            self._change(page)

    def __delitem__(self, page: int) -> None:
        super().__delitem__(page)
        if self._pages is not None:
            self._change(page)

    def pop(self, page: int, default: Any = None) -> Any:
        if self._pages is not None:
            self._change(page)
        return super().pop(page, default)

    def _change(self, page: int) -> None:
        self._changed.add(page)
        if len(self._changed) > MANY:
            self._pages = None
            self._changed.clear()

    def update(self, items: Iterable[tuple[int, int]]) -> None:  # type: ignore[override]  # the one form in use
        for page, version in items:
            self[page] = version

    def arrays(self) -> tuple[Numbers, Numbers]:
        """Pages in order, and the version of each."""
        if self._pages is None:
            pages = np.fromiter(self.keys(), np.int64, len(self))
            order = np.argsort(pages, kind="stable")
            self._pages = pages[order]
            self._versions = np.fromiter(self.values(), np.int64, len(self))[order]
        elif self._changed:
            self._merge(np.array(sorted(self._changed), np.int64))
        self._changed.clear()
        assert self._pages is not None
        return self._pages, self._versions

    def _merge(self, changed: Numbers) -> None:
        """What is so of the pages that changed, in place of what was."""
        assert self._pages is not None
        kept = ~found(changed, self._pages)[0]
        there = np.array([page for page in changed.tolist() if page in self], np.int64)
        pages = np.concatenate([self._pages[kept], there])
        versions = np.concatenate(
            [self._versions[kept], np.array([self[page] for page in there.tolist()], np.int64)]
        )
        order = np.argsort(pages, kind="stable")
        self._pages, self._versions = pages[order], versions[order]


def found(pages: Numbers, wanted: Numbers) -> tuple[NDArray[np.bool_], Numbers]:
    """Which of `wanted` are among `pages`, which are in order, and where."""
    if not len(pages):
        return np.zeros(len(wanted), np.bool_), np.zeros(len(wanted), np.int64)
    at = np.minimum(np.searchsorted(pages, wanted), len(pages) - 1)
    return pages[at] == wanted, at
