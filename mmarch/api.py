"""The Python API: what a notebook calls, and what the command line is a thin layer over.

A workload is a name or a path as on the command line, a `Scenario`, or what `open_workload` returned, which
reads a recording only once. The keywords of a configuration are the fields of `Choosing`. Errors are those of
`mmarch.errors`; operations of a recording that failed are in a result's `failures`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, TypeVar, Unpack

from mmarch.errors import InputError
from mmarch.runs import result

if TYPE_CHECKING:
    from core_mm.descriptor import Cpu
    from core_mm.feature import Feature
    from core_mm.releases import Release
    from mmarch.check.report import Report as Conformance
    from mmarch.check.report import Result as Checked
    from mmarch.cpus import Choice
    from mmarch.history import History
    from mmarch.history.story import Story
    from mmarch.kernel.boot import Machine
    from mmarch.kernel.doctor import Finding
    from mmarch.kernel.measure import Measured
    from mmarch.plugins import LoadedArch
    from mmarch.plugins.showing import Listed, Winner
    from mmarch.runs.configure import Choices, Setup
    from mmarch.runs.costs import Priced
    from mmarch.runs.kernel import KernelChoice
    from mmarch.runs.workloads import Source
    from mmarch.sanitize.run import Sanitized
    from mmarch.scenario.build import Scenario
    from mmarch.trace.recorder import Recording, Saving
    from mmarch.truth.validate import Report as Validation
    from mmarch.workload import Workload

__all__ = [
    "Ablation", "Choosing", "Comparison", "FeatureAblation", "Result", "ablate", "between",
    "check", "compare", "config", "diff_releases", "doctor", "explain", "get_kernel", "judge", "list_archs",
    "list_costs", "list_cpus", "list_kernels", "list_releases", "load_arch", "measure", "measured_results",
    "new_arch", "open_workload", "record", "record_history", "render", "run", "run_all", "show_arch",
    "show_costs", "show_cpu", "show_release", "trend", "validate",
]  # fmt: skip

Work: TypeAlias = "str | os.PathLike[str] | Scenario | Source"
Shown = TypeVar("Shown", bound=result.Model)
Engine = Literal["auto", "interpreted", "linked"]
Note = Callable[[str], None]
Progress = Callable[[int, int], None]


def _silent(text: str) -> None: ...


def _unseen(done: int, total: int) -> None: ...


class Choosing(TypedDict, total=False):
    """A configuration, as the options of the same names have it; what is left out is the default.

    kernel        of `compare`: an Image or debian:VERSION, a real kernel instead of the twin
    arch          architecture, "arm64"
    release       of Linux, or a patch series
    cpu           "neoverse-n2+kpti"
    granule       page size, "4k"
    folio_orders  of anonymous folios: 4, (4, 9), "64K,2M", 0 for none
    with_         features beyond the release's
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


class _Shown:
    """A notebook shows the tables."""

    def _repr_html_(self) -> str:
        return render(self, "html").decode()  # type: ignore[arg-type]


class Result(_Shown, result.Result):
    """Counts of one run; `frame()` has a row for each event of each operation."""


class Comparison(_Shown, result.Comparison):
    """Results side by side; `frame()` has all of their rows, with a column for the configuration's name."""


class Ablation(_Shown, result.Ablation):
    """What each hook buys; `frame()` has a row for each hook and event."""


class FeatureAblation(_Shown, result.FeatureAblation):
    """What each feature between two releases buys; `frame()` has a row for each feature and event."""


def open_workload(workload: Work = "", *, scenario: str = "", backing: str = "") -> Source:
    """A workload to run several times; "" is the bundled trace redis-bgsave.

    scenario, backing  which scenario of a file, on which kind of memory
    """
    from mmarch.runs import workloads
    from mmarch.scenario.build import Scenario

    if isinstance(workload, Scenario):
        return workloads.choose_scenario(workload.document(), scenario, backing)
    if isinstance(workload, str | os.PathLike):
        return workloads.open_workload(os.fspath(workload), scenario, backing)
    return workload


