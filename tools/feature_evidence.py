"""Which features the bundled measurements show: writes mmarch/measurement/shown.toml.

`python -m tools.feature_evidence` switches every feature in the releases on either side of where it came, and looks
whether steps that were measured on their kernels then differ; it takes half an hour. With --machines it only writes
anew what was measured on what.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from core_mm.feature import Feature
from core_mm.releases import features, has, number
from mmarch.errors import MmarchError
from mmarch.measurement import evidence, load
from mmarch.measurement.evidence import Evidence
from mmarch.plugins.features import Table
from mmarch.runs.between import switched_off, switched_on
from mmarch.runs.configure import Choices, configure
from mmarch.truth import exempt
from mmarch.truth.observe import GRANULES, Twin
from mmarch.truth.validate import DIFFERENT, bundled, validate

FILE = Path(evidence.__file__).with_name("shown.toml")
BUNDLE = bundled()
EXEMPTIONS = exempt.load(BUNDLE.exemptions)


@cache
def measured() -> dict[str, list[Path]]:
    """Files of each release that was measured, small ones first; releases in order."""
    found: dict[str, list[Path]] = {}
    for path in sorted(BUNDLE.measurements, key=lambda path: path.stat().st_size):
        found.setdefault(load(path).release, []).append(path)
    return {release: found[release] for release in sorted(found, key=number)}


def machines() -> dict[str, tuple[str, ...]]:
    """For each kernel the CPUs on which it was measured, with the page size where it is not 4K."""
    found: dict[str, set[str]] = {}
    for meta in (load(path).meta for paths in measured().values() for path in paths):
        name = meta.cpu.partition("+")[0] + ("" if meta.page_size == 4096 else f" {GRANULES[meta.page_size]}")
        found.setdefault(meta.kernel.partition("+")[0], set()).add(name)
    return {kernel: tuple(sorted(names)) for kernel, names in found.items()}


def switched(known: Table, release: str, name: str) -> Choices:
    """The release with the feature if it lacks it, else without; and what has to go along."""
    own = features(release, known.values())
    wanted = (switched_off if name in own else switched_on)(known, own, name)
    return Choices(with_=tuple(sorted(wanted - own)), without=tuple(sorted(own - wanted)))


def shows(known: Table, release: str, name: str) -> bool:
    """Whether a step that was measured on the release's kernel differs if the feature is otherwise."""
    twin = Twin(switched(known, release, name))
    return any(_differs(path, twin) for path in measured()[release])


def _differs(path: Path, twin: Twin) -> bool:
    try:
        report = validate([path], BUNDLE.scenarios, twin, EXEMPTIONS, BUNDLE.measurements)
    except MmarchError:
        return False
    wrong = (r for row in report.rows for r in row.results if r.verdict == DIFFERENT)
    return any(d.field != "twin" for result in wrong for d in result.differences)


def borders(item: Feature) -> Iterator[tuple[list[str], list[str]]]:
    """Where a feature came or went: the releases up to that, and those from there on, the nearest first."""
    order = list(measured())
    states = [has(release, item) for release in order]
    for at in range(1, len(order)):
        if states[at] != states[at - 1]:
            before = [r for r, state in zip(order[:at], states, strict=False) if state == states[at - 1]]
            after = [r for r, state in zip(order[at:], states[at:], strict=True) if state == states[at]]
            yield before[::-1], after
    if len(set(states)) == 1:
        yield [], order


def shown(known: Table, item: Feature, say: bool = False) -> tuple[str, ...]:
    """The releases nearest to where it came or went whose measurements show it, or that it is not there."""
    found: set[str] = set()
    for sides in borders(item):
        for side in sides:
            found.update(_first(known, side, item.name))
    return tuple(sorted(found, key=number))


def _first(known: Table, side: Iterable[str], name: str) -> list[str]:
    return next(([release] for release in side if shows(known, release, name)), [])


def text(found: Evidence) -> str:
    """The file."""
    lines = ["# Made by python -m tools.feature_evidence from tests/measured.", "", "[machines]"]
    lines += [f'"{kernel}" = {_list(names)}' for kernel, names in found.machines.items()]
    lines += [
        "",
        "# kernels nearest to where a feature came or went whose measured steps differ if it is otherwise",
    ]
    lines += ["[shown]", *(f"{name} = {_list(kernels)}" for name, kernels in found.shown.items())]
    return "\n".join(lines) + "\n"


def _list(names: Iterable[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"


def main(arguments: list[str]) -> int:
    """Write the file."""
    known = configure(Choices()).known
    print_ = "--quiet" not in arguments
    if "--machines" in arguments:
        FILE.write_text(text(Evidence(machines(), evidence.evidence().shown)), encoding="utf-8")
        return 0
    found = {}
    for item in known.values():
        if item.since[:1].isdigit():
            found[item.name] = shown(known, item)
            if print_:
                print(item.name, *found[item.name], flush=True)
    FILE.write_text(text(Evidence(machines(), found)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
