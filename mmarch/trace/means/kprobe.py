"""Faults by a probe on ``handle_mm_fault``, which every architecture calls for one (mm/memory.c).

arm64's fault handlers themselves cannot be probed (NOKPROBE). The probe sees more than faults:
get_user_pages() calls without registers, which are filtered out, and what is tried again, which the
reader merges (`mmarch.trace.probed`).
"""

from __future__ import annotations

from mmarch.trace.means.writes import Write, enable

NAME = "kprobe on handle_mm_fault"
FILE = "kprobe_events"
EVENT = "mmarch_fault"
ARGUMENTS = "address=$arg2:x64 flags=$arg3:x32 regs=$arg4:x64"
PROBED = f"handle_mm_fault {ARGUMENTS}"
# riscv refuses a probe on what ftrace patches, two instructions; there, arguments have no names but of registers
BEHIND_FTRACE = {"riscv64": "handle_mm_fault+8 address=%a1:x64 flags=%a2:x32 regs=%a3:x64"}
NO_GUP = "regs != 0"


def group(name: str) -> str:
    """Of probes, for the instance of that name; a group has no hyphen."""
    return name.replace("-", "_")


def writes(name: str, machine: str) -> list[Write]:
    """For the instance of that name, on a machine as uname -m calls it."""
    probe = f"p:{group(name)}/{EVENT} {BEHIND_FTRACE.get(machine, PROBED)}"
    return [Write(FILE, probe), *enable(name, [f"{group(name)}/{EVENT}"], filtered=NO_GUP)]
