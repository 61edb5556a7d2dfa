"""Random scenarios that are always legal: processes, regions, files, and operations on what is mapped and accessible.

A page is known by the mapping it comes from, so that what a move takes along is one VMA.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

NONE, READ, WRITE = 0, 1, 3
ORDERS = (0, 2, 3, 4, 6, 9)
TOGETHER = (
    (9, 4),
    (9, 4, 2),
    (6, 3),
    (4, 3, 2),
)  # enabled at once; few, for changing them takes a boot a second
MIXED = 3  # one program in so many has several
OPERATIONS = 16
MOST_REGIONS, MOST_PROCESSES = 6, 4
PMD = 512
FILE_KINDS = {"tmpfs": 3, "tmpfs_huge_always": 1, "ext4": 2}


class _Mapping(NamedTuple):
    """Where pages come from; `file` is empty for anonymous memory."""

    number: int
    file: str = ""
    shared: bool = False


class _Page(NamedTuple):
    """A mapped page: its place in its mapping, and what makes neighbours one VMA."""

    mapping: _Mapping
    at: int
    prot: int = WRITE
    advice: str = ""


@dataclass
class _Process:
    """`prefix` stands before its operations; a region is a list of pages, None where nothing is mapped."""

    prefix: str
    regions: dict[str, list[_Page | None]]


@dataclass
class _State:
    rng: Random
    folios: int = 0  # the order that is enabled
    lines: list[str] = field(default_factory=list)
    files: dict[str, int] = field(default_factory=dict)  # sizes in pages
    kinds: dict[str, str] = field(default_factory=dict)
    processes: list[_Process] = field(default_factory=lambda: [_Process("", {})])
    regions: int = 0
    children: int = 0

    def accessible(self, page: _Page | None, prot: int) -> bool:
        """Whether an access raises no signal."""
        return page is not None and page.prot >= prot and page.at < self.files.get(page.mapping.file, 1 << 30)

    def say(self, process: _Process, text: str) -> None:
        self.lines.append(f"{process.prefix}{text}")


class _Range(NamedTuple):
    process: _Process
    region: str
    first: int
    length: int

    @property
    def text(self) -> str:
        return f"{self.region} {self.first} {self.length}"

    @property
    def pages(self) -> list[_Page | None]:
        return self.process.regions[self.region][self.first : self.first + self.length]

    def put(self, pages: list[_Page | None]) -> None:
        self.process.regions[self.region][self.first : self.first + self.length] = pages


def program(seed: int, number: int) -> str:
    """The text of a scenario, the same for the same numbers."""
    rng = Random(f"{seed}.{number}")
    order = rng.choice(ORDERS)
    state = _State(rng, order)
    for name in "FG"[: rng.choice((0, 0, 0, 1, 1, 2))]:
        _file(state, name)
    for _ in range(rng.randint(1, 3)):
        _map(state, state.processes[0])
    while len(state.lines) < OPERATIONS:
        make = rng.choices(list(_MAKE), list(_MAKE.values()))[0]
        make(state, rng.choice(state.processes))
    for process in state.processes[:0:-1]:
        state.lines.append(f"reap {process.prefix[:-2]}")
    head = _head(number, order)
    return "\n".join([f"scenario random_{seed}_{number} {head[0]}", *head[1:], *state.lines, "end", ""])


def _head(number: int, order: int) -> list[str]:
    """The orders it runs with; those of a program in which they are mixed take turns."""
    if number % MIXED:
        return [f"order {order}"]
    largest, *others = TOGETHER[number // MIXED % len(TOGETHER)]
    return [f"order {largest}", "beside " + " ".join(map(str, others))]


def _file(state: _State, name: str) -> None:
    kind = state.rng.choices(list(FILE_KINDS), list(FILE_KINDS.values()))[0]
    pages = state.rng.choice((7, 16, 70, 200, PMD + 9))
    state.files[name], state.kinds[name] = pages, kind
    state.lines.append(f"file {name} {kind} {pages}")


def _new_region(state: _State) -> str:
    state.regions += 1
    return f"R{state.regions}"


def _map(state: _State, process: _Process) -> None:
    """Anonymous memory, shared or private, or a file."""
    if len(process.regions) >= MOST_REGIONS:
        return
    name, file, shared = _new_region(state), "", state.rng.random() < 0.25
    pages, words = state.rng.choice((1, 5, 16, 33, 200, PMD, 700)), " shared" if shared else ""
    if state.files and state.rng.random() < 0.6:
        file = state.rng.choice(list(state.files))
        pages = min(pages, state.files[file] + 3)
        words = f" of {file} {'shared' if shared else 'private'} read write"
    mapping = _Mapping(state.regions, file, shared)
    process.regions[name] = [_Page(mapping, at) for at in range(pages)]
    state.say(process, f"map {name} {pages}{words}")
    whole = _Range(process, name, 0, pages)
    if state.rng.random() < 0.7 and all(state.accessible(page, WRITE) for page in whole.pages):
        state.say(process, f"{'read' if file and state.rng.random() < 0.5 else 'write'} {name}")


def _range(
    state: _State, process: _Process, wanted: Callable[[_Page], bool], one_vma: bool = False
) -> _Range | None:
    """A run of pages, unaligned, all of them wanted; of one VMA if asked."""
    if not process.regions:
        return None
    region = state.rng.choice(list(process.regions))
    pages = process.regions[region]
    first = end = state.rng.randrange(len(pages))
    most = state.rng.choice((1, 3, 17, 64, PMD))
    while end < len(pages) and end - first < most:
        page = pages[end]
        if (
            page is None
            or not wanted(page)
            or (one_vma and page != _next(pages[end - 1], end == first, page))
        ):
            break
        end += 1
    return _Range(process, region, first, end - first) if end > first else None


def _next(before: _Page | None, is_first: bool, page: _Page) -> _Page:
    """What a page has to be to belong to the VMA of the one before it."""
    return page if is_first or before is None else before._replace(at=before.at + 1)


def _access(word: str, prot: int) -> Callable[[_State, _Process], None]:
    def make(state: _State, process: _Process) -> None:
        if found := _range(state, process, lambda page: state.accessible(page, prot)):
            state.say(process, f"{word} {found.text}")

    return make


def _advise(
    word: str, wanted: Callable[[_Page], bool] = lambda page: True
) -> Callable[[_State, _Process], None]:
    def make(state: _State, process: _Process) -> None:
        if found := _range(state, process, wanted):
            state.say(process, f"{word} {found.text}")

    return make


def _populate(word: str, prot: int) -> Callable[[_State, _Process], None]:
    def make(state: _State, process: _Process) -> None:
        if found := _range(state, process, lambda page: state.accessible(page, prot)):
            state.say(process, f"madvise {found.text} {word}")

    return make


def _flag(words: tuple[str, ...], wanted: Callable[[_Page], bool]) -> Callable[[_State, _Process], None]:
    """Advice that is kept as a flag of VMAs, so that it splits and merges them."""

    def make(state: _State, process: _Process) -> None:
        if found := _range(state, process, wanted):
            word = state.rng.choice(words)
            found.put(
                [page._replace(advice=f"{page.advice} {word}") if page else None for page in found.pages]
            )
            state.say(process, f"madvise {found.text} {word}")

    return make


def _collapse(state: _State, process: _Process) -> None:
    """Of a region's first huge page, if nothing forbids it: written before, so that there is something."""
    if found := _range(state, process, lambda page: True):
        pages = process.regions[found.region][:PMD]
        plain = [page and _is_private(page) and page.prot == WRITE and not page.advice for page in pages]
        if len(pages) == PMD and all(plain) and state.folios:
            state.say(process, f"write {found.region} 0 {PMD}")
            state.say(process, f"collapse {found.region} 0 {PMD}")


