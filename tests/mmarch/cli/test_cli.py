"""The command line: answers on stdout, everything else on stderr, documented exit codes."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mmarch as package
from mmarch.engine.machine import Machine
from mmarch.errors import InternalError, PluginError
from mmarch.runs import ablation, run
from tests.mmarch.conftest import Ran
from tests.support import trace_text
from tests.support.scenarios import TINY

Cli = Callable[..., Ran]


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A scenario file."""
    path = tmp_path / "tiny.scn"
    path.write_text(TINY)
    return path


def test_version(mmarch: Cli) -> None:
    """One line."""
    assert mmarch("--version") == Ran(0, f"mmarch {package.__version__}\n", "")


def test_no_command_shows_help(mmarch: Cli) -> None:
    """No arguments are a usage error that shows the commands."""
    ran = mmarch()
    assert ran.code == 2
    assert "ablate" in ran.out + ran.err


@pytest.mark.parametrize("command", ["run", "compare", "ablate", "record", "validate", "arch", "costs"])
def test_every_command_has_help(mmarch: Cli, command: str) -> None:
    """Help fits a terminal."""
    ran = mmarch(command, "--help")
    assert ran.code == 0
    assert ran.out.startswith(f"Usage: mmarch {command}")
    assert max(map(len, ran.out.splitlines())) <= 80


def test_run_several(mmarch: Cli, tiny: Path, tmp_path: Path) -> None:
    """Several workloads print what each prints alone, in the order given; as JSON they are an array."""
    other = tmp_path / "other.scn"
    other.write_text(TINY.replace("dontneed A 0 64", "dontneed A 0 32"))
    alone = [mmarch("run", path).out for path in (tiny, other)]
    ran = mmarch("run", tiny, other)
    assert ran.code == 0, ran.err
    assert ran.out == "\n".join(alone)
    assert alone[0] != alone[1]
    found = json.loads(mmarch("run", other, tiny, "--json").out)
    assert [one["workload"]["source"] for one in found] == [str(other), str(tiny)]
    ran = mmarch("run", tiny, tmp_path / "missing.scn")
    assert (ran.code, ran.out) == (2, "")
    assert "no such workload" in ran.err
    ran = mmarch("run", tiny, other, "--sanitize")
    assert ran.code == 2
    assert "--sanitize looks at one workload, not 2" in ran.err


def test_errors_cross_processes() -> None:
    """A plugin's error keeps its code and text when a worker raises it."""
    error = pickle.loads(pickle.dumps(PluginError("MM011", "hook x returned None")))
    assert (error.code, str(error), error.exit_code) == ("MM011", "MM011: hook x returned None", 3)


def test_run_prints_a_table(mmarch: Cli, tiny: Path) -> None:
    """What was run is named, folio size included; the table has a row a call and a total."""
    ran = mmarch("run", tiny)
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    assert lines[0] == "arm64, Linux 6.12, cpu neoverse-n1, granule 4k, folios 64K (order 4)"
    assert max(map(len, lines)) <= 80
    first = [line.split()[0] for line in lines if line]
    assert {"munmap", "madvise", "fork", "exit", "fault", "total"} <= set(first)
    assert "clear_ptes saved" in ran.out
    assert " ms" not in ran.out


def test_json_is_the_result_model(mmarch: Cli, tiny: Path) -> None:
    """The versioned schema; totals are the sums of the operations."""
    ran = mmarch("run", "--json", tiny)
    document = json.loads(ran.out)
    assert document["schema"] == "mmarch.result/1"
    configuration = document["configuration"]
    assert (configuration["arch"], configuration["release"], configuration["folio_orders"]) == (
        "arm64",
        "6.12",
        [4],
    )
    assert set(document["versions"]) == {"mmarch", "python", "numpy", "llvmlite", "plugin"}
    for event, total in document["totals"].items():
        assert total == sum(op["events"].get(event, 0) for op in document["operations"].values())


def test_json_again_is_a_result(mmarch: Cli, tiny: Path) -> None:
    """What is printed can be read back."""
    from mmarch.runs.result import Result

    text = mmarch("run", "--json", tiny).out
    result = Result.model_validate_json(text)
    assert json.loads(result.model_dump_json(exclude_none=True)) == json.loads(text)


