"""Tiers load and smoke: the least that the other tiers stand on."""

from __future__ import annotations

from collections.abc import Callable

from core_mm import hookspecs
from core_mm.descriptor import CAPABILITIES
from core_mm.pgtable import pmd_off
from core_mm.uapi import ACCESS_READ, ACCESS_WRITE
from mmarch.check.bench import NONE, PRESENT, Bench, View
from mmarch.check.context import Context
from mmarch.check.outcome import CheckFailed
from mmarch.check.registry import check
from mmarch.engine.hookimpls import implementations, parameters, short_where
from mmarch.engine.program import Routine

HELD, LEAST = 64, 1 << 12  # entries of a TLB, and bytes for which one may stand


@check("load.hooks", source="core_mm/hookspecs.py")
def hooks(context: Context) -> None:
    """Every hook of the architecture is a hook, with the hook's own parameters."""
    for name, function in implementations(context.arch).items():
        expected = parameters(getattr(hookspecs, name)) if name in hookspecs.HOOKS else None
        if expected != parameters(function):
            raise CheckFailed(
                f"{short_where(function)}: {name}{parameters(function)} is not the hook {name}{expected}"
            )


@check("load.capabilities", source="core_mm/descriptor.py:CAPABILITIES")
def capabilities(context: Context) -> None:
    """Each claimed capability is known, and the hooks it needs are the architecture's own."""
    own = implementations(context.arch)
    for capability in sorted(context.arch.capabilities):
        if capability not in CAPABILITIES:
            raise CheckFailed(f"capability {capability!r} is none of {', '.join(sorted(CAPABILITIES))}")
        missing = [
            name for name in CAPABILITIES[capability] if name not in own and context.arch.name != "generic"
        ]
        if missing:
            raise CheckFailed(f"capability {capability!r} needs {missing[0]}, which is the default here")
    if "contiguous" in context.arch.capabilities and all(
        g.cont_ptes == 1 for g in context.arch.granules.values()
    ):
        raise CheckFailed("capability 'contiguous' is claimed, but no granule has cont_ptes > 1")


@check("load.required", source="core_mm/descriptor.py:ArchDescriptor.required")
def required(context: Context) -> None:
    """Every hook named as required is implemented, and has a reason."""
    own = implementations(context.arch)
    for name, reason in context.arch.required.items():
        if name not in own or not reason:
            raise CheckFailed(
                f"required hook {name} is {'without a reason' if name in own else 'not implemented'}"
            )


@check("load.tlb-model", level="should", source="core_mm/tlb_model.py")
def tlb_model(context: Context) -> None:
    """The descriptor says what its TLB events do, of every one in the group `tlbi`."""
    model = context.arch.tlb_model
    if model is None:
        raise CheckFailed("the descriptor has no tlb_model: without it nothing can check TLB maintenance")
    unknown = {*model.tlbi, *model.publish, *model.complete}
    if unknown - set(context.arch.events):
        raise CheckFailed(
            f"tlb_model names {sorted(unknown - set(context.arch.events))[0]!r}, which is no event"
        )


@check("load.links", source="mmarch/engine/program.py", level="should")
def links(context: Context) -> None:
    """Every hook is written in the linkable subset."""
    from mmarch.engine.program import NotLinkable

    for name, function in implementations(context.arch).items():
        try:
            Routine(function).parameters  # noqa: B018  (raises if it does not link)
        except NotLinkable as error:
            raise CheckFailed(f"{name}: {error}") from error


@check(
    "smoke.set-get-clear", hooks=("set_ptes", "ptep_get", "pte_clear"), source="mm/memory.c:do_anonymous_page"
)
def set_get_clear(context: Context) -> None:
    """One entry is set, read back and cleared."""
    for variant in context.variants():
        bench = variant.bench()
        pfn = bench.folio(0)
        if bench.look(3).kind != NONE:
            raise CheckFailed(f"an empty entry is {bench.look(3)}{variant.where}")
        bench.set(3, bench.value(pfn, "r", young=1))
        if bench.look(3) != View(PRESENT, pfn, valid=1, young=1):
            raise CheckFailed(
                f"a read-only entry for frame {pfn:#x} reads back as {bench.look(3)}{variant.where}"
            )
        bench.hook.pte_clear(bench.mm, bench.addr(3), bench.ptep(3))
        if bench.look(3).kind != NONE:
            raise CheckFailed(f"pte_clear leaves {bench.look(3)}{variant.where}")


