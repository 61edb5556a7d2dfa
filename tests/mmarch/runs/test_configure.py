"""Names on a command line become a configuration, or an error that suggests."""

from __future__ import annotations

import numpy as np
import pytest

from mmarch.cli.configurations import parse, parse_all
from mmarch.errors import InputError
from mmarch.plugins import load_arch
from mmarch.plugins.withhold import FORMAT, batch_hooks, expand, optional_hooks
from mmarch.runs.assemble import Request, assemble
from mmarch.runs.configure import Choices, configure
from mmarch.workload import Workload

EMPTY = Workload("nothing", np.zeros((0, 8), np.int64), np.zeros(0, np.int32))


def test_defaults() -> None:
    """arm64 as of 6.12 with 64 KiB folios."""
    chosen = configure(Choices()).configuration
    assert (chosen.arch, chosen.release, chosen.granule, chosen.folio_orders) == ("arm64", "6.12", "4k", (4,))
    assert chosen.memory == 16 << 30


@pytest.mark.parametrize(("granule", "orders"), [("4k", (4,)), ("16K", (2,)), ("64k", ())])
def test_default_folios_are_64k_on_every_granule(granule: str, orders: tuple[int, ...]) -> None:
    """One 64 KiB page is no large folio."""
    assert configure(Choices(granule=granule)).configuration.folio_orders == orders


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arch": "arm46"}, "Did you mean 'arm64'?"),
        ({"release": "6.2"}, "Did you mean '6.12'?"),
        ({"cpu": "neoverse"}, "Did you mean 'neoverse-"),
        ({"granule": "8k"}, "Known: 4k, 16k, 64k"),
        ({"without": ("clear_pte",)}, "Did you mean 'clear_ptes'?"),
        ({"without": ("zap_bach",)}, "Did you mean 'zap_batch'?"),
        ({"with_": ("mprotect_bach",)}, "Did you mean 'mprotect_batch'?"),
        ({"with_": ("zap_batch",), "release": "6.7"}, "zap_batch requires gather_pairs"),
        ({"without": ("set_ptes",)}, "arm64 requires hook 'set_ptes': entries of a folded block"),
        ({"without": ("pte_young",)}, "format of entries"),
        ({"without": ("flush_tlb_mm",)}, "Linux has no default"),
        ({"memory": "1M"}, "between 16M and 4T"),
    ],
)
def test_bad_names(change: dict[str, str], message: str) -> None:
    """The message says what would be right."""
    with pytest.raises(InputError) as caught:
        configure(Choices(**change))  # type: ignore[arg-type]
    assert message in str(caught.value)
    assert caught.value.exit_code == 2


def test_withholding_clear_ptes_withholds_both() -> None:
    """The same on every release: the hook with a result and the one without; also by its name since 6.9."""
    arm64 = load_arch("arm64")
    both = {"clear_ptes", "clear_full_ptes"}
    assert expand(arm64, ["clear_ptes"]) == both
    assert expand(arm64, ["get_and_clear_full_ptes"]) == both
    assert expand(arm64, ["clear_full_ptes"]) == {"clear_full_ptes"}
    assert expand(arm64, ["modify_prot_commit_ptes"]) == {"modify_prot_start_ptes", "modify_prot_commit_ptes"}


def test_the_patch_is_four_hooks() -> None:
    """Withholding exactly these is 6.12 with generic batches."""
    arm64 = load_arch("arm64")
    patch = ["pte_batch_hint", "clear_ptes", "clear_full_ptes", "wrprotect_ptes"]
    assert set(patch) <= set(batch_hooks(arm64))
    assert expand(arm64, patch) == set(patch)


def test_generic_withholds_nothing() -> None:
    """It is what others fall back to."""
    assert optional_hooks(load_arch("generic")) == ()


def test_optional_hooks_are_overridden_and_replaceable() -> None:
    """Neither required, nor part of the format, nor generic's anyway."""
    arm64 = load_arch("arm64")
    optional = set(optional_hooks(arm64))
    assert optional <= set(arm64.hooks)
    assert not optional & set(arm64.descriptor.required)
    assert not optional & FORMAT


def test_configurations_start_from_the_options() -> None:
    """A key that is left out is not there, and so as in the options; values of one key are joined with +."""
    text = "arch=generic,folio-orders=4+9,without=wrprotect_ptes+pte_batch_hint"
    assert parse(text) == {
        "arch": "generic", "folio_orders": "4+9", "without": ["wrprotect_ptes", "pte_batch_hint"]
    }  # fmt: skip
    spelled = "neoverse-n2+kpti+norepeat_tlbi"
    assert parse(f"cpu={spelled},release=7.3") == {"cpu": spelled, "release": "7.3"}
    assert parse("arch=x86,cpu=zen3+cpus=16") == {"arch": "x86", "cpu": "zen3+cpus=16"}


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["release=6.12"], "got 1"),
        (["name=x,release=6.12", "name=x"], "another configuration is called 'x'"),
        (["kernel=debian:7.3.4,release=6.12", ""], "release cannot be chosen of a real kernel"),
        (["relase=1", ""], "Did you mean 'release'?"),
        (["release=", ""], "has no value"),
        (["release", ""], "has no value"),
        (["cpu=a,cpu=b", ""], "given twice"),
    ],
)
def test_bad_configurations(texts: list[str], message: str) -> None:
    """Key and text are named."""
    with pytest.raises(InputError) as caught:
        parse_all(texts)
    assert message in str(caught.value)


def test_any_number_of_configurations() -> None:
    """Those without a name are letters, as the columns of a spreadsheet; a name takes its letter's place."""
    named = parse_all([""] * 3 + ["name=mine"] + [""] * 25)
    assert list(named)[:5] == ["A", "B", "C", "mine", "E"]
    assert list(named)[25:] == ["Z", "AA", "AB", "AC"]


def test_features_of_one_configuration() -> None:
    """`with` and `without` take features; what makes no difference is left out."""
    chosen = parse("release=6.12,with=mprotect_batch+zap_batch,without=fork_batch+clear_ptes+young_batch")
    chosen |= {name: tuple(chosen[name]) for name in ("with_", "without")}
    setup = configure(Choices(**chosen))
    assert setup.configuration.with_ == ("mprotect_batch",)
    assert setup.configuration.without == ("clear_full_ptes", "clear_ptes", "fork_batch")
    assert setup.features == {
        "zap_batch",
        "gather_pairs",
        "batch_hint",
        "split_to_zeropage",
        "madvise_free_batch",
        "mprotect_batch",
        "contpte_flags_of_each",
        "pte_mkwrite_keeps_clean",
    }


def test_a_setup_with_just_these_features() -> None:
    """From the features back to a configuration; withheld hooks stay withheld."""
    setup = configure(Choices(without=("clear_ptes",)))
    other = setup.having((setup.features - {"fork_batch"}) | {"young_batch"})
    assert other.configuration.with_ == ("young_batch",)
    assert other.configuration.without == ("clear_full_ptes", "clear_ptes", "fork_batch")
    assert other.having(setup.features).configuration == setup.configuration


def test_features_reach_the_machine() -> None:
    """Its memory holds one where the configuration has a feature, zero elsewhere."""
    setup = configure(Choices(release="7.3", with_=("contpte_elide_bbml2",), without=("mremap_batch",)))
    memory = assemble(setup, EMPTY, Request(), lambda _: None).memory
    for table in ("feature", "arch_feature"):
        for name in memory.layout.scalars[table].names:
            assert memory.get(table, name) == (name in setup.features)
