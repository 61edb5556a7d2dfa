"""What is run and how: workloads, and configurations by keywords."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, TypedDict, Unpack

from mmarch.errors import InputError

if TYPE_CHECKING:
    from mmarch.runs.assemble import Request
    from mmarch.runs.configure import Choices, Setup
    from mmarch.runs.workloads import Source
    from mmarch.scenario.build import Scenario
    from mmarch.trace.assumed import Access, Touch
    from mmarch.workload import Workload

Work: TypeAlias = "str | os.PathLike[str] | Scenario | Source"
Engine = Literal["auto", "interpreted", "linked"]
Note = Callable[[str], None]
Progress = Callable[[int, int], None]
Parameters = Mapping[str, int | str]


class Choosing(TypedDict, total=False):
    """A configuration, as the options of the same names have it; what is left out is the default.

    kernel        of `compare`: an Image or debian:VERSION, a real kernel instead of the twin
    arch          architecture, "arm64"
    release       of Linux, or a patch series
    cpu           "neoverse-n2+kpti"
    granule       page size, "4k"
    folio_orders  of anonymous folios: 4, (4, 9), "64K,2M", 0 for none
    with_         features beyond the release's, and series: names, or files
    without       features and hooks to do without
    memory        simulated, "16G" or bytes
    seed          of every random choice
    """

    kernel: str
    arch: str
    release: str
    cpu: str
    granule: str
    folio_orders: str | int | Sequence[int | str]
    with_: str | Sequence[str]
    without: str | Sequence[str]
    memory: str | int
    seed: int


def open_workload(
    workload: Work = "",
    *,
    scenario: str = "",
    backing: str = "",
    touch: Touch = "first",
    access: Access = "by-protection",
    lenient: bool = False,
    maps: str | os.PathLike[str] = "",
    faults: str | os.PathLike[str] = "",
    salvage: bool = False,
    parameters: Parameters | None = None,
) -> Source:
    """A workload to run several times; "" is the bundled trace redis-bgsave.

    scenario, backing  which scenario of a file, on which kind of memory
    touch              what a mapping's user did where a trace has no faults: touch all its pages, the first or none
    access             how, where a trace does not tell reads from writes
    lenient            take a trace of which much is not understood
    maps               what the first task of a trace had mapped before: a file like its /proc/PID/maps or smaps
    faults             page faults of the same run, by perf script, for a trace by strace
    salvage            take of a damaged trace what stands before the damage
    parameters         of a scenario: pages, or as the language writes them, "2MiB"; what is left out as the file says
    """
    from mmarch.runs import workloads
    from mmarch.scenario.build import Scenario
    from mmarch.trace.assumed import Reading
    from mmarch.trace.maps import read_maps

    if isinstance(workload, Scenario):
        return workloads.choose_scenario(workload.document(), scenario, backing, parameters or {})
    if isinstance(workload, str | os.PathLike):
        had = read_maps(Path(maps)) if maps else ()
        reading = Reading(touch, access, lenient, had, Path(faults) if faults else None, salvage)
        return workloads.open_workload(
            os.fspath(workload), scenario, backing, reading=reading, parameters=parameters or {}
        )
    return workload


def config(**chosen: Unpack[Choosing]) -> str:
    """A configuration as a TOML file, for `--config`: every value, whether given or the default."""
    from mmarch.runs.config_file import write

    setup = configured(chosen, silent)
    if files := [one.place for one in setup.series if one.origin == "file"]:
        raise InputError(
            f"{files[0]}: a configuration names series by name, so that reading it executes nothing; install this "
            "one (see 'mmarch series new'), or give its path with --with beside --config"
        )
    return write(setup.configuration)


def as_choices(chosen: Choosing) -> Choices:
    """As text, which `configure` checks."""
    from mmarch.runs.configure import Choices

    given: dict[str, Any] = {name: value for name, value in chosen.items() if name != "kernel"}
    for name in ("with_", "without"):
        names = given.get(name) or ()
        several = (names,) if isinstance(names, str | os.PathLike) else names
        given[name] = tuple(os.fspath(one) for one in several)
    orders = given.get("folio_orders", "")
    given["folio_orders"] = (
        str(orders) if isinstance(orders, str | int) else ",".join(map(str, orders)) or "0"
    )
    given["memory"] = str(given.get("memory", "16G"))
    return Choices(**given)


def configured(chosen: Choosing, note: Note, source: Source | None = None) -> Setup:
    """Checked, with the page size of the recording unless another granule is chosen; `note` is told of surprises."""
    from mmarch.runs.configure import configure
    from mmarch.runs.workloads import remarks

    page_size = source.page_size if source else 0
    choices = replace(as_choices(chosen), page_size=page_size)
    setup = configure(choices)
    for remark in remarks(source, setup) if source else ():
        note(remark)
    for remark in (text for one in setup.series for text in one.remarks()):
        note(remark)
    hooks = [name for name in setup.configuration.without if name not in setup.known]
    idle = [hook for hook in hooks if hook not in setup.arch.hooks or choices.arch == "generic"]
    if idle:
        note(f"{choices.arch} does not override {', '.join(idle)}: withholding changes nothing")
    return setup


def silent(text: str) -> None:
    """The note that nobody reads."""


def unseen(done: int, total: int) -> None:
    """The progress that nobody watches."""


class Job(NamedTuple):
    """What is run, on what, and how."""

    workload: Workload
    setup: Setup
    request: Request


def prepare(
    workload: Work,
    scenario: str,
    backing: str,
    parameters: Parameters | None,
    note: Note,
    chosen: Choosing,
    engine: Engine = "auto",
    **asked: Any,
) -> Job:
    """A workload opened and lowered for a configuration; `asked` are further fields of the request."""
    from mmarch.runs.assemble import Request

    source = open_workload(workload, scenario=scenario, backing=backing, parameters=parameters)
    setup = configured(chosen, note, source)
    return Job(source.workload(setup), setup, Request(engine, madvise=source.advised, **asked))
