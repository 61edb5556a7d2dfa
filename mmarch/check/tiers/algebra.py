"""Tier algebra: values of entries; what mm/debug_vm_pgtable.c tests, over every protection and random states."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from core_mm.uapi import ACCESS_WRITE
from mmarch.check.bench import NONE, PERMS, PRESENT, Bench
from mmarch.check.context import Context
from mmarch.check.outcome import CheckFailed
from mmarch.check.registry import Level, check

PTE, PMD = "mm/debug_vm_pgtable.c:pte_basic_tests", "mm/debug_vm_pgtable.c:pmd_basic_tests"
RANDOM = 120  # entries per protection
Law = Callable[[Any, int], object]  # (hooks, entry) -> truth


def values(context: Context, bench: Bench) -> Iterator[int]:
    """Entries of every protection: fresh, brought into random states by hooks, and as a write leaves them."""
    rng = context.rng("values")
    h = bench.hook
    steps = (h.pte_mkyoung, h.pte_mkold, h.pte_mkdirty, h.pte_mkclean, h.pte_mkwrite, h.pte_wrprotect)
    for flags in PERMS.values():
        for number in range(max(14, int(RANDOM * context.share))):
            pte = h.pfn_pte(rng.randrange(1, 1 << 24), h.vm_get_page_prot(flags))
            for _ in range(number % 7):
                pte = rng.choice(steps)(pte)
            yield pte
            young = h.pte_mkyoung(pte)
            passed, written = bench.walked(young, ACCESS_WRITE)
            if passed and written != young:
                yield written


def laws(
    id: str, hooks: Sequence[str], source: str, title: str, found: dict[str, Law], level: Level = "must"
) -> None:
    """Register identities over all values as one check."""

    def run(context: Context) -> None:
        for variant in context.variants():
            bench = variant.bench()
            for pte in values(variant, bench):
                for text, law in found.items():
                    if not law(bench.hook, pte):
                        raise CheckFailed(f"{text} does not hold{variant.where} for {bench.shown(pte)}")

    run.__doc__ = title
    check(id, hooks=hooks, source=source, level=level)(run)


laws(
    "algebra.young", ("pte_young", "pte_mkyoung", "pte_mkold"), PTE, "The accessed flag is set and cleared.",
    {
        "pte_young(pte_mkyoung(pte_mkold(pte)))": lambda h, p: h.pte_young(h.pte_mkyoung(h.pte_mkold(p))),
        "!pte_young(pte_mkold(pte_mkyoung(pte)))": lambda h, p: not h.pte_young(h.pte_mkold(h.pte_mkyoung(p))),
    },
)  # fmt: skip
laws(
    "algebra.dirty", ("pte_dirty", "pte_mkdirty", "pte_mkclean"), PTE, "Dirty is set and cleared.",
    {
        "pte_dirty(pte_mkdirty(pte_mkclean(pte)))": lambda h, p: h.pte_dirty(h.pte_mkdirty(h.pte_mkclean(p))),
        "!pte_dirty(pte_mkclean(pte_mkdirty(pte)))": lambda h, p: not h.pte_dirty(h.pte_mkclean(h.pte_mkdirty(p))),
    },
)  # fmt: skip
laws(
    "algebra.write", ("pte_write", "pte_mkwrite", "pte_wrprotect"), PTE, "Writable is set and cleared.",
    {
        "pte_write(pte_mkwrite(pte_wrprotect(pte)))": lambda h, p: h.pte_write(h.pte_mkwrite(h.pte_wrprotect(p))),
        "!pte_write(pte_wrprotect(pte_mkwrite(pte)))": lambda h, p: not h.pte_write(h.pte_wrprotect(h.pte_mkwrite(p))),
        "pte_write(pte_mkdirty(pte_mkwrite(pte)))": lambda h, p: h.pte_write(h.pte_mkdirty(h.pte_mkwrite(p))),
    },
)  # fmt: skip
laws(
    "algebra.write-dirty", ("pte_wrprotect", "pte_mkwrite", "pte_mkdirty"), PTE,
    "Dirty survives changes of writability, and none comes from them.",
    {
        "pte_dirty(pte_wrprotect(pte_mkdirty(pte)))": lambda h, p: h.pte_dirty(h.pte_wrprotect(h.pte_mkdirty(p))),
        "!pte_dirty(pte_wrprotect(pte_mkclean(pte)))":
            lambda h, p: not h.pte_dirty(h.pte_wrprotect(h.pte_mkclean(p))),
        "pte_dirty(pte_wrprotect(pte_mkwrite(pte_mkdirty(pte))))":
            lambda h, p: h.pte_dirty(h.pte_wrprotect(h.pte_mkwrite(h.pte_mkdirty(p)))),
        "pte_dirty(pte_mkwrite(pte_mkdirty(pte)))": lambda h, p: h.pte_dirty(h.pte_mkwrite(h.pte_mkdirty(p))),
        "!pte_dirty(pte_mkwrite(pte_mkclean(pte)))": lambda h, p: not h.pte_dirty(h.pte_mkwrite(h.pte_mkclean(p))),
    },
)  # fmt: skip
laws(
    "algebra.special", ("pte_special", "pte_mkspecial"), "mm/debug_vm_pgtable.c:pte_special_tests",
    "Special is marked, and the frame stays.",
    {
        "pte_special(pte_mkspecial(pte))": lambda h, p: h.pte_special(h.pte_mkspecial(p)),
        "!pte_special(pte)": lambda h, p: not h.pte_special(p),
        "pte_pfn(pte_mkspecial(pte)) == pte_pfn(pte)": lambda h, p: h.pte_pfn(h.pte_mkspecial(p)) == h.pte_pfn(p),
    },
)  # fmt: skip
laws(
    "algebra.present", ("pte_present", "pte_valid", "pte_protnone", "pte_none"), "include/linux/pgtable.h",
    "An entry that maps a page is present and not none; PROT_NONE is present and not valid.",
    {
        "pte_present(pte)": lambda h, p: h.pte_present(p),
        "!pte_none(pte)": lambda h, p: not h.pte_none(p),
        "pte_none(0)": lambda h, p: h.pte_none(0) and not h.pte_present(0),
        "pte_protnone(pte) == !pte_valid(pte)": lambda h, p: bool(h.pte_protnone(p)) != bool(h.pte_valid(p)),
        "pte_accessible(mm, pte) if pte_valid(pte)": lambda h, p: not h.pte_valid(p) or h.pte_accessible(2, p),
    },
)  # fmt: skip
laws(
    "algebra.pmd", ("pmd_leaf", "pmd_mkhuge", "pmd_pte", "pmd_mkinvalid"), PMD,
    "A PMD leaf is one, gives its PTE value back, and stays a leaf when made invalid.",
    {
        "pmd_leaf(pmd_mkhuge(pte))": lambda h, p: h.pmd_leaf(h.pmd_mkhuge(p)),
        "pmd_pte(pmd_mkhuge(pte)) == pte": lambda h, p: h.pmd_pte(h.pmd_mkhuge(p)) == p,
        "!pmd_none(pmd_mkhuge(pte))": lambda h, p: not h.pmd_none(h.pmd_mkhuge(p)),
        "pmd_leaf(pmd_mkinvalid(pmd))": lambda h, p: h.pmd_leaf(h.pmd_mkinvalid(h.pmd_mkhuge(p))),
        "pte_present(pmd_pte(pmd_mkinvalid(pmd)))":
            lambda h, p: h.pte_present(h.pmd_pte(h.pmd_mkinvalid(h.pmd_mkhuge(p)))),
        "!pte_valid(pmd_pte(pmd_mkinvalid(pmd)))":
            lambda h, p: not h.pte_valid(h.pmd_pte(h.pmd_mkinvalid(h.pmd_mkhuge(p)))),
    },
)  # fmt: skip
laws(
    "algebra.table", ("mk_table", "table_slot", "pmd_none", "pmd_leaf"),
    "include/asm/pgalloc.h:pmd_populate; mm/vmscan.c:walk_pmd_range",
    "A table descriptor leads back to its table, is no leaf, and is young where aging passes over old ones.",
    {
        "table_slot(mk_table(slot)) == slot": lambda h, p: h.table_slot(h.mk_table(_slot(h, p))) == _slot(h, p),
        "!pmd_leaf(mk_table(slot))": lambda h, p: not h.pmd_leaf(h.mk_table(_slot(h, p))),
        "!pmd_none(mk_table(slot))": lambda h, p: not h.pmd_none(h.mk_table(_slot(h, p))),
        "pmd_none(0) && !pmd_leaf(0)": lambda h, p: h.pmd_none(0) and not h.pmd_leaf(0),
        "pte_young(mk_table(slot)) if arch_has_hw_nonleaf_pmd_young()":
            lambda h, p: h.pte_young(h.mk_table(_slot(h, p))) or not h.arch_has_hw_nonleaf_pmd_young(),
    },
)  # fmt: skip


def _slot(h: Any, pte: int) -> int:
    return int(h.pte_pfn(pte) & 0xFFFF) + 1


@check("algebra.keep", hooks=("pte_mkyoung", "pte_mkold", "pte_mkdirty", "pte_mkclean"), source=PTE)
def keep(context: Context) -> None:
    """A helper changes what it is named after and nothing else that core-mm can see."""
    names = {
        "pte_mkyoung": "young", "pte_mkold": "young", "pte_mkdirty": "dirty", "pte_mkclean": "dirty",
        "pte_mkwrite": "write", "pte_wrprotect": "write", "pte_mkspecial": "special",
    }  # fmt: skip
    for variant in context.variants():
        bench = variant.bench()
        for pte in values(variant, bench):
            for name, field in names.items():
                made = getattr(bench.hook, name)(pte)
                before, after = bench.view(pte), bench.view(made)
                if before.but(**{field: 0}) != after.but(**{field: 0}):
                    raise CheckFailed(
                        f"{name}{variant.where} makes {bench.shown(made)} of {bench.shown(pte)}"
                    )


@check("algebra.fresh", hooks=("pfn_pte", "vm_get_page_prot", "pte_wrprotect"), source=PTE)
def fresh(context: Context) -> None:
    """A fresh entry has its frame, is young and clean, and private writable memory starts read-only."""
    for variant in context.variants():
        bench, rng = variant.bench(), variant.rng()
        for perm, flags in PERMS.items():
            pfn = rng.randrange(1, 1 << 24)
            pte = bench.hook.pfn_pte(pfn, bench.hook.vm_get_page_prot(flags))
            seen = bench.view(pte)
            shared, closed = perm[0] == "s", perm == "n"  # what nobody may access, nobody has accessed
            good = seen.kind == PRESENT and seen.pfn == pfn and seen.protnone == closed and seen.young >= 1 - closed
            if not good or seen.special or (seen.dirty and not shared) or (seen.write and not shared):
                raise CheckFailed(f"pfn_pte({pfn:#x}, vm_get_page_prot({perm})){variant.where} is {seen}")
            if bench.hook.pte_dirty(bench.hook.pte_wrprotect(pte)):
                raise CheckFailed(f"pte_wrprotect of a fresh {perm} entry is dirty{variant.where}")


@check(
    "algebra.advance", hooks=("pte_advance_pfn", "pte_pfn", "pfn_pte"), source="mm/internal.h:folio_pte_batch"
)
def advance(context: Context) -> None:
    """The entry n pages further maps the frame n further and is the same otherwise, across every carry."""
    for variant in context.variants():
        bench = variant.bench()
        for pte in values(variant, bench):
            before = bench.view(pte)
            for nr in (1, 2, 15, 16, 127, 128, (1 << before.pfn.bit_length()) - before.pfn):
                made = bench.hook.pte_advance_pfn(pte, nr)
                after = bench.view(made)
                if after != before.but(pfn=before.pfn + nr):
                    raise CheckFailed(
                        f"pte_advance_pfn(…, {nr}){variant.where} makes {bench.shown(made)} of {bench.shown(pte)}"
                    )


@check("algebra.modify", hooks=("pte_modify", "vm_get_page_prot"), source="mm/mprotect.c:change_pte_range")
def modify(context: Context) -> None:
    """pte_modify takes the permissions of the new protection and keeps frame, accessed and dirty."""
    for variant in context.variants():
        bench = variant.bench()
        h = bench.hook
        for pte in values(variant, bench):
            for perm, flags in PERMS.items():
                before, prot = bench.view(pte), h.vm_get_page_prot(flags)
                made, plain = h.pte_modify(pte, prot), bench.view(h.pfn_pte(before.pfn, prot))
                after = bench.view(made)
                expected = plain.but(young=before.young, dirty=before.dirty, special=before.special)
                if after != expected:
                    raise CheckFailed(
                        f"pte_modify to {perm!r}{variant.where} makes {bench.shown(made)} of {bench.shown(pte)}, "
                        f"expected {expected}"
                    )


@check(
    "algebra.needs-flush",
    hooks=("pte_needs_flush", "pte_accessible", "huge_pmd_needs_flush"),
    source="mm/mprotect.c:change_pte_range; mm/huge_memory.c:change_huge_pmd",
)
def needs_flush(context: Context) -> None:
    """A change that takes a permission away, clears dirty or changes the frame asks for a flush."""
    from mmarch.sanitize.decode import INVALID, decoder_of

    if context.arch.tlb_model is None:
        return
    for variant in context.variants():
        bench = variant.bench()
        decoder = decoder_of(variant.config())
        h = bench.hook
        for old in values(variant, bench):
            for flags in PERMS.values():
                new = h.pte_modify(old, h.vm_get_page_prot(flags))
                was, now = decoder.leaf(old, 0), decoder.leaf(new, 0)
                if was is INVALID or not was.permits & ~now.permits:
                    continue
                huge = h.huge_pmd_needs_flush(h.pmd_mkhuge(old), h.pmd_mkhuge(new))
                for name, flushes in (
                    ("pte_needs_flush", h.pte_needs_flush(old, new)),
                    ("huge_pmd_needs_flush", huge),
                ):
                    if not flushes:
                        raise CheckFailed(
                            f"{name} is 0{variant.where}, though {bench.shown(old)} permits more than "
                            f"{bench.shown(new)}"
                        )


@check(
    "algebra.same",
    hooks=("pte_same",),
    source="mm/memory.c:do_swap_page, mm/internal.h:folio_pte_batch_flags",
)
def same(context: Context) -> None:
    """pte_same tells entries apart that core-mm reads differently, and an entry is the same as itself."""
    for variant in context.variants():
        bench = variant.bench()
        h = bench.hook
        steps = (h.pte_mkyoung, h.pte_mkold, h.pte_mkdirty, h.pte_mkclean, h.pte_mkwrite, h.pte_wrprotect)
        for pte in values(variant, bench):
            others = [
                pte,
                *(step(pte) for step in steps),
                h.pte_advance_pfn(pte, 1),
                h.swp_entry_to_pte(7),
                0,
            ]
            for other in others:
                if pte == other and not h.pte_same(pte, other):
                    raise CheckFailed(
                        f"pte_same of an entry and itself is 0{variant.where}: {bench.shown(pte)}"
                    )
                if h.pte_same(pte, other) and bench.view(pte) != bench.view(other):
                    raise CheckFailed(
                        f"pte_same is 1{variant.where} for {bench.shown(pte)} and {bench.shown(other)}"
                    )


@check("algebra.none", hooks=("pte_none",), source="include/linux/pgtable.h:pte_none")
def none(context: Context) -> None:
    """An empty table reads as none everywhere."""
    bench = context.bench()
    for index in range(bench.entries):
        if bench.look(index).kind != NONE:
            raise CheckFailed(f"entry {index} of an empty table is {bench.look(index)}")
