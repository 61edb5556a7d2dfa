"""How many hooks a second the interpreted engine calls, through pluggy, and where its time goes.

    python benchmarks/interpreted.py [--rows N] [--profile]

Runs the first operations of the bundled trace on arm64. `--profile` lists the functions that take most.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import sys
import time

from core_mm.vmstat import HOOK_CALL
from mmarch.engine.machine import Machine
from mmarch.runs.assemble import Request, assemble
from mmarch.runs.configure import Choices, configure
from mmarch.runs.workloads import open_workload

ROUNDS = 3


def booted() -> Machine:
    """A machine that interprets, with the bundled trace."""
    setup = configure(Choices())
    source = open_workload().workload(setup)
    return assemble(setup, source, Request(engine="interpreted"), lambda _: None)


def rate(machine: Machine, rows: int) -> tuple[int, float]:
    """Hook calls, and seconds."""
    before = machine.total(HOOK_CALL)
    begin = time.perf_counter()
    machine.call("run_operations", 0, rows)
    return machine.total(HOOK_CALL) - before, time.perf_counter() - begin


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2000, help="operations of the trace (2000)")
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    if options.profile:
        machine, profile = booted(), cProfile.Profile()
        profile.runcall(rate, machine, options.rows)
        pstats.Stats(profile, stream=sys.stdout).sort_stats("tottime").print_stats(20)
        return
    rounds = [rate(booted(), options.rows) for _ in range(ROUNDS)]
    rates = sorted(calls / seconds for calls, seconds in rounds)
    print(f"{rounds[0][0]} hook calls: {rates[-1]:,.0f} a second at best, {rates[len(rates) // 2]:,.0f} median")


if __name__ == "__main__":
    main()
