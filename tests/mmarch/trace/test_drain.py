"""What is taken out of the ring buffer while the program runs."""

import io
import threading

import pytest

from mmarch.errors import InternalError
from mmarch.trace import drain
from mmarch.trace.anonymize import Anonymizer
from mmarch.trace.drain import Drain
from mmarch.trace.tracefs import Instance


def line(micros: int, address: int = 0, body: str = "") -> str:
    """Of the kernel; the first is what our text begins with."""
    body = body or f"page_fault_user: address={address:#x} ip=0x1 error_code=0x6"
    return f"{'sh':>16}-{7:<7d} [001] d.... {micros // 10**6:5d}.{micros % 10**6:06d}: {body}\n"


class Buffer(Instance):
    """A ring buffer of which each look finds the next text, and losses from some look on."""

    def __init__(self, *looks: str, lost_at: int = 99) -> None:
        self.looks, self.lost_at = list(looks), lost_at
        self.empty = threading.Event()

    def take(self, reads: int) -> str:
        """The next text."""
        self.lost_at -= 1
        if not self.looks:
            self.empty.set()
            return ""
        return self.looks.pop(0)

    def lost(self) -> dict[str, int]:
        """Of one reason."""
        return {"dropped events": 3} if self.lost_at < 0 else {}

    def entries(self) -> int:
        """An estimate, for the bar."""
        return len(self.looks)

    def needed_kib(self) -> int:
        """Of a buffer that would have held all."""
        return 7


BEGIN = line(10, body="exit_mmap: x")


def drained(buffer: Buffer, now: list[int], monkeypatch: pytest.MonkeyPatch) -> tuple[Drain, list[str]]:
    """Everything, by a clock that says the next time at each look of it."""
    monkeypatch.setattr(drain, "_now", lambda: now.pop(0) if len(now) > 1 else now[0])
    text = io.StringIO()
    made = Drain(buffer, Anonymizer(7), text)
    made.finish(lambda done, total: None)
    return made, [each.split("address=")[1].split()[0] for each in text.getvalue().splitlines()[1:]]


def test_an_event_that_comes_late_gets_its_place(monkeypatch):
    """Another CPU's buffer was looked at just before; also in the next look, and with a line cut in two."""
    looks = [BEGIN + line(30, 3) + line(20, 2) + line(50, 5) + line(60, 6)[:9], line(60, 6)[9:] + line(40, 4)]
    made, addresses = drained(Buffer(*looks), [100], monkeypatch)
    assert addresses == ["0x2", "0x3", "0x4", "0x5", "0x6"]
    assert not made.cut


def test_a_loss_ends_what_is_kept_where_all_was_still_there(monkeypatch):
    """The second look finds losses: what is later than the first may lack something."""
    first = BEGIN + line(20, 2) + line(150, 0xA)  # at 100 nothing was lost
    buffer = Buffer(first, line(90, 9) + line(100, 0xB), lost_at=1)
    made, addresses = drained(buffer, [0, 5, 100, 200], monkeypatch)
    assert addresses == ["0x2", "0x9"]
    assert made.cut and made.needed_kib == 7


def test_most_is_written_before_the_end(monkeypatch):
    """What is older than events may be late, while the program still runs."""
    monkeypatch.setattr(drain, "_now", lambda: 10**9)
    text, buffer = io.StringIO(), Buffer(BEGIN + line(20, 2), line(10**9 - 5, 3))
    made = Drain(buffer, Anonymizer(7), text)
    with made.running():
        assert buffer.empty.wait(60)
    assert "0x2" in text.getvalue() and "0x3" not in text.getvalue()
    made.finish(lambda done, total: None)
    assert "0x3" in text.getvalue()


def test_what_went_wrong_meanwhile_is_raised_at_the_end():
    """In the main thread, which says it."""
    made = Drain(Buffer("no line of ftrace\n"), Anonymizer(7), io.StringIO())
    with made.running():
        pass
    with pytest.raises(InternalError, match="not an ftrace line"):
        made.finish(lambda done, total: None)
