"""The Python API: quick to import, the same as the command line, documented."""

from __future__ import annotations

import ast
import inspect
import json
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

import mmarch
from mmarch import api
from mmarch.cli import main
from mmarch.cli.app import app
from mmarch.errors import InputError
from mmarch.scenario.verbs import VERBS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "python.md"

# Each command, its function, and arguments that reach it. `help` is about the command line itself.
PAIRS = {
    "run": ("run", []),
    "run --sanitize": ("judge", ["--sanitize"]),
    "run --steps": ("record_history", ["--steps"]),
    "compare": ("compare", ["-c", "", "-c", ""]),
    "ablate": ("ablate", []),
    "ablate --from --to": ("between", ["--from", "6.12", "--to", "7.3"]),
    "report": ("make_page", ["-o", "/dev/null"]),
    "map": ("record_history", []),
    "explain": ("explain", ["--op", "1"]),
    "record": ("record", ["-o", "/dev/null", "--", "true"]),
    "check": ("check", ["arm64"]),
    "validate": ("validate", []),
    "config": ("config", []),
    "measure": ("measure", ["x.scn", "--kernel", "Image"]),
    "doctor": ("doctor", []),
    "kernel list": ("list_kernels", []),
    "kernel get": ("get_kernel", ["debian:7.3.4"]),
    "arch list": ("list_archs", []),
    "arch show": ("show_arch", ["arm64"]),
    "arch new": ("new_arch", ["sparc64"]),
    "cpu list": ("list_cpus", []),
    "cpu show": ("show_cpu", ["neoverse-n1"]),
    "costs list": ("list_costs", []),
    "costs show": ("show_costs", ["x"]),
    "costs fit": ("fit_costs", ["x"]),
    "paper": ("reproduce", ["x"]),
    "release list": ("list_releases", []),
    "release show": ("show_release", []),
    "release diff": ("diff_releases", ["6.12", "7.3"]),
    "release trend": ("trend", []),
    "series list": ("list_series", []),
    "series show": ("load_series", ["x"]),
    "series new": ("new_series", ["x"]),
    "series update": ("update_series", ["x"]),
    "sweep run": ("plan_sweep", ["x.toml", "-o", "x"]),
    "sweep show": ("show_sweep", ["x"]),
    "trace convert": ("convert_trace", ["redis-bgsave", "-o", "/dev/null"]),
    "trace show": ("show_trace", ["redis-bgsave"]),
}


def commands(group: object, before: str = "") -> Iterator[str]:
    """Every command of the command line, by its words."""
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        if hasattr(command, "commands"):
            yield from commands(command, f"{before}{name} ")
        else:
            yield before + name


def small() -> mmarch.Scenario:
    """Thirty-two pages at order 4: two folios, so two faults."""
    return mmarch.Scenario(name="small").map("A", 32).write("A").unmap("A")


def test_every_command_has_its_function() -> None:
    """No command without one."""
    assert set(commands(typer.main.get_command(app))) - set(PAIRS) == {"help"}


