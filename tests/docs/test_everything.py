"""Whatever mmarch has a name for is explained in the reference; here what no other test of a page holds."""

from __future__ import annotations

import re

import pytest

from arches.arm64.features import arch_feature
from core_mm.descriptor import CAPABILITIES
from core_mm.features import feature
from mmarch.check import FORMATS as CHECK_FORMATS
from mmarch.plugins import load_arch
from mmarch.report.formats import FORMATS, INSIDE
from mmarch.runs.config_file import KEYS
from mmarch.scenario.verbs import VERBS
from tests.support.pages import ROOT

REFERENCE = ROOT / "docs" / "reference"


def page(name: str) -> str:
    """A page of the reference."""
    return (REFERENCE / name).read_text("utf-8")


def rows(text: str) -> list[str]:
    """Names in backquotes in the first cells of tables."""
    cells = re.findall(r"^\| ([^|]*)\|", text, re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


@pytest.mark.parametrize("name", [*feature.table, *arch_feature.table])
def test_every_feature_has_a_section(name: str) -> None:
    """With its summary and what it rests on."""
    table = feature.table if name in feature.table else arch_feature.table
    section = page("features.md").partition(f"### `{name}`\n")[2].partition("\n#")[0]
    assert table[name].summary[1:] in section and table[name].source in section


def test_every_format_has_a_row() -> None:
    """Of `run`, `compare` and `ablate`, then of `check`, and no other."""
    of_runs, of_checks = page("formats.md").split("`mmarch check --format`")
    assert set(rows(of_runs)) - {"--format"} == {*FORMATS, *INSIDE}
    assert set(rows(of_checks.partition("## ")[0])) - {"--format"} == set(CHECK_FORMATS)


def test_every_verb_of_scenarios_is_explained() -> None:
    """In the table of operations or in its notes."""
    text = re.sub(r"^```.*?^```", "", page("scenarios.md"), flags=re.MULTILINE | re.DOTALL)
    words = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`([^`]+)`", text))))
    assert set(VERBS) - words == set()


def test_every_cpu_model_and_feature_is_known_to_the_help() -> None:
    """The page leads to the commands that list them; the tables of models name each model of arm64."""
    text = page("cpus.md")
    known = re.findall(r"`([^`]+)`", text.partition("## The models of arm64")[2].partition("### QEMU")[0])
    patterns = [re.escape(name).replace(r"\*", ".*").replace("^-", ".*-") for name in known]
    models = load_arch("arm64").descriptor.cpus
    missing = [
        cpu for cpu in models if not any(re.fullmatch(f"(neoverse)?{pattern}", cpu) for pattern in patterns)
    ]
    assert missing == []


def test_every_capability_is_explained() -> None:
    """What an architecture may claim."""
    assert set(CAPABILITIES) <= set(rows(page("error-codes.md").partition("## Capabilities")[2]))


def test_every_key_of_a_configuration_is_explained() -> None:
    """As an option of `mmarch config`."""
    section = page("commands.md").partition("## `mmarch config`")[2].partition("\n## ")[0]
    assert [key for key in KEYS if f"`--{key} " not in section] == []
