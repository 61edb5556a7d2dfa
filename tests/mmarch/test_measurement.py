"""Measurement files: reading, checking, and that the scenarios produce every label in them."""

import gzip
import json
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from core_mm.releases import RELEASES
from mmarch.errors import InputError
from mmarch.measurement import Phase, load
from mmarch.measurement.notation import coded, expanded, page_counts, summary
from mmarch.scenario import load as load_scenarios
from mmarch.scenario import lower
from mmarch.truth.validate import bundled, find_scenario

BUNDLE = bundled()
DOCUMENTS = [load_scenarios(path) for path in BUNDLE.scenarios]
STEP = {"scenario": "a", "order": 0, "kind": "anon", "phase": "p", "type": "phase", "tlbi": [], "tlbi_listed": True,
        "tlbi_region": {}, "aside1is": 0, "convert": 0, "dsb_tlb": {}, "calls": {}}  # fmt: skip
META = {"kernel": "6.12.107+deb", "cpu": "x", "smp": 1, "page_size": 4096}
read = cache(load)  # of those that are bundled, which several tests look at


@cache
def lowered(path, name, order, kind):
    """The scenario of a group of a measurement's steps."""
    measurement = read(path)
    scenario = find_scenario(DOCUMENTS, name, order, kind, measurement)
    return lower(scenario, measurement.meta.page_size, order, kind)


def test_the_bundle_holds_every_measurement():
    """Seven of the written scenarios, three again in part, four random; other CPUs, orders, releases, machines."""
    folders = Counter(path.parent.name for path in BUNDLE.measurements)
    measured = Path(__file__).parents[1] / "measured"
    names = ("files", "more", "releases", "kpti", "lpa2", "smp")
    others = {name: len(list((measured / name).glob("*.json.gz"))) for name in names}
    assert folders == {"measured": 7, "again": 3, "random": 4, **others}
    compared = {name for name, release in RELEASES.items() if release.measured}
    assert {read(path).release for path in BUNDLE.measurements} == compared


@pytest.mark.parametrize("path", BUNDLE.measurements, ids=lambda p: p.name)
def test_every_measured_label_comes_from_a_scenario_in_the_same_order(path):
    """The lowered scenarios have each measured phase and dump, in the measured order."""
    for (name, order, kind), steps in read(path).groups():
        made = lowered(path, name, order, kind)
        ours = iter(
            label
            for step, info in zip(made.workload.steps, made.infos, strict=True)
            if info.part == name
            for label in [("phase", step.label)] * bool(step.label) + [("ptes", d.label) for d in step.dumps]
        )
        for step in steps:
            assert (step.type, step.phase) in ours, (name, order, kind, step.phase)


@pytest.mark.parametrize("path", BUNDLE.measurements, ids=lambda p: p.name)
def test_measured_dumps_have_the_length_that_is_dumped(path):
    """The number of pages of each dump is that of the scenario's dump."""
    size = read(path).meta.page_size
    for (name, order, kind), steps in read(path).groups():
        made = lowered(path, name, order, kind)
        lengths = {d.label: d.length // size for s in made.workload.steps for d in s.dumps}
        for step in steps:
            if step.type == "ptes":
                assert lengths[step.phase] == step.pages, (name, step.phase)


@pytest.mark.parametrize("path", BUNDLE.measurements, ids=lambda p: p.name)
def test_the_rules_of_the_notation_reproduce_the_files(path):
    """Run-length coding, totals and page counts, applied to what the files list, give what they say."""
    measurement = read(path)
    for step in measurement.steps:
        if isinstance(step, Phase):
            assert coded(expanded(step.tlbi)) == step.tlbi
            if step.tlbi_listed:
                listed = [t[0].split()[0] for t in expanded(step.tlbi) if t[1] is not None]
                assert {op: listed.count(op) for op in set(listed)} == step.tlbi_region
        elif step.runs_complete:
            assert summary(step.runs) == step.summary
            assert page_counts(step.runs, measurement.meta.page_size) == (step.valid_pages, step.cont_pages)


def written(tmp_path, content, packed=True):
    """A file with that content."""
    path = tmp_path / "m.json.gz"
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    path.write_bytes(gzip.compress(data) if packed else data)
    return path


def test_plain_and_gzipped_files_are_read(tmp_path):
    """The content decides, not the name."""
    content = {"meta": META, "steps": [STEP]}
    assert load(written(tmp_path, content)).steps == load(written(tmp_path, content, packed=False)).steps


@pytest.mark.parametrize(
    ("content", "message"),
    [({"meta": META}, "steps: Field required"),
     ({"meta": {**META, "page_size": 5}, "steps": []}, "meta.page_size"),
     ({"meta": META, "steps": [{**STEP, "type": "x"}]}, "steps.0"),
     ({"meta": META, "steps": [{**STEP, "convert": -1}]}, "steps.0.phase.convert"),
     ({"meta": META, "steps": [{**STEP, "tlbi": [["vale1is", "0", 1, 0, 1, 0]]}]}, "steps.0.phase.tlbi.0.1"),
     (b"[1, 2", "Invalid JSON")],
)  # fmt: skip
def test_bad_files_are_refused_with_the_place(tmp_path, content, message):
    """The message names the file and the field."""
    path = written(tmp_path, content)
    with pytest.raises(InputError) as caught:
        load(path)
    assert str(path) in str(caught.value) and message in str(caught.value)


def test_a_kernel_without_a_release_is_refused(tmp_path):
    """Release names start with two numbers."""
    measurement = load(written(tmp_path, {"meta": {**META, "kernel": "next"}, "steps": []}))
    with pytest.raises(InputError, match=r"meta\.kernel is 'next'"):
        assert measurement.release


def test_damaged_and_exploding_archives_are_refused(tmp_path):
    """A cut archive, and one that unpacks to more than the limit."""
    cut = written(tmp_path, {"meta": META, "steps": [STEP]})
    cut.write_bytes(cut.read_bytes()[:-12])
    with pytest.raises(InputError, match="damaged gzip file"):
        load(cut)
    bomb = tmp_path / "bomb.json.gz"
    with gzip.open(bomb, "wb", compresslevel=1) as stream:
        for _ in range(257):
            stream.write(b" " * (1 << 20))
    with pytest.raises(InputError, match="larger than 256 MiB"):
        load(bomb)
    with pytest.raises(InputError, match="cannot read"):
        load(Path(tmp_path / "none"))
