"""Amounts: small integer expressions over `page`, `block`, `pmd`, `folio` and loop variables."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

MAX_VALUE = 1 << 46
SIZES = ("page", "block", "pmd", "folio", "min", "max")  # names that every scenario knows
_LEX = re.compile(r"\d+|[A-Za-z_]\w*|[-+*/(),]")
_UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_SIZED = re.compile(r"(.+?)(KiB|MiB|GiB)$|(.*?(?:(?<!\w)\d+|\)))([KMG])$")  # n2K may be a name
_BINARY: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a // b if b else _fail("division by zero"),
}


class ExpressionError(ValueError):
    """What is wrong with an expression, without its place."""


def _fail(message: str) -> int:
    raise ExpressionError(message)


@dataclass(frozen=True)
class Amount:
    """`expression` pages, or that many `unit` bytes when a unit was written."""

    text: str
    unit: int = 0
    column: int = 1

    def bytes(self, names: Mapping[str, int], page_size: int) -> int:
        """The amount in bytes; raises ExpressionError."""
        return evaluate(self.text, names) * (self.unit or page_size)

    def pages(self, names: Mapping[str, int], page_size: int) -> int:
        """The amount in pages; raises ExpressionError unless it is a whole number of them."""
        size = self.bytes(names, page_size)
        if size % page_size:
            raise ExpressionError(f"{self} is not a whole number of {page_size >> 10} KiB pages")
        return size // page_size

    def __str__(self) -> str:
        unit = {v: f" {k}" for k, v in _UNITS.items()}.get(self.unit, "")
        return f"{self.text}{unit}"


def amount(text: str, unit: str | None, column: int) -> Amount:
    """An `Amount` from one word and the unit that followed it; raises ExpressionError."""
    sized = _SIZED.match(text)
    if sized and unit is None:
        text, unit = sized[1] or sized[3], sized[2] or f"{sized[4]}iB"
    names(text)
    return Amount(text, _UNITS.get(unit or "", 0), column)


def is_unit(word: str) -> bool:
    """Whether `word` may follow an amount."""
    return word in _UNITS or word in ("page", "pages")


class _Any(dict[str, int]):
    """Has every name that it is asked for."""

    def __missing__(self, key: str) -> int:
        self[key] = 1
        return 1


@lru_cache(maxsize=1024)  # a scenario says the same amounts again and again
def names(text: str) -> frozenset[str]:
    """The names an expression uses; raises ExpressionError if it is not an expression."""
    found = _Any()
    evaluate(text, found, checking=True)
    return frozenset(found)


def evaluate(text: str, names: Mapping[str, int], checking: bool = False) -> int:
    """The value of `text`; raises ExpressionError (bad syntax, unknown name, out of bounds)."""
    tokens = _LEX.findall(text)
    if "".join(tokens) != text or not tokens or len(tokens) > 64:
        raise ExpressionError(f"{text!r} is not an amount, such as 16, 2MiB, 8*block+3 or pmd/2")
    parser = _Parser(tokens, names, text)
    value = parser.sum()
    if parser.tokens:
        raise ExpressionError(f"{text!r} has {parser.tokens[0]!r} too much")
    if not checking and not 0 <= value <= MAX_VALUE:
        raise ExpressionError(f"{text!r} is {value}, outside 0..2^46")
    return value


class _Parser:
    def __init__(self, tokens: list[str], names: Mapping[str, int], text: str) -> None:
        self.tokens, self.names, self.text = tokens, names, text

    def sum(self) -> int:
        return self._chain(self.product, "+-")

    def product(self) -> int:
        return self._chain(self.atom, "*/")

    def _chain(self, operand: Callable[[], int], operators: str) -> int:
        value = operand()
        while self.tokens and self.tokens[0] in operators:
            value = _BINARY[self.tokens.pop(0)](value, operand())
            if abs(value) > MAX_VALUE:
                raise ExpressionError(f"{self.text!r} is too large")
        return value

    def atom(self) -> int:
        token = self.tokens.pop(0) if self.tokens else ""
        if token.isdecimal():
            return self._number(token)
        if token == "(":
            return self._closed(self.sum())
        if token in ("min", "max") and self.tokens[:1] == ["("]:
            return self._extremum(token)
        if token[:1].isalpha() or token[:1] == "_":
            return self._name(token)
        problem = f"unexpected {token!r}" if token else "it ends too early"
        raise ExpressionError(f"{self.text!r}: {problem}")

    def _number(self, token: str) -> int:
        if len(token) > 15:
            raise ExpressionError(f"{token} is too large")
        return int(token)

    def _closed(self, value: int) -> int:
        if not self.tokens or self.tokens.pop(0) != ")":
            raise ExpressionError(f"{self.text!r} lacks a ')'")
        return value

    def _extremum(self, which: str) -> int:
        self.tokens.pop(0)
        left = self.sum()
        if not self.tokens or self.tokens.pop(0) != ",":
            raise ExpressionError(f"{which}() in {self.text!r} needs two values")
        right = self.sum()
        return self._closed(min(left, right) if which == "min" else max(left, right))

    def _name(self, token: str) -> int:
        try:
            return self.names[token]
        except KeyError:
            known = ", ".join(sorted(self.names))
            raise ExpressionError(f"unknown amount {token!r}; known here: {known}") from None
