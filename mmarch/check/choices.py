"""What a Driver runs: random calls, and steps of a program by name."""

from __future__ import annotations

import random
from typing import Any

from mmarch.check.context import Context
from mmarch.check.driver import Driver
from mmarch.sanitize.random_rows import Writer, block_pages

Choice = tuple[str, tuple[Any, ...]]


def arena(context: Context) -> int:
    """Pages of address space: a few blocks, across the border of two tables."""
    return 5 * block_pages(context.geometry)


def writer(context: Context, rng: random.Random) -> Writer:
    """Of random calls, of which the first makes the task that a Driver begins with."""
    return Writer.of(rng, context.geometry)


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