@check("smoke.walk", hooks=("mmu_access",), source="the architecture's manual")
def walk(context: Context) -> None:
    """The table walker lets through what the entry permits, and nothing else."""
    for variant in context.variants():
        bench = variant.bench()
        pfn = bench.folio(0)
        cases = (
            ("r", ACCESS_READ, True), ("r", ACCESS_WRITE, False), ("w", ACCESS_READ, True), ("w", ACCESS_WRITE, True),
            ("n", ACCESS_READ, False), ("n", ACCESS_WRITE, False),
        )  # fmt: skip
        for perm, access, allowed in cases:
            bench.clear_table()
            bench.set(0, bench.value(pfn, perm, young=1, dirty=int(perm == "w")))
            if bench.touch(0, access) != allowed:
                raise CheckFailed(
                    f"mmu_access, access {access}, is {not allowed} for {bench.look(0)}{variant.where}"
                )
        bench.clear_table()
        if bench.touch(0, ACCESS_READ):
            raise CheckFailed(f"mmu_access goes through an empty entry{variant.where}")


@check(
    "smoke.hardware-ad",
    hooks=("mmu_access", "arch_has_hw_pte_young"),
    requires=("hw_afdbm",),
    source="Arm ARM D8.4",
)
def hardware_ad(context: Context) -> None:
    """An architecture with hardware accessed and dirty state sets them, on some CPU at least."""
    seen = False
    for variant in context.variants():
        bench = variant.bench()
        bench.set(0, bench.value(bench.folio(0), "w", young=0, dirty=0))
        if bench.touch(0, ACCESS_WRITE):
            seen = True
            if not bench.look(0).young or not bench.look(0).dirty:
                raise CheckFailed(
                    f"a write through an old, clean entry leaves it {bench.look(0)}{variant.where}"
                )
    if not seen:
        raise CheckFailed(
            "capability 'hw_afdbm' is claimed, but a write through an old entry faults on every CPU"
        )


@check(
    "smoke.tlb",
    hooks=("flush_tlb_page", "flush_tlb_mm", "flush_tlb_all"),
    source="Documentation/core-api/cachetlb.rst",
)
def tlb(context: Context) -> None:
    """Each flush hook runs and says so with an event of its own; of a TLB that a machine has it drops what it says."""
    for variant in context.variants():
        held(variant)
    bench = context.bench(counting=True)
    names = context.arch.event_groups
    if not names:
        return
    group = [context.arch.events.index(e) for e in context.arch.group("tlbi")]
    from core_mm.vmstat import ARCH_EVENT

    def total() -> int:
        return sum(bench.count(ARCH_EVENT + number) for number in group)

    calls = {
        "flush_tlb_page": (bench.vma, bench.addr(0)), "flush_tlb_mm": (bench.mm,), "flush_tlb_all": (),
        "flush_tlb_range": (bench.vma, bench.addr(0), bench.addr(4)),
    }  # fmt: skip
    for name, arguments in calls.items():
        before = total()
        getattr(bench.hook, name)(*arguments)
        if total() == before:
            raise CheckFailed(
                f"{name} counts no event of the group 'tlbi' ({', '.join(context.arch.group('tlbi'))})"
            )


def held(context: Context) -> None:
    """A TLB lets accesses through without a walk, so that an entry stays old, until a flush drops what it holds."""
    bench = Bench(context.config(tlb_entries=HELD))
    if "tlb" not in bench.machine.memory.arrays:  # the architecture has every access walk
        return
    hook, at = bench.hook, bench.addr
    pages, many = range(4), HELD + 16
    flushes: dict[str, tuple[set[int], Callable[[], int]]] = {
        "no flush": (set(), lambda: 0),
        "flush_tlb_page": ({1}, lambda: hook.flush_tlb_page(bench.vma, at(1))),
        "flush_tlb_range": ({1, 2}, lambda: hook.flush_tlb_range(bench.vma, at(1), at(3))),
        "flush_tlb_range of many, the last ones held": (
            {0, 1},
            lambda: hook.flush_tlb_range(bench.vma, at(2 - many), at(2)),
        ),
        "flush_tlb_range of many, the first ones held": (
            {2, 3},
            lambda: hook.flush_tlb_range(bench.vma, at(2), at(many)),
        ),
        "flush_tlb_mm": (set(pages), lambda: hook.flush_tlb_mm(bench.mm)),
        "flush_tlb_all": (set(pages), hook.flush_tlb_all),
    }
    folio, last = bench.folio(0), bench.page - LEAST

    def let(page: int, access: int) -> bool:
        return bool(hook.mmu_access(bench.mm, at(page) + last, bench.ptep(page), 3, access))

    for name, (gone, flush) in flushes.items():
        for access, perm in ((ACCESS_READ, "r"), (ACCESS_WRITE, "w")):
            young, old = (bench.value(folio, perm, young=flag, dirty=int(perm == "w")) for flag in (1, 0))
            bench.table[: len(pages)] = young
            hook.flush_tlb_all()
            for page in pages:
                let(page, access)
            bench.table[: len(pages)] = old
            flush()
            walked = {page for page in pages if not let(page, access) or bench.look(page).young}
            if walked != gone:
                raise CheckFailed(
                    f"after {name} the walker is asked for pages {sorted(walked)} of {len(pages)} that a TLB held; "
                    f"right is {sorted(gone)}{context.where}"
                )
    may_not_write(context, bench)
    large(context, bench)


