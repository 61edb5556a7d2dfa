"""Cost profiles: validated, sourced, and exact about what they cover."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmarch.errors import InputError
from mmarch.plugins import load_arch
from mmarch.runs.costs import CostProfile, load_costs, profiles

ARM64 = load_arch("arm64").descriptor

# Zhenyu Ye, linux-arm-kernel, 9 June 2020: ns of one __flush_tlb_range() by pages, no range operations.
YE_2020 = {1: 1457, 2: 1911, 4: 2827, 8: 4716, 16: 8427, 32: 15938, 64: 30890, 128: 60802, 256: 120826}


@pytest.mark.parametrize("pages", YE_2020)
def test_ye2020_reproduces_its_source(pages: int) -> None:
    """A flush of so many single operations and its barriers takes what was measured, within 2 %."""
    priced = load_costs("ye2020-norange", ARM64)
    estimate = priced.ns({"tlbi_vale1is": pages, "dsb_ishst": 1, "dsb_ish": 1})
    assert estimate == pytest.approx(YE_2020[pages], rel=0.0205)


@pytest.mark.parametrize("name", profiles(ARM64))
def test_shipped_profiles_are_complete(name: str) -> None:
    """Every TLBI, barrier and PTE access has a figure with a source."""
    priced = load_costs(name, ARM64)
    assert priced.profile.name == name
    events = (
        "pte_read",
        "pte_write",
        "pte_xchg",
        "pte_cmpxchg",
        *ARM64.group("tlbi"),
        *ARM64.group("barrier"),
    )
    assert set(events) <= set(priced.figures)
    assert priced.unpriced(dict.fromkeys(events, 1), events) == ()


def test_an_event_overrides_its_group(tmp_path: Path) -> None:
    """A figure of an event's own wins over that of its group."""
    path = tmp_path / "mine.toml"
    path.write_text(
        'name = "mine"\ndescription = "x"\n[groups.tlbi]\nns = 5\nsource = "assumed"\n'
        '[events.tlbi_aside1is]\nns = 7\nsource = "measured"\n'
    )
    priced = load_costs(str(path), ARM64)
    assert priced.ns({"tlbi_vale1is": 2, "tlbi_aside1is": 1, "dsb_ish": 9}) == 17
    assert priced.unpriced({"dsb_ish": 9, "isb": 0}, ("dsb_ish", "isb", "tlbi_vale1is")) == ("dsb_ish",)
    assert priced.figures["tlbi_vale1is"].assumed
    assert not priced.figures["tlbi_aside1is"].assumed


HEAD = 'name = "mine"\ndescription = "x"\n'


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("name = ", "not TOML"),
        (b"\xff\xfe", "not UTF-8"),
        ('name = "x"\n', "description: Field required"),
        (HEAD + "[events.pte_read]\nns = 1\n", "events.pte_read.source: Field required"),
        (HEAD + '[events.pte_read]\nns = 1\nsource = " "\n', "events.pte_read.source"),
        (HEAD + '[events.pte_read]\nns = -1\nsource = "x"\n', "(got -1)"),
        (HEAD + '[events.pte_read]\nns = inf\nsource = "x"\n', "events.pte_read.ns"),
        (HEAD + '[events.pte_raed]\nns = 1\nsource = "x"\n', "no event 'pte_raed'. Did you mean 'pte_read'?"),
        (HEAD + '[groups.flush]\nns = 1\nsource = "x"\n', "groups.flush"),
        (HEAD + "colour = 1\n", "colour: Extra inputs"),
        (HEAD + "#" * (1 << 20), "larger than 1 MiB"),
        (HEAD + "x = " + "[" * 10_000, "not TOML"),
    ],
)
def test_bad_profiles(tmp_path: Path, text: str | bytes, shown: str) -> None:
    """One message with the file, the field and the value."""
    path = tmp_path / "bad.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(InputError) as caught:
        load_costs(str(path), ARM64)
    assert str(path) in str(caught.value)
    assert shown in str(caught.value)


def test_unknown_profile() -> None:
    """The nearest name is suggested; a missing file is told as such."""
    with pytest.raises(InputError, match="Did you mean 'ye2020-norange'"):
        load_costs("ye2020-noranges", ARM64)
    with pytest.raises(InputError, match="cannot read"):
        load_costs("./nowhere.toml", ARM64)


def test_profiles_are_frozen() -> None:
    """A figure cannot be changed after it was validated."""
    profile = CostProfile(name="x", description="y")
    with pytest.raises(ValueError, match="frozen"):
        profile.name = "z"  # type: ignore[misc]
