"""One stage of tools/mutation_score.py, run in a tree with a mutant: exit 1 and a line as soon as it is noticed.

`python -m tools.mutation_stage quick|full|oracle|measured|image SEED`
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from dataclasses import replace

from mmarch.api import validate
from mmarch.check.context import Context
from mmarch.check.loading import load_named
from mmarch.check.results import BAD, Result
from mmarch.check.run import Options, check
from mmarch.sanitize import soak
from mmarch.truth.validate import DIFFERENT

ARCHS = ("arm64", "generic")
OPERATIONS = 100_000  # of the oracle's campaign, on each release
IMAGED = 8_000  # operations whose memory images tell equivalent mutants


def stop(result: Result) -> None:
    """At the first failure; nothing else is wanted of this process."""
    if result.status in BAD:
        noticed(f"{result.check} [{result.release}]: {result.message.strip().partition(chr(10))[0]}")


def noticed(what: str) -> None:
    """Say so and end at once; the suite's workers end with their pipes."""
    print(what, flush=True)
    os._exit(1)


def suite(options: Options) -> None:
    """`mmarch check` on each architecture of this repository that the mutants are of."""
    for arch in ARCHS:
        check(arch, options, note=stop)


def quick(seed: int) -> None:
    """`mmarch check ARCH --quick`."""
    suite(Options(quick=True, seed=seed))


def full(seed: int) -> None:
    """`mmarch check ARCH`."""
    suite(Options(seed=seed))


def oracle(seed: int) -> None:
    """`mmarch check ARCH --only tlb.random`."""
    suite(Options(only=("tlb.random",), operations=OPERATIONS, seed=seed))


def measured(seed: int) -> None:
    """`mmarch validate`."""
    report = validate()
    for row in report.rows:
        if row.count(DIFFERENT):
            noticed(f"{row.scenario} [{row.release} {row.cpu}]: differs from the kernel")


def image(seed: int) -> None:
    """Print the digest of all memory after random operations on every release that is checked."""
    digest = hashlib.sha256()
    for release in ("6.12", "7.3"):
        for arch in ARCHS:
            context = Context(load_named(arch).descriptor, load_named("generic").descriptor, release=release)
            for made in soak.rounds(context.config(), IMAGED, seed):
                made = replace(made, config=replace(made.config, memory=64 << 20, log_rows=0))
                running = soak.machine(made, "linked")
                running.call("run_operations", 0, len(made.rows))
                for name, data in sorted(running.memory.image().items()):
                    digest.update(name.encode() + data)
    print(digest.hexdigest())


STAGES: dict[str, Callable[[int], None]] = {
    "quick": quick, "full": full, "oracle": oracle, "measured": measured, "image": image,
}  # fmt: skip

if __name__ == "__main__":
    STAGES[sys.argv[1]](int(sys.argv[2]))
