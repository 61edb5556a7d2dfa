"""Whether mm->tlb_flush_batched says the truth: reclaim has left a flush to others, and nobody has completed it.

Read from the log: what the architecture does in arch_tlbbatch_add_pending and in arch_flush_tlb_batched_pending names
the address space by its ASID. One that has none yet, or shares none of this in the log, is not judged.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from core_mm.vmstat import LOG_ASID, LOG_EXIT, LOG_TLBI
from mmarch.engine.machine import Machine
from mmarch.sanitize.invariants import Finding

GENERATION = 16  # bits of an ASID below its generation


class Pending:
    """Follows the log of a machine, from before its first operation on."""

    def __init__(self, machine: Machine) -> None:
        self._memory, hook = machine.memory, machine.layout.hook_number
        self._add, self._complete = (
            hook("arch_tlbbatch_add_pending"), hook("arch_flush_tlb_batched_pending"),
        )  # fmt: skip
        model = machine.config.arch.tlb_model
        self._mask = model.asid_mask if model else 0
        self._kept = self._memory.get("cfg", "log_capacity")  # rows of the log
        self._read = 0  # of these
        self._generation = 0
        self._mms: dict[int, int] = {}  # ASID -> mm
        self._owed: dict[int, bool] = {}  # mm -> whether a flush of it is left
        self._fresh: set[int] = set()  # that began to run since the last look
        self._deferred = False  # the log has shown any of this

    def see(self) -> None:
        """Take what the log has grown by."""
        length = min(self._memory.get("mach", "log_len"), self._kept) if self._kept else 0
        if self._read < length:
            self._take(self._read, length)
        self._read = length

    def emptied(self) -> None:
        """The log begins anew."""
        self._read = 0

    def _take(self, first: int, length: int) -> None:
        log = self._memory.tables["LOG"]
        kinds, calls = log["kind"][first:length], log["call"][first:length]
        chosen = (kinds == LOG_ASID) | (kinds == LOG_EXIT)
        of_one = log["asid"][first:length] >= 0  # an erratum's repeated TLBI is of none
        chosen |= (kinds == LOG_TLBI) & ((calls == self._add) | (calls == self._complete)) & of_one
        at = first + np.flatnonzero(chosen)
        columns = (log[name][at].tolist() for name in ("kind", "call", "a", "b", "asid"))
        for kind, call, a, b, asid in zip(*columns, strict=True):
            if kind == LOG_ASID:
                self._runs(a, b)
            elif kind == LOG_EXIT:
                self._owed.pop(a, None)
                self._fresh.discard(a)
            else:
                self._flush(asid & self._mask, call == self._add)

    def _runs(self, mm: int, asid: int) -> None:
        if asid >> GENERATION != self._generation:
            self._generation = asid >> GENERATION
            self._mms.clear()
            self._owed.clear()
        self._mms[asid & self._mask] = mm
        if mm not in self._owed:
            self._fresh.add(mm)

    def _flush(self, asid: int, deferred: bool) -> None:
        self._deferred |= deferred
        mm = self._mms.get(asid)
        if mm in self._owed:
            self._owed[mm] = deferred

    def wrong(self) -> Iterator[Finding]:
        """Flags that do not say what is so."""
        flags = self._memory.tables["MM"]["tlb_flush_batched"]
        for mm in self._fresh:
            self._owed[mm] = bool(flags[mm])
        self._fresh.clear()
        for mm, owed in self._owed.items() if self._deferred else ():
            if bool(flags[mm]) != owed:
                what = "reclaim has left a flush of it" if owed else "no flush of it is left"
                yield Finding("pending", f"mm {mm}: tlb_flush_batched is {flags[mm]}, and {what}")
