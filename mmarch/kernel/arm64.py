"""arm64's instructions, decoded: TLB invalidations with their operands, barriers with their domains."""

from __future__ import annotations

from mmarch.measurement.notation import Tlbi

_SINGLE = {0: "vmalle1", 1: "vae1", 2: "aside1", 3: "vaae1", 5: "vale1", 7: "vaale1"}
_RANGE = {1: "rvae1", 3: "rvaae1", 5: "rvale1", 7: "rvaale1"}
_SHAREABLE = {1: "os", 3: "is", 7: "", 5: "os", 2: "is", 6: ""}  # by CRm
_RANGES = (2, 5, 6)
_DOMAIN = {
    0xB: "ish", 0xA: "ishst", 9: "ishld", 7: "nsh", 6: "nshst", 5: "nshld", 0xF: "sy", 0xE: "st", 0xD: "ld",
    3: "osh", 2: "oshst", 1: "oshld",
}  # fmt: skip
_IPI = ("reschedule", "call_function", "cpu_stop", "cpu_stop_nmi", "timer", "irq_work")  # enum ipi_msg_type
_GRANULE = {1: 12, 2: 14, 3: 16}
_TOP = 1 << 64


def tlbi(instruction: int, operand: int, lpa2: bool = False) -> Tlbi:
    """The instruction with its operand; Arm ARM, "TLBI … Xt"."""
    op1, crn, crm, op2 = (instruction >> shift & mask for shift, mask in ((16, 7), (12, 15), (8, 15), (5, 7)))
    table = _RANGE if crm in _RANGES else _SINGLE
    name = table.get(op2, f"op{op2}") + _SHAREABLE.get(crm, f"c{crm}") + ("nxs" if crn == 9 else "")
    if op1 == 4:
        name = f"el2:{name}"
    if crm in _RANGES:
        return _range(name, operand, lpa2)
    if op2 in (0, 2):
        return Tlbi(name)
    va = (operand & ((1 << 44) - 1)) << 12
    return Tlbi(name, va | (0xFF << 56 if va >> 55 & 1 else 0), 1, operand >> 44 & 15)


def _range(name: str, operand: int, lpa2: bool) -> Tlbi:
    base, ttl, num, scale = (
        operand & ((1 << 37) - 1),
        operand >> 37 & 3,
        operand >> 39 & 31,
        operand >> 44 & 3,
    )
    if base >> 36 & 1:
        base |= _TOP - (1 << 37)
    shift = 16 if lpa2 else _GRANULE.get(operand >> 46 & 3, 12)
    return Tlbi(name, (base << shift) % _TOP, (num + 1) << (5 * scale + 1), ttl)


def ipi(instruction: int, operand: int) -> str:
    """What a write to ICC_SGI1R_EL1 asks of other CPUs; empty for other instructions."""
    if instruction & 0xFFFFFFE0 != 0xD518CBA0:
        return ""
    number = operand >> 24 & 15
    return _IPI[number] if number < len(_IPI) else f"sgi{number}"


def barrier(instruction: int) -> str:
    """The domain of a DSB; with nXS its name says so."""
    if instruction & 0xFFFFF3FF == 0xD503323F:
        return ("osh", "nsh", "ish", "sy")[instruction >> 10 & 3] + "nxs"
    return _DOMAIN.get(instruction >> 8 & 15, "sy")


def uses_lpa2(tcr: int) -> bool:
    """TCR_EL1.DS."""
    return bool(tcr >> 59 & 1)
