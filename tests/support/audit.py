"""Does what core-mm remembers of memory agree with the page tables? (arm64, 4K pages)"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from core_mm.mm_types import PG_ANON, PG_BUDDY, PG_LARGE, PG_ORDER_SHIFT, PG_SWAPCACHE, PG_TABLE
from mmarch.engine.machine import Machine

ENTRIES, LEVELS, INIT_MM = 512, 4, 1
VALID, TABLE, PRESENT_INVALID, SPECIAL = 1, 2, 1 << 11, 1 << 56
FRAME_MASK = (1 << 36) - 1


def audit(machine: Machine) -> list[str]:
    """Every disagreement, in words; empty if there is none."""
    return list(Audit(machine).problems())


class Audit:
    """Counts mappings by walking every page table, then compares."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.page, self.mms = machine.memory.tables["PAGE"], machine.memory.tables["MM"]
        self.ptes: Counter[int] = Counter()  # of a page
        self.pmds: Counter[int] = Counter()  # of a folio
        self.slots: Counter[int] = Counter()  # of a swap slot
        self.rss: dict[int, Counter[str]] = {}
        for mm in self.live():
            self.rss[mm] = Counter()
            self.walk(mm, int(self.mms["pgd"][mm]), LEVELS - 1)
        for value in machine.memory.arrays["i_pages"][: self.scalar("next_file_page")]:
            if value < 0:
                self.slots[-int(value) & 0xFFFFFFFF] += 1

    def scalar(self, name: str) -> int:
        return self.machine.memory.get("mach", name)

    def live(self) -> list[int]:
        """Rows of the address spaces in use."""
        users = self.mms["mm_users"][: self.scalar("next_mm")]
        return [row for row in range(INIT_MM + 1, len(users)) if users[row] > 0]

    def walk(self, mm: int, slot: int, level: int) -> None:
        """Count what hangs below a table."""
        table = self.machine.memory.arrays["ptes"][slot * ENTRIES : (slot + 1) * ENTRIES]
        for index in table.nonzero()[0]:
            entry = int(table[index])
            if level == 0:
                self.leaf(mm, entry)
            elif entry & TABLE:
                self.walk(mm, entry >> 12, level - 1)
            elif (pfn := entry >> 12 & FRAME_MASK) != self.scalar("huge_zero_page"):
                self.pmds[pfn] += 1
                self.rss[mm][self.kind(pfn)] += ENTRIES

    def leaf(self, mm: int, entry: int) -> None:
        """One PTE."""
        if not entry & (VALID | PRESENT_INVALID):
            self.slots[entry >> 12] += 1
            self.rss[mm]["rss_swap"] += 1
        elif not entry & SPECIAL:
            pfn = entry >> 12 & FRAME_MASK
            self.ptes[pfn] += 1
            self.rss[mm][self.kind(int(self.page["head"][pfn]))] += 1

    def kind(self, folio: int) -> str:
        """The counter its pages belong to."""
        flags = int(self.page["flags"][folio])
        if flags & PG_ANON:
            return "rss_anon"
        return "rss_shmem" if flags & (1 << 6) else "rss_file"

    def folios(self) -> Iterator[tuple[int, int]]:
        """(first frame, pages) of every folio in use."""
        page = self.page
        for pfn in range(1, self.machine.memory.get("cfg", "memory_pages") + 1):
            flags = int(page["flags"][pfn])
            if flags & PG_BUDDY or page["refcount"][pfn] <= 0 or int(page["head"][pfn]) != pfn:
                continue
            yield pfn, 1 << (flags >> PG_ORDER_SHIFT)

    def problems(self) -> Iterator[str]:
        """Compare."""
        if self.scalar("warned"):
            yield f"WARN {self.machine.memory.get('mach', 'warn_code')} was hit {self.scalar('warned')} times"
        for mm, counted in self.rss.items():
            for name in ("rss_anon", "rss_file", "rss_shmem", "rss_swap"):
                if int(self.mms[name][mm]) != counted[name]:
                    yield f"mm {mm}: {name} is {int(self.mms[name][mm])}, mapped are {counted[name]}"
        yield from self.swap_problems()
        used = 0
        for folio, nr in self.folios():
            used += nr
            yield from self.folio_problems(folio, nr)
        total = self.machine.memory.get("cfg", "memory_pages")
        if used + self.scalar("free_pages") != total:
            yield f"{used} frames are in use and {self.scalar('free_pages')} free, of {total}"

    def folio_problems(self, folio: int, nr: int) -> Iterator[str]:
        """Mapcounts and references of one folio."""
        flags = int(self.page["flags"][folio])
        for pfn in range(folio, folio + nr):
            if int(self.page["mapcount"][pfn]) != self.ptes[pfn]:
                yield f"frame {pfn}: mapcount {int(self.page['mapcount'][pfn])}, {self.ptes[pfn]} PTEs map it"
            if self.page["anon_exclusive"][pfn] and not flags & PG_ANON:
                yield f"frame {pfn}: exclusive, but not anonymous"
        mapped = sum(self.ptes[pfn] for pfn in range(folio, folio + nr)) + self.pmds[folio]
        if flags & PG_LARGE and int(self.page["private"][folio + 1]) != mapped:
            yield f"folio {folio}: {int(self.page['private'][folio + 1])} mappings counted, {mapped} found"
        if flags & PG_TABLE or folio in (self.scalar("zero_page"), self.scalar("huge_zero_page")):
            return
        cached = nr if flags & PG_SWAPCACHE or not flags & (1 << 9) else 0
        if int(self.page["refcount"][folio]) != mapped + cached:
            yield f"folio {folio}: {int(self.page['refcount'][folio])} references, {mapped} mappings, cache {cached}"

    def swap_problems(self) -> Iterator[str]:
        """References to swap slots."""
        arrays = self.machine.memory.arrays
        for slot in range(len(arrays["swap_map"])):
            if int(arrays["swap_map"][slot]) != self.slots[slot]:
                yield f"swap slot {slot}: counted {int(arrays['swap_map'][slot])}, found {self.slots[slot]}"
        used = sum(1 for a, b in zip(arrays["swap_map"], arrays["swap_cache"], strict=True) if a or b)
        if used != self.scalar("swap_used"):
            yield f"{self.scalar('swap_used')} swap slots counted, {used} in use"
