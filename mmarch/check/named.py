"""Whether core-mm's own functions are called with what their parameters are named after, and with what fits together.

A parameter called `vma` is a mapping, `ptep` an entry of a table of the lowest level, `nr` some; a range is not empty,
an address lies in the mapping that comes with it, a page in its folio, an entry where its address has it. Much of that
are assertions of the kernel: BUG_ON(addr >= end) in mm/memory.c:unmap_page_range, __folio_rmap_sanity_checks() in
include/linux/rmap.h, VM_WARN_ON() in mm/vma.c.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import CodeType, FrameType
from typing import Any

from core_mm.mm_types import PG_ORDER_SHIFT
from core_mm.uapi import ACCESS_EXEC
from mmarch.engine.machine import Machine

Given = Mapping[str, Any]
Rule = Callable[[Given], bool]
Rules = Iterator[tuple[str, Rule]]

ADDRESSES = ("addr", "address", "haddr")
WHOLE = (*ADDRESSES, "start", "end", "old_addr", "new_addr", "old_end")  # pages
KINDS = {
    "a mapping": ("vma", "src_vma", "dst_vma", "old_vma", "new_vma", "mpnt", "pvma", "vma1", "vma2", "tgt"),
    "an address space": ("mm", "oldmm"),
    "a border of pages": WHOLE,
    "the first page of a folio": ("folio", "large"),
    "a frame": ("page", "pfn"),
    "some": ("nr", "max_nr", "limit", "pages", "refs", "extent"),
    "an order": ("order", "high", "low"),
    "a gather": ("tlb",),
    "a file": ("inode",),
    "an entry of a PTE table": ("ptep", "src_ptep", "dst_ptep", "old_ptep", "new_ptep"),
    "an entry of a PMD table": ("pmdp", "src_pmdp", "dst_pmdp", "old_pmdp", "new_pmdp"),
    "an access": ("access",),
    "yes or no": (
        "pageout", "even_cows", "fullmm", "new_below", "delay_rmap", "by_table", "gentle", "listed", "young", "dirty",
        "write", "unused_to_zeropage",
    ),
}  # fmt: skip
RANGES = (("start", "end"), ("addr", "end"), ("old_addr", "old_end"), ("lstart", "lend"))
AT = {"ptep": ADDRESSES, "pmdp": ADDRESSES, "old_ptep": ("old_addr",), "new_ptep": ("new_addr",),
      "old_pmdp": ("old_addr",), "new_pmdp": ("new_addr",)}  # fmt: skip

# Function -> parameters that are called so and are something else, or nothing.
EXCEPT = {
    # there is none: what has not been mapped yet, is not of a file, has no gather of its own, was not mapped
    "set_link": "vma", "clear_vma": "vma", "set_mm": "mm", "mmap_region": "inode", "prep_part": "inode",
    "madvise_walk_vmas": "tlb", "madvise_vma_behavior": "tlb", "madvise_dontneed": "tlb", "madvise_free": "tlb",
    "wp_page_copy": "page folio", "put_old": "page folio", "batch_alloc": "page",
    # counts of either sign, indices of pages, slots, frames
    "folio_ref_add": "nr", "filemap_map_folio_range": "start end", "free_range": "start end", "hand_out": "start end",
    "alloc_in_cluster": "start", "end_naturally": "start", "free_run": "start end", "unmap_mapping_pages": "start",
    "truncate_whole_folios": "start end", "filemap_write_and_wait_range": "end",
    # entries of any level; the first of a batch with the address of another one; a mapping as it was, or will be
    "store": "ptep", "log_store": "ptep", "walk": "ptep", "logged_walk": "ptep", "set_pte_range": "ptep",
    "linear_page_index": "address", "copy_vma": "addr", "vma_set_range": "start end", "log_vma": "vma end",
}  # fmt: skip
OVERLAPPING = ("unmap_vmas", "unmap_single_vma")  # whose range is of more than one mapping


class Named:
    """Looks at every call of a function of core-mm on an interpreted machine."""

    def __init__(self, machine: Machine) -> None:
        tables, get = machine.memory.tables, machine.memory.get
        self.rows = {name: len(tables[name]) for name in ("VMA", "MM", "PAGE", "GATHER", "INODE", "PTDESC")}
        self.start, self.end, self.mm_of = (
            tables["VMA"][name].data for name in ("vm_start", "vm_end", "vm_mm")
        )
        self.head, self.flags = (tables["PAGE"][name].data for name in ("head", "flags"))
        self.level, self.table_mm = (tables["PTDESC"][name].data for name in ("level", "mm"))
        self.gather_mm = tables["GATHER"]["mm"].data
        self.read, self.present, self.frame = (
            machine._binder.hooks[name] for name in ("ptep_get", "pte_present", "pte_pfn")
        )
        self.shift, self.bits = get("cfg", "page_shift"), get("cfg", "pte_bits")
        self.highest = max(get("cfg", "pmd_order"), 10)  # mm/page_alloc.c: MAX_PAGE_ORDER
        self._rules: dict[CodeType, list[tuple[str, Rule]]] = {}

    def wrong(self, frame: FrameType) -> str:
        """What does not hold of the call that begins with this frame; "" if all does."""
        code = frame.f_code
        names = code.co_varnames[: code.co_argcount]
        rules = self._rules.get(code)
        if rules is None:
            rules = self._rules[code] = list(self._of(code.co_name, names))
        given = frame.f_locals
        for what, holds in rules:
            if not holds(given):
                words = set(what.replace(",", " ").split())
                values = ", ".join(f"{name} {given[name]:#x}" for name in names if name in words)
                return f"core-mm calls {code.co_name} with {values}; right is: {what}"
        return ""

    def _of(self, function: str, names: Sequence[str]) -> Rules:
        """What has to hold of a function's arguments; each by itself first, for the others rest on that."""
        left = [name for name in names if name not in EXCEPT.get(function, "").split()]
        tests = self._tests()
        for kind, called in KINDS.items():
            for name in filter(left.__contains__, called):
                yield f"{name} is {kind}", _alone(tests[kind], name)
        for first, after in RANGES:
            if first in left and after in left:
                yield f"{first} < {after}", _below(first, after)
        yield from self._places(left)
        if "vma" in left:
            yield from self._overlaps() if function in OVERLAPPING else self._mappings(left)
        if "folio" in left and "page" in left:
            yield from self._folios(left)

    def _tests(self) -> dict[str, Callable[[int], bool]]:
        page, bits, level, rows = (1 << self.shift) - 1, self.bits, self.level, self.rows
        return {
            "a mapping": lambda v: 0 < v < rows["VMA"] and self.start[v] < self.end[v],
            "an address space": lambda v: 0 < v < rows["MM"],
            "a border of pages": lambda v: not v & page,
            "the first page of a folio": lambda v: 0 < v < rows["PAGE"] and self.head[v] == v,
            "a frame": lambda v: 0 < v < rows["PAGE"],
            "some": lambda v: v > 0,
            "an order": lambda v: 0 <= v <= self.highest,
            "a gather": lambda v: 0 < v < rows["GATHER"],
            "a file": lambda v: 0 < v < rows["INODE"],
            "an entry of a PTE table": lambda v: 0 < v >> bits < rows["PTDESC"] and level[v >> bits] == 0,
            "an entry of a PMD table": lambda v: 0 < v >> bits < rows["PTDESC"] and level[v >> bits] == 1,
            "an access": lambda v: 0 <= v <= ACCESS_EXEC,
            "yes or no": lambda v: 0 <= v <= 1,
        }

    def _places(self, names: Sequence[str]) -> Rules:
        """Entries are those of the address, in a table of the address space, and as many as that has."""
        owner, mask = self._owner(names), (1 << self.bits) - 1
        for ptep, addresses in AT.items():
            if ptep not in names:
                continue
            shift = self.shift + self.bits * ptep.endswith("pmdp")
            for addr in filter(names.__contains__, addresses):
                yield f"{ptep} is the entry of {addr}", _entry_of(ptep, addr, shift, mask)
            if owner:
                yield f"{ptep} is of a table of the mm of {owner[0]}", self._table_of(ptep, owner[1])
            if "nr" in names and ptep.endswith("ptep"):
                yield f"nr entries from {ptep} on are in one table", _in_table(ptep, mask)
        if "ptep" in names and "pte" in names:
            yield "pte has the frame of the entry at ptep", self._read

    def _owner(self, names: Sequence[str]) -> tuple[str, Callable[[Given], int]] | None:
        """Which parameter says whose address space it is, and which that is."""
        if "mm" in names:
            return "mm", lambda given: int(given["mm"])
        if "vma" in names:
            return "vma", lambda given: self.mm_of[given["vma"]]
        return ("tlb", lambda given: self.gather_mm[given["tlb"]]) if "tlb" in names else None

    def _table_of(self, ptep: str, owner: Callable[[Given], int]) -> Rule:
        return lambda given: self.table_mm[given[ptep] >> self.bits] == owner(given)

    def _read(self, given: Given) -> bool:
        """As core-mm reads it: entries of a block need not hold their own frames."""
        there, pte = self.read(given["ptep"]), given["pte"]
        return not (self.present(there) and self.present(pte)) or self.frame(there) == self.frame(pte)

    def _overlaps(self) -> Rules:
        yield (
            "some of start to end lies in vma",
            lambda given: given["start"] < self.end[given["vma"]] and self.start[given["vma"]] < given["end"],
        )

    def _mappings(self, names: Sequence[str]) -> Rules:
        """What a mapping has: addresses, an address space, and that of a gather."""
        for addr in filter(names.__contains__, (*ADDRESSES, "start")):
            yield f"{addr} lies in vma", self._inside(addr)
        if "end" in names:
            yield "end lies in vma, or is its end", self._until(lambda given: given["end"])
        for addr in filter(names.__contains__, ADDRESSES[:2] if "nr" in names else ()):
            yield f"nr pages from {addr} on lie in vma", self._until(_after(addr, self.shift))
        if "mm" in names:
            yield "vma is one of mm", lambda given: self.mm_of[given["vma"]] == given["mm"]
        if "tlb" in names:
            yield (
                "vma is of the mm of tlb",
                lambda given: self.mm_of[given["vma"]] == self.gather_mm[given["tlb"]],
            )

    def _inside(self, addr: str) -> Rule:
        return lambda given: self.start[given["vma"]] <= given[addr] < self.end[given["vma"]]

    def _until(self, end: Callable[[Given], int]) -> Rule:
        return lambda given: self.start[given["vma"]] < end(given) <= self.end[given["vma"]]

    def _folios(self, names: Sequence[str]) -> Rules:
        """A page is one of the folio, and nr pages from it on are."""
        yield "page is one of folio", lambda given: self.head[given["page"]] == given["folio"]
        if "nr" in names:
            yield "nr pages from page on are of folio", self._of_folio

    def _of_folio(self, given: Given) -> bool:
        folio = given["folio"]
        return bool(given["page"] + given["nr"] <= folio + (1 << (self.flags[folio] >> PG_ORDER_SHIFT)))


def _alone(test: Callable[[int], bool], name: str) -> Rule:
    return lambda given: test(given[name])


def _below(first: str, after: str) -> Rule:
    return lambda given: bool(given[first] < given[after])


def _after(addr: str, shift: int) -> Callable[[Given], int]:
    return lambda given: int(given[addr] + (given["nr"] << shift))


def _entry_of(ptep: str, addr: str, shift: int, mask: int) -> Rule:
    return lambda given: given[addr] >> shift & mask == given[ptep] & mask


def _in_table(ptep: str, mask: int) -> Rule:
    return lambda given: (given[ptep] & mask) + given["nr"] <= mask + 1
