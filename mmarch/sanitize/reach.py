"""What a campaign of random operations came to: how often each kind of thing happened."""

from __future__ import annotations

from collections import Counter

import numpy as np

from core_mm import mm_types
from core_mm.mm_types import PG_LARGE
from core_mm.uapi import ACCESS_EXEC, COLUMNS, OP_NAMES, OP_TOUCH
from core_mm.vmstat import NAMES
from mmarch.engine.machine import Machine
from mmarch.sanitize.state import Reader

ERRORS = {
    value: name for name, value in vars(mm_types).items() if name.startswith(("E", "SIG")) and isinstance(value, int)
}  # fmt: skip


def reached(machine: Machine, rows: int) -> Counter[str]:
    """Of the first `rows` operations: each by its name, `fetch` apart, errors by theirs, and core-mm's events."""
    ops = machine.memory.arrays["ops"][: rows * COLUMNS].reshape(-1, COLUMNS)
    results = machine.memory.arrays["results"][:rows]
    found = Counter(OP_NAMES.get(op, str(op)) for op in ops[results >= 0, 0].tolist())
    found["fetch"] = int(((ops[:, 0] == OP_TOUCH) & (ops[:, 4] == ACCESS_EXEC) & (results >= 0)).sum())
    found.update(ERRORS.get(-result, str(result)) for result in results[results < 0].tolist())
    found.update({name: machine.total(name) for name in NAMES})
    return found


def partly_mapped(reader: Reader) -> int:
    """How many large folios have pages that are mapped and pages that are not."""
    state = reader.read()
    large = state.used[state.flags[state.used] & PG_LARGE != 0]
    sums = np.concatenate([[0], np.cumsum(state.mapped != 0)])
    pages = state.pages_of(large)
    mapped = sums[np.minimum(large + pages, len(sums) - 1)] - sums[large]
    return int(((mapped > 0) & (mapped < pages)).sum())
