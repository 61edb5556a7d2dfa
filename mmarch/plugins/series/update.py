"""Renew the digests that the replacements of a series carry, in its files."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from mmarch.plugins.series.loading import LoadedSeries, Stale
from mmarch.writing import writing


def update(series: LoadedSeries) -> list[Stale]:
    """Write the digest of today into each mark of a replacement that has another one, or none; those that changed."""
    for path in sorted({Path(one.replacement.__code__.co_filename) for one in series.stale}):
        digests = {one.name: one.now for one in series.stale}
        new = renewed(path.read_bytes(), digests)
        with writing(path) as file:
            file.write(new)
    return list(series.stale)


def renewed(source: bytes, digests: dict[str, str]) -> bytes:
    """The text with other digests, and not another byte changed."""
    lines = source.splitlines(keepends=True)
    starts = [sum(map(len, lines[:number])) for number in range(len(lines) + 1)]
    for mark in sorted(_marks(ast.parse(source)), key=lambda mark: -mark.lineno):
        target = mark.args[0]
        if isinstance(target, ast.Constant) and target.value in digests:
            first = starts[mark.lineno - 1] + mark.col_offset
            last = starts[(mark.end_lineno or 0) - 1] + (mark.end_col_offset or 0)
            called = ast.unparse(mark.func)
            text = f'{called}("{target.value}", digest="{digests[target.value]}")'
            source = source[:first] + text.encode() + source[last:]
    return source


def _marks(tree: ast.Module) -> Iterator[ast.Call]:
    """Decorators called `replaces`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            for item in node.decorator_list:
                if isinstance(item, ast.Call) and item.args and ast.unparse(item.func).endswith("replaces"):
                    yield item
