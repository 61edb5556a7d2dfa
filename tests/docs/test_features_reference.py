"""The reference of features is complete and up to date."""

from __future__ import annotations

from tools import features_reference


def test_it_is_up_to_date() -> None:
    """Run `python tools/features_reference.py` after a change of a table of features."""
    assert features_reference.main(["--check"]) == 0