def test_by_hook(mmarch: Cli, tiny: Path) -> None:
    """Attributed to hooks, the same counts: nothing lost, nothing counted twice."""
    document = json.loads(mmarch("run", "--json", "--by", "hook", tiny).out)
    for event, total in document["totals"].items():
        assert total == sum(counts.get(event, 0) for counts in document["hooks"].values())
    assert "clear_full_ptes" in document["hooks"]


def test_engines_agree(mmarch: Cli, tiny: Path) -> None:
    """Interpreted and linked runs count the same."""
    documents = [
        json.loads(mmarch("run", "--json", "--engine", e, tiny).out) for e in ("interpreted", "linked")
    ]
    assert [d.pop("engine") for d in documents] == ["interpreted", "linked"]
    assert documents[0] == documents[1]


def test_saving_is_the_difference_of_two_runs(mmarch: Cli, tiny: Path) -> None:
    """`saved` is what --without clear_ptes costs more."""
    whole = json.loads(mmarch("run", "--json", tiny).out)
    without = json.loads(mmarch("run", "--json", "--without", "clear_ptes", tiny).out)
    assert without["configuration"]["without"] == ["clear_full_ptes", "clear_ptes"]
    assert "saved" not in without
    for event in ("pte_write", "unfold"):
        more = without["totals"].get(event, 0) - whole["totals"].get(event, 0)
        assert whole["saved"].get(event, 0) == more
    assert whole["saved"]["tlbi"] > 0
    by_operation = whole["saved_by_operation"]
    assert sum(counts.get("tlbi", 0) for counts in by_operation.values()) == whole["saved"]["tlbi"]
    assert set(by_operation) <= {"madvise", "munmap", "exit"}


def test_order_0_saves_nothing(mmarch: Cli, tiny: Path) -> None:
    """Without large folios there is no block to clear at once."""
    ran = mmarch("run", "--folio-orders", "0", tiny)
    assert "folios none" in ran.out
    assert "clear_ptes saved 0 TLBIs, 0 DSBs and 0 unfolds" in ran.out


def test_costs_name_their_profile(mmarch: Cli, tiny: Path) -> None:
    """A table with times says whose times they are and what they leave out."""
    ran = mmarch("run", "--costs", "ye2020-norange", tiny)
    assert ran.code == 0, ran.err
    assert "estimated by cost profile ye2020-norange" in ran.out
    assert "assumed, not measured: pte_write" in ran.out


def test_compare_puts_configurations_side_by_side(mmarch: Cli, tiny: Path) -> None:
    """A letter each; equal configurations have equal columns."""
    ran = mmarch(
        "compare", "-c", "release=6.12", "-c", "release=6.12,without=clear_ptes", "-c", "folio-orders=0", tiny
    )
    assert ran.code == 0, ran.err
    assert "A  arm64, Linux 6.12," in ran.out
    assert "without" in ran.out
    assert "folios none" in ran.out
    row = next(line.split() for line in ran.out.splitlines() if line.startswith("PTE reads"))
    assert row[2] != row[3]
    assert max(map(len, ran.out.splitlines())) <= 80


def test_compare_json(mmarch: Cli, tiny: Path) -> None:
    """All results, in the order given."""
    ran = mmarch("compare", "--json", "-c", "release=contpte-v3", "-c", "release=contpte-v4", tiny)
    document = json.loads(ran.out)
    assert document["schema"] == "mmarch.compare/1"
    assert [r["configuration"]["release"] for r in document["results"]] == ["contpte-v3", "contpte-v4"]


def test_ablate_says_what_hooks_buy(mmarch: Cli, tiny: Path) -> None:
    """clear_ptes saves TLBIs, required hooks are listed with their reason."""
    ran = mmarch("ablate", "--json", tiny)
    assert ran.code == 0, ran.err
    document = json.loads(ran.out)
    extra = {item["name"]: item["extra"] for item in document["withheld"]}
    assert extra["clear_ptes"]["tlbi"] > 0
    assert ablation.ALL_BATCH in extra
    assert "ptep_get" in document["required"]
    text = mmarch("ablate", tiny).out
    assert "required, cannot be withheld:" in text
    assert max(map(len, text.splitlines())) <= 80


