"""What an architecture says of releases: features that are declared well (MM013), and nothing else (MM012)."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from core_mm import mm_types, releases
from core_mm.descriptor import ArchDescriptor
from core_mm.feature import Feature
from core_mm.features import feature as core
from core_mm.hookspecs import HOOKS
from mmarch.plugins.features import table
from mmarch.plugins.problem import Problem, of_package
from mmarch.suggest import did_you_mean

# Values that told releases apart, and where each is to be read now.
NUMBER = "release"
MOVED = {
    **{name: f"feature.{name}" for name in core.table},
    "gather_reserve": "feature.tlb_reserve_space or feature.tlb_get_guaranteed_space",
    "rmap_batch": "feature.lazyfree_unmap_batch or feature.file_unmap_batch",
}
REMEDY = (
    "name the behaviour instead: in a class of core_mm.feature.Features write\n"
    '    NAME: int = behaviour("what it does", since="7.0", source="commit or posting")\n'
    "  give the class to the descriptor as features=…, and read CLASS.NAME"
)
_RELEASE = re.compile(r"\d+\.\d+")


def check_features(arch: ArchDescriptor) -> Iterator[Problem]:
    """Everything that is wrong with them."""
    yield from _declared(arch)
    for module in [module for name, module in sorted(sys.modules.items()) if of_package(arch, name)]:
        yield from _reads(module)


def _reads(module: ModuleType) -> Iterator[Problem]:
    """MM012 for each value of `cfg` in the module's source that tells releases apart."""
    file = Path(str(module.__file__))
    source = file.read_text(encoding="utf-8") if file.suffix == ".py" and file.is_file() else ""
    if not re.search(rf"\.({'|'.join((NUMBER, *MOVED))})\b", source):
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and _meant(node.value, module) is mm_types.cfg:
            if node.attr == NUMBER:
                text = f"{file}:{node.lineno}: reads the number of the release ({ast.unparse(node)})"
                yield Problem("MM012", f"{text}; {REMEDY}")
            elif node.attr in MOVED:
                text = f"{file}:{node.lineno}: {ast.unparse(node)} is a feature now; read {MOVED[node.attr]}"
                yield Problem("MM012", f"{text} (from core_mm.features import feature)")


def _meant(node: ast.expr, module: ModuleType) -> object:
    """What a name or dotted name means in the module; None if that cannot be said."""
    if isinstance(node, ast.Name):
        return vars(module).get(node.id)
    return getattr(_meant(node.value, module), node.attr, None) if isinstance(node, ast.Attribute) else None


def _declared(arch: ArchDescriptor) -> Iterator[Problem]:
    if arch.features is None:
        return
    name, place = arch.features.__name__, arch.features.__module__
    if not of_package(arch, place):
        yield Problem(
            "MM013", f"features {name} is declared in {place}; it has to be in the plugin's own package"
        )
    if name in ("feature", "cfg", "mach", arch.cpu_scalars):
        yield Problem(
            "MM013", f"{place}: a class of features cannot be called {name!r}; call it 'arch_feature'"
        )
    for item in arch.features.table.values():
        for text in (*_name(item), *_releases(item), *_others(item, arch)):
            yield Problem("MM013", f"{place}: feature {item.name!r} {text}")


def _name(item: Feature) -> Iterator[str]:
    if item.name in HOOKS:
        yield "bears the name of a hook; the two share one namespace: rename it"
    if item.name in core.table:
        yield f"bears the name of one of core-mm's ({core.table[item.name].summary}): rename it"


def _releases(item: Feature) -> Iterator[str]:
    for name in (item.since, *item.also, *item.backported, *([item.until] if item.until else [])):
        if name not in releases.RELEASES and not _RELEASE.fullmatch(name):
            yield f"names release {name!r}, which is neither a number such as '6.19' nor one of a series"


def _others(item: Feature, arch: ArchDescriptor) -> Iterator[str]:
    known = table(arch)
    for name in (*item.requires, *item.excludes):
        if name not in known:
            yield f"requires or excludes {name!r}, which is no feature.{did_you_mean(name, known)}"
