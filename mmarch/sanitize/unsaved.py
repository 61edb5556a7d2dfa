"""What reclaim would throw away: frames that hold something else than swap or disk, and that nobody calls dirty."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from core_mm.mm_types import PG_DIRTY, PG_SWAPCACHE
from mmarch.sanitize.entries import DIRTY, WRITABLE, Numbers
from mmarch.sanitize.invariants import Finding
from mmarch.sanitize.state import Flags, State

SHOWN = 3


def dirty_folios(state: State) -> Flags:
    """Of each frame whether its folio is dirty, by its own account or by that of an entry that maps a page of it."""
    marked = state.flags & PG_DIRTY != 0
    leaves = state.leaves.read
    dirty = leaves.frame[state.mapping & (leaves.bits & DIRTY != 0)]
    marked[state.head[dirty]] = True
    found: Flags = marked[state.head] & (state.head != 0)
    return found


def unsaved_files(state: State, in_memory: Flags, loses: bool, dirty: Flags) -> Iterator[Finding]:
    """Cached pages of the files numbered from 0 on; `in_memory` of each says that nothing but swap is behind it.

    `loses`: Linux loses such pages itself (`zap_pmd_dirty`).
    """
    inode, index, frames = state.cached
    mine = np.flatnonzero((inode >= 1) & (inode <= len(in_memory)) & (frames > 0) & (frames < state.frames))
    which, index, frames = inode[mine] - 1, index[mine], frames[mine]
    first = state.column("INODE", "first", len(in_memory) + 1)[1:]
    saved = np.where(in_memory[which], 0, state.array("file_content")[first[which] + index])
    unsaved = (state.array("content")[frames] != saved) & ~dirty[frames] & ~(in_memory[which] & loses)
    for at in np.flatnonzero(unsaved)[:SHOWN].tolist():
        frame = int(frames[at])
        yield Finding(
            "dirty", f"file {which[at]} page {index[at]} was written to, and neither frame {frame:#x} nor an entry "
            f"that maps it {state.whose(frame)} is dirty: reclaim would lose it", frame,
        )  # fmt: skip


def unnoticed(state: State, noticing: Flags, dirty: Flags) -> Iterator[Finding]:
    """Clean pages of which a file system wants to hear before they are written to (vma_wants_writenotify)."""
    inode, _, frames = state.cached
    mine = (inode >= 1) & (inode <= len(noticing)) & (frames > 0) & (frames < state.frames)
    clean = np.zeros(state.frames, np.bool_)
    clean[frames[mine]] = noticing[inode[mine] - 1] & ~dirty[frames[mine]]
    leaves = state.leaves.read
    writable = state.mapping & (leaves.bits & WRITABLE != 0)
    for frame in np.unique(leaves.frame[writable][clean[leaves.frame[writable]]])[:SHOWN].tolist():
        yield Finding(
            "dirty", f"frame {frame:#x} of a file is clean, and an entry permits writing to it {state.whose(frame)}: "
            "its file system would not notice", frame,
        )  # fmt: skip


def unsaved_anonymous(state: State, dirty: Flags) -> Iterator[Finding]:
    """Pages in the swap cache, of which a clean one goes without being written again."""
    heads = state.used[state.flags[state.used] & PG_SWAPCACHE != 0]
    frames, steps = _pages(heads, state.pages_of(heads))
    slots = state.page("private")[frames - steps] + steps
    differs = state.array("content")[frames] != state.array("swap_content")[slots]
    for at in np.flatnonzero(differs & (state.mapped[frames] != 0) & ~dirty[frames])[:SHOWN].tolist():
        frame = int(frames[at])
        yield Finding(
            "dirty", f"frame {frame:#x} {state.whose(frame)} was written to since it was saved in slot "
            f"{int(slots[at]):#x}, and neither it nor an entry that maps it is dirty: reclaim would lose it", frame,
        )  # fmt: skip


def _pages(heads: Numbers, pages: Numbers) -> tuple[Numbers, Numbers]:
    """Every frame of some folios, and which page of its folio each is."""
    steps = np.arange(int(pages.sum())) - np.repeat(np.cumsum(pages) - pages, pages)
    return np.repeat(heads, pages) + steps, steps
