"""What the checks say to mutants: python -m tests.mutants.show [ID...]."""

from __future__ import annotations

import sys

from tests.mutants import CATALOGUE
from tests.mutants.process import Runner


def main() -> None:
    """All of them, or those named."""
    runner = Runner()
    for name in sys.argv[1:] or CATALOGUE:
        mutant, outcome = CATALOGUE[name], runner.ask(name)
        print(f"{name}: {mutant.bug}\n  {mutant.check}: {outcome['status']}")
        print("    " + str(outcome.get("message", "")).replace("\n", "\n    "))
        for number, step in enumerate(outcome.get("steps", ()), 1):
            print(f"    {number}. {step}")
    runner.stop()


if __name__ == "__main__":
    main()