def test_ablate_matches_a_run_without(mmarch: Cli, tiny: Path) -> None:
    """An ablation is the difference that --without makes."""
    document = json.loads(mmarch("ablate", "--json", tiny).out)
    extra = {item["name"]: item["extra"] for item in document["withheld"]}["wrprotect_ptes"]
    without = json.loads(mmarch("run", "--json", "--without", "wrprotect_ptes", tiny).out)["totals"]
    base = document["baseline"]["totals"]
    for event in ("pte_read", "pte_write", "unfold"):
        assert without.get(event, 0) - base.get(event, 0) == extra.get(event, 0)


def test_output_file(mmarch: Cli, tiny: Path, tmp_path: Path) -> None:
    """-o writes the answer to a file and nothing to stdout."""
    target = tmp_path / "result.json"
    ran = mmarch("run", "--json", "-o", target, tiny)
    assert ran == Ran(0, "", "")
    assert json.loads(target.read_text())["schema"] == "mmarch.result/1"


def test_output_is_checked_first(mmarch: Cli, tiny: Path, tmp_path: Path) -> None:
    """A file that cannot be written is found out before the run, not after it."""
    ran = mmarch("run", "-o", tmp_path / "nowhere" / "x", tiny)
    assert ran.code == 2
    assert "cannot write" in ran.err


