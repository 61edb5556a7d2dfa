"""CPUs as a command line spells them, in the form of GCC's -march: MODEL+FEATURE+noFEATURE+NUMBER=8.

InputError for what an architecture does not have, and for what cannot be together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from core_mm.cpufeature import CpuFeature
from core_mm.descriptor import ArchDescriptor, Cpu
from mmarch.errors import InputError
from mmarch.suggest import unknown


class Choice(NamedTuple):
    """A CPU under its one name: the model, then each feature that differs from it, in the order of the table."""

    name: str
    cpu: Cpu


def find(arch: ArchDescriptor, spelled: str = "") -> Cpu:
    """The CPU that `spelled` says, the architecture's default one if empty; its features are complete."""
    return choose(arch, spelled).cpu


def choose(arch: ArchDescriptor, spelled: str = "") -> Choice:
    """The same with its name."""
    name, *words = (spelled or arch.default_cpu).split("+")
    if not name:
        raise InputError(
            f"cpu {spelled!r}: write a model before the first +, such as {arch.default_cpu}{spelled}"
        )
    if name not in arch.cpus:
        raise unknown("cpu", name, arch.cpus)
    model, table = arch.cpus[name], arch.cpu_features
    changes: dict[str, int] = {}
    for word in words:
        feature, value = _change(arch, spelled, word)
        if changes.setdefault(feature.name, value) != value:
            raise InputError(
                f"cpu {spelled!r}: {feature.name} is given twice, with different values; leave one out"
            )
    features = {name: changes.get(name, model.features.get(name, 0)) for name in table}
    for problem in contradictions(table, features):
        raise InputError(f"cpu {spelled!r}: {problem}")
    different = (f for f in table.values() if features[f.name] != model.features.get(f.name, 0))
    spelling = "+".join([name, *(_word(feature, features[feature.name]) for feature in different)])
    return Choice(spelling, model.model_copy(update={"features": features}))


def covering(arch: ArchDescriptor) -> list[str]:
    """CPUs that try every feature: models that differ in one, and the default one without what all of them have.

    The default one comes first.
    """
    kept: dict[tuple[int, ...], str] = {}
    for name in (arch.default_cpu, *arch.cpus):
        kept.setdefault(tuple(find(arch, name).features.values()), name)
    values = dict(zip(arch.cpu_features.values(), zip(*kept, strict=True), strict=True))
    agreed = (_word(feature, int(not seen[0])) for feature, seen in values.items() if len(set(seen)) == 1)
    return [*kept.values(), *(f"{arch.default_cpu}+{word}" for word in agreed)]


def contradictions(table: Mapping[str, CpuFeature], features: Mapping[str, int]) -> Iterator[str]:
    """What is wrong with `features`, each as a sentence that says how to mend it."""
    for feature in table.values():
        for needed in feature.requires:
            if features.get(feature.name) and needed in table and not features.get(needed):
                added, without = _word(table[needed], 1), _word(feature, 0)
                yield f"{feature.name} needs {needed}; add +{added}, or +{without}"


def _change(arch: ArchDescriptor, spelled: str, word: str) -> tuple[CpuFeature, int]:
    """The feature that a word of `spelled` is about, and its value."""
    table = arch.cpu_features
    if not table:
        raise InputError(
            f"cpu {spelled!r}: the CPUs of arch {arch.name} have no features to choose; drop +{word}"
        )
    name, equals, number = word.partition("=")
    negated = name not in table and name.startswith("no")
    feature = table.get(name.removeprefix("no") if negated else name)
    if feature is None:
        words = [word for name in table for word in (name, f"no{name}")]
        see = f"Known: {', '.join(table)}; no before a name switches it off."
        raise unknown(f"feature in cpu {spelled!r} of arch {arch.name}:", name, words, see)
    if not feature.counts and equals:
        raise InputError(
            f"cpu {spelled!r}: {feature.name} takes no number; write +{feature.name} or +no{feature.name}"
        )
    digits = number.isdecimal() and len(number) <= len(str(feature.most))
    if feature.counts and (negated or not digits or int(number) > feature.most):
        raise InputError(f"cpu {spelled!r}: write +{feature.name}=N, with N from 0 to {feature.most}")
    return feature, int(number) if feature.counts else int(not negated)


def _word(feature: CpuFeature, value: int) -> str:
    if feature.counts:
        return f"{feature.name}={value}"
    return feature.name if value else f"no{feature.name}"
