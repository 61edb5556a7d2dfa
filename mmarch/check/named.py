"""Whether core-mm's own functions are called with what their parameters are named after, and with what fits together.

A parameter called `vma` is a mapping, `ptep` an entry of a table of the lowest level, `nr` some; a range is not empty, an
address lies in the mapping that comes with it, a page in its folio, an entry where its address has it. Much of that are
assertions of the kernel: BUG_ON(addr >= end) in mm/memory.c:unmap_page_range and mm/mprotect.c:change_protection_range,
__folio_rmap_sanity_checks() in include/linux/rmap.h, VM_WARN_ON in mm/vma.c.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import CodeType, FrameType
from typing import Any

from core_mm.mm_types import PG_ORDER_SHIFT
from core_mm.uapi import ACCESS_EXEC
from mmarch.engine.machine import Machine

Rule = Callable[[Mapping[str, Any]], bool]
Rules = list[tuple[str, Rule]]

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

# Function -> what its parameters are not, though they are called so, and need not be together.
EXCEPT = {
    # there is none: what has not been mapped yet, is not of a file, has no gather of its own, was not mapped
    "set_link": "vma", "clear_vma": "vma", "set_mm": "mm", "mmap_region": "inode", "prep_part": "inode",
    "madvise_walk_vmas": "tlb", "madvise_vma_behavior": "tlb", "madvise_dontneed": "tlb", "madvise_free": "tlb",
    "wp_page_copy": "page folio", "put_old": "page folio", "batch_alloc": "page",
    # counts of either sign, indices of pages, slots, frames
    "folio_ref_add": "nr", "filemap_map_folio_range": "start end", "free_range": "start end", "hand_out": "start end",
    "alloc_in_cluster": "start", "end_naturally": "start", "free_run": "start end", "truncate_whole_folios": "start end",
    "filemap_write_and_wait_range": "end", "unmap_mapping_pages": "start",
    # entries of any level; the first of a batch with the address of another one; a mapping as it was, or will be
    "store": "ptep", "log_store": "ptep", "walk": "ptep", "logged_walk": "ptep", "set_pte_range": "ptep", "linear_page_index": "address",
    "copy_vma": "addr", "vma_set_range": "start end", "log_vma": "vma end",
}  # fmt: skip
OVERLAPPING = ("unmap_vmas", "unmap_single_vma")  # whose range is of more than one mapping


class Named:
    """Looks at every call of a function of core-mm on an interpreted machine."""

    def __init__(self, machine: Machine) -> None:
        tables, get = machine.memory.tables, machine.memory.get
        self.rows = {name: len(tables[name]) for name in ("VMA", "MM", "PAGE", "GATHER", "INODE", "PTDESC")}
        self.vmas, self.pages, self.gathers, self.ptdesc = (
            {column: memoryview(tables[table][column]) for column in columns}
            for table, columns in (
                ("VMA", ("vm_start", "vm_end", "vm_mm")), ("PAGE", ("head", "flags")), ("GATHER", ("mm",)),
                ("PTDESC", ("level", "mm")),
            )
        )  # fmt: skip
        self.ptes = memoryview(machine.memory.arrays["ptes"])
        self.present, self.frame = (machine._binder.hooks[name] for name in ("pte_present", "pte_pfn"))
        self.shift, self.bits = get("cfg", "page_shift"), get("cfg", "pte_bits")
        self.highest = max(get("cfg", "pmd_order"), 10)  # mm/page_alloc.c: MAX_PAGE_ORDER
        self._rules: dict[CodeType, Rules] = {}

    def wrong(self, frame: FrameType) -> str:
        """What does not hold of the call that begins with this frame; "" if all does."""
        code = frame.f_code
        rules = self._rules.get(code)
        if rules is None:
            rules = self._rules[code] = self._of(code.co_name, code.co_varnames[: code.co_argcount])
        given = frame.f_locals
        for what, holds in rules:
            if not holds(given):
                words = set(what.replace(",", " ").split())
                values = [f"{name} {given[name]:#x}" for name in code.co_varnames[: code.co_argcount] if name in words]
                return f"core-mm calls {code.co_name} with {', '.join(values)}; right is: {what}"
        return ""

    def _of(self, function: str, names: Sequence[str]) -> Rules:
        """What has to hold of a function's arguments; each by itself first, for the others rest on that."""
        left = [name for name in names if name not in EXCEPT.get(function, "").split()]
        rules: Rules = []
        for kind, called in KINDS.items():
            rules += [(f"{name} is {kind}", self._kind(kind, name)) for name in called if name in left]
        return rules + self._ranges(left) + self._places(left) + self._mappings(function, left) + self._folios(left)

    def _kind(self, kind: str, name: str) -> Rule:
        page, bits, level = (1 << self.shift) - 1, self.bits, self.ptdesc["level"]
        start, end, head, rows = self.vmas["vm_start"], self.vmas["vm_end"], self.pages["head"], self.rows
        tests: dict[str, Callable[[int], bool]] = {
            "a mapping": lambda v: 0 < v < rows["VMA"] and start[v] < end[v],
            "an address space": lambda v: 0 < v < rows["MM"],
            "a border of pages": lambda v: not v & page,
            "the first page of a folio": lambda v: 0 < v < rows["PAGE"] and head[v] == v,
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
        test = tests[kind]
        return lambda given: test(given[name])

    def _ranges(self, names: Sequence[str]) -> Rules:
        return [
            (f"{first} < {after}", lambda given, first=first, after=after: given[first] < given[after])
            for first, after in RANGES if first in names and after in names
        ]  # fmt: skip

    def _places(self, names: Sequence[str]) -> Rules:
        """Entries are those of the address, in a table of the address space, and as many as that has."""
        rules: Rules = []
        owner, mask, mm = self._owner(names), (1 << self.bits) - 1, self.ptdesc["mm"]
        for ptep, addresses in AT.items():
            if ptep not in names:
                continue
            shift = self.shift + self.bits * ptep.endswith("pmdp")
            for addr in addresses:
                if addr in names:
                    rules.append((
                        f"{ptep} is the entry of {addr}",
                        lambda g, p=ptep, a=addr, s=shift: g[a] >> s & mask == g[p] & mask,
                    ))  # fmt: skip
            if owner:
                rules.append((
                    f"{ptep} is of a table of the mm of {owner[0]}",
                    lambda g, p=ptep: mm[g[p] >> self.bits] == owner[1](g),
                ))  # fmt: skip
            if "nr" in names and ptep.endswith("ptep"):
                rules.append((
                    f"nr entries from {ptep} on are in one table", lambda g, p=ptep: (g[p] & mask) + g["nr"] <= mask + 1
                ))  # fmt: skip
        if "ptep" in names and "pte" in names:
            rules.append(("pte has the frame of the entry at ptep", self._read))
        return rules

    def _owner(self, names: Sequence[str]) -> tuple[str, Callable[[Mapping[str, Any]], int]] | None:
        """Which parameter says whose address space it is, and which that is."""
        if "mm" in names:
            return "mm", lambda given: int(given["mm"])
        if "vma" in names:
            return "vma", lambda given: self.vmas["vm_mm"][given["vma"]]
        return ("tlb", lambda given: self.gathers["mm"][given["tlb"]]) if "tlb" in names else None

    def _read(self, given: Mapping[str, Any]) -> bool:
        raw, pte = self.ptes[given["ptep"]], given["pte"]
        return not (self.present(raw) and self.present(pte)) or self.frame(raw) == self.frame(pte)

    def _mappings(self, function: str, names: Sequence[str]) -> Rules:
        """What a mapping has: addresses, an address space, and that of a gather."""
        if "vma" not in names:
            return []
        start, end, mm, shift = self.vmas["vm_start"], self.vmas["vm_end"], self.vmas["vm_mm"], self.shift
        if function in OVERLAPPING:
            what = "some of start to end lies in vma"
            return [(what, lambda g: g["start"] < end[g["vma"]] and start[g["vma"]] < g["end"])]
        rules: Rules = [
            (f"{addr} lies in vma", lambda g, a=addr: start[g["vma"]] <= g[a] < end[g["vma"]])
            for addr in (*ADDRESSES, "start") if addr in names
        ]  # fmt: skip
        if "end" in names:
            rules.append(("end lies in vma, or is its end", lambda g: start[g["vma"]] < g["end"] <= end[g["vma"]]))
        for addr in ADDRESSES[:2]:
            if addr in names and "nr" in names:
                what = f"nr pages from {addr} on lie in vma"
                rules.append((what, lambda g, a=addr: g[a] + (g["nr"] << shift) <= end[g["vma"]]))
        if "mm" in names:
            rules.append(("vma is one of mm", lambda g: mm[g["vma"]] == g["mm"]))
        if "tlb" in names:
            rules.append(("vma is of the mm of tlb", lambda g: mm[g["vma"]] == self.gathers["mm"][g["tlb"]]))
        return rules

    def _folios(self, names: Sequence[str]) -> Rules:
        """A page is one of the folio, and nr pages from it on are."""
        if "folio" not in names or "page" not in names:
            return []
        head, flags = self.pages["head"], self.pages["flags"]
        rules: Rules = [("page is one of folio", lambda g: head[g["page"]] == g["folio"])]
        if "nr" in names:
            size = "nr pages from page on are of folio"
            rules.append((size, lambda g: g["page"] + g["nr"] <= g["folio"] + (1 << (flags[g["folio"]] >> PG_ORDER_SHIFT))))
        return rules
