"""The model and a machine as a state machine of hypothesis; imported only if that is installed."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from core_mm.uapi import ACCESS_READ, ACCESS_WRITE
from mmarch.check.choices import ADVICE, KINDS, PROTS, arena, perform
from mmarch.check.context import Context
from mmarch.check.driver import TASKS, Driver

STEPS = 30
EXAMPLES = 50


def machine(context: Context) -> type[RuleBasedStateMachine]:
    """A state machine for one context."""
    size = arena(context)
    page, task = st.integers(0, size - 1), st.integers(0, TASKS - 1)
    pages = st.one_of(st.just(size // 5), st.integers(1, size))

    class Programs(RuleBasedStateMachine):
        """Operations on both sides, everything compared after each."""

        def __init__(self) -> None:
            super().__init__()
            self.driver = Driver(context)
            self.act("mmap", 1, 0, size, 3, "anon", 0)
            self.act("touch", 1, 0, size // 2, ACCESS_WRITE)

        def act(self, name: str, *arguments: Any) -> None:
            """One operation of a task that lives, if it makes sense; ranges end with the arena."""
            if name not in ("fork", "exit", "age", "clear_refs"):
                first, length = arguments[1], arguments[2]
                arguments = (arguments[0], first, min(length, size - first), *arguments[3:])
            if arguments:
                live = sorted(self.driver.model.tasks)
                arguments = (live[arguments[0] % len(live)], *arguments[1:])
            perform(self.driver, (name, arguments), size)

        @rule(task=task, page=page, pages=pages, prot=st.sampled_from(PROTS), kind=st.sampled_from(KINDS))
        def mmap(self, task: int, page: int, pages: int, prot: int, kind: str) -> None:
            """Map something."""
            self.act("mmap", task, page, pages, prot, kind, page % 64)

        @rule(
            task=task,
            page=page,
            pages=st.integers(1, 40),
            access=st.sampled_from((ACCESS_READ, ACCESS_WRITE)),
        )
        def touch(self, task: int, page: int, pages: int, access: int) -> None:
            """Access pages."""
            self.act("touch", task, page, pages, access)

        @rule(task=task, page=page, pages=pages)
        def munmap(self, task: int, page: int, pages: int) -> None:
            """Unmap."""
            self.act("munmap", task, page, pages)

        @rule(task=task, page=page, pages=pages, prot=st.sampled_from(PROTS))
        def mprotect(self, task: int, page: int, pages: int, prot: int) -> None:
            """Protect."""
            self.act("mprotect", task, page, pages, prot)

        @rule(task=task, page=page, pages=pages, advice=st.sampled_from(ADVICE))
        def madvise(self, task: int, page: int, pages: int, advice: int) -> None:
            """Advise."""
            self.act("madvise", task, page, pages, advice)

        @rule(task=task, page=page, pages=pages, to=page)
        def mremap(self, task: int, page: int, pages: int, to: int) -> None:
            """Move."""
            self.act("mremap", task, page, pages, to)

        @rule(task=task, page=page, pages=st.integers(1, 40))
        def write(self, task: int, page: int, pages: int) -> None:
            """Write pages."""
            self.act("touch", task, page, pages, ACCESS_WRITE)

        @rule(task=task)
        def fork(self, task: int) -> None:
            """Fork."""
            free = [number for number in range(1, TASKS) if number not in self.driver.model.tasks]
            if free:
                self.act("fork", task, free[0])

        @rule(task=task)
        def leave(self, task: int) -> None:
            """Exit."""
            self.act("exit", task)

        @rule(task=task, young=st.booleans())
        def age(self, task: int, young: bool) -> None:
            """Age, or clear accessed flags."""
            self.act("clear_refs", task) if young else self.act("age")

        @invariant()
        def agrees(self) -> None:
            """Machine and model say the same."""
            self.driver.compare()

    return Programs


def run_machine(context: Context) -> None:
    """CheckFailed with the shrunk program if one fails."""
    programs = machine(context)
    programs._hypothesis_internal_use_seed = context.rng("hypothesis").randrange(1 << 32)
    run_state_machine_as_test(
        programs,
        settings=settings(
            max_examples=max(1, round(EXAMPLES * context.share)), stateful_step_count=STEPS, deadline=None,
            database=None, print_blob=False, report_multiple_bugs=False, verbosity=Verbosity.quiet,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink),
        ),
    )  # fmt: skip
