"""A scenario built in Python: a method for each verb of the language, a line for each call."""

from __future__ import annotations

from typing import Self, TypedDict, Unpack

from mmarch.errors import InputError

from .model import Document
from .parse import parse

Size = int | str  # pages, or as in a scenario file: "64KiB", "2*block"


class How(TypedDict, total=False):
    """Who acts, and whether it is measured: in the child, as a step of that name, or as setup."""

    child: bool
    step: str
    setup: bool


class Scenario:
    """A program by hand, from text in the scenario language, or built.

    ``Scenario("scenario s\\nmap A 512\\nwrite A\\n")`` and ``Scenario(name="s").map("A", 512).write("A")`` are the
    same. Every method adds a line and returns the scenario; a region is whole, or has a first page and a
    count. InputError, when it runs, for a line that is wrong.
    """

    def __init__(self, text: str = "", *, name: str = "scenario") -> None:
        self._lines = text.splitlines() or [f"scenario {name}"]

    @property
    def text(self) -> str:
        """As a scenario file has it."""
        return "\n".join(self._lines) + "\n"

    def document(self) -> Document:
        """Read; InputError names line and column."""
        return parse(self.text, "<scenario>")

    def line(self, text: str) -> Self:
        """Any line of the language."""
        if "\n" in text:
            raise InputError(f"scenario line {text!r}: has a line break; add one line at a time")
        self._lines.append(text)
        return self

    def _act(self, how: How, verb: str, *words: Size | None) -> Self:
        said = " ".join([verb, *(str(word) for word in words if word not in (None, ""))])
        who = "child: " if how.get("child") else ""
        name = f"step {how['step']}: " if "step" in how else "setup: " if how.get("setup") else ""
        return self.line(name + who + said)

    def param(self, name: str, value: Size) -> Self:
        """A parameter with its default; before the first operation."""
        return self.line(f"param {name} = {value}")

    def map(self, region: str, size: Size = "", options: str = "", **how: Unpack[How]) -> Self:
        """Map memory; options: ``of FILE``, shared, private, read, write, exec, ``advised huge``."""
        return self._act(how, "map", region, size, options)

    def reserve(self, region: str, size: Size, **how: Unpack[How]) -> Self:
        """A guarded hole without a mapping."""
        return self._act(how, "reserve", region, size)

    def write(
        self, region: str, first: Size | None = None, count: Size | None = None, **how: Unpack[How]
    ) -> Self:
        """Write a byte in each page."""
        return self._act(how, "write", region, first, count)

    def read(
        self, region: str, first: Size | None = None, count: Size | None = None, **how: Unpack[How]
    ) -> Self:
        """Read a byte of each page."""
        return self._act(how, "read", region, first, count)

    def execute(
        self, region: str, first: Size | None = None, count: Size | None = None, **how: Unpack[How]
    ) -> Self:
        """Execute an instruction of each page."""
        return self._act(how, "execute", region, first, count)

    def madvise(
        self,
        region: str,
        advice: str,
        first: Size | None = None,
        count: Size | None = None,
        **how: Unpack[How],
    ) -> Self:
        """madvise(2) with any advice: dontneed, free, cold, pageout, remove, collapse, hugepage, …"""
        return self._act(how, "madvise", region, first, count, advice)

    def protect(
        self, region: str, prot: str, first: Size | None = None, count: Size | None = None, **how: Unpack[How]
    ) -> Self:
        """mprotect(2): none, read, write, exec, rw, or several with spaces between."""
        return self._act(how, "protect", region, first, count, prot)

    def unmap(
        self, region: str, first: Size | None = None, count: Size | None = None, **how: Unpack[How]
    ) -> Self:
        """munmap(2)."""
        return self._act(how, "unmap", region, first, count)

    def move(
        self, region: str, first: Size, count: Size, to: str, offset: Size = 0, **how: Unpack[How]
    ) -> Self:
        """mremap(2) to a fixed place in region `to`."""
        return self._act(how, "move", region, first, count, "to", to, offset)

    def msync(
        self, region: str, first: Size | None = None, count: Size | None = None, **how: Unpack[How]
    ) -> Self:
        """msync(2) with MS_SYNC."""
        return self._act(how, "msync", region, first, count)

    def fork(self, **how: Unpack[How]) -> Self:
        """Fork a child, one at a time."""
        return self._act(how, "fork")

    def thread(self, name: str = "", **how: Unpack[How]) -> Self:
        """Start a thread, which shares the regions of who starts it; `name` if it is to be named."""
        return self._act(how, "thread", name)

    def reap(self, **how: Unpack[How]) -> Self:
        """Let the child exit, and wait for it."""
        return self._act(how, "reap")

    def file(self, name: str, kind: str, size: Size = "", **how: Unpack[How]) -> Self:
        """A file: regular, tmpfs, tmpfs_huge_always, ext4, ramfs or shmem; `size` of it is on disk already."""
        return self._act(how, "file", name, kind, size)

    def truncate(self, file: str, size: Size, **how: Unpack[How]) -> Self:
        """ftruncate(2)."""
        return self._act(how, "truncate", file, size)

    def fill(self, file: str, size: Size, by: Size, **how: Unpack[How]) -> Self:
        """pwrite(2) from the start, `by` at a time."""
        return self._act(how, "fill", file, size, "by", by)

    def fallocate(self, file: str, first: Size, count: Size, mode: str = "", **how: Unpack[How]) -> Self:
        """fallocate(2); mode: keep_size or punch_hole."""
        return self._act(how, "fallocate", file, first, count, mode)

    def unlink(self, file: str, **how: Unpack[How]) -> Self:
        """unlink(2)."""
        return self._act(how, "unlink", file)

    def clear_refs(self, what: int = 1, **how: Unpack[How]) -> Self:
        """Write `what` to /proc/PID/clear_refs."""
        return self._act(how, "clear_refs", what)

    def drop_caches(self, **how: Unpack[How]) -> Self:
        """Drop clean page cache."""
        return self._act(how, "drop_caches")

    def age(self, **how: Unpack[How]) -> Self:
        """One aging pass of the LRU."""
        return self._act(how, "age")

    def anchor(self, region: str, **how: Unpack[How]) -> Self:
        """A page in the region's guard, so that the tables above it exist."""
        return self._act(how, "anchor", region)

    def drop(self, region: str, **how: Unpack[How]) -> Self:
        """Unmap the region with its guards."""
        return self._act(how, "drop", region)

    def nothing(self, **how: Unpack[How]) -> Self:
        """A step without an operation."""
        return self._act(how, "nothing")
