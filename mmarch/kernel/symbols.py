"""Symbols of a kernel: which function an address lies in, and where the functions are whose entries count.

Errors: mmarch.errors.InputError.
"""

from __future__ import annotations

import bisect
import gzip
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mmarch.errors import InputError

MAX_BYTES = 64 << 20
DUMP = "=dump"  # plugin/plugin.c
_DUMP_FUNCTIONS = ("__arm64_sys_getppid", "sys_getppid")
# Entries of these are counted; a clone of one that the compiler made ("name.isra.0") counts as the function.
COUNTED = (
    "__contpte_try_fold", "__contpte_try_unfold", "__tlb_remove_folio_pages", "contpte_clear_full_ptes",
    "contpte_clear_young_dirty_ptes", "contpte_convert", "contpte_get_and_clear_full_ptes", "contpte_ptep_get",
    "contpte_ptep_get_lockless", "contpte_ptep_set_access_flags", "contpte_ptep_test_and_clear_young",
    "contpte_set_ptes", "contpte_test_and_clear_young_ptes", "contpte_try_unfold_partial", "contpte_wrprotect_ptes",
    "do_anonymous_page", "do_mem_abort", "do_wp_page",
    "folio_remove_rmap_ptes", "ptep_clear_flush", "tlb_finish_mmu", "tlb_flush_mmu", "tlb_gather_mmu",
    "tlb_gather_mmu_fullmm", "tlb_next_batch", "tlb_remove_table", "collapse_huge_page",
)  # fmt: skip
BACKGROUND = ("collapse_huge_page",)  # of khugepaged


@dataclass(frozen=True)
class Symbols:
    """Functions in ascending order of their addresses."""

    addresses: tuple[int, ...]
    names: tuple[str, ...]

    def function(self, pc: int) -> str:
        """The function that contains `pc`, as the symbol is written."""
        at = bisect.bisect_right(self.addresses, pc) - 1
        return self.names[at] if at >= 0 and pc - self.addresses[at] < 1 << 16 else ""

    def counted(self) -> list[tuple[int, str]]:
        """The places whose execution is counted, each with its function's name, and the one for dumps."""
        found = [
            (address, plain(name))
            for address, name in zip(self.addresses, self.names, strict=True)
            if plain(name) in COUNTED
        ]
        for name in _DUMP_FUNCTIONS:
            if name in self.names:
                return [*found, (self.addresses[self.names.index(name)], DUMP)]
        raise InputError(f"the kernel's symbols have no {_DUMP_FUNCTIONS[0]}; are they those of this kernel?")


def plain(name: str) -> str:
    """Without what the compiler added; a part that was split off is another function."""
    base, _, suffix = name.partition(".")
    return name if suffix.startswith(("part", "cold")) else base


def parse(lines: Iterable[str], what: str) -> Symbols:
    """Lines of System.map or /proc/kallsyms: address, type, name; modules are left out."""
    found: dict[int, str] = {}
    for line in lines:
        words = line.split()
        if len(words) == 3 and words[1] in "tTwW" and "$" not in words[2]:
            address = _address(words[0])
            if not words[2].startswith(("__pi_", "__cfi_", "__pfx_")):
                found.setdefault(address, words[2])
    if len(found) < 100 or 0 in found:
        raise InputError(
            f"{what}: {len(found)} functions with an address, no symbols of a kernel; "
            "a kernel needs CONFIG_KALLSYMS, or name its System.map with --symbols"
        )
    ordered = sorted(found)
    return Symbols(tuple(ordered), tuple(found[address] for address in ordered))


def _address(word: str) -> int:
    try:
        return int(word, 16)
    except ValueError:
        return 0


def load(path: Path) -> Symbols:
    """Of a System.map, or of a vmlinux with its symbol table."""
    try:
        with path.open("rb") as file:
            head = file.read(4)
        if head == b"\x7fELF":
            return _of_elf(path)
        opened = gzip.open if head[:2] == b"\x1f\x8b" else open
        with opened(path, "rb") as stream:
            text = stream.read(MAX_BYTES + 1)
    except (OSError, EOFError) as error:
        raise InputError(f"--symbols {path}: cannot read: {error}") from None
    if len(text) > MAX_BYTES:
        raise InputError(f"--symbols {path}: larger than {MAX_BYTES >> 20} MiB")
    return parse(text.decode("ascii", "replace").splitlines(), f"--symbols {path}")


def _of_elf(path: Path) -> Symbols:
    try:
        from elftools.common.exceptions import ELFError
        from elftools.elf.elffile import ELFFile
    except ImportError:
        raise InputError(
            f"--symbols {path}: reading a vmlinux takes pyelftools: pip install 'mmarch[kernel]'; "
            "or name the System.map beside it"
        ) from None
    try:
        with path.open("rb") as file:
            table = ELFFile(file).get_section_by_name(".symtab")
            symbols = table.iter_symbols() if table else ()
            lines = [
                f"{s.entry.st_value:x} T {s.name}"
                for s in symbols
                if s.entry.st_info.type == "STT_FUNC" and s.name
            ]
    except (ELFError, ValueError, AttributeError) as error:
        raise InputError(f"--symbols {path}: damaged ELF file: {error}") from None
    return parse(lines, f"--symbols {path}")
