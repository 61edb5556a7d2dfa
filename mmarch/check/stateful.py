"""Tier stateful: random programs against the model, found and shrunk by hypothesis if it is installed."""

from __future__ import annotations

import random
from typing import Any

from core_mm.uapi import ACCESS_READ, ACCESS_WRITE, MADV_COLD, MADV_DONTNEED, MADV_FREE, MADV_PAGEOUT
from mmarch.check.context import Context
from mmarch.check.driver import TASKS, Driver
from mmarch.check.registry import CheckFailed, Skipped, check

KINDS = ("anon", "anon", "file-shared", "file-private", "shmem-shared")
PROTS = (0, 1, 3, 3)
ADVICE = (MADV_DONTNEED, MADV_FREE, MADV_COLD, MADV_PAGEOUT)
Choice = tuple[str, tuple[Any, ...]]


def arena(context: Context) -> int:
    """Pages of address space: a few blocks, across the border of two tables."""
    return 5 * (context.geometry.cont_ptes if context.geometry.cont_ptes > 1 else 16)


def random_choice(rng: random.Random, driver: Driver, size: int) -> Choice:
    """An operation that makes sense now, with its arguments."""
    task = rng.choice(sorted(driver.model.tasks))
    page = rng.randrange(size)
    pages = min(rng.choice((1, 3, size // 5, size // 5, rng.randrange(1, size + 1))), size - page)
    free = [number for number in range(1, TASKS) if number not in driver.model.tasks]
    choices: list[Choice] = [
        ("mmap", (task, page, pages, rng.choice(PROTS), rng.choice(KINDS), rng.randrange(64))),
        ("mmap", (task, page, pages, 3, "anon", 0)), ("mprotect", (task, page, pages, 3)),
        ("touch", (task, page, min(pages, 40), rng.choice((ACCESS_READ, ACCESS_WRITE, ACCESS_WRITE)))),
        ("touch", (task, page, min(pages, 40), ACCESS_WRITE)),
        ("munmap", (task, page, pages)), ("mprotect", (task, page, pages, rng.choice(PROTS))),
        ("madvise", (task, page, pages, rng.choice(ADVICE))), ("mremap", (task, page, pages, rng.randrange(size))),
        ("msync", (task, page, pages)), ("age", ()), ("clear_refs", (task,)),
    ]  # fmt: skip
    if free:
        choices.append(("fork", (task, free[0])))
    if len(driver.model.tasks) > 1 and task != 1:
        choices.append(("exit", (task,)))
    return rng.choice(choices)


def perform(driver: Driver, choice: Choice, size: int) -> None:
    """Do it, if it still makes sense."""
    name, arguments = choice
    if arguments and name != "fork" and arguments[0] not in driver.model.tasks:
        return
    if name == "fork" and (arguments[0] not in driver.model.tasks or arguments[1] in driver.model.tasks):
        return
    if name == "exit" and arguments[0] == 1:
        return
    if name == "mremap" and arguments[3] + arguments[2] > size:
        return
    getattr(driver, name)(*arguments)


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
