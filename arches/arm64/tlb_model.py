"""What the TLBI and DSB instructions do (Arm ARM D8.17, TLB maintenance instructions)."""

from __future__ import annotations

from arches.arm64.pgtable_hwdef import PTE_CONT
from core_mm.tlb_model import Hazard, Tlbi, TlbModel

LEAF, WALK = Tlbi(scope="pages", walk=False), Tlbi(scope="pages")
LOCAL_LEAF, LOCAL_WALK = Tlbi(scope="pages", walk=False, local=True), Tlbi(scope="pages", local=True)

TLB_MODEL = TlbModel(
    tlbi={
        "tlbi_vale1is": LEAF, "tlbi_vae1is": WALK, "tlbi_rvale1is": LEAF, "tlbi_rvae1is": WALK,
        "tlbi_aside1is": Tlbi(scope="asid"), "tlbi_vmalle1is": Tlbi(scope="all"),
        "tlbi_vale1": LOCAL_LEAF, "tlbi_vae1": LOCAL_WALK, "tlbi_rvale1": LOCAL_LEAF, "tlbi_rvae1": LOCAL_WALK,
        "tlbi_vmalle1": Tlbi(scope="all", local=True), "tlbi_repeat": Tlbi(scope="none"),
    },
    publish={"dsb_ish": "all", "dsb_ishst": "all", "dsb_nsh": "local", "dsb_nshst": "local"},
    complete={"dsb_ish": "all", "dsb_nsh": "local"},
    page_hints={12: 1, 14: 2, 16: 3},
    cont_mask=PTE_CONT,
    relaxed_bbm=("bbml2_noabort", "bbml3"),
    hazards=(
        Hazard(
            kind="bbm",
            hook="modify_prot_commit_ptes",
            reason="since Linux 6.17 a block of single entries that changes its protection as a whole becomes "
            "contiguous before the gather has flushed the single ones (arch/arm64/mm/mmu.c, mm/mprotect.c)",
        ),
    ),
)  # fmt: skip
