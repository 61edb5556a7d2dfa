"""A store of a sweep: rows that survive whatever ends the process that writes them.

STORE/manifest.json    which segments belong to it
STORE/points.parquet   every point: the values of its axes, and the digest of its row
STORE/rows/            segments of results, a row for each digest
STORE/failed/          segments of digests and messages
STORE/log/             who counted what, when and how long it took
STORE/journal/         what is finished and in no segment yet, a line a point
"""

from __future__ import annotations

import fcntl
import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmarch.errors import InputError
from mmarch.grid import manifest as manifests
from mmarch.grid import segments
from mmarch.grid.journal import SUFFIX, entries
from mmarch.grid.manifest import POINTS, Manifest
from mmarch.grid.plan import Plan
from mmarch.grid.segments import MOST, PART, Segment, put

if TYPE_CHECKING:
    from polars import DataFrame

Entry = dict[str, Any]
LOCK, JOURNAL = "lock", "journal"
OURS = {LOCK, JOURNAL, POINTS, POINTS + PART, manifests.NAME + PART, *segments.KINDS}


class Store:
    """An open store, which nobody else writes to."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder, self.manifest = folder, manifest
        self.journals = folder / JOURNAL
        self._taken: list[str] = []  # journals that no worker writes to any more
        self._waiting = 0  # points in them
        kinds = manifest.of_kind("rows") + manifest.of_kind("failed")
        self.finished = {
            digest for segment in kinds for digest in digests(folder, segment)
        }  # failed ones too

    def take(self, journals: Iterable[str], points: int) -> None:
        """These journals are finished; now and then their points become segments."""
        self._taken += journals
        self._waiting += points
        if self._waiting >= MOST:
            self.seal()

    def seal(self) -> None:
        """What was taken becomes segments, and the manifest knows them; then the journals go."""
        taken, self._taken, self._waiting = self._taken, [], 0
        if taken:
            self._seal(taken)

    def _seal(self, names: list[str]) -> None:
        found: dict[str, Entry] = {}
        made: list[Segment] = []
        for name in names:
            for entry in entries(self.journals / name).found:
                if entry["digest"] not in self.finished:
                    self.finished.add(entry["digest"])
                    found[entry["digest"]] = entry
            while len(found) >= MOST:
                part = [found.pop(digest) for digest in list(found)[:MOST]]
                made += self._segments(part, len(made))
        if found:
            made += self._segments(found.values(), len(made))
        self._know((*self.manifest.segments, *made))
        for name in names:
            (self.journals / name).unlink(missing_ok=True)

    def _segments(self, found: Iterable[Entry], after: int) -> list[Segment]:
        first = 1 + max([segments.number(one.name) for one in self.manifest.segments], default=0) + after
        tables = segments.tables(list(found), self.manifest.counts)
        return [
            segments.write(self.folder, kind, number, frame)
            for number, (kind, frame) in enumerate(tables, first)
        ]

    def _know(self, known: tuple[Segment, ...]) -> None:
        self.manifest = self.manifest.with_segments(known)
        manifests.save(self.folder, self.manifest)

    def forget_failed(self) -> int:
        """Failed points are to run again; how many."""
        gone = self.manifest.of_kind("failed")
        if gone:
            self.finished -= {digest for segment in gone for digest in digests(self.folder, segment)}
            self._know(tuple(one for one in self.manifest.segments if one.kind != "failed"))
            for segment in gone:
                (self.folder / segment.name).unlink(missing_ok=True)
        return sum(segment.rows for segment in gone)

    def recover(self) -> list[str]:
        """Put in order what a killed sweep left; a line for each damage that costs work."""
        known = {one.name for one in self.manifest.segments}
        for name in segments.there(self.folder):
            if (
                name not in known
            ):  # written, and killed before the manifest knew it: the journals still have it
                (self.folder / name).unlink()
        for part in self.folder.glob(f"**/*{PART}"):
            part.unlink(missing_ok=True)
        self.journals.mkdir(exist_ok=True)
        names = sorted(path.name for path in self.journals.glob(f"*{SUFFIX}"))
        said = [
            f"{self.journals / name}:{line}: damaged; its point runs again"
            for name in names
            for line in entries(self.journals / name).damaged
        ]
        if names:
            self._seal(names)
        return said

    def failures(self) -> Iterator[tuple[str, str]]:
        """Digest and message of each failed point."""
        for segment in self.manifest.of_kind("failed"):
            yield from frame(self.folder, segment).select("digest", "error").iter_rows()


@contextmanager
def opened(folder: Path, plan: Plan, rebuild: bool = False) -> Iterator[tuple[Store, list[str]]]:
    """The store of a plan, new or gone on with, for this process alone; lines about what was damaged.

    InputError for a folder that is something else, another sweep's store, and for damage unless `rebuild`.
    """
    said: list[str] = []
    with _alone(folder):
        if rebuild:
            store = Store(folder, _rebuilt(folder, plan, said))
        elif _empty(folder):
            store = Store(folder, _begun(folder, plan))
        else:
            store = Store(folder, _checked(folder, plan))
        said += store.recover()
        yield store, said


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not _empty(folder) and not (folder / LOCK).exists() and not (folder / manifests.NAME).exists():
            raise InputError(f"{folder}: neither empty nor a store of a sweep; name another folder")
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise InputError(f"cannot write {folder}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise InputError(f"{folder}: another sweep writes to it; wait for its end, or stop it") from None
    try:
        yield
    finally:
        os.close(lock)


def _empty(folder: Path) -> bool:
    """Whether nothing was counted into it yet: a sweep may have been killed while it began."""
    names = {path.name for path in folder.iterdir()}
    return names <= OURS and not segments.there(folder) and not list(folder.glob(f"{JOURNAL}/*"))


def _begun(folder: Path, plan: Plan) -> Manifest:
    manifest = Manifest.of(plan)
    put(folder / POINTS, points(plan))
    (folder / JOURNAL).mkdir(exist_ok=True)
    manifests.save(folder, manifest)
    return manifest


def points(plan: Plan) -> bytes:
    """points.parquet: a row for each point, equal ones too."""
    import polars

    columns: dict[str, list[str]] = {column(name): [] for name in (*plan.axes, "digest")}
    for values, point in plan.each():
        for name in plan.axes:
            columns[column(name)].append(values.get(name, ""))
        columns["digest"].append(point.digest)
    buffer = io.BytesIO()
    polars.DataFrame(columns, schema_overrides=dict.fromkeys(columns, polars.String)).write_parquet(buffer)
    return buffer.getvalue()


def column(axis: str) -> str:
    """What an axis is called in a table."""
    return axis.replace("-", "_")


def _checked(folder: Path, plan: Plan) -> Manifest:
    found = manifests.load(folder)
    manifests.refuse_other(folder, found, plan)
    refuse_damaged(folder, found)
    return found


def refuse_damaged(folder: Path, manifest: Manifest) -> None:
    """InputError that names the first damaged segment, and says how to rebuild it."""
    for segment in manifest.segments:
        if wrong := segments.damage(folder, segment.name):
            raise InputError(
                f"{folder / segment.name}: {wrong}; count its {segment.rows:,} points again with: "
                f"mmarch sweep SPEC.toml -o {folder} --rebuild"
            )


def _rebuilt(folder: Path, plan: Plan, said: list[str]) -> Manifest:
    """A manifest of every segment that is whole and belongs to the plan, and no digest twice."""
    fresh, known = Manifest.of(plan), None
    with suppress(InputError):
        known = manifests.load(folder)
    if known:
        manifests.refuse_other(folder, known, plan)
    wanted, seen = set(plan.digests), set[str]()
    kept: list[Segment] = []
    for name in segments.there(folder):
        kind = segments.kind_of(name)
        if wrong := segments.damage(folder, name):
            said.append(f"{folder / name} {wrong}; its points run again")
            (folder / name).unlink(missing_ok=True)
            continue
        segment = Segment(kind=kind, name=name, rows=1)
        own = digests(folder, segment)
        if foreign := set(own) - wanted:
            raise InputError(
                f"{folder / name}: {len(foreign):,} of its {len(own):,} rows are points of another SPEC, or counted by "
                "another mmarch; name another STORE"
            )
        if kind != "log" and not seen.isdisjoint(own):
            (folder / name).unlink()
            continue
        if kind != "log":
            seen.update(own)
        kept.append(segment.model_copy(update={"rows": len(own)}))
    manifest = fresh.with_segments(tuple(kept))
    put(folder / POINTS, points(plan))
    manifests.save(folder, manifest)
    return manifest


def frame(folder: Path, segment: Segment, columns: list[str] | None = None) -> DataFrame:
    """A segment's rows; InputError if they cannot be read."""
    import polars

    try:
        return polars.read_parquet(folder / segment.name, columns=columns)
    except (OSError, polars.exceptions.PolarsError) as error:
        raise InputError(f"{folder / segment.name}: damaged: {error}; rebuild it with --rebuild") from None


def digests(folder: Path, segment: Segment) -> list[str]:
    """Of a segment's rows."""
    found: list[str] = frame(folder, segment, ["digest"])["digest"].to_list()
    return found
