"""Random programs as a state machine of hypothesis; imported only if that is installed."""

from __future__ import annotations

import random

from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from mmarch.check.choices import writer
from mmarch.check.context import Context
from mmarch.check.driver import Driver
from mmarch.sanitize.random_rows import Writer

STEPS = 30
EXAMPLES = 50
KINDS = [kind for kind, weight in Writer.weights.items() for _ in range(weight)]


def machine(context: Context) -> type[RuleBasedStateMachine]:
    """A state machine for one context."""

    class Programs(RuleBasedStateMachine):
        """Calls on both sides, everything compared after each."""

        def __init__(self) -> None:
            super().__init__()
            self.driver, self.writer = Driver(context), writer(context, random.Random(0))
            for row in self.writer.begin()[1:]:  # the first task is there already
                self.driver.call(row)

        @rule(kind=st.sampled_from(KINDS), rng=st.randoms(use_true_random=False))
        def call(self, kind: str, rng: random.Random) -> None:
            """The next calls, of one kind, with what hypothesis chooses."""
            self.writer.rng = rng
            for row in self.writer.more(kind):
                self.driver.call(row)
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
