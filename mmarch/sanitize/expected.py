"""What a model expects of many pages at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from core_mm.uapi import PROT_EXEC, PROT_WRITE
from mmarch.sanitize.entries import EXECUTES, READS, WRITES, Numbers
from mmarch.sanitize.model import ON_DISK, Area, File, Space
from mmarch.sanitize.versions import found

BEHIND = -2  # no version: the page lies behind the end of its file
NUMBER = 40  # bits of a page of a file below the file's number


def on_disk(files: Sequence[File], which: Numbers, index: Numbers) -> Numbers:
    """What pages of files show that nobody wrote to: `which` file of `files` each, and the page in it."""
    number, initial = (
        np.array(column, np.int64) for column in zip(*((f.number, f.initial) for f in files), strict=True)
    )
    return np.where(index < initial[which], ON_DISK | number[which] << NUMBER | index, 0)


@dataclass
class Plan:
    """The areas of an address space as columns; made anew when they change."""

    areas: list[Area]

    @cached_property
    def files(self) -> list[File]:
        """Each once."""
        return list({id(area.file): area.file for area in self.areas if area.file is not None}.values())

    @cached_property
    def start(self) -> Numbers:
        return self._column([area.start for area in self.areas])

    @cached_property
    def end(self) -> Numbers:
        return self._column([area.end for area in self.areas])

    @cached_property
    def shared(self) -> Numbers:
        return self._column([int(area.shared) for area in self.areas])

    @cached_property
    def file(self) -> Numbers:
        """The place in `files`, -1 of anonymous memory."""
        places = {id(file): place for place, file in enumerate(self.files)}
        return self._column([places.get(id(area.file), -1) for area in self.areas])

    @cached_property
    def offset(self) -> Numbers:
        """Page of the file less page of the address space."""
        return self._column([area.index - area.start for area in self.areas])

    @cached_property
    def forbidden(self) -> Numbers:
        """What entries may not let through."""
        return self._column([
            (0 if area.prot & PROT_WRITE else WRITES) | (0 if area.prot & PROT_EXEC else EXECUTES)
            | (0 if area.prot else READS)
            for area in self.areas
        ])  # fmt: skip

    @staticmethod
    def _column(values: list[int]) -> Numbers:
        return np.array(values, np.int64)

    def where(self, pages: Numbers) -> Numbers:
        """The area that each page lies in, -1 of those in none."""
        if not self.areas:
            return np.full(len(pages), -1)
        at = np.searchsorted(self.start, pages, side="right") - 1
        return np.where((at >= 0) & (pages < self.end[at]), at, -1)

    def expected(self, space: Space, pages: Numbers, area: Numbers) -> Numbers:
        """The version that each page must show."""
        versions = np.zeros(len(pages), np.int64)
        which, index = self.file[area], pages + self.offset[area]
        of_file = np.flatnonzero(which >= 0)
        if len(of_file):
            versions[of_file] = self._of_files(which[of_file], index[of_file])
        written, held = space.written.arrays()
        own, at = found(written, pages)
        own &= self.shared[area] == 0
        versions[own] = held[at[own]]
        return versions

    def _of_files(self, which: Numbers, index: Numbers) -> Numbers:
        versions = on_disk(self.files, which, index)
        for place, file in enumerate(self.files):
            if file.written:
                mine = np.flatnonzero(which == place)
                there, at = found(file.written.arrays()[0], index[mine])
                versions[mine[there]] = file.written.arrays()[1][at[there]]
        ends = np.array([file.pages for file in self.files], np.int64)
        return np.where(index < ends[which], versions, BEHIND)
