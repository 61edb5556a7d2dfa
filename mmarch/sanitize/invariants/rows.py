"""Rows of core-mm's tables: each is in use in one place, or waits to be used again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from mmarch.sanitize.invariants.finding import Finding
from mmarch.sanitize.invariants.spaces import vmas_of
from mmarch.sanitize.state import State

# what a row is, the first that was never used, the first free one, the next of that
LISTS = (
    ("VMA", "next_vma", "free_vmas", "vm_next"),
    ("AVC", "next_avc", "free_avcs", "next"),
    ("ANON_VMA", "next_anon_vma", "free_anon_vmas", "next"),
    ("MM", "next_mm", "free_mms", "next"),
)


def rows(state: State) -> Iterator[Finding]:
    """None is leaked, or free and in use."""
    used = {"VMA": _vmas(state), "AVC": _pairs(state), "MM": _spaces(state)}
    pairs = state.reader.memory.tables["AVC"]
    used["ANON_VMA"] = {int(pairs["anon_vma"][avc]) for avc in used["AVC"]}
    for table, top, first, following in LISTS:
        free = _chain(state, table, state.get(first), following)
        both = sorted(used[table] & set(free))
        if both:
            yield Finding("rows", f"{table} {both[0]} is in use, and free")
        lost = set(range(1, state.get(top))) - used[table] - set(free)
        if lost:
            yield Finding("rows", f"{table} {min(lost)} is neither in use nor free ({len(lost)} in all)")


def _vmas(state: State) -> set[int]:
    return {vma for vmas in vmas_of(state).values() for vma, _, _ in vmas}


def _pairs(state: State) -> set[int]:
    vmas, pairs = state.reader.memory.tables["VMA"], state.reader.memory.tables["AVC"]
    found: set[int] = set()
    for vma in _vmas(state):
        avc = int(vmas["avc"][vma])
        while avc and avc not in found and avc < state.get("next_avc"):
            found.add(avc)
            avc = int(pairs["same_vma"][avc])
    return found


def _spaces(state: State) -> set[int]:
    """Those of tasks, and that of the kernel."""
    return {1, *state.roots}


def _chain(state: State, table: str, row: int, column: str) -> list[int]:
    """A list, up to where it goes in circles."""
    following, seen = state.reader.memory.tables[table][column], dict[int, None]()
    while 0 < row < len(following) and row not in seen:
        seen[row] = None
        row = int(following[row])
    return list(seen)


def trees(state: State) -> Iterator[Finding]:
    """The tree of an mm is a heap with its mappings in order of addresses, as its list has them in both directions."""
    tables = state.reader.memory.tables
    left, right, before, rank = (tables["VMA"][name] for name in ("left", "right", "vm_prev", "priority"))
    for mm, vmas in vmas_of(state).items():
        listed = [vma for vma, _, _ in vmas]
        if listed != list(_inside(int(tables["MM"]["mm_rb"][mm]), left, right, len(listed))):
            yield Finding("vma", f"mm {mm}: its tree does not hold its mappings in order")
        if [int(before[vma]) for vma in listed] != [0, *listed][: len(listed)]:
            yield Finding("vma", f"mm {mm}: the list of its mappings says something else backwards")
        rows = np.array(listed, np.int64)
        if any((rank[rows] < rank[below[rows]])[below[rows] > 0].any() for below in (left, right)):
            yield Finding("vma", f"mm {mm}: a mapping lies above one of more priority in its tree")
        cached = int(tables["MM"]["mmap_cache"][mm])
        if cached and cached not in listed:
            yield Finding("vma", f"mm {mm}: the last mapping found is {cached}, which is not one of its own")
        owners = tables["VMA"]["vm_mm"][rows]
        if (owners != mm).any():
            yield Finding("vma", f"mm {mm}: mapping {listed[int((owners != mm).argmax())]} says it is another's")


def _inside(node: int, left: np.ndarray, right: np.ndarray, most: int) -> Iterator[int]:
    """The nodes of a tree in order; some more than there may be, if it has circles."""
    waiting: list[int] = []
    given = 0
    while (node or waiting) and given <= most and len(waiting) <= most:
        while node and len(waiting) <= most:
            waiting.append(node)
            node = int(left[node])
        node = waiting.pop()
        yield node
        given += 1
        node = int(right[node])


def rings(state: State) -> Iterator[Finding]:
    """The mappings of an anon_vma, and of a file, hang in a list by where they begin, in both directions."""
    tables = state.reader.memory.tables
    offsets, pairs, anon = tables["VMA"]["vm_pgoff"], tables["AVC"], tables["ANON_VMA"]
    found = _pairs(state)
    whose: dict[int, set[int]] = {}
    for avc in found:
        whose.setdefault(int(pairs["anon_vma"][avc]), set()).add(avc)
    for one, wanted in whose.items():
        ring = _ring(int(anon["first"][one]), pairs["next"], len(wanted))
        if set(ring) != wanted or len(ring) != len(wanted):
            yield Finding("rmap", f"anon_vma {one} has {len(ring)} pairs in its ring, {len(wanted)} are of it")
        elif [int(pairs["prev"][avc]) for avc in ring] != [ring[-1], *ring[:-1]]:
            yield Finding("rmap", f"the ring of anon_vma {one} says something else backwards")
        elif not _ascending(offsets[pairs["vma"][np.array(ring)]]):
            yield Finding("rmap", f"the ring of anon_vma {one} is not in order")
    children = np.bincount([int(anon["parent"][one]) for one in whose], minlength=state.get("next_anon_vma") or 1)
    for one in whose:
        if int(anon["num_children"][one]) != children[one]:
            yield Finding(
                "rmap", f"anon_vma {one} counts {anon['num_children'][one]} children, {children[one]} are there"
            )


def _ring(first: int, following: np.ndarray, most: int) -> list[int]:
    """From `first` back to it, at most one more than there may be."""
    seen, at = list[int](), first
    while at and len(seen) <= most:
        seen.append(at)
        at = int(following[at])
        if at == first:
            break
    return seen


def _ascending(values: Iterable[int]) -> bool:
    return bool((np.diff(np.asarray(values, np.int64)) >= 0).all())


def files(state: State) -> Iterator[Finding]:
    """A file counts its mappings, and has them all in its list, in order, in both directions."""
    tables = state.reader.memory.tables
    vmas = tables["VMA"]
    whose: dict[int, set[int]] = {}
    for vma in _vmas(state):
        whose.setdefault(int(vmas["vm_file"][vma]), set()).add(vma)
    free = set(_chain(state, "INODE", state.get("free_inodes"), "i_mmap"))
    for inode in range(1, state.get("next_inode")):
        wanted = whose.get(inode, set())
        if int(tables["INODE"]["users"][inode]) != len(wanted):
            users = tables["INODE"]["users"][inode]
            yield Finding("file", f"inode {inode} counts {users} mappings, and has {len(wanted)}")
        if inode in free:
            continue
        found = _ring(int(tables["INODE"]["i_mmap"][inode]), vmas["i_mmap_next"], len(wanted))
        if set(found) != wanted or len(found) != len(wanted):
            yield Finding("file", f"inode {inode} lists {len(found)} mappings, and has {len(wanted)}")
        elif [int(vmas["i_mmap_prev"][vma]) for vma in found] != [0, *found][: len(found)]:
            yield Finding("file", f"the mappings of inode {inode} are others backwards")
        elif not _ascending(vmas["vm_pgoff"][np.array(found, np.int64)]):
            yield Finding("file", f"the mappings of inode {inode} are not in order")
