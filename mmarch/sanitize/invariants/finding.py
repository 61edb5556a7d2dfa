"""One thing that is not as it always should be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """`rule` that is broken, and `what`: the object with the value it has and the one it should have; its `frame`."""

    rule: str
    what: str
    frame: int = 0

    def __str__(self) -> str:
        return f"{self.rule}: {self.what}"
