"""How fast traces are read and replayed: lines and events a second of one core, and the memory of a large recording.

`python benchmarks/readers.py [EVENTS]` prints a line for each reader, then writes a recording of so many events in
mmarch's own format (default 50,000,000), reads it and replays it in a process of its own. Times are of the processor,
the least of REPEATS.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from core_mm import uapi
from mmarch import spill
from mmarch.api.choosing import prepare, silent
from mmarch.runs.assemble import assemble
from mmarch.runs.workloads import Trace
from mmarch.trace.assumed import PLAIN
from mmarch.trace.formats import format_of, load_trace
from mmarch.trace.native import read_native, write_native
from mmarch.workload import Workload

REPEATS, LINES, PAGES = 5, 200_000, 1 << 19
BASE = 0x7F0000000000


def ftrace(line: int) -> str:
    """Nine faults of ten lines, as a busy program has them; every tenth pair is a system call."""
    when, head = f"{line / 1e6:.6f}", "            prog-100     [000] d...."
    if line % 20 == 0:
        return f"{head} {when}: sys_munmap(addr: {BASE + line * 4096:#x}, len: 0x1000)"
    if line % 20 == 1:
        return f"{head} {when}: sys_munmap -> 0x0"
    return f"{head} {when}: page_fault_user: address={address(line):#x} ip=0x7ff74f7aa84c error_code=0x6"


def perf_script(line: int) -> str:
    """Page faults with addresses."""
    return f"prog   100/100   {line / 1e6:.6f}: page-faults:     {address(line):x} ffffffff8175336a"


def strace(line: int) -> str:
    """A mapping comes, is changed and goes; half of the calls map nothing."""
    start = BASE + line // 6 * 65536
    return (
        (
            f"100 {line / 1e6:.6f} mmap(NULL, 65536, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = {start:#x}",
            f"100 {line / 1e6:.6f} mprotect({start:#x}, 4096, PROT_READ) = 0",
            f"100 {line / 1e6:.6f} munmap({start:#x}, 65536) = 0",
        )[line % 6 // 2]
        if line % 2
        else f'100 {line / 1e6:.6f} read(3</etc/passwd>, "x"..., 4096) = 1024'
    )


def address(line: int) -> int:
    """Of a few megabytes, in no order."""
    return BASE + line * 7919 % 4096 * 4096


def main(events: int) -> None:
    """Readers, then the large recording."""
    with tempfile.TemporaryDirectory(dir=spill.folder()) as name:
        folder = Path(name)
        for line in (ftrace, perf_script, strace):
            text = folder / line.__name__
            text.write_text("".join(f"{line(number)}\n" for number in range(LINES)))
            head = text.read_text()[:65536]
            seconds = least(lambda text=text, head=head: load_trace(text, format_of(head), PLAIN, head=head))
            print(f"{line.__name__:>24} {LINES / seconds:12,.0f} lines/s")
        large = folder / "large.mmarch"
        size = write_native(recording(events), large)
        print(f"{'mmarch, written':>24} {size / events:12.2f} bytes an event of {events:,}")
        subprocess.run([sys.executable, __file__, "--read", str(large)], check=True)


def recording(events: int) -> Workload:
    """Single pages of 2 GiB touched, in steps that look like a program's."""
    ops = spill.room(events, uapi.COLUMNS, np.int64)
    lines, times = spill.room(events, 0, np.int32), spill.room(events, 0, np.float64)
    random, at = np.random.default_rng(1), 0
    for some, numbers, when in spill.pieces(ops, lines, times):
        steps = np.cumsum(random.integers(-3, 9, len(some)))
        some[:, 0], some[:, 2], some[:, 3] = uapi.OP_TOUCH, BASE + steps % PAGES * 4096, 1
        some[:, 4] = random.integers(0, 2, len(some))
        numbers[:] = np.arange(at, at + len(some))
        when[:], at = numbers * 1.7e-6, at + len(some)
    ops[0] = [uapi.OP_SPAWN, *[0] * 7]
    ops[1] = [uapi.OP_MMAP, 0, BASE, PAGES * 4096, 3, 0x22, -1, 0]
    return Workload("large", ops, lines, times=times)


def read(path: Path) -> None:
    """In a fresh process, whose memory is its own."""
    begin = time.process_time()
    with path.open("rb") as stream:
        workload = read_native(path, stream)
    events, seconds = len(workload.ops), time.process_time() - begin
    print(f"{'mmarch, read':>24} {events / seconds:12,.0f} events/s")
    job = prepare(Trace(workload), "", "", None, silent, {"folio_orders": "0"}, "linked")
    machine = assemble(job.setup, job.workload, job.request, silent)
    chunks = list(pairs(events))
    begin = time.process_time()
    for first, last in chunks:
        machine.call("run_operations", first, last)
        spill.release(workload.ops)
    print(f"{'replayed':>24} {events / (time.process_time() - begin):12,.0f} operations/s")
    print(f"{'most memory':>24} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:12,.0f} MiB")


def pairs(events: int) -> Iterator[tuple[int, int]]:
    """Rows [first, last) to run at once."""
    return ((first, min(first + spill.ROWS, events)) for first in range(0, events, spill.ROWS))


def least(function: Callable[[], object]) -> float:
    """Seconds of the processor."""
    found = []
    for _ in range(REPEATS):
        begin = time.process_time()
        function()
        found.append(time.process_time() - begin)
    return min(found)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--read"]:
        read(Path(sys.argv[2]))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 50_000_000)
