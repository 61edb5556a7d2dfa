"""How much memory large folios cover at a moment of a history."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from mmarch.history.tables import Mapping, Tables
from mmarch.runs.coverage import Folios, covered


def coverage(tables: Tables, mapping: Mapping | None = None) -> Counter[str]:
    """Bytes by key, of one mapping or of all; see `mmarch.runs.coverage.covered`."""
    leaves = tables.leaves
    if mapping:
        first, last = mapping.start >> tables.page_shift, mapping.end >> tables.page_shift
        leaves = leaves.where((leaves.pages >= first) & (leaves.pages < last))

    def folios(frames: NDArray[np.int64]) -> Folios:
        orders, inodes = tables.folios
        return Folios(orders[frames], inodes[frames] != 0)

    return covered(leaves, tables.entries, tables.page_shift, folios)
