"""Sizes and folio orders as people write them."""

from __future__ import annotations

import pytest

from mmarch.errors import InputError
from mmarch.sizes import parse_orders, parse_size, show_orders, show_size


@pytest.mark.parametrize(
    ("text", "size"), [("4096", 4096), ("64K", 65536), ("64 KiB", 65536), ("2m", 2 << 20), ("16G", 16 << 30)]
)
def test_parse_size(text: str, size: int) -> None:
    """Binary units, in any case."""
    assert parse_size(text, "--memory") == size
    assert parse_size(show_size(size), "--memory") == size


@pytest.mark.parametrize("text", ["", "G", "-1", "1.5G", "16Q", "9" * 13])
def test_bad_size(text: str) -> None:
    """The option and the text are named."""
    with pytest.raises(InputError, match="--memory"):
        parse_size(text, "--memory")


@pytest.mark.parametrize(
    ("text", "page_shift", "orders"),
    [
        ("0", 12, ()), ("none", 14, ()), ("4", 12, (4,)),
        ("9,4,4", 12, (4, 9)), ("64K", 12, (4,)), ("64K,2M", 12, (4, 9)),
        ("64K", 14, (2,)), ("4+9", 12, (4, 9)),
    ],
)  # fmt: skip
def test_parse_orders(text: str, page_shift: int, orders: tuple[int, ...]) -> None:
    """Orders or sizes, sorted, each once; sizes depend on the page size."""
    assert parse_orders(text, page_shift, 9) == orders


@pytest.mark.parametrize("text", ["", "1", "10", "0,4", "5K", "48K", "2K", "4M", "x"])
def test_bad_orders(text: str) -> None:
    """Anonymous folios have order 2 to that of a PMD; 0 is only for none."""
    with pytest.raises(InputError, match="folio order"):
        parse_orders(text, 12, 9)


def test_show_orders() -> None:
    """With the size they come to."""
    assert show_orders((4, 9), 12) == "64K (order 4), 2M (order 9)"
    assert show_orders((), 12) == "none"