def run(
    workload: Work = "",
    *,
    engine: Engine = "auto",
    by: Literal["op", "hook"] = "op",
    scenario: str = "",
    backing: str = "",
    note: Note = _silent,
    progress: Progress = _unseen,
    **chosen: Unpack[Choosing],
) -> Result:
    """Replay a workload and count what the architecture's page-table code did.

    by        attribute counts to system calls, or to hooks
    note      is given a line for each surprise
    progress  is told how many operations are done, of how many
    """
    from mmarch.runs.assemble import Request
    from mmarch.runs.run import run_with_saving

    source = open_workload(workload, scenario=scenario, backing=backing)
    setup = _setup(chosen, note, source)
    request = Request(engine, by_hook=by == "hook", runs=2, madvise=source.advised)
    return _as(Result, run_with_saving(source.workload(setup), setup, request, note, progress))


def run_all(
    workloads: Sequence[str | os.PathLike[str]],
    *,
    engine: Engine = "auto",
    by: Literal["op", "hook"] = "op",
    scenario: str = "",
    backing: str = "",
    note: Note = _silent,
    progress: Progress = _unseen,
    **chosen: Unpack[Choosing],
) -> list[Result]:
    """`run` of several files or names, each in a process of its own, on all cores.

    progress  is told how many workloads are done, of how many
    """
    from mmarch.runs.assemble import Request
    from mmarch.runs.several import Job, count_all

    for name in (os.fspath(workload) for workload in workloads):
        if name == "-" or (Path(name).exists() and not Path(name).is_file()):
            raise InputError(
                f"{name} is no file: of several workloads, each is read by a process of its own; run it alone"
            )
    _setup(chosen, note)
    request = Request(engine, by_hook=by == "hook", runs=2)
    choices = _choices(chosen)
    done = count_all([Job(os.fspath(w), scenario, backing, choices, request) for w in workloads], progress)
    for text in dict.fromkeys(text for one in done for text in one.notes):
        note(text)
    return [_as(Result, one.result) for one in done]


def judge(workload: Work = "", **given: Any) -> Sanitized:
    """Judge every TLB flush, and every missing one, by a TLB of unlimited memory: `mmarch run --sanitize`.

    The keywords are those of `run`, without `by`.
    """
    return judged(workload, **given)[2]


def judged(
    workload: Work = "",
    *,
    engine: Engine = "auto",
    scenario: str = "",
    backing: str = "",
    note: Note = _silent,
    progress: Progress = _unseen,
    **chosen: Unpack[Choosing],
) -> tuple[Workload, Setup, Sanitized]:
    """`judge`, with what was run, which a report names."""
    from mmarch.runs.assemble import Request
    from mmarch.sanitize.run import sanitize

    source = open_workload(workload, scenario=scenario, backing=backing)
    setup = _setup(chosen, note, source)
    work = source.workload(setup)
    request = Request(engine, runs=2, madvise=source.advised)
    return work, setup, sanitize(work, setup, request, note, progress)


def compare(
    workloads: Work | Sequence[Work],
    configurations: Mapping[str, Choosing] | Sequence[Choosing],
    *,
    engine: Engine = "auto",
    scenario: str = "",
    backing: str = "",
    note: Note = _silent,
    progress: Progress = _unseen,
    **chosen: Unpack[Choosing],
) -> Comparison:
    """Put configurations side by side, on one workload or several.

    configurations  by name, or A, B, … if they have none; what one leaves out is as in the keywords
    progress        is told how many runs are done, of how many
    """
    from mmarch.runs import ablation
    from mmarch.runs.assemble import Request

    named = configurations if isinstance(configurations, Mapping) else _lettered(configurations)
    if len(named) < 2:
        raise InputError(f"compare needs 2 configurations or more, got {len(named)}; run counts one")
    works = workloads if isinstance(workloads, Sequence) and not isinstance(workloads, str) else [workloads]
    sources = [open_workload(work, scenario=scenario, backing=backing) for work in works or [""]]
    jobs = [
        (source, _side({**chosen, **changes}, note, source))
        for source in sources
        for changes in named.values()
    ]
    found = ablation.compare(list(named), jobs, Request(engine), note, progress)
    return _as(Comparison, found, results=tuple(_as(Result, one) for one in found.results))


def ablate(
    workload: Work = "",
    *,
    engine: Engine = "auto",
    scenario: str = "",
    backing: str = "",
    note: Note = _silent,
    progress: Progress = _unseen,
    **chosen: Unpack[Choosing],
) -> Ablation:
    """Withhold each optional hook of an architecture in turn."""
    from mmarch.runs import ablation
    from mmarch.runs.assemble import Request

    source = open_workload(workload, scenario=scenario, backing=backing)
    setup = _setup(chosen, note, source)
    request = Request(engine, madvise=source.advised)
    found = ablation.ablate(source.workload(setup), setup, request, note, progress)
    return _as(Ablation, found, baseline=_as(Result, found.baseline))