@pytest.mark.parametrize("command", PAIRS)
def test_a_command_calls_its_function(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the function raises is what the command says."""
    name, arguments = PAIRS[command]

    def called(*args: object, **kwargs: object) -> None:
        raise InputError(f"called {name}")

    monkeypatch.setattr(api, name, called)
    monkeypatch.setattr(api, "open_workload", lambda *args, **kwargs: None)
    words = [word for word in command.split() if not word.startswith("--")]
    assert main([*words, *arguments]) == 2
    assert f"called {name}" in capsys.readouterr().err


def test_the_public_names() -> None:
    """The package, its stub and the module agree; everything public has a docstring and stands in the reference."""
    stub = ast.parse((ROOT / "mmarch" / "__init__.pyi").read_text())
    typed = {alias.asname for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert typed == set(mmarch.__all__) == {*api.__all__, "Scenario"}
    assert set(mmarch.__all__) <= set(dir(mmarch))
    page = PAGE.read_text()
    for name in mmarch.__all__:
        assert inspect.getdoc(getattr(mmarch, name)), name
        assert f"`{name}" in page, name
    with pytest.raises(AttributeError, match="no attribute 'rum'"):
        _ = mmarch.rum  # type: ignore[attr-defined]


def test_importing_loads_nothing() -> None:
    """Neither the API nor any library, until a name is asked for; polars until there is a frame."""
    code = (
        "import sys, mmarch\nprint(*[m for m in sys.modules if m.startswith('mmarch')])\n"
        "s = mmarch.Scenario().map('A', 1).write('A')\nmmarch.run(s)\nprint('polars' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "mmarch\nFalse\n"


def test_a_result_is_the_command_s(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The JSON that the command line prints, and the model read back from it."""
    file = tmp_path / "small.scn"
    file.write_text(small().text)
    result = mmarch.run(file, release="7.3", folio_orders=[4], without=["clear_ptes"])
    assert main(["run", str(file), "--release", "7.3", "--without", "clear_ptes", "--json"]) == 0
    printed = capsys.readouterr().out
    assert json.loads(printed) == json.loads(mmarch.render(result, "json"))
    assert mmarch.Result.model_validate_json(printed) == result
    assert result.total("fault") == 2


def test_frames_hold_every_count() -> None:
    """A row an event of an operation; sums are the totals."""
    result = mmarch.run(small())
    frame = result.frame()
    for event, total in result.totals.items():
        assert frame.filter(event=event)["count"].sum() == total
    assert set(frame["operation"]) <= set(result.operations)
    hooks = mmarch.run(small(), by="hook").frame()
    assert hooks.filter(event="fault")["count"].sum() == 2
    assert "hook" in hooks.columns


def test_several_workloads_and_names() -> None:
    """Workloads in their order, configurations under their names, in one frame."""
    more = mmarch.Scenario(name="more").map("A", 48).write("A")
    found = mmarch.compare([small(), more], {"none": {"folio_orders": 0}, "64K": {"folio_orders": "64K"}})
    assert [r.workload.name for r in found.results] == ["small", "small", "more", "more"]
    faults = found.frame().filter(event="fault").select("workload", "configuration", "count").rows()
    assert faults == [("small", "none", 32), ("small", "64K", 2), ("more", "none", 48), ("more", "64K", 3)]
    with pytest.raises(InputError, match="needs 2 configurations"):
        mmarch.compare(small(), [{"release": "7.3"}])


def test_ablation_frames() -> None:
    """Extra events by what is withheld, beside the count as it is."""
    found = mmarch.ablate(small())
    rows = found.frame().filter(withheld="clear_ptes", event="tlbi")
    extra = next(item.extra["tlbi"] for item in found.withheld if item.name == "clear_ptes")
    assert rows.select("count", "extra").rows() == [(found.baseline.total("tlbi"), extra)]


def test_notebooks_show_tables() -> None:
    """HTML of its own, in which a workload's name is text."""
    result = mmarch.run(mmarch.Scenario("scenario <script>\nmap A 16\nwrite A\n"))
    shown = result._repr_html_()
    assert "<table>" in shown and "&lt;script&gt;" in shown and "<script>" not in shown


def test_a_built_scenario_is_its_text() -> None:
    """Each verb of the language has a method or an advice; lines are those of a file."""
    built = small().write("A", 0, 4, child=True).read("A", step="look").protect("A", "read", setup=True)
    assert built.text.splitlines()[1:] == [
        "map A 32", "write A", "unmap A", "child: write A 0 4", "step look: read A", "setup: protect A read",
    ]  # fmt: skip
    advice = {"dontneed", "free", "cold", "pageout", "remove", "collapse"}
    assert set(VERBS) - advice - {"end"} <= set(dir(mmarch.Scenario))
    with pytest.raises(InputError, match="line break"):
        small().map("A\nwrite", 1)
    with pytest.raises(InputError, match="<scenario>:2:1"):
        mmarch.run(mmarch.Scenario("scenario x\nmpa A 1\n"))


def test_histories_have_tables() -> None:
    """The leaf that translates an address after an operation, and none after it is unmapped."""
    scenario = mmarch.Scenario(name="s").map("A", 32).write("A", step="filled").unmap("A", step="gone")
    history = mmarch.record_history(scenario)
    filled = history.tables(history.find("filled"), 0)
    assert len(filled) == 32
    address = next(iter(filled)).address
    gone = history.tables(history.find("gone"), 0)
    assert filled[address] is not None and gone[address] is None and len(gone) == 0


def test_check_is_a_function_and_a_package() -> None:
    """`mmarch.check(...)` runs the suite, whether or not its package has been imported."""
    from mmarch.check import suite

    report = mmarch.check("arm64", only=("algebra.young",), quick=True) if suite else None
    assert report is not None and report.ok


def test_the_notebook_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """All cells of the example; a fault a page without folios, a fault a folio with them, 16 in the child."""
    space = runpy.run_path(str(ROOT / "examples" / "notebook" / "contpte.py"))
    assert space["faults"]["count"].to_list() == [512 + 16, 128 + 16, 32 + 16]
    assert "(I) -90.91%" in capsys.readouterr().out


def test_the_reference_runs() -> None:
    """Python on the page is executed, as it stands."""
    blocks = PAGE.read_text().split("```python\n")[1:]
    assert blocks
    space: dict[str, object] = {}
    for block in blocks:
        exec(block.partition("```")[0], space)
