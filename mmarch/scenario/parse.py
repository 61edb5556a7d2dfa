"""Scenario files: text to scenarios, with errors that name file, line and column.

Errors: mmarch.errors.InputError.  Nothing in a file is executed, and all sizes are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from mmarch.errors import InputError

from .expr import SIZES
from .model import Act, Document, Line, Loop, Param, Part, Place, Scenario, Show
from .verbs import CHILD, MEANT, SHORT, VERBS, Known, span
from .words import Words, fail, suggest

MAX_BYTES = 4 << 20
MAX_LINES = 100_000
MAX_ORDER = 13
MAX_VALUES = 1000
MAX_PARAMS = 32
_PAGE_SIZES = {"4K": 4096, "16K": 16384, "64K": 65536}
_HEADERS = ("scenario", "orders", "beside", "kinds", "param", "list", "for", "done", "part", "as")
_STARTS = (*_HEADERS, "dump", "step", "setup:")
_STEP = re.compile(r"\s*step\s+(\S+?)\s*:(?=\s|$)")
_DUMP = re.compile(r"\s*dump\s+(\S+?)\s*:(?=\s|$)")
_PREFIX = re.compile(r"\s*(?:([A-Za-z_]\w*)\s*:(?=\s|$)|(K)\s)")


def load(path: Path, stream: BinaryIO | None = None) -> Document:
    """Read and parse the scenario file at `path`; `stream` is read instead of it if it is given."""
    try:
        with stream or path.open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot read: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise InputError(f"{path}: larger than {MAX_BYTES >> 20} MiB; split the file")
    try:
        return parse(data.decode("utf-8-sig"), str(path))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        raise InputError(f"{path}:{line}:{column}: not UTF-8 text; is this a scenario file?") from None


def parse(text: str, file: str = "<scenario>") -> Document:
    """Parse the text of a scenario file; `file` names it in errors."""
    lines = text.split("\n")
    if len(lines) > MAX_LINES:
        raise InputError(f"{file}: {len(lines)} lines, at most {MAX_LINES}; split the file")
    parser = _Parser(file)
    for number, line in enumerate(lines, 1):
        parser.line(number, line.partition("#")[0].rstrip())
    return Document(file, text, parser.finish())


class _Parser:
    def __init__(self, file: str) -> None:
        self.file = file
        self.scenarios: list[Scenario] = []
        self.current: Scenario | None = None
        self.known = Known()
        self.loops: list[Loop] = []
        self.acting = ""  # the child that acts by itself
        self.directives: dict[str, Callable[[Scenario, Place, Words], None]] = {
            "orders": self._orders,
            "beside": self._beside,
            "kinds": self._kinds,
            "param": self._param,
            "list": self._list,
            "for": self._for,
            "done": self._done,
            "part": self._part,
            "as": self._as,
        }

    def finish(self) -> tuple[Scenario, ...]:
        self._close_loops()
        if not self.scenarios:
            raise InputError(f"{self.file}:1:1: no scenario here; start one with: scenario NAME")
        return tuple(self.scenarios)

    def line(self, number: int, text: str) -> None:
        body = text.lstrip()
        if not body:
            return
        place = Place(self.file, number, len(text) - len(body) + 1, body)
        word = body.split(None, 1)[0]
        if word in ("S", "scenario"):
            self._scenario(place, Words(place, text), word == "S")
            return
        if self.current is None:
            fail(place, f"{word!r} stands outside a scenario; start one with: scenario NAME")
        if self.current.ended:
            fail(place, f"{word!r} follows the end of scenario {self.current.name!r}; start another one")
        if word in self.directives:
            self.directives[word](self.current, place, Words(place, text))
        elif _DUMP.match(text):
            self._dump(place, text)
        else:
            self._act(self.current, place, text)

    def _scenario(self, place: Place, words: Words, short: bool) -> None:
        self._close_loops()
        words.take("scenario")
        column = words.column
        name = words.take("the name of the scenario")
        scenario = Scenario(name, place)
        if short or words.accept("order"):
            scenario.orders = (words.integer("order", MAX_ORDER),)
        words.done()
        for other in self.scenarios:
            if other.name == name and other.orders == scenario.orders:
                words.fail(f"scenario {name!r} is already on line {other.place.line}", column)
        self.scenarios.append(scenario)
        self.current, self.known = scenario, Known()
        self.acting = ""

    def _orders(self, scenario: Scenario, place: Place, words: Words) -> None:
        self._header(scenario, place)
        words.take("orders")
        if words.accept("any"):
            words.done()
            return
        scenario.orders = self._several(words)

    def _beside(self, scenario: Scenario, place: Place, words: Words) -> None:
        self._header(scenario, place)
        words.take("beside")
        scenario.beside = self._several(words)

    @staticmethod
    def _several(words: Words) -> tuple[int, ...]:
        orders: list[int] = []
        while words or not orders:
            orders.append(words.integer("order", MAX_ORDER))
        return tuple(orders)

    def _kinds(self, scenario: Scenario, place: Place, words: Words) -> None:
        self._header(scenario, place)
        words.take("kinds")
        kinds: list[str] = []
        while words or not kinds:
            kinds.append(words.name("a kind"))
        scenario.kinds = tuple(kinds)

    def _header(self, scenario: Scenario, place: Place) -> None:
        if scenario.body:
            fail(place, f"{place.text.split()[0]!r} belongs before the scenario's first operation")

    def _param(self, scenario: Scenario, place: Place, words: Words) -> None:
        self._header(scenario, place)
        words.take("param")
        column = words.column
        name = words.name("a parameter")
        if name in SIZES or name in scenario.params:
            words.fail(f"{name!r} has a meaning already; give the parameter another name", column)
        if len(scenario.params) == MAX_PARAMS:
            words.fail(f"more than {MAX_PARAMS} parameters", column)
        if not words.accept("="):
            words.fail(f"write: param {name} = 16")
        scenario.params[name] = Param(words.size("the value"), place)
        words.done()

    def _list(self, scenario: Scenario, place: Place, words: Words) -> None:
        words.take("list")
        name = words.name("a list")
        size = _PAGE_SIZES[words.known("page size", _PAGE_SIZES)]
        values: list[int] = []
        while words or not values:
            values.append(words.integer("value", 1 << 24))
        if len(values) > MAX_VALUES:
            fail(place, f"{len(values)} values, at most {MAX_VALUES}")
        scenario.lists.setdefault(name, {})[size] = tuple(values)

    def _for(self, scenario: Scenario, place: Place, words: Words) -> None:
        words.take("for")
        column = words.column
        variable = words.name("a variable")
        if variable in scenario.params:
            words.fail(f"{variable!r} is a parameter; give the loop's variable another name", column)
        if not words.accept("in"):
            words.fail(f"write: for {variable} in LIST")
        loop = Loop(variable, words.known("list", scenario.lists), place)
        words.done()
        if len(self.loops) == 3:
            fail(place, "loops nest at most three deep")
        self._add(scenario, loop)
        self.loops.append(loop)

    def _done(self, scenario: Scenario, place: Place, words: Words) -> None:
        words.take("done")
        words.done()
        if not self.loops:
            fail(place, "'done' without a 'for'")
        self.loops.pop()

    def _close_loops(self) -> None:
        if self.loops:
            fail(self.loops[-1].place, "this 'for' has no 'done'")

    def _part(self, scenario: Scenario, place: Place, words: Words) -> None:
        words.take("part")
        self._add(scenario, Part(words.take("the name of the part"), place))
        words.done()

    def _as(self, scenario: Scenario, place: Place, words: Words) -> None:
        words.take("as")
        column = words.column
        name = words.take("the process")
        self.acting = "" if name == "parent" else self._child(words, name, column)
        words.done()

    def _child(self, words: Words, name: str, column: int) -> str:
        """`name` if it is a child that runs here."""
        children = self.known.children
        if name in children:
            return name
        if name in VERBS or name in SHORT:
            words.fail(f"{name!r} is an operation; no colon follows it", column)
        fork, which = ("fork", "") if name == CHILD else (f"fork {name}", f" {name!r}")
        near = suggest(name, (*children, *_STARTS)) or f"; {fork} first"
        words.fail(f"there is no child{which} here{near}", column)

    def _add(self, scenario: Scenario, line: Line) -> None:
        (self.loops[-1].body if self.loops else scenario.body).append(line)

    def _dump(self, place: Place, text: str) -> None:
        match = _DUMP.match(text)
        assert match and self.current
        words = Words(place, text[match.end() :], match.end())
        child = self.acting
        if words.peek().endswith(":"):
            column = words.column
            child = self._child(words, words.take("the process")[:-1], column)
        where = span(words, self.known)
        words.done()
        self._add(self.current, Show(match.group(1), where, place, child))

    def _act(self, scenario: Scenario, place: Place, text: str) -> None:
        mode, label, child, start = "auto", "", self.acting, 0
        if match := _STEP.match(text):
            mode, label, start = "step", match.group(1), match.end()
        while match := _PREFIX.match(text, start):
            name, column = match.group(1) or CHILD, match.start(1 if match.group(1) else 2) + 1
            if name == "setup":
                mode = "setup"
            else:
                child = self._child(Words(place, text), name, column)
            start = match.end()
        words = Words(place, text[start:], start)
        column = words.column
        verb = words.take("the operation")
        verb = SHORT.get(verb, verb)
        if verb not in VERBS:
            near = (
                f" (did you mean {MEANT[verb]!r}?)"
                if verb in MEANT
                else suggest(verb, (*VERBS, *_STARTS, "child:"))
            )
            words.fail(f"unknown operation {verb!r}{near}", column)
        operation = VERBS[verb](words, self.known)
        words.done()
        if verb == "reap" and operation.target == self.acting:
            self.acting = ""
        scenario.ended = verb == "end"
        self._add(scenario, Act(operation, place, mode, label, "" if verb == "reap" else child))