def between(
    older: str,
    newer: str,
    workload: Work = "",
    *,
    engine: Engine = "auto",
    scenario: str = "",
    backing: str = "",
    note: Note = _silent,
    progress: Progress = _unseen,
    **chosen: Unpack[Choosing],
) -> FeatureAblation:
    """Switch each feature that two releases differ in by itself: `mmarch ablate --from OLDER --to NEWER`."""
    from mmarch.runs import between as features
    from mmarch.runs.assemble import Request

    source = open_workload(workload, scenario=scenario, backing=backing)
    before, after = (_setup({**chosen, "release": release}, note, source) for release in (older, newer))
    request = Request(engine, madvise=source.advised)
    found = features.between(source.workload(before), before, after, request, note, progress)
    return _as(FeatureAblation, found, older=_as(Result, found.older), newer=_as(Result, found.newer))


def trend(workload: Work = "", **given: Any) -> list[FeatureAblation]:
    """`between` for each release and the one it follows, oldest first; the keywords are the same."""
    from core_mm.releases import RELEASES

    source = open_workload(workload, scenario=given.pop("scenario", ""), backing=given.pop("backing", ""))
    pairs = [(release.base, release.name) for release in RELEASES.values() if release.base]
    return [between(older, newer, source, **given) for older, newer in pairs]


def record_history(
    workload: Work = "",
    *,
    scenario: str = "",
    backing: str = "",
    note: Note = _silent,
    progress: Progress = _unseen,
    **chosen: Unpack[Choosing],
) -> History:
    """Run a workload and keep what happened: ``history.tables(at, task)[address]``, as `mmarch map` shows."""
    from mmarch.history import record
    from mmarch.runs.assemble import Request

    source = open_workload(workload, scenario=scenario, backing=backing)
    setup = _setup(chosen, note, source)
    return record(source.workload(setup), setup, Request(madvise=source.advised), note, progress)


def explain(
    workload: Work = "",
    op: str = "",
    *,
    scenario: str = "",
    backing: str = "",
    note: Note = _silent,
    **chosen: Unpack[Choosing],
) -> Story:
    """What one operation did; `op` is its row, ``line:N`` of the file, or a step."""
    from mmarch.history.story import tell
    from mmarch.runs.assemble import Request

    source = open_workload(workload, scenario=scenario, backing=backing)
    setup = _setup(chosen, note, source)
    work = source.workload(setup)
    return tell(work, setup, work.find(op), Request(madvise=source.advised), note)


def check(
    arch: str,
    *,
    note: Callable[[Checked], None] = lambda _: None,
    progress: Progress = _unseen,
    say: Note = _silent,
    **options: Any,
) -> Conformance:
    """Run the conformance suite on an architecture; the keywords are the fields of `mmarch.check.Options`.

    note  is given each result at once
    say   is given what was found so far, before anything is linked
    """
    from mmarch.check.run import Options
    from mmarch.check.run import check as suite

    return suite(arch, Options(**options), note=note, progress=progress, say=say)


def validate(
    measured: Sequence[Path] = (),
    scenarios: Sequence[Path] = (),
    *,
    arch: str = "arm64",
    with_: str | Sequence[str] = (),
    without: str | Sequence[str] = (),
    engine: Engine = "linked",
    progress: Progress = _unseen,
) -> Validation:
    """Compare the twin with measurements of real kernels, those that come with mmarch unless others are named.

    with_, without  of `Choosing`: on top of the releases that were measured
    """
    from mmarch.measurement import load
    from mmarch.truth import exempt, validate
    from mmarch.truth.observe import Twin

    bundle = validate.bundled()
    twin = Twin(_choices({"arch": arch, "with_": with_, "without": without}), engine)
    files = tuple(measured) or bundle.measurements
    twin.check(sorted({load(path).release for path in files}))
    found = validate.validate(
        files,
        scenarios or bundle.scenarios,
        twin,
        exempt.load(bundle.exemptions),
        evidence=bundle.measurements,
        progress=progress,
    )
    return replace(found, with_=twin.choices.with_, without=twin.choices.without)


