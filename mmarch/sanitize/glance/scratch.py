"""What a glance notes down: memory of its own beside the machine's, which it only reads."""

from __future__ import annotations

from core_mm.decl import Scalars, Table, column


class glance(Scalars):
    """Where it is, and what it found."""

    suspect: int  # the first doubt, a number of `doubts`; 0: everything is in order
    frames: int  # one more than the last frame that was ever handed out
    cont_mask: int  # of the architecture: entries of a contiguous block
    vma: int  # the mapping that the walk is in, and what is read of it again and again
    vma_start: int
    vma_end: int
    vma_offset: int  # page of the file or of the anon_vma, less the page number
    anon_vma: int  # one that this mapping was found to be chained to
    in_use: int  # page-table pages
    reserve: int  # PMD leaves of the walk's mm that need a table in reserve
    entered: int  # file pages that inodes account for


class FRAME(Table, rows="frames"):
    """A frame: entries that map it, and what else refers to it."""

    mapped = column(32)
    huge = column(32)
    mm = column(32)  # of a large folio's head: whose entries were counted last
    mms = column(32)  # how many address spaces map it
    first = column(32)  # entries of the first owner that it names, and of the second
    second = column(32)
    cached = column(8)
    table = column(8)


class SLOT(Table, rows="swap"):
    """A swap slot."""

    references = column(32)
    exclusive = column(8)


class KNOWN(Table, rows="tables"):
    """A page-table slot."""

    times = column(8)  # places that it was found in


class CHAIN(Table, rows="anon_vmas"):
    """An anon_vma: its pairs in the chains of VMAs, and the VMAs whose own it is."""

    pairs = column(32)
    own = column(32)


class SPACE(Table, rows="mms"):
    """An address space: what its tables have."""

    tasks = column(32)
    tables = column(32)
    rss_file = column(64)
    rss_anon = column(64)
    rss_shmem = column(64)
    rss_swap = column(64)
