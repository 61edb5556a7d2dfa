"""Second accounts of what core-mm does: its functions are watched, and may be called only as the account has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mmarch.engine.direct import Bound, DirectMachine, Replace


class Account:
    """Of one machine, which is given once it has booted."""

    def __init__(self) -> None:
        self.given: DirectMachine | None = None

    @property
    def machine(self) -> DirectMachine:
        """The one that is watched."""
        assert self.given is not None
        return self.given

    def around(self, watch: Callable[..., Any]) -> Replace:
        """Calls `watch` with a function, and what it is called with, instead of the function, from then on."""

        def make(original: Bound) -> Bound:
            def call(*arguments: int) -> Any:
                return watch(original, *arguments) if self.given else original(*arguments)

            return call

        return make

    def column(self, table: str, name: str, row: int) -> int:
        """Of a row of the machine's memory."""
        return int(self.machine.memory.tables[table][name][row])
