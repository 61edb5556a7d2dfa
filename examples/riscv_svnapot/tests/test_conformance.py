"""mmarch's conformance suite, a sample of each check; `mmarch check riscv_svnapot` runs them in full."""

from __future__ import annotations

from collections.abc import Callable

from mmarch.check.pytest_plugin import parametrize_with_arch_checks


@parametrize_with_arch_checks("riscv_svnapot")
def test_conformance(arch_check: Callable[[], None]) -> None:
    """One property on one release."""
    arch_check()
