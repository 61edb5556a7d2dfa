"""What people get wrong in a scenario is named, with what they meant."""

from __future__ import annotations

import pytest

from mmarch.errors import InputError
from mmarch.scenario import lower, parse, variants


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("map A 16\nmap A 4", "s:3:1: region 'A' is already on line 2; drop it first"),
        ("file F tmpfs\nmap A of F shared", "s:3:7: the size of 'A' is missing: map A SIZE of …"),
        ("map A", "the size of 'A' is missing: map A SIZE"),
        ("map A 16\nswapout A", "s:3:1: unknown operation 'swapout' (did you mean 'pageout'?)"),
        ("mmap A 16", "did you mean 'map'?"),
    ],
)
def test_message(body: str, message: str) -> None:
    """Line and column, and the fix."""
    with pytest.raises(InputError) as caught:
        lower(parse(f"scenario s\n{body}\n", "s").scenarios[0], 4096, 4)
    assert message in str(caught.value)


def test_a_dropped_region_may_be_defined_again() -> None:
    """In a loop too."""
    text = "scenario s\nlist n 4K 1 2\nfor i in n\nmap A i\ndrop A\ndone\n"
    assert len(lower(parse(text).scenarios[0], 4096, 4).regions) == 2


@pytest.mark.parametrize("size", ["64K", "64KiB", "64 KiB", "16", "(4+12)*4K"])
def test_sizes_as_in_options(size: str) -> None:
    """K is KiB; a range works alike."""
    found = lower(parse(f"scenario s\nmap A {size}\nwrite A 0..8K\n").scenarios[0], 4096, 4)
    assert found.regions[0].length == 65536
    assert found.workload.ops[-1][3] == 2


def test_the_option_is_named() -> None:
    """For a scenario that is meant for no large folios."""
    scenario = parse("scenario s order 0\nmap A 1\n").scenarios[0]
    with pytest.raises(InputError, match="--folio-orders none"):
        variants(scenario, 4096, 4)
