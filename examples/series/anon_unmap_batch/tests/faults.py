"""Faults to plant in copies of the series: edits of its text, and what a comparison has to say of each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """What is wrong, (text, instead of it) pairs, and words of the report, any of which will do."""

    what: str
    edits: tuple[tuple[str, str], ...]
    said: tuple[str, ...]


UNHOOK = "    pte = unhook_ptes(vma, address, ptep, nr)\n"
REMOVE = "        folio_remove_rmap_ptes(folio, page, done, vma)\n"
LIMIT = "    nr, pte = folio_pte_batch_flags(folio, ptep, pte, limit, flags)\n    return nr\n"

FAULTS = {
    "flags_lost": Fault(
        "accessed and dirty of all runs but the first are lost",
        ((
            UNHOOK,
            "    run = page_anon_exclusive_sub_batch(page, nr)\n"
            "    pte = unhook_ptes(vma, address, ptep, run)\n"
            "    if run < nr:\n"
            "        unhook_ptes(vma, address + (run << cfg.page_shift), ptep + run, nr - run)\n",
        ),),
        ("dirty_cleared", "young_cleared", "written to swap", "mapped"),
    ),
    "rmap_twice": Fault(
        "a batch's rmap is removed twice",
        ((REMOVE, REMOVE + REMOVE),),
        ("mapcount", "warning"),
    ),
    "no_flush": Fault(
        "a batch is cleared and its flush left out",
        (
            (UNHOOK, "    pte = clear_ptes(VMA.vm_mm[vma], address, ptep, nr, 0)\n"),
            ("    arch_unmap_one,\n", "    arch_unmap_one,\n    clear_ptes,\n"),
        ),
        ("TLB oracle",),
    ),
    "two_folios": Fault(
        "a batch goes on into the next folio, and is handed to clear_ptes",
        (
            (
                "    limit = (end - address) >> cfg.page_shift\n",
                "    limit = cfg.ptrs_per_pte - (ptep & (cfg.ptrs_per_pte - 1))\n",
            ),
            (
                LIMIT,
                "    nr = 1\n"
                "    while nr < limit and pte_present(ptep_get(ptep + nr)):\n"
                "        if pte_pfn(ptep_get(ptep + nr)) != pte_pfn(pte) + nr:\n"
                "            break\n"
                "        nr += 1\n"
                "    return nr\n",
            ),
            ("    pte_pfn,\n", "    pte_pfn,\n    pte_present,\n"),
        ),
        ("mapcount", "references", "swap", "mapped"),
    ),
    "still_exclusive": Fault(
        "all of a batch counts as exclusive if its first page is, though a child shares the others",
        ((
            "        run = page_anon_exclusive_sub_batch(page + done, nr - done)\n",
            "        run = nr\n",
        ),),
        ("exclusive",),
    ),
    "left_cleared": Fault(
        "the failure path puts one entry too few back",
        ((
            "set_ptes(VMA.vm_mm[vma], at, ptep + done, pte_advance_pfn(pte, done), nr - done)",
            "set_ptes(VMA.vm_mm[vma], at, ptep + done, pte_advance_pfn(pte, done), nr - done - (nr > 1))",
        ),),
        ("mapped",),
    ),
}  # fmt: skip


def planted(text: str, name: str) -> str:
    """The text of the series with a fault, under another name."""
    for old, new in (*FAULTS[name].edits, ('name="anon_unmap_batch"', f'name="{name}"')):
        if text.count(old) != 1:
            raise ValueError(f"{name}: {old!r} is there {text.count(old)} times")
        text = text.replace(old, new)
    return text
