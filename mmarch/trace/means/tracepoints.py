"""Faults by the tracepoints of page faults: x86 has them, and riscv of late; arm64 has none."""

from __future__ import annotations

from mmarch.trace.means.writes import Write, enable

NAME = "page-fault tracepoints"
EVENTS = ["exceptions/page_fault_user", "exceptions/page_fault_kernel"]


def writes(name: str, _machine: str) -> list[Write]:
    """For the instance of that name; the same on every machine."""
    return enable(name, EVENTS)
