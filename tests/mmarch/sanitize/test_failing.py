"""Every place of core-mm that allocates meets the failure of it."""

from __future__ import annotations

import ast
from itertools import islice
from pathlib import Path

import core_mm
from mmarch.check.context import Context
from mmarch.plugins import load_arch
from mmarch.sanitize import failing
from mmarch.sanitize.failing import Failures
from tests.mmarch.sanitize.sites import SITES
from tests.mmarch.sanitize.test_invariants import in_fork
from tests.mutants.mutant import Edit, applied

PROGRAMS = 8
ALLOCATORS = {
    "folio_alloc", "alloc_page_nowait", "table_alloc", "pgd_alloc", "pte_alloc_one", "pte_alloc", "pmd_alloc",
    "pud_alloc", "vm_area_alloc", "vm_area_dup", "anon_vma_alloc", "anon_vma_chain_alloc", "anon_vma_prepare",
    "anon_vma_clone", "anon_vma_fork", "mm_alloc", "get_swap_pages", "folio_dup_swap", "shmem_zero_setup",
}  # fmt: skip
NOTING = Edit(
    "core_mm.fault_inject", "    mach.fail_nth -= 1\n",
    "    from tests.mmarch.sanitize.sites import noted\n    mach.fail_nth -= 1\n    mach.fail_nth or noted()\n",
)  # fmt: skip
NEVER = {
    ("do_huge_zero_wp_pmd", "anon_vma_prepare")
}  # the read that mapped the huge zero page has made the anon_vma


def sites() -> set[tuple[str, str]]:
    """Every function of core-mm that calls an allocator, with which."""
    found = set()
    for path in Path(core_mm.__path__[0]).rglob("*.py"):
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef):
                calls = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
                names = {getattr(call, "id", getattr(call, "attr", "")) for call in calls}
                found |= {(function.name, name) for name in names & ALLOCATORS}
    return found


def missed() -> set[tuple[str, str]]:
    """Sites of which no allocation fails in programs of a fixed seed, after none of which anything may be wrong."""
    arch, generic = load_arch("arm64").descriptor, load_arch("generic").descriptor
    config = Context(arch, generic, release="7.3", granule="4k").config()
    with applied((NOTING,)):
        for made in islice(failing.programs(config, 1), PROGRAMS):
            assert failing.run(made, Failures(), "interpreted") is None
    return sites() - SITES


def test_every_site_fails() -> None:
    """Each allocation fails where it is asked for, and nothing is wrong after it."""
    assert in_fork(missed) == NEVER
