"""A point: a workload, a configuration, values of parameters, and a digest of all that its row hangs on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache

from mmarch.grid.identity import identity, of_results
from mmarch.plugins import LoadedArch, load_arch
from mmarch.runs.configure import Choices, Setup, configure

DIGEST = 32  # hexadecimal digits
KEPT = 512  # configurations


@dataclass(frozen=True)
class Work:
    """A workload of the grid: its name in the SPEC, its file (empty: comes with mmarch), scenario, memory, digest."""

    label: str
    path: str
    scenario: str
    backing: str
    content: str
    page_size: int = 0


@dataclass(frozen=True)
class Point:
    """What a worker is given."""

    digest: str
    work: Work
    choices: Choices
    parameters: tuple[tuple[str, str], ...] = ()


def setup_of(choices: Choices) -> Setup:
    """`configure`, once for all seeds."""
    setup = _configured(replace(choices, seed=0))
    configuration = setup.configuration.model_copy(update={"seed": choices.seed})
    return replace(setup, configuration=configuration)


@lru_cache(KEPT)
def _configured(choices: Choices) -> Setup:
    return configure(choices, _arch)


@cache
def _arch(name: str) -> LoadedArch:
    return load_arch(name)


def digest(work: Work, choices: Choices, parameters: Mapping[str, str]) -> str:
    """The same wherever it is computed; another one if anything that the counts depend on is different."""
    workload = [work.label, work.scenario, work.backing, work.content, sorted(parameters.items())]
    text = json.dumps([_fixed(replace(choices, seed=0)), choices.seed, workload])
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST]


@lru_cache(KEPT)
def _fixed(choices: Choices) -> str:
    setup = _configured(choices)
    return json.dumps([setup.configuration.model_dump(), of_results(identity([setup]))])
