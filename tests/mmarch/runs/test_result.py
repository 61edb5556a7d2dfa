"""The result model: frozen, versioned, and arithmetic that is exact."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from mmarch.runs.result import Configuration, Operation, Provenance, Result, difference, total

GROUPS = {"tlbi": ("tlbi_a", "tlbi_b"), "barrier": ("dsb",)}


def result(**totals: int) -> Result:
    """A result with these counts."""
    return Result(
        configuration=Configuration(
            arch="toy", release="6.12", cpu="plain", granule="4k", folio_orders=(4,), memory=1 << 30
        ),
        engine="interpreted",
        versions={"mmarch": "0"},
        workload=Provenance(name="w", source="w.scn", operations=1),
        groups=GROUPS,
        totals=totals,
        operations={"munmap": Operation(count=1, events=totals)},
    )


def test_schema_is_named() -> None:
    """The JSON says which schema it has; reading it back gives the same."""
    made = result(pte_read=3)
    text = made.model_dump_json()
    assert json.loads(text)["schema"] == "mmarch.result/1"
    assert Result.model_validate_json(text) == made


def test_another_schema_is_refused() -> None:
    """A file of another version is not taken for this one."""
    text = result().model_dump_json().replace("mmarch.result/1", "mmarch.result/2")
    with pytest.raises(ValidationError, match="schema"):
        Result.model_validate_json(text)


def test_frozen() -> None:
    """A result does not change once it is made."""
    with pytest.raises(ValidationError, match="frozen"):
        result().engine = "linked"  # type: ignore[misc]


def test_totals_by_group() -> None:
    """A group's name stands for its events; unknown events never happened."""
    counts = {"tlbi_a": 2, "tlbi_b": 3, "dsb": 7}
    assert total(counts, GROUPS, "tlbi") == 5
    assert total(counts, GROUPS, "tlbi", "dsb", "nothing") == 12
    assert result(**counts).total("barrier") == 7


def test_difference() -> None:
    """What the first has more than the second, by event and by group, without zeros."""
    assert difference(result(tlbi_a=9, pte_read=4, fold=1), result(tlbi_b=2, pte_read=4, unfold=3)) == {
        "tlbi": 7,
        "tlbi_a": 9,
        "tlbi_b": -2,
        "fold": 1,
        "unfold": -3,
    }
    assert difference(result(dsb=5), result(dsb=2), "munmap") == {"barrier": 3, "dsb": 3}
