"""From what workers wrote down to what a campaign reached."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mmarch.check.reach.model import Part, Reached, Seen, Share, Unreached, Untrue
from mmarch.check.reach.reasons import Entry, Reasons
from mmarch.check.reach.scope import Arc, Function
from mmarch.check.reach.tracing import DATA, library, release_of

Has = Callable[[str], frozenset[str]]  # release -> its features


@dataclass
class File:
    """Of one source file: lines that ran, in which contexts, and branches."""

    ran: set[int] = field(default_factory=set)
    contexts: Mapping[int, Sequence[str]] = field(default_factory=dict)
    taken: list[Arc] = field(default_factory=list)
    missing: list[Arc] = field(default_factory=list)


def read(
    folder: str, functions: Sequence[Function], has: Has, known: Iterable[str], reasons: Reasons
) -> Reached:
    """What all parts together say of these functions.

    has    features of each release in the campaign
    known  every feature there is
    """
    files = measured(folder, sorted({one.path for one in functions}))
    reached = [one for one in functions if not files[one.path].ran.isdisjoint(one.lines)]
    idle = [one for one in functions if one not in reached]
    counted = {one: branches(one, files[one.path]) for one in functions}
    return Reached(
        functions=Share(reached=len(reached), total=len(functions)),
        branches=share(counted.values()),
        packages=parts(counted, reached, lambda one: one.package),
        files=parts(counted, reached, lambda one: one.file),
        features=features(functions, files, has, known),
        unreached=tuple(
            item
            for one in functions
            for item in (
                [whole(one, counted[one], reasons)] if one in idle else single(one, counted[one], reasons)
            )
        ),
        untrue=tuple(
            Untrue(**entry.model_dump())
            for one in functions
            for entry in reasons.about(one.name)
            if refuted(entry, one, counted[one], one in reached)
        ),
    )


def refuted(entry: Entry, one: Function, counted: tuple[list[Arc], list[Arc]], ran: bool) -> bool:
    """Whether the function ran, or every branch that the entry speaks of was taken."""
    if not entry.text:
        return ran
    taken, missing = (
        [arc for arc in arcs if entry.covers(one.name, one.text(arc), one.way(arc))] for arcs in counted
    )
    return bool(taken) and not missing


def measured(folder: str, paths: Sequence[str]) -> dict[str, File]:
    """Each file, also one of which nothing ran."""
    data = str(Path(folder) / DATA)
    coverage = library()
    campaign = coverage.Coverage(data_file=data, branch=True, config_file=False, messages=False)
    campaign.combine([folder], strict=False)
    told = campaign.get_data()
    told.touch_files(paths)
    report = Path(folder) / "report.json"
    campaign.json_report(morfs=list(paths), outfile=str(report), ignore_errors=True)
    found = {}
    for name, one in json.loads(report.read_text(encoding="utf-8"))["files"].items():
        path = os.path.join(os.getcwd(), name)
        found[path] = File(
            set(one["executed_lines"]), told.contexts_by_lineno(path),
            [(first, last) for first, last in one["executed_branches"]],
            [(first, last) for first, last in one["missing_branches"]],
        )  # fmt: skip
    return {path: found.get(path, File()) for path in paths}


def branches(function: Function, file: File) -> tuple[list[Arc], list[Arc]]:
    """Taken and missing, of one function."""
    taken, missing = (
        [arc for arc in arcs if arc[0] in function.branching] for arcs in (file.taken, file.missing)
    )
    return taken, missing


def share(several: Iterable[tuple[Sequence[Arc], Sequence[Arc]]]) -> Share:
    """Of branches."""
    pairs = list(several)
    taken = sum(len(taken) for taken, _ in pairs)
    return Share(reached=taken, total=taken + sum(len(missing) for _, missing in pairs))


def parts(
    counted: Mapping[Function, tuple[list[Arc], list[Arc]]],
    reached: Sequence[Function],
    group: Callable[[Function], str],
) -> dict[str, Part]:
    """In groups of functions."""
    groups: dict[str, list[Function]] = defaultdict(list)
    for one in counted:
        groups[group(one)].append(one)
    return {
        name: Part(
            functions=Share(reached=len(set(members).intersection(reached)), total=len(members)),
            branches=share(counted[one] for one in members),
        )
        for name, members in groups.items()
    }


def whole(one: Function, counted: tuple[list[Arc], list[Arc]], reasons: Reasons) -> Unreached:
    """A function that never ran."""
    return Unreached(
        file=one.file, line=one.routine.node.lineno, function=one.name, branches=len(counted[1]),
        reason=reasons.of(one.name),
    )  # fmt: skip


def single(one: Function, counted: tuple[list[Arc], list[Arc]], reasons: Reasons) -> list[Unreached]:
    """Branches of a function that ran."""
    found = []
    for arc in counted[1]:
        text, way = one.text(arc), one.way(arc)
        why = reasons.of(one.name, text, way)
        found.append(Unreached(file=one.file, line=arc[0], function=one.name, text=text, way=way, reason=why))
    return found


def features(
    functions: Sequence[Function], files: Mapping[str, File], has: Has, known: Iterable[str]
) -> dict[str, Seen]:
    """How each feature was seen by the lines that ask for it."""
    seen: dict[str, set[bool]] = {name: set() for name in known}
    for one in functions:
        for name, line in one.features():
            releases = {release_of(context) for context in files[one.path].contexts.get(line, ()) if context}
            seen.setdefault(name, set()).update(name in has(release) for release in releases)
    words: dict[frozenset[bool], Seen] = {
        frozenset(): "never", frozenset({True}): "with", frozenset({False}): "without",
    }  # fmt: skip
    return {name: words.get(frozenset(how), "both") for name, how in seen.items()}
