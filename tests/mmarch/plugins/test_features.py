"""Features that architectures declare, and ones that are declared badly."""

from __future__ import annotations

import re

import pytest

from arches.arm64 import arch as arm64
from core_mm.features import feature as core
from mmarch.errors import InputError, PluginError
from mmarch.plugins import load_arch
from mmarch.plugins.features import added, present, table, with_dependants, with_requirements
from tests.support.plugins import Plugins, line_of

PRELUDE = """
    from core_mm.feature import Features, behaviour
    class arch_feature(Features):
        {body}
    arch = descriptor(features=arch_feature)
"""


def refused(plugins: Plugins, code: str, body: str) -> str:
    """The message with which a plugin is refused; it names the line that is marked."""
    path = plugins.install(body)
    with pytest.raises(PluginError) as caught:
        load_arch("toy")
    assert caught.value.code == code
    message = str(caught.value)
    for place in re.findall(r"#AT (\w+)", body):
        assert f"{path}:{line_of(path, '#AT ' + place)}" in message
    return message


def test_a_table_loads(plugins: Plugins) -> None:
    """Its features join those of core-mm."""
    body = 'lazy_sync: int = behaviour("waits later", since="7.1", source="posted", requires=("zap_batch",))'
    plugins.install(PRELUDE.format(body=body))
    known = table(load_arch("toy").descriptor)
    assert known["lazy_sync"].summary == "waits later"
    assert {*core.table, "lazy_sync"} == set(known)
    assert "lazy_sync" in present(known, "7.2", frozenset(), frozenset())
    assert "lazy_sync" not in present(known, "6.12", frozenset(), frozenset())


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ('clear_ptes: int = behaviour("x", since="7.0", source="x")', "bears the name of a hook"),
        ('zap_batch: int = behaviour("x", since="7.0", source="x")', "bears the name of one of core-mm's"),
        ('a: int = behaviour("x", since="7.x", source="x")', "release '7.x', which is neither a number"),
        ('a: int = behaviour("x", since="7.0", until="8", source="x")', "release '8'"),
        (
            'a: int = behaviour("x", since="7.0", source="x", requires=("zap_bach",))',
            "Did you mean 'zap_batch'?",
        ),
        ('a: int = behaviour("x", since="7.0", source="x", excludes=("clear_ptes",))', "which is no feature"),
    ],
)
def test_mm013_declared_badly(plugins: Plugins, body: str, shown: str) -> None:
    """The feature is named, and what is wrong with it."""
    assert shown in refused(plugins, "MM013", PRELUDE.format(body=body))


def test_mm013_class_in_the_way(plugins: Plugins) -> None:
    """A class called as core-mm's would take its place in memory."""
    body = """
        from core_mm.feature import Features
        class feature(Features):
            pass
        arch = descriptor(features=feature)
    """
    assert "cannot be called 'feature'; call it 'arch_feature'" in refused(plugins, "MM013", body)


def test_mm013_class_of_another_package(plugins: Plugins) -> None:
    """Memory is laid out for the plugin's own modules."""
    body = """
        from arches.arm64.features import arch_feature
        arch = descriptor(features=arch_feature)
    """
    assert "declared in arches.arm64.features" in refused(plugins, "MM013", body)


@pytest.mark.parametrize("read", ["cfg.release", "mm_types.cfg.release"])
def test_mm012_release_numbers(plugins: Plugins, read: str) -> None:
    """Whoever reads the number of a release is told what to write instead."""
    body = f"""
        from core_mm import mm_types
        from core_mm.mm_types import cfg
        @hookimpl
        def arch_has_hw_pte_young() -> int:
            return {read} >= 700  #AT release
        arch = descriptor()
    """
    message = refused(plugins, "MM012", body)
    assert 'NAME: int = behaviour("what it does", since="7.0"' in message


def test_mm012_values_that_moved(plugins: Plugins) -> None:
    """A behaviour that used to be a value of cfg: where it is now."""
    body = """
        from core_mm.mm_types import cfg
        @hookimpl
        def arch_has_hw_pte_young() -> int:
            return cfg.zap_batch  #AT moved
        arch = descriptor()
    """
    assert "read feature.zap_batch" in refused(plugins, "MM012", body)


def test_a_value_of_their_own_may_be_called_release(plugins: Plugins) -> None:
    """Only core-mm's configuration is meant."""
    plugins.install("""
        class own:
            release = 3
        @hookimpl
        def arch_has_hw_pte_young() -> int:
            return own.release
        arch = descriptor()
    """)
    assert load_arch("toy").descriptor.name == "toy"


@pytest.mark.parametrize(
    ("release", "with_", "without", "message"),
    [
        ("6.7", {"zap_batch"}, set(), "requires gather_pairs, which Linux 6.7 lacks; add --with gather_pairs"),
        ("7.3", set(), {"batch_hint"}, "mremap_batch requires batch_hint; add --without mremap_batch"),
        ("6.12", {"fork_cont_batch"}, set(), "excludes fork_batch, which Linux 6.12 has; add --without fork_batch"),
        ("contpte-v3", {"zap_batch", "gather_pairs"}, set(), "excludes tlb_get_guaranteed_space, which contpte-v3 has"),
        (
            "6.7", {"tlb_reserve_space", "tlb_get_guaranteed_space"}, set(),
            "tlb_get_guaranteed_space excludes tlb_reserve_space; give one of them",
        ),
        ("6.7", {"zap_batch"}, {"zap_batch"}, "zap_batch is both with and without"),
    ],
)  # fmt: skip
def test_impossible_combinations(release: str, with_: set[str], without: set[str], message: str) -> None:
    """Both are named, and what to add."""
    with pytest.raises(InputError) as caught:
        present(table(arm64), release, frozenset(with_), frozenset(without))
    assert message in str(caught.value)


def test_possible_combinations() -> None:
    """What requires and what is required, switched together."""
    known = table(arm64)
    both = frozenset({"zap_batch", "gather_pairs"})
    assert present(known, "6.7", both, frozenset()) == both
    with pytest.raises(InputError, match="zap_batch requires gather_pairs; add --without zap_batch"):
        present(known, "6.12", frozenset(), frozenset({"gather_pairs"}))
    assert not present(known, "6.12", frozenset(), both) & both


@pytest.mark.parametrize(
    ("name", "message"),
    [("mprotect_bach", "Did you mean 'mprotect_batch'"), ("clear_ptes", "--with is for features")],
)
def test_names_to_add(name: str, message: str) -> None:
    """Near misses are suggested; a hook needs no adding."""
    with pytest.raises(InputError, match=message):
        added(table(arm64), [name])


def test_what_hangs_together() -> None:
    """Through others too: files are unmapped in batches as lazily freed folios are, which needs ranges."""
    known = table(arm64)
    three = {"file_unmap_batch", "lazyfree_unmap_batch", "tlbbatch_ranges"}
    assert with_requirements(known, "file_unmap_batch") == three
    assert with_dependants(known, "tlbbatch_ranges") == three
