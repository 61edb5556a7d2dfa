"""CPUs as they are spelled on a command line."""

from __future__ import annotations

import pytest

from core_mm.cpufeature import CpuFeatures, cpu_feature, cpu_number
from core_mm.descriptor import ArchDescriptor, Cpu, Geometry
from mmarch import cpus
from mmarch.errors import InputError
from mmarch.plugins import load_arch
from mmarch.runs.configure import Choices, configure

ARM64 = load_arch("arm64").descriptor


class cpu(CpuFeatures):
    """A table with everything that a table may have."""

    young: int = cpu_feature("hardware sets the young bit", source="manual")
    dirty: int = cpu_feature("hardware sets the dirty bit", source="manual", requires=("young",))
    cores: int = cpu_number("how many", source="manual", most=16)


TOY = ArchDescriptor(
    name="toy", modules=("nowhere",), granules={"4k": Geometry(page_shift=12, pte_bits=9, levels=4)},
    default_granule="4k",
    cpus={
        "old": Cpu(description="", features={}),
        "new": Cpu(description="", features={"young": 1, "cores": 4}),
        "renamed": Cpu(description="", features={"young": 1, "cores": 4}),
    },
    default_cpu="new", cpu_scalars=cpu,
)  # fmt: skip


@pytest.mark.parametrize(
    ("spelled", "name", "features"),
    [
        ("", "new", {"young": 1, "dirty": 0, "cores": 4}),
        ("old", "old", {"young": 0, "dirty": 0, "cores": 0}),
        ("new+dirty", "new+dirty", {"young": 1, "dirty": 1, "cores": 4}),
        ("new+cores=16+dirty", "new+dirty+cores=16", {"young": 1, "dirty": 1, "cores": 16}),
        ("new+young+nodirty+cores=4", "new", {"young": 1, "dirty": 0, "cores": 4}),
        ("new+noyoung", "new+noyoung", {"young": 0, "dirty": 0, "cores": 4}),
        ("old+dirty+young", "old+young+dirty", {"young": 1, "dirty": 1, "cores": 0}),
        ("new+dirty+dirty", "new+dirty", {"young": 1, "dirty": 1, "cores": 4}),
    ],
)
def test_one_name_for_what_was_spelled(spelled: str, name: str, features: dict[str, int]) -> None:
    """Features of the model are left out, the others come in the order of the table; the name spells the same CPU."""
    choice = cpus.choose(TOY, spelled)
    assert (choice.name, dict(choice.cpu.features)) == (name, features)
    assert cpus.choose(TOY, name) == choice


@pytest.mark.parametrize(
    ("spelled", "message"),
    [
        ("newer", "unknown cpu 'newer'. Did you mean 'new'? Known: old, new, renamed."),
        ("+dirty", "write a model before the first +, such as new+dirty"),
        ("new+", "unknown feature in cpu 'new+' of arch toy: ''."),
        (
            "new+dirt",
            "unknown feature in cpu 'new+dirt' of arch toy: 'dirt'. Did you mean 'dirty'? Known: young, dirty, cores; "
            "no before a name switches it off.",
        ),
        ("new+no_dirty", "'no_dirty'. Did you mean 'nodirty'?"),
        ("new+nono", "unknown feature in cpu 'new+nono'"),
        ("new+dirty+nodirty", "dirty is given twice, with different values"),
        ("new+cores=2+cores=3", "cores is given twice, with different values"),
        ("old+dirty", "dirty needs young; add +young, or +nodirty"),
        ("new+dirty+noyoung", "dirty needs young; add +young, or +nodirty"),
        ("new+dirty=1", "dirty takes no number; write +dirty or +nodirty"),
        ("new+cores", "write +cores=N, with N from 0 to 16"),
        ("new+nocores", "write +cores=N, with N from 0 to 16"),
        ("new+cores=17", "write +cores=N, with N from 0 to 16"),
        (f"new+cores={'9' * 5000}", "write +cores=N, with N from 0 to 16"),
        ("new+cores=-1", "write +cores=N, with N from 0 to 16"),
    ],
)
def test_what_cannot_be_is_refused(spelled: str, message: str) -> None:
    """With the list and the nearest name, or with the way to mend it."""
    with pytest.raises(InputError) as caught:
        cpus.choose(TOY, spelled)
    assert message in str(caught.value)


def test_features_of_another_architecture_are_refused_by_name() -> None:
    """generic has none, a toy others than arm64."""
    generic = load_arch("generic").descriptor
    with pytest.raises(
        InputError, match=r"cpu 'generic\+kpti': the CPUs of arch generic have no features to choose"
    ):
        cpus.choose(generic, "generic+kpti")
    with pytest.raises(InputError, match=r"unknown feature in cpu 'new\+kpti' of arch toy: 'kpti'"):
        cpus.choose(TOY, "new+kpti")


def test_covering_tries_each_feature_both_ways_and_no_cpu_twice() -> None:
    """Equal models once; what no model has, or all have, on the default one."""
    assert cpus.covering(TOY) == ["new", "old", "new+dirty"]
    tried = [cpus.find(ARM64, name).features for name in cpus.covering(ARM64)]
    assert len({tuple(features.items()) for features in tried}) == len(tried)
    for name in ARM64.cpu_features:
        assert {features[name] for features in tried} == {0, 1}


def test_a_capability_goes_with_its_feature() -> None:
    """Without contpte nothing is contiguous; without hardware dirty state the suite must not expect it."""
    assert "contiguous" in ARM64.capabilities_of(cpus.find(ARM64, "neoverse-n1"))
    assert "contiguous" not in ARM64.capabilities_of(cpus.find(ARM64, "neoverse-n1+nocontpte"))
    assert {"hw_afdbm", "bbm"} & ARM64.capabilities_of(cpus.find(ARM64, "cortex-a72")) == {"bbm"}


def test_the_configuration_holds_the_one_name() -> None:
    """However it was spelled."""
    setup = configure(Choices(cpu="neoverse-n2+norepeat_tlbi+kpti+ttl"))
    assert setup.configuration.cpu == "neoverse-n2+kpti+norepeat_tlbi"


def test_every_feature_says_what_it_is_and_how_it_is_found() -> None:
    """Of every architecture that is installed here."""
    for arch in ("arm64", "generic"):
        descriptor = load_arch(arch).descriptor
        assert all(feature.summary and feature.source for feature in descriptor.cpu_features.values())
        assert all(model.source for model in descriptor.cpus.values()) or arch == "generic"
