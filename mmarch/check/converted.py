"""What the entries of one PMD's range say, whether a leaf holds them or a table; for checks of what converts them."""

from __future__ import annotations

from typing import NamedTuple

from core_mm.pgtable import pmd_off
from core_mm.swapops import DIRTY, EXCLUSIVE, FRAME, MIGRATION, WRITABLE, YOUNG
from core_mm.vma_tree import find_vma
from mmarch.check.outcome import CheckFailed
from mmarch.check.system import System
from mmarch.engine.direct import DirectMachine


class Entry(NamedTuple):
    """Of one page: `kind` is page, zero, migration or none; the rest as core-mm sees it."""

    kind: str = "none"
    frame: int = 0
    young: bool = False
    dirty: bool = False
    write: bool = False
    exclusive: bool = False


NONE = Entry()


class Table:
    """The range at `at`, which begins a PMD, in the memory of one task."""

    def __init__(self, made: System, task: int, at: int) -> None:
        assert isinstance(made.machine, DirectMachine)
        self.made, self.machine, self.at = made, made.machine, at
        self.hooks, self.pages = self.machine.hooks, self.machine.memory.tables["PAGE"]
        self.mm = int(self.machine.memory.tables["TASK"]["mm"][task + 1])  # row 0 is nobody
        self.nr = int(self.machine.cfg.ptrs_per_pte)

    @property
    def vma(self) -> int:
        """The VMA that the range begins in."""
        return int(self.machine.bound(find_vma)(self.mm, self.at))

    @property
    def pmdp(self) -> int:
        """Its PMD entry."""
        return int(self.machine.bound(pmd_off)(self.mm, self.at))

    @property
    def pmd(self) -> int:
        """What that holds."""
        return int(self.machine.ptes[self.pmdp])

    @property
    def leaf(self) -> bool:
        """Whether it maps a huge page."""
        return bool(self.hooks["pmd_leaf"](self.pmd))

    @property
    def first(self) -> int:
        """The first entry of the table under it."""
        return int(self.hooks["table_slot"](self.pmd)) * self.nr

    def entries(self) -> list[Entry]:
        """Of every page; those of a leaf are those that a table in its place would hold."""
        if not self.pmdp or self.hooks["pmd_none"](self.pmd):
            return [NONE] * self.nr
        if self.leaf:
            head = self.seen(self.hooks["pmd_pte"](self.pmd))
            return [head._replace(frame=head.frame + i) for i in range(self.nr)]
        return [self.seen(self.hooks["ptep_get"](self.first + i)) for i in range(self.nr)]

    def seen(self, pte: int) -> Entry:
        """One entry."""
        hooks = self.hooks
        if hooks["pte_none"](pte):
            return NONE
        if not hooks["pte_present"](pte):
            entry = hooks["pte_to_swp_entry"](pte)
            bits = (bool(entry & bit) for bit in (YOUNG, DIRTY, WRITABLE, EXCLUSIVE))
            return Entry("migration" if entry & MIGRATION else "swap", entry & FRAME, *bits)
        frame = int(hooks["pte_pfn"](pte))
        zero = frame in (self.machine.mach.zero_page, self.machine.mach.huge_zero_page)
        exclusive = bool(self.pages["anon_exclusive"][frame])
        return Entry(
            "zero" if zero else "page", frame, bool(hooks["pte_young"](pte)), bool(hooks["pte_dirty"](pte)),
            bool(hooks["pte_write"](pte)), exclusive,
        )  # fmt: skip

    def value(self, state: Entry) -> int:
        """The entry of a page in this state."""
        hooks = self.hooks
        prot = int(self.machine.memory.tables["VMA"]["vm_page_prot"][self.vma])
        pte = hooks["pte_wrprotect"](
            hooks["pte_mkold"](hooks["pte_mkclean"](hooks["pfn_pte"](state.frame, prot)))
        )
        for wanted, make in ((state.young, "mkyoung"), (state.write, "mkwrite"), (state.dirty, "mkdirty")):
            pte = hooks[f"pte_{make}"](pte) if wanted else pte
        return int(pte)

    def may_be_clean(self) -> bool:
        """Whether the architecture tells a clean entry that is writable from a dirty one."""
        return not self.hooks["pte_dirty"](self.value(Entry("page", 0, True, False, True)))

    def give_leaf(self, state: Entry) -> None:
        """Let the leaf be of this state."""
        self.pages["anon_exclusive"][state.frame] = state.exclusive
        self.machine.ptes[self.pmdp] = self.hooks["pmd_mkhuge"](self.value(state))

    def give(self, states: dict[int, Entry]) -> None:
        """Let entries of the table be of these states."""
        first, size = self.first, self.made.page
        for i in states:
            self.hooks["ptep_get_and_clear"](self.mm, self.at + i * size, first + i)
        for i, state in states.items():
            self.pages["anon_exclusive"][state.frame] = state.exclusive
            self.hooks["set_ptes"](self.mm, self.at + i * size, first + i, self.value(state), 1)

    def rss(self) -> int:
        """Pages that its mm counts."""
        mm = self.machine.memory.tables["MM"]
        return int(sum(mm[name][self.mm] for name in ("rss_anon", "rss_file", "rss_shmem", "rss_swap")))

    def holds(self, what: str, right: list[Entry], leaf: bool) -> None:
        """CheckFailed if it holds something else; a contiguous block is young and dirty as one."""
        if self.leaf != leaf:
            raise CheckFailed(f"{what}: the range is {'one leaf' if self.leaf else 'no leaf'} now")
        block = int(self.machine.cfg.cont_ptes)
        for i, (found, wanted) in enumerate(zip(self.entries(), right, strict=True)):
            around = right[i & -block :][:block] if found.kind == "page" else [wanted]
            if wanted.write and found.dirty and not self.may_be_clean():
                wanted = wanted._replace(dirty=True)
            wanted = wanted._replace(
                young=wanted.young or (found.young and any(one.young for one in around)),
                dirty=wanted.dirty or (found.dirty and any(one.dirty for one in around)),
            )
            if found != wanted:
                raise CheckFailed(f"{what}: entry {i} is {found}; right is {wanted}")

    def empty(self, what: str) -> None:
        """CheckFailed if it maps anything."""
        if any(entry != NONE for entry in self.entries()):
            raise CheckFailed(f"{what}: something is still mapped")
