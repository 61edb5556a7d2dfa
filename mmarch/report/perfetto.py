"""A history as a trace for ui.perfetto.dev: for each task tracks of calls, faults, TLBIs and conversions.

A twin has no time: one event of the log takes a microsecond.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from core_mm.uapi import OP_NAMES
from mmarch.errors import InputError
from mmarch.history import Event, History

if TYPE_CHECKING:
    from perfetto.trace_builder.proto_builder import TraceProtoBuilder

TRACKS = ("calls", "faults", "TLBIs", "conversions")
KINDS = {"fault": "faults", "tlbi": "TLBIs", "convert": "conversions"}
EVENT = 1000  # nanoseconds
SEQUENCE = 1
Annotations = dict[str, int | str]


def trace(history: History) -> bytes:
    """The serialized trace. InputError if the package that builds it is not installed."""
    return bytes(_Tracks(history, _builder()).fill().serialize())


def _builder() -> TraceProtoBuilder:
    try:
        from perfetto.trace_builder.proto_builder import TraceProtoBuilder
    except ImportError:
        raise InputError("--format perfetto needs a package: pip install 'mmarch[perfetto]'") from None
    return TraceProtoBuilder()


class _Tracks:
    """One trace being built."""

    def __init__(self, history: History, builder: TraceProtoBuilder) -> None:
        from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import TrackEvent

        self.history, self.builder, self.types = history, builder, TrackEvent
        self.known: set[int] = set()

    def fill(self) -> TraceProtoBuilder:
        """All operations, in order."""
        ops = self.history.workload.ops
        starts = self.history.starts.tolist()
        for row in range(self.history.operations):
            op, task, address, length = ops[row, :4].tolist()
            track = self._tracks(task)
            notes: Annotations = {
                "operation": row, "line": self.history.workload.line(row), "address": hex(address),
                "argument": length,
            }  # fmt: skip
            self._event(starts[row], self.types.TYPE_SLICE_BEGIN, track, OP_NAMES.get(op, str(op)), notes)
            for at, event in self._shown(row, starts[row]):
                which = track + TRACKS.index(KINDS[event.kind])
                self._event(at, self.types.TYPE_INSTANT, which, *self._said(event))
            self._event(starts[row + 1], self.types.TYPE_SLICE_END, track)
        return self.builder

    def _shown(self, row: int, start: int) -> Iterator[tuple[int, Event]]:
        for at, event in enumerate(self.history.events(row, row + 1), start + 1):
            if event.kind in KINDS:
                yield at, event

    def _said(self, event: Event) -> tuple[str, Annotations]:
        """Name and operands."""
        if event.kind == "fault":
            return "fault", {"address": hex(event.a)}
        name, found = self.history.event_names[event.a], {"address": hex(event.b)}
        if event.kind == "convert":
            return name, {**found, "blocks": event.c}
        cause = ";".join(self.history.calls.path(event.call))
        return name, {**found, "pages": event.c & 0xFFFFFFFF, "asid": event.asid, "cause": cause}

    def _tracks(self, task: int) -> int:
        """The first of a task's tracks, described before it is used."""
        first = 1 + task * (len(TRACKS) + 1)
        if task not in self.known:
            self.known.add(task)
            process = self.builder.add_packet().track_descriptor
            process.uuid, process.process.pid = first + len(TRACKS), task + 1
            process.process.process_name = f"{self.history.workload.name}, task {task}"
            for number, name in enumerate(TRACKS):
                track = self.builder.add_packet().track_descriptor
                track.uuid, track.parent_uuid, track.name = first + number, process.uuid, name
        return first

    def _event(
        self, at: int, kind: Any, track: int, name: str = "", notes: Annotations | None = None
    ) -> None:
        packet = self.builder.add_packet()
        packet.timestamp, packet.trusted_packet_sequence_id = at * EVENT, SEQUENCE
        event = packet.track_event
        event.type, event.track_uuid = kind, track
        if name:
            event.name = name
        for key, value in (notes or {}).items():
            note = event.debug_annotations.add()
            note.name = key
            if isinstance(value, int):
                note.int_value = value
            else:
                note.string_value = value
