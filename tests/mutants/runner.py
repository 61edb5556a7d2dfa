"""A process that is asked for mutants and forks for each: started once, patched never.

Reads a mutant's id a line, or `-id` for the same check on the source as it is; answers with the outcome as JSON.
"""

from __future__ import annotations

import json
import os
import sys

from mmarch.check.context import Context
from mmarch.check.loading import load_named
from mmarch.check.suite import checks
from mmarch.check.tiers import stateful
from mmarch.check.worker import run_check, time_limit
from mmarch.garbage import look_seldom
from mmarch.sanitize import soak
from tests.mutants import CATALOGUE
from tests.mutants.mutant import Mutant, applied

LIMIT = 120  # seconds


def outcome(mutant: Mutant, broken: bool) -> dict[str, object]:
    """What the check says, with the bug or without."""
    item = next(item for item in checks() if item.id == mutant.check)
    arch, generic = load_named(mutant.arch), load_named("generic")
    context = Context(
        arch.descriptor, generic.descriptor, release=mutant.release, cpu=mutant.cpu, granule=mutant.granule,
        share=mutant.share, name=item.id,
    )  # fmt: skip
    edits = mutant.given + mutant.edits if broken else mutant.given
    with time_limit(LIMIT, context), applied(edits):
        return run_check(item, context)


def in_child(mutant: Mutant, broken: bool) -> str:
    """The outcome, from a fork that ends with it."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        try:
            answer = json.dumps(outcome(mutant, broken))
        except BaseException as error:
            answer = json.dumps({"status": "lost", "message": f"{type(error).__name__}: {error}"})
        with os.fdopen(writing, "w") as pipe:
            pipe.write(answer)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return answer or json.dumps({"status": "error", "message": "kills its process"})


def main() -> None:
    """Until stdin ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    checks()
    look_seldom()
    soak.SHRINKING = stateful.SHRINKING = 1  # second: nobody asks here how short a failure can be made
    for line in sys.stdin:
        name = line.strip()
        broken = not name.startswith("-")
        answers.write(in_child(CATALOGUE[name.removeprefix("-")], broken) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