def test_quiet_is_quiet(mmarch: Cli, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Notes such as that of a link in progress go to stderr, unless -q."""
    real = run.assemble

    def telling(*arguments: Any) -> Machine:
        arguments[-1]("linking 3 functions …")
        return real(*arguments)

    monkeypatch.setattr(run, "assemble", telling)
    assert "mmarch: linking 3 functions …\n" in mmarch("run", tiny).err
    assert mmarch("run", "-q", tiny).err == ""


def test_arch_list(mmarch: Cli) -> None:
    """Both built-in architectures, through the same entry points as anyone's."""
    ran = mmarch("arch", "list")
    assert ran.code == 0
    rows = {line.split()[0]: line.split() for line in ran.out.splitlines()[1:]}
    assert rows["arm64"][3] == rows["generic"][3] == "ok"
    names = [item["name"] for item in json.loads(mmarch("arch", "list", "--json").out)["archs"]]
    assert names == ["arm64", "generic"]


def test_arch_show(mmarch: Cli) -> None:
    """Who wins each hook, and where; defaults fall to generic."""
    ran = mmarch("arch", "show", "arm64", "--hooks")
    rows = {line.split()[0]: line.split()[1:] for line in ran.out.splitlines() if "arches/" in line}
    winner, links, where = rows["clear_full_ptes"]
    assert (winner, links) == ("arm64", "yes")
    assert where.startswith("arches/arm64/pgtable.py:") or where.startswith("arches/arm64/contpte.py:")
    assert rows["arch_check_zapped_pte"][0] == "generic"
    assert "ptep_get*" in rows
    assert max(map(len, ran.out.splitlines())) <= 80


def test_cpu_list(mmarch: Cli) -> None:
    """Every model, and every feature with its sentence; the same for programs."""
    ran = mmarch("cpu", "list")
    names = {line.split()[0] for line in ran.out.splitlines() if line[:3].strip()}
    assert ran.code == 0 and {"neoverse-n2", "altra", "kpti", "bbml3"} <= names
    assert max(map(len, ran.out.splitlines())) <= 80
    document = json.loads(mmarch("cpu", "list", "arm64", "--json").out)
    assert document["default"] == "neoverse-n1"
    assert document["features"]["hw_dbm"]["requires"] == ["hw_af"]
    for model in document["cpus"].values():
        assert model["source"] and model["features"].keys() == document["features"].keys()


def test_cpu_show(mmarch: Cli) -> None:
    """What a CPU has and has not, each with its source, under its one name."""
    ran = mmarch("cpu", "show", "neoverse-n2+norepeat_tlbi+kpti")
    has, has_not = ran.out.split("\n\nhas not:\n")
    assert has.startswith("neoverse-n2+kpti+norepeat_tlbi (arm64)\n")
    assert "\n  kpti " in has and "\n  repeat_tlbi " in has_not
    assert max(map(len, ran.out.splitlines())) <= 80
    document = json.loads(mmarch("cpu", "show", "altra", "--json").out)
    assert (document["schema"], document["name"]) == ("mmarch.cpu/1", "altra")
    assert {feature["name"]: feature["value"] for feature in document["features"]}["tlb_range"] == 0
    assert ran.out.count("source: ") == 1 + len(document["features"])


@pytest.mark.parametrize(
    "command",
    [
        ("run", "--cpu", "CPU"), ("compare", "--cpu", "CPU", "-c", "release=6.12", "-c", "release=7.3"),
        ("compare", "-c", "cpu=CPU", "-c", "release=7.3"), ("ablate", "--cpu", "CPU"), ("cpu", "show", "CPU"),
        ("check", "arm64", "--cpu", "CPU"),
    ],
)  # fmt: skip
def test_every_command_refuses_a_wrong_cpu(mmarch: Cli, command: tuple[str, ...]) -> None:
    """Exit 2, with the nearest name."""
    ran = mmarch(*(word.replace("CPU", "neoverse-n2+kptii") for word in command))
    assert (ran.code, ran.out) == (2, "")
    assert "unknown feature in cpu 'neoverse-n2+kptii' of arch arm64: 'kptii'. Did you mean 'kpti'?" in ran.err


def test_a_result_says_what_its_cpu_had(mmarch: Cli, tiny: Path) -> None:
    """Its one name, and every feature."""
    result = json.loads(mmarch("run", "--cpu", "neoverse-n2+norepeat_tlbi+ttl", tiny, "--json").out)
    assert result["configuration"]["cpu"] == "neoverse-n2+norepeat_tlbi"
    assert result["cpu_features"]["ttl"] == 1 and result["cpu_features"]["repeat_tlbi"] == 0


def test_costs_commands(mmarch: Cli) -> None:
    """Each shipped figure has its source."""
    assert "ye2020-norange" in mmarch("costs", "list").out
    document = json.loads(mmarch("costs", "show", "ye2020-norange", "--json").out)
    assert document["schema"] == "mmarch.costs/1"
    assert all(figure["source"] for figure in document["events"].values())


def test_failed_operations_are_findings(mmarch: Cli, tmp_path: Path) -> None:
    """A trace whose replay fails is told with file and line; exit code 1, and the answer is there."""
    fault = trace_text.event(1, "page_fault_user: address=0x700000000000 ip=0x1000 error_code=0x6")
    path = tmp_path / "odd.txt"
    path.write_text(trace_text.trace(*trace_text.START, fault))
    ran = mmarch("run", path)
    assert ran.code == 1
    line = path.read_text().splitlines().index(fault) + 1
    assert f"{path}:{line}: fault failed with SIGSEGV" in ran.err
    assert "total" in ran.out


def test_internal_errors_are_told_as_such(mmarch: Cli, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect of ours: one message, no traceback, exit code 4."""

    def broken(*_: object) -> None:
        raise IndexError("out of range")

    monkeypatch.setattr(run, "_execute", broken)
    ran = mmarch("run", tiny)
    assert ran.code == 4
    assert "internal error: IndexError: out of range" in ran.err
    assert "Traceback" not in ran.err
    monkeypatch.setattr(run, "_execute", lambda *_: (_ for _ in ()).throw(InternalError("told")))
    assert mmarch("run", tiny) == Ran(4, "", "mmarch: told\n")


def test_interrupted(mmarch: Cli, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends with 130 and prints no half of an answer."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "_execute", interrupt)
    ran = mmarch("run", tiny)
    assert ran.code == 130
    assert ran.out == ""


def test_record_needs_a_program(mmarch: Cli, tmp_path: Path) -> None:
    """A usage error; options after the command are the program's own."""
    assert mmarch("record", "-o", tmp_path / "x.gz").code == 2
    ran = mmarch("record", "-o", tmp_path / "x.gz", "no-such-program", "--traceback", "--quiet")
    assert (ran.code, ran.out) == (2, "")
    assert "Traceback" not in ran.err
    assert not (tmp_path / "x.gz").exists()


def test_validate_refuses_other_files(mmarch: Cli, tiny: Path) -> None:
    """A file that is no measurement is bad input, told by name."""
    ran = mmarch("validate", "--measured", tiny)
    assert (ran.code, ran.out) == (2, "")
    assert str(tiny) in ran.err
