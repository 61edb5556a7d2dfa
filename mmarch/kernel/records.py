"""What the plugin wrote, line by line, as steps.

The grammar is in plugin/plugin.c. Errors: mmarch.errors.InputError for a recording that is not whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from mmarch.errors import InputError


@dataclass
class TlbiRun:
    """`count` executions of the TLBI at `pc`, their operands `stride` apart."""

    pc: int
    instruction: int
    operand: int
    stride: int
    count: int

    def operands(self) -> Iterator[int]:
        """One by one."""
        for i in range(self.count):
            yield (self.operand + i * self.stride) & ((1 << 64) - 1)


@dataclass
class RawLeaf:
    """`count` leaf entries with the attributes of `entry`, from address `va`, at a level."""

    va: int
    level: int
    entry: int
    count: int


@dataclass
class RawStep:
    """Between BEGIN and END of a step, and the dumps after it.

    barriers  (pc, instruction, count)
    functions entries by the function's line in the list that the plugin got
    complete  false: not all TLBIs are there
    ended     false: the step was begun and not finished
    """

    tlbis: list[TlbiRun] = field(default_factory=list)
    barriers: list[tuple[int, int, int]] = field(default_factory=list)
    functions: dict[int, int] = field(default_factory=dict)
    dumps: dict[int, list[RawLeaf]] = field(default_factory=dict)
    complete: bool = True
    ended: bool = False


@dataclass
class Recording:
    """A boot: steps by number, the first failure of each program as (row, error), places with a TLBI."""

    readable: bool = False
    registers: int = 0
    steps: dict[int, RawStep] = field(default_factory=dict)
    failures: list[tuple[int, int]] = field(default_factory=list)
    done: set[int] = field(default_factory=set)
    places: set[int] = field(default_factory=set)
    full: bool = False


def read(path: Path) -> Recording:
    """The recording in the file `path`; its last line may be cut short."""
    found = Recording()
    try:
        with path.open(encoding="ascii") as lines:
            _Reader(found).read(lines)
    except (OSError, ValueError, IndexError, KeyError, UnicodeDecodeError) as error:
        raise InputError(f"what the plugin wrote cannot be read: {error}") from None
    return found


class _Reader:
    def __init__(self, found: Recording) -> None:
        self.found = found
        self.step = RawStep()
        self.dump: list[RawLeaf] = []

    def read(self, lines: Iterable[str]) -> None:
        for line in lines:
            if not line.endswith("\n"):
                return  # QEMU was ended while it wrote
            kind, *words = line.split()
            getattr(self, _METHODS[kind])(words)

    def hello(self, words: list[str]) -> None:
        self.found.readable, self.found.registers = words[0] == "1", int(words[1], 16)

    def begin(self, words: list[str]) -> None:
        self.step = self.found.steps.setdefault(int(words[0]), RawStep())

    def end(self, words: list[str]) -> None:
        self.step.complete, self.step.ended = words[1] == "1", True

    def tlbi(self, words: list[str]) -> None:
        pc, instruction, operand, stride = (int(word, 16) for word in words[:4])
        self.step.tlbis.append(TlbiRun(pc, instruction, operand, stride, int(words[4])))

    def barrier(self, words: list[str]) -> None:
        self.step.barriers.append((int(words[0], 16), int(words[1], 16), int(words[2])))

    def function(self, words: list[str]) -> None:
        self.step.functions[int(words[0])] = int(words[1])

    def begin_dump(self, words: list[str]) -> None:
        step, number = map(int, words)
        self.dump = self.found.steps.setdefault(step, RawStep()).dumps.setdefault(number, [])

    def leaf(self, words: list[str]) -> None:
        self.dump.append(RawLeaf(int(words[0], 16), int(words[1]), int(words[2], 16), int(words[3])))

    def place(self, words: list[str]) -> None:
        self.found.places.add(int(words[0], 16))

    def failure(self, words: list[str]) -> None:
        self.found.failures.append((int(words[0]), -int(words[1])))

    def program(self, words: list[str]) -> None:
        self.found.done.add(int(words[0]))

    def limit(self, words: list[str]) -> None:
        self.found.full = True


_METHODS = {
    "H": "hello", "B": "begin", "E": "end", "t": "tlbi", "b": "barrier", "c": "function", "D": "begin_dump",
    "l": "leaf", "T": "place", "F": "failure", "P": "program", "X": "limit",
}  # fmt: skip


def first_lines(path: Path, count: int = 200) -> list[str]:
    """The beginning of what the guest said."""
    with path.open(encoding="utf-8", errors="replace") as lines:
        return [line.rstrip("\n") for line in islice(lines, count)]
