"""What --json prints is what the schemas in docs/reference/schemas say."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from typer.main import get_command

from mmarch.cli import main
from mmarch.cli.app import app
from tools.json_schemas import FOLDER

ROOT = Path(__file__).parents[2]
MEASURED = sorted((ROOT / "tests" / "measured").glob("7.3.4-cloud.neoverse-n2*"))[0]
SERIES = ROOT / "tests" / "engine" / "series" / "one_by_one.py"
SCENARIO = "scenario tiny\nmap A 32\nwrite A\nunmap A 3 1\nend\n"
# Each: the schema, and a command; TINY is a scenario file.
COMMANDS = {
    "result": "run --json TINY",
    "compare": "compare --json -c release=6.12 -c release=7.3 TINY",
    "ablate": "ablate --json TINY",
    "ablate-features": "ablate --json --from 6.12 --to 7.3 TINY",
    "map": "map --json TINY --at 4",
    "explain": "explain --json TINY --op 4",
    "top": "run --top 3 --json TINY",
    "steps": "run --steps --json TINY",
    "sanitize": "run --sanitize --json TINY",
    "check": "check generic --only load --only smoke --format json",
    "validate": f"validate --json -q --measured {MEASURED}",
    "sweep": "sweep SPEC --dry-run --json",
    "sweep-table": "sweep show STORE --json",
    "trend": "release trend --json TINY",
    "costs-list": "costs list --json",
    "costs-fit": "costs fit m3-mremap --json",
    "papers": "paper --json",
    "paper": "paper mremap-m3 --json",
    "costs": "costs show ye2020-norange --json",
    "arch-list": "arch list --json",
    "arch": "arch show arm64 --json",
    "cpu-list": "cpu list --json",
    "cpu": "cpu show graviton2 --json",
    "series-list": "series list --json",
    "series": f"series show {SERIES} --json",
    "releases": "release list --json",
    "features": "release show 7.3 --json",
    "release-diff": "release diff 6.12 7.3 --json",
    "kernels": "kernel list --json",
    "doctor": "doctor --json",
    "trace": "trace show numpy-pool --json",
}
# a file that is read, and what only boots of a kernel make
NOT_PRINTED = {"cost-profile", "sweep-store", "measurement", "validate-random"}


def errors(name: str, document: object) -> list[str]:
    """What a document has that its schema does not allow."""
    schema = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    return [
        f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(document)
    ]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_prints_what_its_schema_says(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One object on stdout, which says itself which schema it follows."""
    tiny = tmp_path / "tiny.scn"
    tiny.write_text(SCENARIO)
    files = {"TINY": tiny, "SPEC": tmp_path / "grid.toml", "STORE": tmp_path / "store"}
    files["SPEC"].write_text('[axes]\nworkload = "tiny.scn"\nseed = [1, 2]\n')
    if "STORE" in COMMANDS[name]:
        main(["sweep", str(files["SPEC"]), "-o", str(files["STORE"]), "-q"])
        assert errors("sweep-store", json.loads((files["STORE"] / "manifest.json").read_text())) == []
        capsys.readouterr()
    main([str(files.get(word, word)) for word in COMMANDS[name].split()])
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == f"mmarch.{name}/1"
    assert errors(name, document) == []


def test_every_schema_has_a_command() -> None:
    """None is left out above."""
    assert {path.stem for path in FOLDER.iterdir()} == set(COMMANDS) | NOT_PRINTED


def commands(group: Any, words: str = "") -> Iterator[tuple[str, Any]]:
    """Every command by its words."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{words}{name} ")
        else:
            yield f"{words}{name}", command


def test_every_option_for_json_has_a_schema() -> None:
    """Of every command that has one, or a format of that name."""
    having = {
        words
        for words, command in commands(get_command(app))
        if any("--json" in item.opts for item in command.params)
    }
    missing = {words for words in having if not any(line.startswith(words) for line in COMMANDS.values())}
    # the schema of measurements is for measure's files; sweep SPEC is short for sweep run SPEC
    assert missing <= {"measure", "sweep run"}


def test_a_measurement_is_what_its_schema_says() -> None:
    """A file that `mmarch validate` reads."""
    assert errors("measurement", json.loads(gzip.decompress(MEASURED.read_bytes()))) == []


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("sanitize", lambda document: document.update(found="none")),
        ("cpu", lambda document: document["features"][0].pop("value")),
        ("arch", lambda document: document["hooks"][0].pop("where")),
    ],
)
def test_a_schema_refuses_what_is_wrong(
    name: str, spoil: Callable[[dict[str, object]], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says something at all."""
    tiny = tmp_path / "tiny.scn"
    tiny.write_text(SCENARIO)
    main([str(tiny) if word == "TINY" else word for word in COMMANDS[name].split()])
    document = json.loads(capsys.readouterr().out)
    spoil(document)
    assert errors(name, document) != []
