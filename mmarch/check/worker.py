"""The process that runs checks: what a plugin does to it stays in it.

It reads one job a line from stdin and answers with one line each on the protocol's own descriptor;
what the plugin prints is caught and reported. Each job has a time limit, which it enforces by
itself as long as the plugin lets it; `mmarch.check.run` kills it otherwise.
"""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import islice
from types import FrameType
from typing import IO, Any

from mmarch import waiting
from mmarch.check.context import Context, forget_benches
from mmarch.check.loading import load_named
from mmarch.check.outcome import CheckFailed, Done, Skipped
from mmarch.check.reach import tracing
from mmarch.check.registry import Check
from mmarch.check.suite import checks
from mmarch.engine import stopping
from mmarch.engine.hanging import Watch, package_of
from mmarch.errors import MmarchError
from mmarch.garbage import look_seldom
from mmarch.plugins.series import choose

PRINTED = 4000  # characters of output that are kept
LARGEST_FILE = 256 << 20  # bytes that a plugin may print
Outcome = dict[str, Any]


class Hung(BaseException):
    """The time limit of a check is over; no plugin catches this by accident."""


def run_check(item: Check, context: Context) -> Outcome:
    """Status, message, steps and reason of one check; nothing that a plugin does gets out but by force."""
    try:
        did = done(item, replace(context, name=item.id, requires=item.requires))
    except Skipped as skipped:
        return {"status": "skip", "reason": str(skipped)}
    except CheckFailed as failed:
        forget_benches()
        return {"status": "fail", "message": str(failed), "steps": list(failed.steps)}
    except Hung as hung:
        forget_benches()
        return {"status": "error", "message": f"hangs: {hung}"}
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        forget_benches()
        return {"status": "error", "message": blame(error, context)}
    told = did if isinstance(did, Done) else Done(did or "")
    return {"status": "pass", "did": told.did, "counts": dict(told.counts)}


def done(item: Check, context: Context) -> Done | str | None:
    """What a check did; on other machines too, those whose turn it is, if it looks at one by itself."""
    did = item.function(context)
    for other in islice(context.turns(), 1, None) if item.turns else ():
        try:
            item.function(other)
        except Skipped:
            continue
        except CheckFailed as failed:
            where = "" if other.where in str(failed) else other.where
            raise CheckFailed(f"{failed}{where}", failed.steps) from None
    return did


def blame(error: BaseException, context: Context) -> str:
    """What was raised, and the deepest line of the plugin that it came through."""
    if isinstance(error, MmarchError):
        return str(error)
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return f"raised {text}{place(traceback.walk_tb(error.__traceback__), context)}"


def packages_of(context: Context) -> set[str]:
    """Of the architecture and of series."""
    names = [*context.arch.modules, *(module.__name__ for module in context.changes.modules)]
    return {name.partition(".")[0] for name in names}


def place(frames: Any, context: Context) -> str:
    """` in hook (file:line)` of the plugin's innermost frame."""
    packages = packages_of(context)
    own = [(frame, line) for frame, line in frames if package_of(frame) in packages]
    if not own:
        last = traceback.format_exc().strip().splitlines()[-3:-1]
        return f" ({' '.join(line.strip() for line in last)})" if last else ""
    frame, line = own[-1]
    return f" in {frame.f_code.co_name} ({frame.f_code.co_filename}:{line})"


@contextmanager
def time_limit(seconds: float, context: Context) -> Iterator[None]:
    """Raise Hung in the main thread after this long, or sooner where one hook or operation does not end."""
    start, watch = time.monotonic(), Watch(packages_of(context))

    def alarm(number: int, frame: FrameType | None) -> None:
        if watch.look(frame, time.process_time()):
            stopping.noticed()
            took, where = watch.found
            raise Hung(f"no end after {took:.0f} s{where}")
        if time.monotonic() - start > seconds - stopping.LOOK / 2:
            frames = reversed(list(traceback.walk_stack(frame)))
            raise Hung(f"no end after {seconds:.0f} s{place(frames, context)}")

    before = signal.signal(signal.SIGALRM, alarm)
    signal.setitimer(signal.ITIMER_REAL, min(stopping.LOOK, seconds), stopping.LOOK)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def serve(jobs: IO[str], answers: IO[str], caught: IO[bytes]) -> None:
    """Load the plugin, say so, then answer every job."""
    setup = json.loads(jobs.readline())
    generic = load_named(setup["generic"])
    try:
        arch = load_named(setup["arch"])
    except MmarchError as error:
        tell(answers, {"loaded": False, "message": str(error)})
        return
    known = {item.id: item for item in checks()}
    tell(answers, {"loaded": True})
    look_seldom()
    waiting.tell(lambda step: tell(answers, {"step": step}))
    for line in jobs:
        job = json.loads(line)
        told: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in job["context"].items()}
        chosen = choose(arch.descriptor, told.pop("with_", ()))
        told |= {"with_": tuple(sorted(chosen.names)), "changes": chosen.changes, "declared": chosen.declared}
        context = Context(arch.descriptor, generic.descriptor, **told)
        start = time.monotonic()
        try:
            with (
                time_limit(job["limit"], context),
                tracing.following(job.get("follow"), context.release, job["check"]),
            ):
                outcome = run_check(known[job["check"]], context)
        except Hung as hung:  # between the check and its clean-up
            outcome = {"status": "error", "message": f"hangs: {hung}"}
        outcome["seconds"] = round(time.monotonic() - start, 3)
        outcome["printed"] = printed(caught)
        tell(answers, outcome)


def tell(answers: IO[str], message: Outcome) -> None:
    """One line."""
    answers.write(json.dumps(message) + "\n")
    answers.flush()


def printed(caught: IO[bytes]) -> str:
    """What was written to stdout and stderr since the last call."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # more than a file may hold
            stream.flush()
    caught.seek(0)
    text = caught.read(PRINTED).decode(errors="replace")
    caught.seek(0)
    caught.truncate()
    return text


def end_with(parent: int) -> None:
    """End this process when its parent has ended, however it did.

    PR_SET_PDEATHSIG would do so when the thread ends that started it, which is one of a pool.
    """
    while os.getppid() == parent:
        time.sleep(stopping.LOOK)
    os._exit(1)


def main() -> None:
    """Keep both ends of the protocol to itself, catch everything else."""
    threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
    with tempfile.TemporaryFile() as caught, open(os.dup(0)) as jobs, open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
        protocol = os.dup(1)
        for descriptor in (1, 2):
            os.dup2(caught.fileno(), descriptor)
        os.lseek(caught.fileno(), 0, os.SEEK_SET)
        faulthandler.enable(file=os.fdopen(os.dup(protocol), "w"), all_threads=False)
        with os.fdopen(protocol, "w") as answers:
            serve(jobs, answers, caught)


if __name__ == "__main__":
    main()