def record(
    output: Path,
    command: Sequence[str],
    *,
    buffer_kib: int | None = None,
    huge_pages: bool = False,
    saving: Saving | None = None,
) -> Recording:
    """Run a program and record what it does to its memory, with ftrace (root)."""
    from mmarch.trace import recorder

    shown = {} if saving is None else {"saving": saving}
    return recorder.record(output, command, buffer_kib=buffer_kib, huge_pages=huge_pages, **shown)


def render(
    found: result.Answer | Sequence[result.Result],
    form: str = "table",
    *,
    costs: str = "",
    by_op: bool = False,
    sort: str = "",
) -> bytes:
    """What `--format` prints, of one answer or of several results.

    form   table, markdown, lkml, fastpath, csv, json, parquet, html
    costs  a cost profile, for the tables
    by_op  of a comparison: also a table for each system call
    sort   of features: by which count
    """  # fmt: skip
    from mmarch.report import formats

    return formats.render(found, form, costs, by_op, sort)


def config(**chosen: Unpack[Choosing]) -> str:
    """A configuration as a TOML file, for `--config`: every value, whether given or the default."""
    from mmarch.runs.config_file import write

    return write(_setup(chosen, _silent).configuration)


def measure(
    workloads: Sequence[str | os.PathLike[str]],
    kernel: str,
    *,
    cpu: str = "neoverse-n1",
    folio_orders: str = "",
    symbols: str = "",
    modules: str = "",
    scenario: str = "",
    backing: str = "",
    timeout: float = 300,
    note: Note = _silent,
    progress: Progress = _unseen,
) -> tuple[Measured, Machine]:
    """Run scenarios on a real kernel under QEMU; `measured_results` makes results of what was measured.

    kernel            an arm64 Image, or debian:VERSION
    symbols, modules  its System.map or vmlinux, and the folder of its modules
    timeout           seconds for one boot
    """
    from mmarch.kernel.boot import Machine
    from mmarch.kernel.measure import measure as run_jobs
    from mmarch.kernel.source import open_kernel
    from mmarch.kernel.tools import qemu, untested
    from mmarch.runs.kernel import jobs_of
    from mmarch.runs.workloads import scenario_names

    opened = open_kernel(kernel, symbols, modules)
    named = [
        (os.fspath(work), one)
        for work in workloads
        for one in ([scenario] if scenario else scenario_names(os.fspath(work)))
    ]
    sources = [open_workload(work, scenario=one, backing=backing) for work, one in named]
    jobs = [job for source in sources for job in jobs_of(source, opened, folio_orders)]
    if warning := untested(qemu()):
        note(warning)
    machine = Machine(cpu, timeout=timeout)
    return run_jobs(opened, machine, jobs, progress), machine


def measured_results(measured: Measured, machine: Machine) -> list[Result]:
    """A result for each scenario that `measure` ran."""
    from mmarch.runs.kernel import result_of

    return [_as(Result, result_of(measured, ran, machine)) for ran in measured.ran]


def list_kernels(*, available: bool = False) -> dict[str, bool]:
    """Debian's kernels, and whether they are in the cache; with `available` also those to be had."""
    from mmarch.kernel import debian

    have = {entry.name for entry in debian.downloaded()}
    offered = {entry.name for entry in debian.available()} if available else set()
    return {name: name in have for name in have | offered}


def get_kernel(name: str) -> Path:
    """The folder of a Debian kernel, downloaded into the user's cache unless it is there."""
    from mmarch.kernel import debian

    debian.parse(name)
    return debian.find(name) or debian.get(name)


def doctor() -> list[Finding]:
    """What measuring a kernel needs, and what is there of it."""
    from mmarch.kernel.doctor import examine

    return examine()


def list_archs() -> list[Listed]:
    """Installed architectures, broken ones too."""
    from mmarch.plugins import showing

    return showing.list_archs()


def show_arch(name: str, *, hooks: bool = False) -> tuple[LoadedArch, list[Winner]]:
    """An architecture, and which implementation wins each hook; with `hooks`, whether it links."""
    from mmarch.plugins.showing import winners

    arch = load_arch(name)
    return arch, winners(arch, arch if name == "generic" else load_arch("generic"), linking=hooks)


def new_arch(name: str, output: Path | None = None) -> tuple[Path, list[Path]]:
    """Write the beginnings of a plugin; the folder and the files in it."""
    from mmarch.plugins import scaffold

    return scaffold.new_arch(name, output)


