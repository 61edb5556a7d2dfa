"""Tier algebra: what the table walker lets through is what an entry says, after every helper."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import NamedTuple

from core_mm.mm_types import VM_EXEC, VM_LOCKED, VM_MAYWRITE, VM_NOHUGEPAGE, VM_READ, VM_SHARED, VM_WRITE
from core_mm.uapi import ACCESS_EXEC, ACCESS_READ, ACCESS_WRITE
from mmarch.check.bench import PERMS, Bench
from mmarch.check.context import Context
from mmarch.check.outcome import CheckFailed
from mmarch.check.registry import check

WALKS = 24  # random chains of helpers for each protection
HELPERS = ("pte_mkyoung", "pte_mkold", "pte_mkdirty", "pte_mkclean", "pte_mkwrite", "pte_wrprotect")
FIRST = ("pte_mkwrite", "pte_mkdirty", "pte_wrprotect", "pte_mkdirty", "pte_mkwrite", "pte_mkclean")


class Made(NamedTuple):
    """An entry, the protection that it has, and the helper that made it of what was `before`."""

    pte: int
    perm: str
    helper: str
    before: int


def chains(context: Context, bench: Bench) -> Iterator[Made]:
    """Fresh entries of every protection and each step of random helpers; then what pte_modify makes of such ones."""
    hook = bench.hook
    for perm, flags in PERMS.items():
        yield from helped(context, bench, perm, flags)
    for perm, flags in PERMS.items():
        for other, changed in PERMS.items():
            for made in helped(context, bench, perm, flags):
                yield Made(
                    hook.pte_modify(made.pte, hook.vm_get_page_prot(changed)), other, "pte_modify", made.pte
                )


def helped(context: Context, bench: Bench, perm: str, flags: int) -> Iterator[Made]:
    """Entries of one protection, the same ones at each call."""
    rng, hook = context.rng(f"chains {perm}"), bench.hook
    for number in range(max(4, int(WALKS * context.share))):
        pte = hook.pfn_pte(rng.randrange(1, 1 << 16), hook.vm_get_page_prot(flags))
        yield Made(pte, perm, "pfn_pte", 0)
        for name in FIRST if number == 0 else rng.choices(HELPERS, k=number % 6):
            before = pte
            pte = getattr(hook, name)(pte)
            yield Made(pte, perm, name, before)


def judged(context: Context, flaw: Callable[[Bench, int, str], str]) -> None:
    """CheckFailed with the first entry that has a flaw, and the helper that made it."""
    for variant in context.variants():
        bench = variant.bench()
        for made in chains(variant, bench):
            if what := flaw(bench, made.pte, made.perm):
                of = f" of {bench.shown(made.before)}" if made.before else f" with protection {made.perm!r}"
                raise CheckFailed(f"{made.helper}{of} makes {bench.shown(made.pte)}: {what}{variant.where}")


@check(
    "algebra.permits",
    hooks=("pte_mkdirty", "pte_mkwrite", "pte_wrprotect", "pte_modify", "vm_get_page_prot", "mmu_access"),
    source="mm/memory.c:handle_pte_fault; arch/arm64/include/asm/pgtable.h, 3c0696076aad",
)
def permits(context: Context) -> None:
    """The walker reads through what is valid, writes through what pte_write() says, and writes leave it dirty."""
    judged(context, permits_too_much_or_little)


def permits_too_much_or_little(bench: Bench, pte: int, perm: str) -> str:
    """What is wrong with reads and writes through an entry, "" if nothing."""
    hook = bench.hook
    young = hook.pte_mkyoung(pte)
    valid, write, dirty = hook.pte_valid(young), hook.pte_write(young), hook.pte_dirty(young)
    if bench.walked(young, ACCESS_READ)[0] != bool(valid):
        return f"made young, the hardware {'does not read' if valid else 'reads'} through it"
    passed, after = bench.walked(young, ACCESS_WRITE)
    if passed and not (valid and write):
        return "the hardware writes through it, though pte_write() says no"
    if passed and not hook.pte_dirty(after):
        return "the hardware writes through it, and pte_dirty() does not see that"
    if valid and write and dirty and not passed:
        return "pte_write() and pte_dirty() say yes, and the hardware's write faults"
    if valid and write and dirty and after != young:
        return "pte_write() and pte_dirty() say yes, and the hardware thinks it clean: it marks it dirty once more"
    return ""


@check(
    "algebra.execute",
    hooks=("vm_get_page_prot", "pte_modify", "mmu_access"),
    source="mm/mprotect.c; arch/arm64/mm/mmap.c:protection_map",
)
def execute(context: Context) -> None:
    """Instructions are fetched through entries of PROT_EXEC mappings, and through no others.

    An architecture that has no no-execute bit expects this one to fail (mmarch-xfails.toml), with that reason.
    """
    judged(context, fetched_through)


def fetched_through(bench: Bench, pte: int, perm: str) -> str:
    """What is wrong with instruction fetches through an entry, "" if nothing."""
    executable = "x" in perm
    if bench.walked(bench.hook.pte_mkyoung(pte), ACCESS_EXEC)[0] == executable:
        return ""
    if executable:
        return (
            f"the protection is {perm!r}, with PROT_EXEC, and the hardware fetches no instructions through it"
        )
    return f"the protection is {perm!r}, without PROT_EXEC, and the hardware fetches instructions through it"


@check(
    "algebra.protections",
    hooks=("vm_get_page_prot", "pfn_pte", "pte_write", "pte_valid", "pte_protnone"),
    source="mm/mmap.c:vm_get_page_prot; arch/*: protection_map",
)
def protections(context: Context) -> None:
    """Of every mapping's entries those of shared writable memory alone are born writable; other flags say nothing."""
    for variant in context.variants():
        hook = variant.bench().hook
        for access, shared in product(range(8), (0, VM_SHARED)):
            flags = (
                sum(flag for bit, flag in enumerate((VM_READ, VM_WRITE, VM_EXEC)) if access >> bit & 1)
                | shared
            )
            prot = hook.vm_get_page_prot(flags)
            pte = hook.pfn_pte(5, prot)
            found = tuple(bool(one(pte)) for one in (hook.pte_write, hook.pte_valid, hook.pte_protnone))
            right = bool(flags & VM_WRITE and shared), access != 0, access == 0
            if found != right:
                raise CheckFailed(
                    f"an entry of vm_get_page_prot({flags:#x}) is {variant.bench().shown(pte)}: writable, valid, "
                    f"PROT_NONE are {found}; right is {right}{variant.where}"
                )
            if hook.vm_get_page_prot(flags | VM_MAYWRITE | VM_LOCKED | VM_NOHUGEPAGE) != prot:
                raise CheckFailed(f"vm_get_page_prot({flags:#x}) depends on other flags{variant.where}")
