"""Write docs/reference/features.md from the tables of features of core-mm and arm64.

`python tools/features_reference.py` writes it, with --check it only says whether it is up to date.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from arches.arm64.features import arch_feature
from core_mm.feature import Feature
from core_mm.features import feature
from core_mm.releases import RELEASES, has
from mmarch.measurement.evidence import is_linux, placed
from tools.generated import write_or_check

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "features.md"
TABLES = {"Core-mm": feature.table, "arm64": arch_feature.table}

HEAD = """# Features and releases

What differs between releases of Linux, by name: made from [core_mm/features.py](../../core_mm/features.py) and
[arches/arm64/features.py](../../arches/arm64/features.py) by `python tools/features_reference.py`. Code reads features,
never releases; a release is the list of those that came until then. Features and hooks share one namespace.

| command | what for |
|---|---|
| `mmarch release list` | releases and series, and which kernel each was compared with |
| `mmarch release show [RELEASE\\|FEATURE]` | what a release has, or what is known of a feature |
| `mmarch release diff OLDER NEWER` | what came and what went |
| `mmarch release trend [WORKLOAD]` | counts over all releases, each step with the features that made it |
| `mmarch ablate --from OLDER --to NEWER [WORKLOAD]` | what each of them buys, by itself |
| `--with FEATURE`, `--without FEATURE` | add it to a release, or take it away |
| `-c release=6.12,with=mprotect_batch+mremap_batch` | the same in one of the configurations of `compare` |
| `mmarch config …`, `--config FILE` | a configuration as a TOML file; options beside it win |

A feature that requires another is refused without it, and one that excludes another beside it, with the names of both
(exit code 2). `ablate` switches each feature with what it requires: on alone in the older release, off alone in the
newer, there with what requires it. The remainder is what all together save and none by itself; where two features need
each other to pay, it is large.

A source is a commit with its subject, a posting, or the kernel on which the behaviour was measured where no commit was
found. A subject without a number is that of a patch of which the commit was not looked up.

Below it stands what the [bundled measurements](../../tests/measured/README.md) show: the kernels nearest to where a
feature came or went whose measured steps would differ were it otherwise (`python -m tools.feature_evidence` tries each
feature on each kernel). Of a feature that no measurement shows, the date is that of the research.
"""


def _row(item: Feature) -> str:
    names = ", ".join(name for name in RELEASES if has(name, item)) or "none"
    span = ", ".join((item.since, *item.also)) + (f", until {item.until}" if item.until else "")
    lines = [f"\n### `{item.name}`\n", f"{item.summary[0].upper()}{item.summary[1:]}.\n"]
    lines += [f"- since {span}; in {names}"]
    lines += [f"- requires {', '.join(f'`{n}`' for n in item.requires)}"] if item.requires else []
    lines += [f"- excludes {', '.join(f'`{n}`' for n in item.excludes)}"] if item.excludes else []
    lines.append(f"- rests on: {item.source}")
    return "\n".join([*lines, f"- {placed(item)}"] if is_linux(item.since) else lines)


def _parts() -> Iterator[str]:
    for title, table in TABLES.items():
        yield f"\n## {title}"
        yield from map(_row, table.values())


def render() -> str:
    """The page."""
    return HEAD + "\n".join(_parts()) + "\n"


def main(arguments: list[str]) -> int:
    """Write the page, or compare it; 1 if it is out of date."""
    return write_or_check([(PAGE, render())], arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
