"""docs/conformance/mutants.md, made of the history and the catalogue: python -m tests.mutants.table."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from tests.mutants import CATALOGUE
from tests.mutants.mutant import Mutant
from tests.mutants.rows import RECENT, ROWS

PAGE = Path(__file__).parents[2] / "docs" / "conformance" / "mutants.md"

HEAD = """\
# Mutants

Bugs that Linux had, or nearly had, where core-mm and architectures meet, made again on purpose: each is an edit of
core-mm or of an architecture, in a process of its own, and the check of `mmarch check` that is named with it has to
notice. The same check with the same seed has to pass without the edit. Both run interpreted.

    pytest tests/mutants                                    # all of them
    pytest tests/mutants -k 'C12 and not order'             # one
    python -m tests.mutants.show C12                        # what its check says

This page is made by `python -m tests.mutants.table`; a test holds it to the catalogue in tests/mutants/.
Deviations that releases of Linux have and the twin has with them are in [hazards.md](hazards.md).
"""
CAUGHT = """
## The history, caught

| | bug | in Linux | mutant | check |
|---|---|---|---|---|
"""
PREVENTED = """
## The history, prevented by a mechanism that the twin does not have

| | bug | in Linux | missing |
|---|---|---|---|
"""
LATELY = """
## 2025 and 2026

| in Linux, or elsewhere | bug | mutant, or what is missing |
|---|---|---|
"""
EACH = """
## The mutants, one by one

| mutant | bug | on | check |
|---|---|---|---|
"""


def row_of(mutant: str) -> str:
    """The row of the history that a mutant stands for; "" if it stands for none."""
    row = mutant.partition("-")[0]
    return row if row in ROWS else ""


def mutants_of(row: str) -> list[Mutant]:
    """Those that stand for a row."""
    return [mutant for mutant in CATALOGUE.values() if row_of(mutant.id) == row]


def line(*cells: str) -> str:
    """A row of a table."""
    return f"| {' | '.join(cells)} |\n"


def page() -> str:
    """The whole text."""
    caught = ((id, row) for id, row in ROWS.items() if not row.missing)
    missing = ((id, row) for id, row in ROWS.items() if row.missing)
    return "".join(
        (
            HEAD,
            CAUGHT, *(line(id, row.bug, commits(row.kernel), *cells(mutants_of(id))) for id, row in caught),
            PREVENTED, *(line(id, row.bug, commits(row.kernel), row.missing) for id, row in missing),
            LATELY, *(line(commits(where), bug, stood(by)) for where, bug, by in RECENT),
            EACH, *(line(m.id, commits(m.bug), place(m), f"`{m.check}`") for m in CATALOGUE.values()),
        )
    )  # fmt: skip


def stood(by: str | tuple[str, ...]) -> str:
    """Mutants, or the mechanism that the twin does not have."""
    return by if isinstance(by, str) else ", ".join(by)


def cells(mutants: Iterable[Mutant]) -> tuple[str, str]:
    """Mutants, and the checks that notice them, each once."""
    found = list(mutants)
    return ", ".join(m.id for m in found), ", ".join(dict.fromkeys(f"`{m.check}`" for m in found))


def place(mutant: Mutant) -> str:
    """Architecture, release and CPU, where they are not the default ones."""
    arch = mutant.arch.partition(":")[0].rpartition(".")[2].removeprefix("mmarch_")
    return " ".join(word for word in (arch, mutant.release, mutant.cpu) if word)


def commits(text: str) -> str:
    """With commits as code."""
    return re.sub(r"\b(?=[0-9a-f]*\d)[0-9a-f]{8,12}\b", r"`\g<0>`", text)


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
