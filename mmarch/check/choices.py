"""What a random program may do next, and doing it."""

from __future__ import annotations

import random
from typing import Any

from core_mm.uapi import ACCESS_READ, ACCESS_WRITE, MADV_COLD, MADV_DONTNEED, MADV_FREE, MADV_PAGEOUT
from mmarch.check.context import Context
from mmarch.check.driver import TASKS, Driver

KINDS = ("anon", "anon", "file-shared", "file-private", "shmem-shared")
PROTS = (0, 1, 3, 3)
ADVICE = (MADV_DONTNEED, MADV_FREE, MADV_COLD, MADV_PAGEOUT)
Choice = tuple[str, tuple[Any, ...]]


def arena(context: Context) -> int:
    """Pages of address space: a few blocks, across the border of two tables."""
    return 5 * (context.geometry.cont_ptes if context.geometry.cont_ptes > 1 else 16)


def written_run(driver: Driver, task: int, page: int, size: int) -> tuple[int, int]:
    """Pages from the next one on that is mapped, as far as the mapping goes."""
    first = driver.first + page
    area = driver.model.tasks[task].above(first)
    if area is None or area.start >= driver.first + size:
        return page, 1
    start = max(area.start, first)
    return start - driver.first, max(1, min(area.end, driver.first + size) - start)


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
        ("madvise", (task, *written_run(driver, task, page, size), MADV_PAGEOUT)),
        ("touch", (task, page, min(pages, 40), ACCESS_READ)),
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
