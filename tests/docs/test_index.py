"""Every page of documentation is reached, and says all there is to say of what it lists."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from arches.arm64 import arch
from core_mm.releases import RELEASES
from core_mm.vmstat import NAMES
from tests.support.pages import PAGES
from tools import json_schemas

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
INDEX = DOCS / "README.md"


def linked(page: Path) -> set[Path]:
    """Files that the relative links of a page name."""
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text("utf-8"))
    return {(page.parent / target).resolve() for target in targets}


def rows(page: str, heading: str = "") -> list[str]:
    """First cells of the tables below a heading: the names in backquotes."""
    text = (DOCS / "reference" / page).read_text("utf-8")
    if heading:
        text = re.split(r"^## ", text.partition(f"## {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    cells = re.findall(r"^\| ([^|]*)\|", text, re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def test_index_leads_to_every_page() -> None:
    """Of the site too, whose side bar is made from its links: those beside code, the changes, the rules."""
    assert {page.resolve() for page in PAGES} - {INDEX} - linked(INDEX) == set()


def test_readme_leads_to_the_index() -> None:
    """Where a reader begins."""
    assert INDEX in linked(ROOT / "README.md")


@pytest.mark.parametrize(("heading", "events"), [("Core-mm", NAMES), ("arm64", arch.events)])
def test_every_event_is_explained_once(heading: str, events: tuple[str, ...]) -> None:
    """By its name, and none that does not exist."""
    assert sorted(rows("events.md", heading)) == sorted(events)


def test_every_release_is_listed() -> None:
    """With what it was compared with, and what it comes after."""
    text = (DOCS / "reference" / "releases.md").read_text("utf-8")
    for release in RELEASES.values():
        after = f"`{release.base}`" if release.base else ""
        measured = f"Linux {release.measured}" if release.measured else ""
        assert re.search(
            rf"^\| `{re.escape(release.name)}` \| {after} ?\| {measured} ?\| ", text, re.MULTILINE
        )
    assert set(rows("releases.md")) == set(RELEASES)


def test_every_schema_is_documented() -> None:
    """Each `mmarch.NAME/VERSION` in the source has a row."""
    source = "".join(path.read_text("utf-8") for path in (ROOT / "mmarch").rglob("*.py"))
    assert set(re.findall(r"\"(mmarch\.[a-z-]+/\d+)\"", source)) == {
        name for name in rows("json.md") if name.startswith("mmarch.")
    }


def test_json_schemas_are_up_to_date() -> None:
    """Run `python tools/json_schemas.py` after a change of a model."""
    assert json_schemas.main(["--check"]) == 0
    assert {path.stem for path in json_schemas.FOLDER.iterdir()} == set(json_schemas.MODELS)


def test_schemas_allow_what_an_engine_does_not_show() -> None:
    """Such events are null, and their list is not written."""
    schema = json.loads((json_schemas.FOLDER / "result.json").read_text("utf-8"))
    assert {"type": "null"} in schema["properties"]["totals"]["additionalProperties"]["anyOf"]
    assert "unseen" not in schema["properties"]
