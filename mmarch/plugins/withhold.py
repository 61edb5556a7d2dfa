"""What `--without` takes away: hooks of an architecture, so that the generic one runs instead, and features."""

from __future__ import annotations

from collections.abc import Iterable

from core_mm.hookspecs import HOOKS
from mmarch.errors import InputError
from mmarch.plugins import LoadedArch
from mmarch.plugins.features import table
from mmarch.suggest import unknown

# One hook under several names; and hooks that make sense only together.
ALIASES = {"get_and_clear_full_ptes": "clear_ptes", "clear_nonpresent_ptes": "clear_not_present_full_ptes"}
TOGETHER = {
    "clear_ptes": ("clear_ptes", "clear_full_ptes"),
    "ptep_modify_prot_start": ("ptep_modify_prot_start", "ptep_modify_prot_commit"),
    "modify_prot_start_ptes": ("modify_prot_start_ptes", "modify_prot_commit_ptes"),
    "arch_enter_lazy_mmu_mode": (
        "arch_enter_lazy_mmu_mode", "arch_leave_lazy_mmu_mode", "arch_flush_lazy_mmu_mode",
    ),
    "arch_tlbbatch_should_defer": (
        "arch_tlbbatch_should_defer", "arch_tlbbatch_add_pending", "arch_tlbbatch_flush",
        "arch_flush_tlb_batched_pending",
    ),
}  # fmt: skip
# A member of a pair stands for the pair; clear_full_ptes alone falls back to a working clear_ptes.
_PAIRS = {member: pair for pair in TOGETHER.values() for member in pair} | {
    "clear_full_ptes": ("clear_full_ptes",)
}

_VALUES = HOOKS[: HOOKS.index("ptep_get")]
# An entry's format is the architecture's own: another's cannot stand in for a part of it.
FORMAT = frozenset(_VALUES) - {"pte_accessible", "pte_needs_flush"} | {"mmu_access"}

# Linux leaves these to every architecture.
MANDATORY = frozenset({"flush_tlb_all", "flush_tlb_mm", "flush_tlb_range", "flush_tlb_page", "set_pte"})

# Hooks that work on a whole batch, or tell core-mm how large it is.
BATCH = (
    "pte_batch_hint", "set_ptes", "clear_ptes", "clear_full_ptes", "clear_not_present_full_ptes",
    "wrprotect_ptes", "test_and_clear_young_ptes", "clear_flush_young_ptes", "clear_young_dirty_ptes",
    "modify_prot_start_ptes", "modify_prot_commit_ptes",
)  # fmt: skip


def reason_required(arch: LoadedArch, hook: str) -> str:
    """Why `hook` cannot be withheld from `arch`; empty if it can."""
    if hook in arch.descriptor.required:
        return arch.descriptor.required[hook]
    if hook in MANDATORY:
        return "Linux has no default for it"
    return "it defines the format of entries" if hook in FORMAT else ""


def optional_hooks(arch: LoadedArch) -> tuple[str, ...]:
    """Hooks that `arch` overrides and can do without, in the order of the hookspecs."""
    if arch.descriptor.name == "generic":
        return ()
    return tuple(name for name in HOOKS if name in arch.hooks and not reason_required(arch, name))


def expand(arch: LoadedArch, names: Iterable[str]) -> frozenset[str]:
    """The hooks and features that `--without` of `names` takes away; InputError for unknown and required ones."""
    withheld: set[str] = set()
    features = table(arch.descriptor)
    for given in names:
        name = ALIASES.get(given, given)
        if name in features:
            withheld.add(name)
            continue
        if name not in HOOKS:
            see = f"See 'mmarch arch show {arch.descriptor.name}' and 'mmarch release show'."
            raise unknown("hook or feature", given, [*HOOKS, *features], see)
        reason = reason_required(arch, name)
        if reason and name in arch.hooks:
            raise InputError(f"{arch.descriptor.name} requires hook {given!r}: {reason}")
        withheld.update(_PAIRS.get(name, (name,)))
    return frozenset(withheld)


def batch_hooks(arch: LoadedArch) -> tuple[str, ...]:
    """The batch hooks that `arch` overrides and can do without."""
    return tuple(name for name in optional_hooks(arch) if name in BATCH)
