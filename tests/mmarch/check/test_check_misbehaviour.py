"""A plugin that hangs, dies, prints or corrupts memory is told so, and every other check still runs."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mmarch.check import Options, Report, process
from mmarch.check import run as suite
from mmarch.check.suite import checks
from mmarch.errors import PluginError
from tests.mmarch.conftest import Ran
from tests.support.plugins import Plugins, line_of

BODY = """
import ctypes, os, sys, time
from core_mm.rwonce import WRITE_ONCE

def deeper(n: int) -> int:
    return deeper(n + 1)  #AT deeper

def stubborn() -> int:
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass

@hookimpl
def pte_clear(mm: int, addr: int, ptep: int) -> int:
    {statement}  #AT statement
    return WRITE_ONCE(ptep, 0)

arch = descriptor()
"""
BROKEN, SOUND = "smoke.set-get-clear", "smoke.walk"  # the second one does not call pte_clear


def report_of(plugins: Plugins, statement: str, **options: int) -> tuple[Report, Path]:
    """Of two checks, of which the first runs into `statement`; and the plugin's file."""
    path = plugins.install(BODY.format(statement=statement))
    chosen = Options(only=(BROKEN, SOUND), releases=("6.12",), **options)  # type: ignore[arg-type]
    return suite.check("toy", chosen), path


def both(report: Report) -> tuple[str, str]:
    """The broken check's message; the sound one passes."""
    results = {result.check: result for result in report.results}
    assert report.complete and not report.ok
    assert results[SOUND].status == "pass", results[SOUND].message
    assert results[BROKEN].status in ("error", "fail")
    return results[BROKEN].message, results[BROKEN].printed


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("return 1 // (mm - mm)", r"raised ZeroDivisionError: .* in pte_clear \(FILE:LINE\)"),
        ("sys.exit(0)", r"raised SystemExit: 0 in pte_clear \(FILE:LINE\)"),
        ("raise KeyboardInterrupt", r"raised KeyboardInterrupt in pte_clear \(FILE:LINE\)"),
        ("return deeper(0)", r"raised RecursionError: .* in deeper \(FILE:DEEP\)"),
        ("os._exit(0)", r"kills its process \(exit status 0\)"),
        ("os.abort()", r"kills its process \(SIGABRT in pte_clear, FILE:LINE\)"),
        ("ctypes.string_at(0)", r"kills its process \(SIGSEGV in string_at, .*\)"),
        ("raise MemoryError", r"raised MemoryError in pte_clear \(FILE:LINE\)"),
        ("input()", r"raised EOFError: .* in pte_clear \(FILE:LINE\)"),
    ],
)
def test_what_it_does_is_told(plugins: Plugins, statement: str, message: str) -> None:
    """With the plugin's own line wherever Python knows it."""
    report, path = report_of(plugins, statement)
    where = {"FILE": str(path), "LINE": line_of(path, "#AT statement"), "DEEP": line_of(path, "#AT deeper")}
    expected = re.sub("FILE|LINE|DEEP", lambda match: str(where[match[0]]), message)
    assert re.search(expected, both(report)[0]), both(report)[0]


def test_a_hook_that_hangs(plugins: Plugins) -> None:
    """The line in which it was interrupted."""
    report, path = report_of(plugins, "while mm: pass", limit=1)
    line = line_of(path, "#AT statement")
    assert both(report)[0] == f"hangs: no end after 1 s in pte_clear ({path}:{line})"


def test_a_hook_that_cannot_be_interrupted(plugins: Plugins, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process is killed."""
    monkeypatch.setattr(process, "GRACE", 1)
    report, _ = report_of(plugins, "stubborn()", limit=1)
    assert both(report)[0] == "hangs: no answer after 2 s, and cannot be interrupted"


def test_a_hook_that_fills_the_memory(plugins: Plugins, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process is killed before the computer's memory ends."""
    monkeypatch.setattr(process, "MEMORY", 700 << 20)
    report, _ = report_of(plugins, "kept = b'x' * (900 << 20); time.sleep(60)")
    assert "fills more than" in both(report)[0]


@pytest.mark.parametrize(
    "statement", ["print('hello')", "os.write(1, b'hello')", "sys.stderr.write('hello')"]
)
def test_a_hook_that_prints(plugins: Plugins, statement: str) -> None:
    """What it prints is shown, and not among the answers."""
    message, printed = both(report_of(plugins, statement)[0])
    assert message.startswith("prints to stdout or stderr")
    assert printed.startswith("hello")


def test_an_import_that_prints(plugins: Plugins, mmarch: Callable[..., Ran], tmp_path: Path) -> None:
    """stdout holds nothing but the report, which says that it prints."""
    plugins.install("print('imported')\narch = descriptor()\n")
    command = [
        sys.executable,
        "-m",
        "mmarch",
        "check",
        "toy",
        "--only",
        "load.hooks",
        "--format",
        "json",
        "-q",
    ]
    path = ":".join(entry for entry in sys.path if entry)
    ran = subprocess.run(command, env={"PYTHONPATH": path}, capture_output=True, text=True, cwd=tmp_path)
    report = Report.model_validate_json(ran.stdout)
    assert ran.returncode == 1
    assert [result.printed.strip() for result in report.results if result.status == "fail"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("import os; os._exit(3)", r"its import kills its process \(exit status 3\)"),
        ("while True: pass", r"its import hangs"),
        ("import ctypes; ctypes.string_at(0)", r"its import kills its process \(SIGSEGV"),
    ],
)
def test_an_import_that_does_not_end(
    plugins: Plugins, monkeypatch: pytest.MonkeyPatch, body: str, message: str
) -> None:
    """It happens in another process first."""
    monkeypatch.setattr(process, "LOADING", 3)
    plugins.install(body)
    with pytest.raises(PluginError, match=message):
        suite.check("toy", Options(only=(SOUND,)))


