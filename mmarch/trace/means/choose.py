"""The best means that the machine permits, or the one that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial

from mmarch.errors import InputError
from mmarch.trace.means import by_ftrace, kprobe, perf, strace, tracepoints
from mmarch.trace.means.tool import Ready
from mmarch.trace.recording import Wanted

MEANS: dict[str, Callable[[Wanted], AbstractContextManager[Ready]]] = {
    "tracepoints": partial(by_ftrace.ready, tracepoints),
    "kprobe": partial(by_ftrace.ready, kprobe),
    "perf": perf.ready,
    "strace": strace.ready,
}


@contextmanager
def chosen(by: str, wanted: Wanted) -> Iterator[Ready]:
    """Set up: (by what, in a line; how to run it). InputError with what each lacks if there is none."""
    if by and by not in MEANS:
        raise InputError(f"--by {by}: no such means; there are {', '.join(MEANS)}")
    refused: dict[str, str] = {}
    for name in [by] if by else MEANS:
        with ExitStack() as stack:
            try:
                said, run = stack.enter_context(MEANS[name](wanted))
            except InputError as error:
                refused[name] = str(error).removeprefix("cannot record: ")
                continue
            yield said + _instead(refused), run
            return
    if len(refused) == 1:
        raise InputError(f"cannot record: {next(iter(refused.values()))}")
    raise InputError("cannot record:\n" + "\n".join(f"  by {name}: {why}" for name, why in refused.items()))


def _instead(refused: dict[str, str]) -> str:
    """What kept from better means; one reason is said once."""
    by: dict[str, list[str]] = {}
    for name, why in refused.items():
        by.setdefault(why, []).append(name)
    return "".join(f"; not by {' or '.join(names)}: {why}" for why, names in by.items())
