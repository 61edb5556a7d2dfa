"""`mmarch explain` as text, indented like function_graph."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from itertools import zip_longest

from core_mm.uapi import OP_NAMES, OP_TOUCH
from mmarch.engine.hookimpls import short_where
from mmarch.history.story import Call, Story
from mmarch.report.columns import title
from mmarch.table import WIDTH, indented, width, wrap

KERNEL_FILE = re.compile(r"\b((?:mm|kernel|fs|include|arch|asm-generic|drivers|lib)/[\w./-]+\.[ch])")


def render(story: Story) -> list[str]:
    """Calls with the line that made them, what they did to entries and TLBs, then where each function is."""
    op, task, *_ = story.workload.ops[story.operation].tolist()
    head = (
        f"{story.workload.place(story.operation)}: operation {story.operation}, {OP_NAMES[op]} of task {task}"
    )
    lines = [*wrap(title(story.setup.configuration, story.setup.geometry.page_shift)), *wrap(head), ""]
    if not story.top.parts:
        return [*lines, *wrap(nothing(story))]
    lines += list(_lines(story, story.top, 0))
    return [*lines, "", "function: in the twin, in Linux", *_legend(story)]


def nothing(story: Story) -> str:
    """Why there is no story to tell."""
    op, _, address, *_ = story.workload.ops[story.operation].tolist()
    if op != OP_TOUCH:
        return "Nothing: core-mm reads and changes no entry, and flushes nothing."
    return (
        f"Nothing: {address:#x} is mapped as the access needs it by then, so the CPU walks the tables and core-mm is "
        "not asked. What was a fault where this was recorded is none here, as folios or readahead may be others."
    )


def _lines(story: Story, call: Call, depth: int, step: int = 2) -> Iterator[str]:
    for part in call.parts:
        times = f"{part.count:,} x " if part.count > 1 else ""
        if part.function is None:
            yield from indented(
                " " * step * depth + times + _said(part) + (f"; {part.why}" if part.why else "")
            )
            continue
        own = f" [hook, {plugin(part)}]" if part.hook else ""
        text = f"{' ' * step * depth}{times}{part.text}(){own}"
        place = short_where(part.function)
        gap = WIDTH - len(text) - len(place)
        yield f"{text}{' ' * gap}{place}" if gap > 1 else text
        yield from _lines(story, part, depth + 1, step)


def _said(part: Call) -> str:
    """A line with its addresses."""
    if part.address < 0:
        return part.text
    more = f" to {part.last:#x}" if part.last != part.address else ""
    return f"{part.text} {part.address:#x}{more}"


def plugin(call: Call) -> str:
    """Whose function it is: core_mm, or an architecture's name."""
    module = call.function.__module__ if call.function else ""
    return module.removeprefix("arches.").partition(".")[0]


def _legend(story: Story) -> Iterator[str]:
    seen: dict[str, Call] = {}
    pending = [story.top]
    while pending:
        call = pending.pop()
        pending += reversed(call.parts)
        if call.function:
            seen.setdefault(call.text, call)
    for name, call in seen.items():
        assert call.function is not None
        yield from wrap(f"  {name}: {short_where(call.function)}, {kernel_name(call)}", "    ")


def kernel_name(call: Call) -> str:
    """The kernel's function of that name, and its file if the docstrings say."""
    function = call.function
    own = (function.__doc__ or "") if function else ""
    module = sys.modules[function.__module__].__doc__ or "" if function else ""
    file = KERNEL_FILE.search(own) or KERNEL_FILE.search(module)
    named = re.match(r"`(\w+)", own)
    return f"{named.group(1) if named else call.text}()" + (f" in {file.group(1)}" if file else "")


def side_by_side(a: Story, b: Story) -> list[str]:
    """Two stories in two columns, lines that differ marked."""
    half = (width() - 3) // 2
    left, right = (_plain(story) or ["nothing"] for story in (a, b))
    lines = [*wrap(f"A  {title(a.setup.configuration, a.setup.geometry.page_shift)}")]
    lines += [*wrap(f"B  {title(b.setup.configuration, b.setup.geometry.page_shift)}"), ""]
    if not (a.top.parts or b.top.parts):
        return [*lines, *wrap(nothing(a))]
    for one, other in _aligned(left, right):
        same = " " if one == other else "|"
        lines.append(f"{_cut(one, half):{half}} {same} {_cut(other, half)}".rstrip())
    return lines


def _cut(line: str, columns: int) -> str:
    """As much as there is room for; a wider terminal has more."""
    return line if len(line) <= columns else f"{line[: columns - 1]}…"


def _plain(story: Story) -> list[str]:
    return [re.sub(r"\s{2,}\S+\.py:\d+$", "", line) for line in _lines(story, story.top, 0, 1)]


def _aligned(left: list[str], right: list[str]) -> Iterator[tuple[str, str]]:
    from difflib import SequenceMatcher

    for _, i, j, k, m in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        yield from zip_longest(left[i:j], right[k:m], fillvalue="")
