"""Random scenarios that are always legal: a few regions, and operations on what is mapped and accessible."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

READ, WRITE = 1, 3
NONE, UNMAPPED = 0, -1
ORDERS = (0, 2, 3, 4, 6, 9)
OPERATIONS = 16
_VERBS = {"w": 6, "r": 4, "d": 3, "f": 2, "c": 2, "p": 4, "u": 2, "v": 2, "pageout": 1, "fork": 1}


@dataclass
class _Region:
    name: str
    pages: list[int]  # protection of each page, UNMAPPED where there is none
    shared: bool = False


@dataclass
class _State:
    rng: Random
    regions: list[_Region] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    child: bool = False


def program(seed: int, number: int) -> str:
    """The text of a scenario, the same for the same numbers."""
    rng = Random(f"{seed}.{number}")
    state = _State(rng)
    order = rng.choice(ORDERS)
    for name in "AB"[: rng.randint(1, 2)]:
        _map(state, name)
    while len(state.lines) < OPERATIONS:
        verb = rng.choices(list(_VERBS), list(_VERBS.values()))[0]
        _MAKE.get(verb, _advise)(state, verb)
    if state.child:
        state.lines.append("reap")
    return "\n".join([f"scenario random_{seed}_{number} order {order}", *state.lines, "end", ""])


def _map(state: _State, name: str) -> None:
    pages = state.rng.choice((1, 5, 16, 33, 200, 512, 700))
    shared = state.rng.random() < 0.2
    state.regions.append(_Region(name, [WRITE] * pages, shared))
    state.lines.append(f"map {name} {pages}{' shared' if shared else ''}")
    if state.rng.random() < 0.7:
        state.lines.append(f"write {name}")


def _range(state: _State, allowed: tuple[int, ...]) -> tuple[_Region, int, int] | None:
    """A run of pages, unaligned, all with one of the protections."""
    region = state.rng.choice(state.regions)
    start = state.rng.randrange(len(region.pages))
    end = start
    most = state.rng.choice((1, 3, 17, 64, 512))
    while end < len(region.pages) and end - start < most and region.pages[end] in allowed:
        end += 1
    return (region, start, end - start) if end > start else None


def _touch(state: _State, verb: str) -> None:
    found = _range(state, (WRITE,) if verb == "w" else (READ, WRITE))
    if found:
        region, first, count = found
        state.lines.append(f"{'write' if verb == 'w' else 'read'} {region.name} {first} {count}")


def _advise(state: _State, verb: str) -> None:
    found = _range(state, (NONE, READ, WRITE))
    if found and not (verb == "f" and found[0].shared):
        words = {"d": "dontneed", "f": "free", "c": "cold"}
        state.lines.append(f"{words.get(verb, verb)} {found[0].name} {found[1]} {found[2]}")


def _protect(state: _State, verb: str) -> None:
    found = _range(state, (NONE, READ, WRITE))
    if found:
        region, first, count = found
        prot, word = state.rng.choice(((NONE, "none"), (READ, "read"), (WRITE, "read write")))
        region.pages[first : first + count] = [prot] * count
        state.lines.append(f"protect {region.name} {first} {count} {word}")


def _unmap(state: _State, verb: str) -> None:
    found = _range(state, (NONE, READ, WRITE))
    if found:
        region, first, count = found
        region.pages[first : first + count] = [UNMAPPED] * count
        state.lines.append(f"unmap {region.name} {first} {count}")


def _move(state: _State, verb: str) -> None:
    """To a new region, at any page of it; a range of one VMA, since the source has one protection."""
    region = state.rng.choice(state.regions)
    first = state.rng.randrange(len(region.pages))
    found = _same(region, first, state.rng.choice((1, 7, 40, 300)))
    if not found or len(state.regions) > 5 or state.child:
        return
    name, offset = chr(ord("F") + len(state.regions)), state.rng.choice((0, 1, 9, 16))
    prot = region.pages[first]
    region.pages[first : first + found] = [UNMAPPED] * found
    pages = [UNMAPPED] * offset + [prot] * found
    state.regions.append(_Region(name, pages, region.shared))
    state.lines += [f"reserve {name} {len(pages)}", f"move {region.name} {first} {found} to {name} {offset}"]


def _same(region: _Region, first: int, most: int) -> int:
    count = 0
    while (
        first + count < len(region.pages)
        and count < most
        and region.pages[first + count] == region.pages[first]
    ):
        count += 1
    return 0 if region.pages[first] == UNMAPPED else count


def _fork(state: _State, verb: str) -> None:
    state.lines.append("reap" if state.child else "fork")
    state.child = not state.child


_MAKE = {"w": _touch, "r": _touch, "p": _protect, "u": _unmap, "v": _move, "fork": _fork}
