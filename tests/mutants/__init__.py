"""Broken architectures and a broken core-mm: each with the check that has to notice."""

from __future__ import annotations

from collections.abc import Mapping

from tests.mutants import barriers, border, calls, contpte, core, flushes, frontier, lazy, plugins
from tests.mutants.mutant import Mutant

PARTS = (contpte, flushes, core, lazy, border, plugins, barriers, frontier, calls)
CATALOGUE: Mapping[str, Mutant] = {mutant.id: mutant for part in PARTS for mutant in part.MUTANTS}
