"""Sizes and folio orders as people write them."""

from __future__ import annotations

import re

from mmarch.errors import InputError

_SIZE = re.compile(r"(\d{1,12})\s*([KMGT]?)(i?B)?", re.IGNORECASE)
_SHIFT = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}
DEFAULT_FOLIO = 64 << 10  # bytes: the folios of a run that is told nothing else, whatever its pages
SMALLEST_ORDER = 2  # of an anonymous folio, mm/huge_memory.c: THP_ORDERS_ALL_ANON


def parse_size(text: str, what: str) -> int:
    """Bytes of ``16G``, ``64K``, ``4096``; InputError names `what`."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise InputError(f"{what} {text!r} is no size; write a number with K, M or G, such as 16G")
    return int(match[1]) << _SHIFT[match[2].upper()]


def show_size(size: int) -> str:
    """The shortest exact form: ``64K``, ``16G``."""
    for unit in ("T", "G", "M", "K"):
        if size and size % (1 << _SHIFT[unit]) == 0:
            return f"{size >> _SHIFT[unit]}{unit}"
    return str(size)


def parse_orders(text: str, page_shift: int, largest: int) -> tuple[int, ...]:
    """Orders of a list such as ``4``, ``4,9``, ``64K,2M``; ``none`` or ``0`` alone is none.

    page_shift  log2 of the page size in bytes
    largest     the order of a PMD leaf
    """
    if text.strip().lower() == "none":
        return ()
    words = [word for word in re.split(r"[,+\s]+", text.strip()) if word]
    orders = sorted({_order(word, page_shift) for word in words})
    if orders == [0]:
        return ()
    for order in orders:
        if not SMALLEST_ORDER <= order <= largest:
            sizes = "..".join(show_size(1 << page_shift + edge) for edge in (SMALLEST_ORDER, largest))
            raise InputError(
                f"folio orders {text!r}: order {order} is not in {SMALLEST_ORDER}..{largest} ({sizes}); "
                "none is no large folios"
            )
    if not orders:
        raise InputError("folio orders are empty; write none for no large folios")
    return tuple(orders)


def _order(word: str, page_shift: int) -> int:
    if word.isdecimal() and len(word) <= 2:
        return int(word)
    size = parse_size(word, "folio order")
    if size < 1 << page_shift or size & (size - 1):
        raise InputError(f"folio order {word!r} is neither an order nor a power of two of pages")
    return size.bit_length() - 1 - page_shift


def show_orders(orders: tuple[int, ...], page_shift: int) -> str:
    """``64K (order 4)``, ``none``."""
    return ", ".join(f"{show_size(1 << page_shift + order)} (order {order})" for order in orders) or "none"
