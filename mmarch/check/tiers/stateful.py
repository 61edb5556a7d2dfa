"""Tier stateful: random programs against the model, found and shrunk by hypothesis if it is installed."""

from __future__ import annotations

import random

from mmarch.check.choices import Choice, arena, perform, random_choice
from mmarch.check.context import Context
from mmarch.check.driver import Driver
from mmarch.check.outcome import CheckFailed, Skipped
from mmarch.check.registry import check


def run_program(context: Context, program: list[Choice]) -> None:
    """A program on a fresh machine, everything compared after every operation."""
    driver, size = Driver(context), arena(context)
    for choice in program:
        perform(driver, choice, size)
        driver.compare()


def find_program(context: Context, rng: random.Random, length: int) -> list[Choice] | None:
    """A random program that fails, or None."""
    driver, size = Driver(context), arena(context)
    program: list[Choice] = [("mmap", (1, 0, size, 3, "anon", 0))]
    try:
        perform(driver, program[0], size)
        for _ in range(length):
            program.append(random_choice(rng, driver, size))
            perform(driver, program[-1], size)
            driver.compare()
    except CheckFailed:
        return program
    return None


def shrink(context: Context, program: list[Choice]) -> CheckFailed:
    """Leave out what the failure does not need; at most a hundred tries."""
    best = _failure(context, program)
    assert best is not None
    tries, chunk = 0, max(1, len(program) // 2)
    while chunk and tries < 100:
        position = 0
        while position < len(program) and tries < 100:
            shorter = program[:position] + program[position + chunk :]
            tries += 1
            found = _failure(context, shorter) if shorter else None
            if found:
                best, program = found, shorter
            else:
                position += chunk
        chunk //= 2
    return best


def _failure(context: Context, program: list[Choice]) -> CheckFailed | None:
    try:
        run_program(context, program)
    except CheckFailed as error:
        return error
    return None


@check("stateful.random", hooks=(), source="the system calls' manual pages")
def random_programs(context: Context) -> None:
    """Random programs see what their users expect: contents, permissions, faults; bookkeeping and TLB agree."""
    for variant in context.variants():
        rng = variant.rng("programs")
        for _ in range(max(1, round(12 * variant.share))):
            program = find_program(variant, rng, 40)
            if program is not None:
                raise shrink(variant, program)


@check("stateful.machine", hooks=(), source="the system calls' manual pages", limit=600, long=True)
def state_machine(context: Context) -> None:
    """The same with programs that hypothesis chooses and shrinks."""
    try:
        from mmarch.check.hypothesis_machine import run_machine
    except ImportError as error:
        raise Skipped("hypothesis is not installed (pip install 'mmarch[check]')") from error
    run_machine(context)
