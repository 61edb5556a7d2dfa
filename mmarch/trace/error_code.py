"""What kind of access faulted: the error code of a page fault, which every machine writes in its own way."""

from __future__ import annotations

from core_mm import uapi
from mmarch.trace.ftrace_text import TraceError

# x86: arch/x86/include/asm/trap_pf.h
PF_WRITE, PF_USER, PF_INSTR = 1 << 1, 1 << 2, 1 << 4
X86 = 0x8000_80FF
# arm64: arch/arm64/include/asm/esr.h; exception classes of aborts from EL0 and EL1
ESR_CLASS_SHIFT, ESR_WNR, ESR_CM = 26, 1 << 6, 1 << 8
INSTRUCTION_ABORTS, DATA_ABORTS = (0x20, 0x21), (0x24, 0x25)
# riscv: arch/riscv/include/asm/csr.h, exceptions by fetch, load and store
RISCV = "riscv64"
RISCV_CAUSES = {12: uapi.ACCESS_EXEC, 13: uapi.ACCESS_READ, 15: uapi.ACCESS_WRITE}
X86_NAMES, ARM64_NAMES = ("", "x86_64", "x86", "i386", "i686", "amd64"), ("aarch64", "arm64")


def access(code: int, machine: str) -> int:
    """`uapi.ACCESS_*` of an error code of `machine` (uname -m; "" is taken for x86); TraceError for what is none."""
    if machine in X86_NAMES:
        return _x86(code)
    if machine in ARM64_NAMES:
        return _arm64(code)
    if machine == RISCV:
        return _riscv(code)
    raise TraceError(f"error codes of {machine!r} are not known; of x86_64, aarch64 and riscv64 they are")


def remarks(machine: str) -> tuple[str, ...]:
    """What to say of a trace whose faults are read otherwise than usual."""
    return (
        ("error codes are read as ESR values, for the recording is of arm64",)
        if machine in ARM64_NAMES
        else ()
    )


def _riscv(code: int) -> int:
    """As arch/riscv/mm/fault.c:handle_page_fault tells them apart."""
    if code not in RISCV_CAUSES:
        raise TraceError(f"cause {code:#x} is no page fault of riscv, which is 12, 13 or 15")
    return RISCV_CAUSES[code]


def _x86(code: int) -> int:
    if code & ~X86:
        esr = code >> ESR_CLASS_SHIFT in (*INSTRUCTION_ABORTS, *DATA_ABORTS)
        hint = "; it looks like an ESR value: say '# arch: aarch64' in the head of the file" if esr else ""
        raise TraceError(f"error_code={code:#x} is no error code of an x86 page fault{hint}")
    if code & PF_WRITE:
        return uapi.ACCESS_WRITE
    return uapi.ACCESS_EXEC if code & PF_INSTR else uapi.ACCESS_READ


def _arm64(code: int) -> int:
    """As arch/arm64/mm/fault.c:do_page_fault tells them apart."""
    kind = code >> ESR_CLASS_SHIFT
    if kind in INSTRUCTION_ABORTS:
        return uapi.ACCESS_EXEC
    if kind not in DATA_ABORTS:
        raise TraceError(f"error_code={code:#x} is no ESR value of an abort, which a page fault of arm64 is")
    return uapi.ACCESS_WRITE if code & ESR_WNR and not code & ESR_CM else uapi.ACCESS_READ