def list_cpus(arch: str = "arm64") -> dict[str, Cpu]:
    """CPU models of an architecture, their features complete."""
    from mmarch import cpus

    descriptor = load_arch(arch).descriptor
    return {name: cpus.find(descriptor, name) for name in descriptor.cpus}


def show_cpu(name: str, *, arch: str = "arm64") -> Choice:
    """A CPU such as neoverse-n2+kpti, under its one name."""
    from mmarch import cpus

    return cpus.choose(load_arch(arch).descriptor, name)


def list_costs(arch: str = "arm64") -> dict[str, str]:
    """The cost profiles that an architecture ships, with their descriptions."""
    from mmarch.runs.costs import load_costs, profiles

    descriptor = load_arch(arch).descriptor
    return {name: load_costs(name, descriptor).profile.description for name in profiles(descriptor)}


def show_costs(name: str, *, arch: str = "arm64") -> Priced:
    """A cost profile by name, or from a TOML file."""
    from mmarch.runs.costs import load_costs

    return load_costs(name, load_arch(arch).descriptor)


def list_releases() -> dict[str, Release]:
    """Releases of Linux and patch series, oldest first."""
    from core_mm.releases import RELEASES

    return dict(RELEASES)


def show_release(name: str = "", *, arch: str = "arm64") -> list[Feature]:
    """The features that a release has, the one feature of that name, or all of them."""
    from core_mm.releases import RELEASES, has
    from mmarch.report.features import one

    known = _features(arch)
    if name in RELEASES:
        return [item for item in known.values() if has(name, item)]
    return [one(known, name)] if name else list(known.values())


def diff_releases(older: str, newer: str, *, arch: str = "arm64") -> tuple[list[Feature], list[Feature]]:
    """Which features came, and which went."""
    from mmarch.report.features import known_release

    before, after = (show_release(known_release(name), arch=arch) for name in (older, newer))
    return [item for item in after if item not in before], [item for item in before if item not in after]


def _features(arch: str) -> dict[str, Feature]:
    from mmarch.plugins.features import table

    return table(load_arch(arch).descriptor)


def load_arch(name: str) -> LoadedArch:
    """An architecture by its name, checked; PluginError says what is wrong with it."""
    from mmarch import plugins

    return plugins.load_arch(name)


def _choices(chosen: Choosing) -> Choices:
    """As text, which `configure` checks."""
    from mmarch.runs.configure import Choices

    given: dict[str, Any] = {name: value for name, value in chosen.items() if name != "kernel"}
    for name in ("with_", "without"):
        names = given.get(name) or ()
        given[name] = (names,) if isinstance(names, str) else tuple(names)
    orders = given.get("folio_orders", "")
    given["folio_orders"] = (
        str(orders) if isinstance(orders, str | int) else ",".join(map(str, orders)) or "0"
    )
    given["memory"] = str(given.get("memory", "16G"))
    return Choices(**given)


def _setup(chosen: Choosing, note: Note, source: Source | None = None) -> Setup:
    """Checked, with the page size of the recording unless another granule is chosen; `note` is told of surprises."""
    from mmarch.runs.configure import configure
    from mmarch.runs.workloads import remarks

    page_size = source.page_size if source else 0
    choices = replace(_choices(chosen), page_size=page_size)
    setup = configure(choices)
    for remark in remarks(source, setup) if source else ():
        note(remark)
    hooks = [name for name in setup.configuration.without if name not in setup.known]
    idle = [hook for hook in hooks if hook not in setup.arch.hooks or choices.arch == "generic"]
    if idle:
        note(f"{choices.arch} does not override {', '.join(idle)}: withholding changes nothing")
    return setup


def _side(chosen: Choosing, note: Note, source: Source) -> Setup | KernelChoice:
    """The twin, or a kernel."""
    if "kernel" not in chosen:
        return _setup(chosen, note, source)
    from mmarch.runs.kernel import kernel_choice

    given = _choices({**chosen})
    return kernel_choice(chosen["kernel"], note, given.cpu, given.granule, given.folio_orders)


def _lettered(configurations: Sequence[Choosing]) -> dict[str, Choosing]:
    from mmarch.runs.configure import letters

    return {letters(number): chosen for number, chosen in enumerate(configurations)}


def _as(kind: type[Shown], found: result.Model, **changes: Any) -> Shown:
    """The same as a model that a notebook shows."""
    return kind.model_construct(**{**dict(found), **changes})