def _is_private(page: _Page) -> bool:
    return not page.mapping.file and not page.mapping.shared


def _protect(state: _State, process: _Process) -> None:
    if found := _range(state, process, lambda page: True):
        prot, word = state.rng.choice(((NONE, "none"), (READ, "read"), (WRITE, "read write")))
        found.put([page._replace(prot=prot) if page else None for page in found.pages])
        state.say(process, f"protect {found.text} {word}")


def _unmap(state: _State, process: _Process) -> None:
    if found := _range(state, process, lambda page: True):
        found.put([None] * found.length)
        state.say(process, f"unmap {found.text}")


def _move(state: _State, process: _Process) -> None:
    """Part of a VMA, over what is there: behind another part it is one VMA with it again, elsewhere it splits one."""
    found = _range(state, process, lambda page: True, one_vma=True)
    if found is None:
        return
    target, offset = _place(state, found)
    if not target:
        return
    moved = found.pages
    mapping = next(page.mapping for page in moved if page)
    stays = not mapping.shared and not mapping.file and state.rng.random() < 0.15
    _Range(process, target, offset, found.length).put(moved)
    if not stays:
        found.put([None] * found.length)
    state.say(process, f"move {found.text} to {target} {offset}{' dontunmap' if stays else ''}")


def _place(state: _State, found: _Range) -> tuple[str, int]:
    """A region and a page in it that the moved pages do not overlap; a new region half of the time."""
    regions = found.process.regions
    if state.rng.random() < 0.5 and len(regions) < MOST_REGIONS:
        name, offset = _new_region(state), state.rng.choice((0, 1, 9, 16))
        regions[name] = [None] * (offset + found.length + state.rng.choice((0, 5, 40)))
        state.say(found.process, f"reserve {name} {len(regions[name])}")
        return name, offset
    name = state.rng.choice([*regions, found.region])
    room = len(regions[name]) - found.length
    if room < 0:
        return "", 0
    offset = state.rng.choice(
        (found.first - found.length, found.first + found.length, state.rng.randint(0, room))
    )
    apart = name != found.region or abs(offset - found.first) >= found.length
    return (name, offset) if 0 <= offset <= room and apart else ("", 0)