def large(context: Context, bench: Bench) -> None:
    """What is held of a PMD leaf goes with any page of it, and with none beside it."""
    hook, page, span = bench.hook, bench.page, bench.entries * bench.page
    addr = bench.first_addr + span  # the middle of three tables, or the last
    pmdp, ptes = bench.core(pmd_off)(bench.mm, addr), bench.machine.memory.arrays["ptes"]
    table = int(ptes[pmdp])
    young, old = (hook.pmd_mkhuge(bench.value(bench.entries, "w", young=flag, dirty=1)) for flag in (1, 0))
    flushes: dict[str, tuple[bool, Callable[[], int]]] = {
        "flush_tlb_page of the page": (True, lambda: hook.flush_tlb_page(bench.vma, addr + 5 * page)),
        "flush_tlb_page of another": (True, lambda: hook.flush_tlb_page(bench.vma, addr + 9 * page)),
        "flush_tlb_page of the one before": (False, lambda: hook.flush_tlb_page(bench.vma, addr - page)),
        "flush_tlb_page of the one behind": (False, lambda: hook.flush_tlb_page(bench.vma, addr + span)),
        "flush_tlb_range across its start": (
            True,
            lambda: hook.flush_tlb_range(bench.vma, addr - page, addr + page),
        ),
        "flush_tlb_range across its end": (
            True,
            lambda: hook.flush_tlb_range(bench.vma, addr + span - page, addr + span + page),
        ),
        "flush_tlb_mm": (True, lambda: hook.flush_tlb_mm(bench.mm)),
        "flush_tlb_all": (True, hook.flush_tlb_all),
    }
    try:
        for name, (goes, flush) in flushes.items():
            ptes[pmdp] = young
            hook.mmu_access(bench.mm, addr + 5 * page, pmdp, 2, ACCESS_READ)
            ptes[pmdp] = old
            if not hook.mmu_access(bench.mm, addr + 5 * page, pmdp, 2, ACCESS_READ) or int(ptes[pmdp]) != old:
                raise CheckFailed(f"a TLB does not hold what was walked of a PMD leaf{context.where}")
            flush()
            walked = (
                not hook.mmu_access(bench.mm, addr + 5 * page, pmdp, 2, ACCESS_READ) or int(ptes[pmdp]) != old
            )
            if walked != goes:
                does = "keeps" if goes else "drops"
                raise CheckFailed(f"{name} {does} what a TLB holds of a PMD leaf{context.where}")
            hook.flush_tlb_all()
    finally:
        ptes[pmdp] = table


def may_not_write(context: Context, bench: Bench) -> None:
    """What is held of a read-only entry lets no write through, and what is held of a writable one does for a while."""
    folio = bench.folio(0)
    writable, readable = bench.value(folio, "w", young=1, dirty=1), bench.value(folio, "r", young=1)
    for before, after, lets in (
        (readable, readable, False),
        (writable, readable, True),
        (readable, writable, True),
    ):
        bench.hook.flush_tlb_all()
        bench.table[0] = before
        bench.touch(0, ACCESS_READ)
        bench.table[0] = after
        if bench.touch(0, ACCESS_WRITE) != lets:
            raise CheckFailed(
                f"a write is {'refused' if lets else 'let through'} by a TLB that holds {bench.view(before)} of an "
                f"entry that is {bench.view(after)} now{context.where}"
            )
