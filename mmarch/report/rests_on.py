"""What stands behind counts, in a line or two: was a kernel compared, and what is research alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mmarch.measurement.evidence import kernels
from mmarch.report.document import Paragraph
from mmarch.runs.result import Configuration, RestsOn, Result
from mmarch.table import counted


def rests_on(results: Iterable[Result]) -> list[Paragraph]:
    """A paragraph for each release and each change to it."""
    said = dict.fromkeys(
        line for result in results if result.rests_on for line in _said(result.configuration, result.rests_on)
    )
    return [Paragraph(text) for text in said]


def of_releases(names: Iterable[str], changed: bool) -> str:
    """Of many releases: which were compared; `changed`: some of them have features more or less."""
    found = {name: list(kernels(name)) for name in names}
    with_ = ", ".join(f"{name} with Linux {' and '.join(known)}" for name, known in found.items() if known)
    none = ", ".join(name for name, known in found.items() if not known)
    parts = [f"compared: {with_}"] * bool(with_) + [f"with no kernel: {none}"] * bool(none)
    parts += ["points with features added or left out are like no kernel"] * changed
    return f"{'; '.join(parts)}; mmarch release show RELEASE says what rests on research alone"


def _said(chosen: Configuration, found: RestsOn) -> list[str]:
    lines = [f"release {chosen.release}: {stands(found, chosen)}"]
    if changed := changes(chosen):
        lines.append(f"no kernel is like {chosen.release} {changed}")
    return lines


def stands(found: RestsOn, chosen: Configuration) -> str:
    """Kernels that were compared, then what rests on research alone."""
    text = compared(found.kernels)
    if chosen.arch != found.arch:
        text = f"core-mm {text} of {found.arch}, {chosen.arch} with none"
    return f"{text}{_research(found, chosen.release)}"


def compared(found: Mapping[str, Sequence[str]]) -> str:
    """ "compared with Linux 6.12.107 on cortex-a72, neoverse-n2, neoverse-n2 16k"."""
    pairs = " and ".join(f"{kernel} on {', '.join(machines)}" for kernel, machines in found.items())
    return f"compared with Linux {pairs}" if pairs else "compared with no kernel"


def _research(found: RestsOn, release: str) -> str:
    if not found.research:
        return ""
    verb = "rests" if len(found.research) == 1 else "rest"
    return (
        f"; {counted(len(found.research), 'feature')} {verb} on research alone: mmarch release show {release}"
    )


def changes(chosen: Configuration) -> str:
    """ "with mprotect_batch, without clear_ptes", empty of a release as it is."""
    pairs = (("with", chosen.with_), ("without", chosen.without))
    return ", ".join(f"{word} {' '.join(names)}" for word, names in pairs if names)
