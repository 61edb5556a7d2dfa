"""The patch's claims: configurations side by side, and what each hook buys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from mmarch.errors import PluginError
from mmarch.plugins.withhold import TOGETHER, batch_hooks, optional_hooks, reason_required
from mmarch.runs.assemble import Note, Request
from mmarch.runs.configure import Setup
from mmarch.runs.kernel import KernelChoice, compare_on
from mmarch.runs.parallel import each
from mmarch.runs.result import Ablation, Comparison, Result, Withheld, difference
from mmarch.runs.run import run
from mmarch.runs.workloads import Source
from mmarch.workload import Workload

Progress = Callable[[int, int], None]  # runs done, runs in all
ALL_BATCH = "all batch hooks"


def compare(
    names: Sequence[str],
    jobs: Sequence[tuple[Source, Setup | KernelChoice]],
    request: Request,
    note: Note,
    progress: Progress,
) -> Comparison:
    """Each workload on each of the configurations and kernels, which have `names`."""
    twins = [(source, side) for source, side in jobs if isinstance(side, Setup)]

    def one(job: tuple[Source, Setup]) -> Result:
        source, setup = job
        asked = replace(request, madvise=source.advised, runs=len(twins))
        return run(source.workload(setup), setup, asked, note)

    kernels = iter([compare_on(source, side) for source, side in jobs if isinstance(side, KernelChoice)])
    counted = iter(each(one, twins, progress) if twins else [])
    results = (next(counted if isinstance(side, Setup) else kernels) for _, side in jobs)
    return Comparison(names=tuple(names), results=tuple(results))


def ablations(setup: Setup) -> dict[str, tuple[str, ...]]:
    """What is withheld together, by the name it is reported under."""
    already = set(setup.configuration.without)
    optional = [hook for hook in optional_hooks(setup.arch) if hook not in already]
    together = {member for members in TOGETHER.values() for member in members}
    found: dict[str, tuple[str, ...]] = {hook: (hook,) for hook in optional if hook not in together}
    for name, members in TOGETHER.items():
        if present := tuple(member for member in members if member in optional):
            found[name] = present
    found |= {one.name: (one.name,) for one in setup.applied}
    batch = tuple(hook for hook in batch_hooks(setup.arch) if hook not in already)
    return {**found, ALL_BATCH: batch} if len(batch) > 1 else found


def ablate(workload: Workload, setup: Setup, request: Request, note: Note, progress: Progress) -> Ablation:
    """Withhold each optional hook that the architecture overrides, each series, and all batch hooks together."""
    chosen = ablations(setup)
    request = replace(request, runs=len(chosen) + 1)
    baseline = run(workload, setup, request, note)
    progress(1, request.runs)

    def one(name: str) -> Withheld:
        try:
            result = run(workload, setup.withholding(chosen[name]), request, lambda _: None)
        except PluginError as error:
            raise error.on(f"without {name}") from None
        return Withheld(name=name, hooks=chosen[name], extra=difference(result, baseline))

    withheld = each(one, list(chosen), lambda done, total: progress(1 + done, 1 + total))
    return Ablation(baseline=baseline, withheld=tuple(withheld), required=_required(setup))


def _required(setup: Setup) -> dict[str, str]:
    """Hooks that cannot be withheld, with the reason; those that make the format as one."""
    declared = setup.arch.descriptor.required
    own = {hook: declared[hook] for hook in setup.arch.hooks if hook in declared}
    others: dict[str, list[str]] = {}
    for hook in setup.arch.hooks:
        if hook not in declared and (reason := reason_required(setup.arch, hook)):
            others.setdefault(reason, []).append(hook)
    return {**own, **{", ".join(hooks): reason for reason, hooks in others.items()}}
