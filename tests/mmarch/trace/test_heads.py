"""Heads of ftrace lines in all their forms, as kernels 5.4 to 6.18 and trace-cmd 3.1 print them: one meaning."""

from __future__ import annotations

from pathlib import Path

import pytest

from core_mm import uapi
from mmarch.errors import InputError
from mmarch.trace.assumed import PLAIN
from mmarch.trace.formats import format_of, load_trace
from mmarch.workload import Workload

EVENTS = (
    ("24850.859909", "page_fault_user: address=0x5565116c66c0 ip=0x7f214f33209b error_code=0x7"),
    ("24850.860397", "sys_mmap(addr: 0, len: 0x3b000, prot: 3, flags: 0x22, fd: 0xffffffff, off: 0)"),
    ("24850.860405", "sys_mmap -> 0x7f7efaac5000"),
    ("24850.860630", "task_newtask: pid=23493 comm=bash clone_flags=1200000 oom_score_adj=0"),
)
REPORTED = (
    ("24850.859909", "page_fault_user:      address=0x5565116c66c0 ip=0x7f214f33209b error_code=0x7"),
    ("24850.860397", "sys_enter_mmap:       addr: 0x00000000, len: 0x0003b000, prot: 0x00000003, flags: 0x00000022, "
     "fd: 0xffffffff, off: 0x00000000"),
    ("24850.860405", "sys_exit_mmap:        0x7f7efaac5000"),
    ("24850.860630", "task_newtask:         pid=23493 comm=bash clone_flags=1200000 oom_score_adj=0"),
)  # fmt: skip
RAW = (
    REPORTED[0],
    ("24850.860397", "sys_enter_mmap:        __syscall_nr=9 addr=0x00000000 len=0x0003b000 prot=0x00000003 "
     "flags=0x00000022 fd=0xffffffff off=0x00000000"),
    ("24850.860405", "sys_exit_mmap:         __syscall_nr=9 ret=0x7f7efaac5000"),
    REPORTED[3],
)  # fmt: skip


def microseconds(text: str) -> str:
    """As the latency format has them."""
    return text.replace(".", "")


def milliseconds(text: str) -> str:
    """As options/verbose has them."""
    return f"{float(text) * 1e3:.3f}"


def load(tmp_path: Path, text: str) -> Workload:
    """By its content."""
    path = tmp_path / "t.txt"
    path.write_text(text)
    assert format_of(text) == "ftrace"
    return load_trace(path, "ftrace", PLAIN, head=text)


@pytest.mark.parametrize(
    ("form", "events"),
    [
        pytest.param("            bash-23487   [000]  {s}: {e}", EVENTS, id="no flags"),
        pytest.param("            bash-23487   [000] d..1 {s}: {e}", EVENTS, id="irq-info to 5.15"),
        pytest.param("            bash-23487   [000] d.... {s}: {e}", EVENTS, id="irq-info"),
        pytest.param("            bash-23487   [000] dNh2.1.. {s}: {e}", EVENTS, id="PREEMPT_RT"),
        pytest.param("            bash-23487   (  23487) [000] d.... {s}: {e}", EVENTS, id="record-tgid"),
        pytest.param("            bash-23487   (-------) [000] ..... {s}: {e}", EVENTS, id="tgid not known"),
        pytest.param("           <...>-23487   [000] ..... {s}: {e}", EVENTS, id="comm not known"),
        pytest.param("   a-b [x] (1)-23487   [000] ..... {s}: {e}", EVENTS, id="comm like a head"),
        pytest.param("    bash-23487     0d.... {u}us!: {e}", EVENTS, id="latency-format"),
        pytest.param("    bash-23487     1d..2.1. {u}us : {e}", EVENTS, id="latency-format, PREEMPT_RT"),
        pytest.param("            bash   23487   1 1 00000000 0000001a [5ce999420] {m}ms (+0.027ms): {e}", EVENTS,
                     id="latency-format, verbose"),
        pytest.param("            bash-23487 [000] {s}: {e}", REPORTED, id="trace-cmd report"),
        pytest.param("            bash-23487 [000] d.... {s}: {e}", REPORTED, id="trace-cmd report, flags"),
        pytest.param("mine:             bash-23487 [000] {s}: {e}", REPORTED, id="trace-cmd report, an instance"),
        pytest.param("            bash-23487 [000] {s}759: {e}", REPORTED, id="trace-cmd report -t"),
        pytest.param("            bash-23487   0d.... {s}: {e}", REPORTED, id="trace-cmd report -l"),
        pytest.param("            bash-23487 [000] {s}: (+307)   {e}", REPORTED, id="trace-cmd report --ts-diff"),
        pytest.param("            bash-23487 [000]24850859908759: {e}", REPORTED, id="trace-cmd report --raw-ts"),
        pytest.param("            bash-23487 [000] {s}: {e}", RAW, id="trace-cmd report -R"),
    ],
)  # fmt: skip
def test_every_head_means_the_same(tmp_path: Path, form: str, events: tuple[tuple[str, str], ...]) -> None:
    """A fault, a call that maps, a birth; also the times, where there are some."""
    text = "".join(form.format(s=s, u=microseconds(s), m=milliseconds(s), e=e) + "\n" for s, e in events)
    workload = load(tmp_path, text)
    rows = workload.ops.tolist()
    assert [uapi.OP_NAMES[row[0]] for row in rows] == ["spawn", "mmap", "fault", "mmap", "fork"]
    assert rows[2][2:5] == [0x5565116C6000, 1, uapi.ACCESS_WRITE]
    assert rows[3][2:6] == [0x7F7EFAAC5000, 0x3B000, 3, 0x22]
    if "raw" not in form and "24850859908759" not in form:
        assert workload.times.tolist() == pytest.approx(
            [24850.859909] * 3 + [24850.860405, 24850.86063], abs=2e-6
        )


def test_the_head_of_the_latency_format(tmp_path: Path) -> None:
    """Its art and what it says of the latency are no events."""
    text = """\
# tracer: nop
#
# nop latency trace v1.1.5 on 6.18.44
# --------------------------------------------------------------------
# latency: 0 us, #2/2, CPU#0 | (M:PREEMPT(none) VP:0, KP:0, SP:0 HP:0 #P:2)
#    -----------------
#    | task: -0 (uid:0 nice:0 policy:0 rt_prio:0)
#    -----------------
#
#                    _------=> CPU#
#                   / _-----=> irqs-off/BH-disabled
#  cmd     pid     |||||| time  |   caller
#     \\   /        ||||||  \\    |    /
    bash-23487     0d.... 24850859909us!: page_fault_user: address=0x5565116c66c0 ip=0x7f214f33209b error_code=0x7
"""
    assert len(load(tmp_path, text).ops) == 3


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("24510 1 24941007904404 type: 190", "raw, hex or binary output"),
        ("00005fbe 00000001 000016af07ea9e94 type: 190", "raw, hex or binary output"),
        ("page_fault_user: address=0x7ff31b2e4010 ip=0x7ff31b2e4010 error_code=0x14", "options/context-info"),
    ],
)
def test_output_without_heads_says_what_to_set(tmp_path: Path, line: str, says: str) -> None:
    """Which option of ftrace prints text with tasks."""
    with pytest.raises(InputError, match=rf"t.txt:3: .*{says}"):
        load(tmp_path, f"# tracer: nop\n#\n{line}\n")
