"""`cpu list` and `cpu show`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from mmarch.cli import complete
from mmarch.cli import options as o
from mmarch.cli.output import answer

if TYPE_CHECKING:
    from core_mm.cpufeature import CpuFeature
    from core_mm.descriptor import ArchDescriptor, Cpu

app = typer.Typer(no_args_is_help=True, help="CPU models, and the features to choose, with sources.")


@app.command("list")
def list_(
    arch: Annotated[
        str, typer.Argument(metavar="ARCH", help="See 'mmarch arch list'.", autocompletion=complete.arch)
    ] = "arm64",
    json: o.Json = False,
    output: o.Output = "",
) -> None:
    """List an architecture's CPU models, and the features that + and +no change."""
    from mmarch import api

    models, descriptor = api.list_cpus(arch), api.load_arch(arch).descriptor
    if json:
        from mmarch.report.printed import CpuListDocument, CpuModel

        document = CpuListDocument(
            arch=descriptor.name, default=descriptor.default_cpu, features=descriptor.cpu_features,
            cpus={name: CpuModel.of(cpu) for name, cpu in models.items()},
        )  # fmt: skip
        answer(document.text(), output)
    else:
        answer("\n".join(_listed(descriptor)), output)


@app.command()
def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="CPU", help="MODEL, MODEL+FEATURE, MODEL+noFEATURE, …", autocompletion=complete.cpu
        ),
    ],
    arch: o.Arch = "arm64",
    json: o.Json = False,
    output: o.Output = "",
) -> None:
    """Show a CPU: each feature, what it means and how Linux finds it."""
    from mmarch import api

    choice, descriptor = api.show_cpu(name, arch=arch), api.load_arch(arch).descriptor
    if json:
        from mmarch.report.printed import CpuDocument

        answer(CpuDocument.of(descriptor, *choice).text(), output)
    else:
        answer("\n".join(_shown(descriptor, *choice)), output)


def _listed(arch: ArchDescriptor) -> list[str]:
    from mmarch.table import wrap

    features = {_word(feature, "N"): feature.summary for feature in arch.cpu_features.values()}
    lines = [f"{arch.name}, default {arch.default_cpu}"]
    lines += _entries({name: [cpu.description] for name, cpu in arch.cpus.items()})
    if features:
        how = f"features: {arch.default_cpu}+FEATURE has it, {arch.default_cpu}+noFEATURE has not"
        lines += [
            "",
            *wrap(how + (", FEATURE=N is how many" if any("=" in word for word in features) else "")),
        ]
    return [*lines, *_entries({word: [summary] for word, summary in features.items()})]


def _shown(arch: ArchDescriptor, name: str, cpu: Cpu) -> list[str]:
    from mmarch.table import wrap

    lines = [f"{name} ({arch.name})", *wrap(f"  {cpu.description}")]
    lines += wrap(f"  source: {cpu.source or 'none given'}", "    ")
    for heading, has in (("has", True), ("has not", False)):
        found = [f for f in arch.cpu_features.values() if bool(cpu.features[f.name]) is has]
        lines += ["", f"{heading}:" if found else f"{heading}: nothing"]
        lines += _entries(
            {_word(f, str(cpu.features[f.name])): [f.summary, f"source: {f.source}"] for f in found}
        )
    return lines


def _word(feature: CpuFeature, number: str) -> str:
    return f"{feature.name}={number}" if feature.counts else feature.name


def _entries(entries: Mapping[str, Sequence[str]]) -> list[str]:
    """A name beside its paragraphs; the names are as wide as the longest."""
    from mmarch.table import wrap

    width = max(map(len, entries), default=0) + 4
    lines = []
    for name, (first, *others) in entries.items():
        lines += wrap(f"  {name}".ljust(width) + first, " " * width)
        for other in others:
            lines += wrap(" " * width + other, " " * (width + 2))
    return lines
