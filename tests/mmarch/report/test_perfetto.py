"""`run --format perfetto`, read back."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import mmarch
from mmarch.cli import main

trace_pb2 = pytest.importorskip(
    "perfetto.protos.perfetto.trace.perfetto_trace_pb2",
    reason="perfetto is not installed: pip install 'mmarch[perfetto]'",
)
FORK = str(Path(__file__).parents[3] / "examples" / "scenarios" / "fork.scn")


@pytest.fixture(scope="module")
def packets(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """Of the scenario's trace."""
    file = tmp_path_factory.mktemp("perfetto") / "fork.pftrace"
    assert main(["run", "-q", FORK, "--format", "perfetto", "-o", str(file)]) == 0
    return list(trace_pb2.Trace.FromString(file.read_bytes()).packet)


def test_tracks_hold_every_event(packets: list[Any]) -> None:
    """Two processes of four tracks; as many instants as are counted, in their slices, in order of time."""
    described = [p.track_descriptor for p in packets if p.HasField("track_descriptor")]
    names = {one.uuid: one.name for one in described if one.parent_uuid}
    assert Counter(names.values()) == dict.fromkeys(("calls", "faults", "TLBIs", "conversions"), 2)
    assert {one.process.process_name for one in described if not one.parent_uuid} == {
        "fork, task 0",
        "fork, task 1",
    }
    events = [p for p in packets if p.HasField("track_event")]
    times = [p.timestamp for p in events]
    assert times == sorted(times)
    kinds = trace_pb2.TrackEvent
    instants = [p.track_event for p in events if p.track_event.type == kinds.TYPE_INSTANT]
    history = mmarch.record_history(FORK)
    found = Counter(names[event.track_uuid] for event in instants)
    folded = {
        kind: mmarch.render(history, "folded", count=kind).decode().split("\n") for kind in ("tlbi", "fault")
    }
    sums = {
        kind: sum(int(line.rpartition(" ")[2]) for line in lines if line) for kind, lines in folded.items()
    }
    assert (found["TLBIs"], found["faults"]) == (sums["tlbi"], sums["fault"])
    begun = [p.track_event.name for p in events if p.track_event.type == kinds.TYPE_SLICE_BEGIN]
    ended = sum(p.track_event.type == kinds.TYPE_SLICE_END for p in events)
    assert len(begun) == ended == history.operations
    assert {"fork", "munmap", "exit"} <= set(begun)


def test_operands_of_a_flush(packets: list[Any]) -> None:
    """The page that is copied is flushed by its address, with the reason."""
    flushes = [p.track_event for p in packets if p.track_event.name == "tlbi_vale1is"]
    notes = [{n.name: n.string_value or n.int_value for n in event.debug_annotations} for event in flushes]
    found = next(note for note in notes if note["address"] == "0x200215000")
    assert found["pages"] == 1 and found["asid"] == 1
    assert "wp_page_copy" in str(found["cause"])


def test_without_the_package(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, and how to get it."""
    monkeypatch.setitem(sys.modules, "perfetto.trace_builder.proto_builder", None)
    assert main(["run", "-q", FORK, "--format", "perfetto", "-o", "/dev/null"]) == 2
    assert "pip install 'mmarch[perfetto]'" in capsys.readouterr().err