@pytest.mark.slow
def test_memory_out_of_bounds(plugins: Plugins) -> None:
    """The checked build names the line; interpreted, a negative index counts from the end and nobody notices."""
    plugins.install(
        """
        from core_mm.rwonce import WRITE_ONCE

        @hookimpl
        def update_mmu_cache_range(vmf: int, vma: int, addr: int, ptep: int, nr: int) -> int:
            return WRITE_ONCE(-1 - nr, 0)

        arch = descriptor()
        """
    )
    report = suite.check("toy", Options(only=("differential.bounds", "smoke"), releases=("6.12",)))
    results = {result.check: result for result in report.results}
    assert results["differential.bounds"].status == "fail"
    assert re.search(r"index -\d+ lies outside its array", results["differential.bounds"].message)
    assert {result.status for name, result in results.items() if name != "differential.bounds"} <= {
        "pass",
        "skip",
    }


def test_every_format_tells(plugins: Plugins, mmarch: Callable[..., Ran]) -> None:
    """table, json, junit, tap: the failure, the plugin's line and the command that shows it again."""
    plugins.install(BODY.format(statement="return 1 // (mm - mm)"))
    for form in ("table", "json", "junit", "tap"):
        ran = mmarch("check", "toy", "--only", BROKEN, "--release", "6.12", "-q", "--format", form)
        assert ran.code == 1
        assert "ZeroDivisionError" in ran.out
        assert form == "json" or f"mmarch check toy --only {BROKEN} --release 6.12" in ran.out
    assert json.loads(mmarch("check", "toy", "--only", BROKEN, "-q", "--format", "json").out)["complete"]


def test_the_suite_as_tests_of_their_own(plugins: Plugins, tmp_path: Path) -> None:
    """pytest outlives a plugin that ends its process, and runs the checks after it."""
    plugins.install(BODY.format(statement="os._exit(0)"))
    (tmp_path / "test_it.py").write_text(
        "from mmarch.check.pytest_plugin import parametrize_with_arch_checks\n\n"
        "@parametrize_with_arch_checks('toy', releases=('6.12',))\n"
        "def test_conformance(arch_check):\n    arch_check()\n"
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-k",
        "smoke",
        str(tmp_path / "test_it.py"),
    ]
    path = ":".join(entry for entry in sys.path if entry)
    ran = subprocess.run(command, env={"PYTHONPATH": path}, capture_output=True, text=True, cwd=tmp_path)
    assert "kills its process (exit status 0)" in ran.stdout
    assert re.search(r"1 failed, [1-9]\d* passed", ran.stdout), ran.stdout


def test_ctrl_c_waits_for_nothing(plugins: Plugins, tmp_path: Path) -> None:
    """The hook under way, which would hang for minutes, is not waited for; ended by SIGINT (130 in a shell)."""
    mark = tmp_path / "reached"
    plugins.install(BODY.format(statement=f"open({str(mark)!r}, 'w').close(); stubborn()"))
    command = [sys.executable, "-m", "mmarch", "check", "toy", "--only", BROKEN, "--only", "batch", "-q"]
    path = ":".join(entry for entry in sys.path if entry)
    running = subprocess.Popen(
        command, env={"PYTHONPATH": path}, cwd=tmp_path, text=True, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    while not mark.exists() and running.poll() is None:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    said = running.communicate(timeout=60)[1]
    assert running.returncode == -signal.SIGINT
    assert "interrupted" in said
    assert "Traceback" not in said


def test_what_links_comes_last_and_the_rest_is_told_before(plugins: Plugins) -> None:
    """A failure that needs no image is not held up by one; said once, with counts."""
    plugins.install(BODY.format(statement="raise ValueError"))
    chosen = Options(only=(BROKEN, SOUND, "differential.bounds"), releases=("6.12",), quick=True)
    happened: list[str] = []
    suite.check("toy", chosen, note=lambda result: happened.append(result.check), say=happened.append)
    said = "1 error, 1 pass so far; next is what needs linked code"
    assert sorted(happened[:2]) == sorted((BROKEN, SOUND))
    assert happened[2:] in (
        [said, "differential.bounds"],
        ["1 pass, 1 error" + said[15:], "differential.bounds"],
    )
    order = [job.check.links for job in suite.plan(Options(releases=("7.3",)), checks(), paired=False)]
    assert order == sorted(order)
    assert True in order