def _fork(state: _State, process: _Process) -> None:
    """A child of any process, which acts from now on; or the youngest exits."""
    if len(state.processes) == MOST_PROCESSES or (len(state.processes) > 1 and state.rng.random() < 0.3):
        state.lines.append(f"reap {state.processes.pop().prefix[:-2]}")
        return
    state.children += 1
    name = f"child{state.children}"
    state.say(process, f"fork {name}")
    regions = {region: list(pages) for region, pages in process.regions.items()}
    state.processes.append(_Process(f"{name}: ", regions))


def _truncate(state: _State, process: _Process) -> None:
    if state.files:
        name = state.rng.choice(list(state.files))
        state.files[name] = state.rng.choice((0, 1, 5, 16, 37, 100, PMD, state.files[name] // 2))
        state.say(process, f"truncate {name} {state.files[name]}")


def _punch(state: _State, process: _Process) -> None:
    if state.files:
        name = state.rng.choice(list(state.files))
        if pages := state.files[name]:
            first = state.rng.randrange(pages)
            count = state.rng.randint(1, pages - first)
            state.say(process, f"fallocate {name} {first} {count} punch_hole")


def _fallocate(state: _State, process: _Process) -> None:
    if state.files:
        name = state.rng.choice(list(state.files))
        first, count = state.rng.choice((0, 3, 30, 100)), state.rng.choice((1, 16, 40))
        keeps = state.rng.random() < 0.4
        if not keeps:
            state.files[name] = max(state.files[name], first + count)
        state.say(process, f"fallocate {name} {first} {count}{' keep_size' if keeps else ''}")


def _fill(state: _State, process: _Process) -> None:
    if state.files:
        name = state.rng.choice(list(state.files))
        count, chunk = state.rng.choice((1, 16, 40, 200)), state.rng.choice((1, 4, 16, 64))
        state.files[name] = max(state.files[name], count)
        state.say(process, f"fill {name} {count} by {chunk}")


def _of_ext4(text: str) -> Callable[[_State, _Process], None]:
    def make(state: _State, process: _Process) -> None:
        if "ext4" in state.kinds.values():
            state.say(process, text)

    return make


_MAKE: dict[Callable[[_State, _Process], None], int] = {
    _access("write", WRITE): 8,
    _access("read", READ): 5,
    _advise("dontneed"): 3,
    _advise("free", _is_private): 2,
    _advise("cold"): 2,
    _advise("pageout"): 2,
    _advise("remove", lambda page: page.mapping.shared and page.prot == WRITE): 1,
    _advise("msync", lambda page: bool(page.mapping.file)): 1,
    _flag(("hugepage", "nohugepage"), _is_private): 1,
    _flag(("wipeonfork", "keeponfork"), _is_private): 1,
    _flag(("random", "sequential", "normal"), lambda page: bool(page.mapping.file)): 1,
    _populate("populate_read", READ): 1,
    _populate("populate_write", WRITE): 1,
    _collapse: 1,
    _protect: 4,
    _unmap: 2,
    _move: 3,
    _map: 1,
    _fork: 2,
    _truncate: 2,
    _punch: 1,
    _fallocate: 1,
    _fill: 1,
    _of_ext4("drop_caches"): 1,
}
