"""Configurations in TOML files: there and back, and what is refused with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmarch.errors import InputError
from mmarch.runs.config_file import read, write
from mmarch.runs.configure import Choices, configure


@pytest.mark.parametrize(
    "choices",
    [
        Choices(),
        Choices(
            release="7.3", with_=("contpte_elide_bbml2",), without=("mremap_batch", "clear_ptes"), seed=7
        ),
        Choices(arch="generic", granule="4k", folio_orders="64K,2M", memory="1G", release="contpte-v3"),
        Choices(folio_orders="0", cpu="neoverse-n2"),
    ],
)
def test_there_and_back(tmp_path: Path, choices: Choices) -> None:
    """What was written is read as the same configuration."""
    file = tmp_path / "configuration.toml"
    wanted = configure(choices).configuration
    file.write_text(write(wanted))
    assert configure(Choices(**read(file))).configuration == wanted  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('arch = "arm64"\nrelase = "6.12"', 2, "unknown key 'relase'. Did you mean 'release'?"),
        ('release = "6.13"', 1, "unknown release '6.13'"),
        ('\n\ncpu = "neoverse-n9"', 3, "Did you mean 'neoverse-n"),
        ('seed = 1\nwith = ["mprotect_bach"]', 2, "Did you mean 'mprotect_batch'?"),
        ("release = 6.12", 1, "release is 6.12; it has to be text"),
        ("seed = -1", 1, "seed is -1"),
        ("with = [1]", 1, "with is [1]"),
        ('with = ["zap_batch"]\nrelease = "6.7"', 1, "zap_batch requires gather_pairs"),
        ('release = "7.3"\nwithout = ["batch_hint"]', 2, "mremap_batch requires batch_hint"),
        ("[with]\nx = 1", 1, "with is {'x': 1}"),
        ('memory = "1M"', 1, "between 16M and 4T"),
    ],
)
def test_refused_with_its_line(tmp_path: Path, text: str, line: int, message: str) -> None:
    """The line of the key, and what is wrong with it."""
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        read(file)
    assert str(caught.value).startswith(f"{file}:{line}: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("data", "message"), [(b"x = ", "not TOML"), (b"\xff", "not UTF-8"), (b"#" * 70000, "larger than 64 KiB")]
)
def test_no_configuration(tmp_path: Path, data: bytes, message: str) -> None:
    """Damaged and endless files are refused."""
    file = tmp_path / "bad.toml"
    file.write_bytes(data)
    with pytest.raises(InputError, match=message):
        read(file)


def test_both_directions_of_features_at_once(tmp_path: Path) -> None:
    """What one of the two lists alone would make impossible may be possible with the other."""
    file = tmp_path / "both.toml"
    file.write_text('with = ["fork_cont_batch"]\nwithout = ["fork_batch"]')
    assert configure(Choices(**read(file))).configuration.with_ == ("fork_cont_batch",)  # type: ignore[arg-type]
