"""The driver: a perfect twin is equal everywhere, and one wrong instruction is found."""

import gzip
import io
import json
from dataclasses import replace
from functools import cache

import pytest
from rich.console import Console

from mmarch.cli import main
from mmarch.errors import InputError, InternalError, PluginError
from mmarch.measurement import Phase, load
from mmarch.measurement.notation import Frame, Leaf, Observed, Tlbi, expanded
from mmarch.report.printed import ValidateDocument
from mmarch.truth import exempt
from mmarch.truth.compare_steps import compare_phase
from mmarch.truth.validate import DIFFERENT, EQUAL, EXEMPT, bundled, find_scenario, validate
from mmarch.truth.validate_table import show

BUNDLE = bundled()
SMALL = next(path for path in BUNDLE.measurements if path.name.startswith("7.3.4-cloud.neoverse-n2"))
BASE = 0x240000000  # where a replayed scenario's first flush lies; PMD-aligned for every page size
_BITS = {"CONT": 52, "AF": 10, "RO": 7, "DBM": 51, "swdirty": 55, "nG": 11, "special": 56, "UXN": 54}


@cache
def descriptor(words):
    """A descriptor that reads as `words`."""
    if words == "none":
        return 0
    if words == "swap" or words == "swap/other":
        return 0x1234 << 12 | 1 << 2
    found = 0 if words.startswith("PROT_NONE") else 1 | 1 << 6
    found |= 1 << 11 if words.startswith("PROT_NONE") else 0
    for word in words.split():
        found |= 1 << _BITS[word] if word in _BITS else 0
    return found & ~(1 << 6) if "noEL0" in words else found


def leaves(dump, page_size):
    """Entries with the dump's runs and, beyond them, its totals."""
    shift = page_size.bit_length() - 4
    found, page = [], 0
    rest = dict(dump.summary)
    for _, level, count, words in dump.runs:
        key = f"{level} {'swap/other' if words.startswith(('swap', 'PROT_NONE')) else words}"
        rest[key] -= count
        entry, size = (int(level[1]), descriptor(words)), 1 << shift * (3 - int(level[1]))
        found += [Leaf(at, *entry) for at in range(page, page + count * size, size)]
        page += count * size
    for key, count in rest.items():
        level, words = key.split(" ", 1)
        found += [Leaf(page, int(level[1]), descriptor(words))] * count
    return found


def tlbis(phase, page_size, regions):
    """Raw instructions: those listed, and as many more as the totals say."""
    found = []
    for op, page, pages, ttl, _, _ in expanded(phase.tlbi):
        name, _, region = op.partition(" ")
        start = regions[region] if region else BASE
        found.append(Tlbi(name) if page is None else Tlbi(name, start + page * page_size, pages, ttl))
    for op, total in phase.tlbi_region.items():
        have = sum(1 for t in found if t.op == op)
        found += [Tlbi(op, BASE + (1 << 30), 1, 0)] * (total - have)
    asid = sum(1 for t in found if t.va is None)
    return found + [Tlbi("aside1is")] * (phase.aside1is - asid)


class Replay:
    """A perfect twin. Implements `mmarch.truth.validate.Runner` from measurement files of one kernel and CPU."""

    def __init__(self, path):
        self.measurement = load(path)
        self.queue = list(self.measurement.steps)

    def run(self, workload, release, cpu, page_size, order):
        """The measured steps, in the order in which they were measured."""
        meta = self.measurement.meta
        assert (release, cpu, page_size) == (self.measurement.release, meta.cpu, meta.page_size)
        dumped = {
            d.label.rsplit(".", 1)[-1]: d.addr for s in workload.steps for d in s.dumps if "." in d.label
        }
        regions = {region.name: region.addr for region in workload.regions} | dumped
        return [self._step(step, page_size, regions) for step in workload.steps]

    def _step(self, step, page_size, regions):
        seen = Observed()
        if step.label and self._next(step.label):
            phase = self.queue.pop(0)
            assert isinstance(phase, Phase)
            calls = {**phase.calls, "contpte_convert": phase.convert}
            seen = Observed(tlbis(phase, page_size, regions), phase.dsb_tlb, calls, failed=phase.failed)
        dumps = [leaves(self.queue.pop(0), page_size) for dump in step.dumps if self._next(dump.label)]
        return replace(seen, dumps=dumps)

    def _next(self, label):
        return bool(self.queue) and self.queue[0].phase == label


@pytest.mark.parametrize("path", BUNDLE.measurements, ids=lambda p: p.name)
def test_a_twin_that_repeats_the_measurement_is_equal(path):
    """Decoding and encoding lose nothing, and every step finds its place."""
    perfect = Replay(path)
    report = validate([path], BUNDLE.scenarios, perfect)
    assert report.count(DIFFERENT) == 0
    assert report.count(EQUAL) == len(perfect.measurement.steps)


class Wrong(Replay):
    """Repeats the measurement but for one step's first TLBI."""

    def __init__(self, path, label):
        super().__init__(path)
        self.label = label

    def _step(self, step, page_size, regions):
        seen = super()._step(step, page_size, regions)
        if step.label == self.label:
            return Observed(
                [Tlbi("vale1is", t.va, 1, 0) for t in seen.tlbi], seen.dsb, seen.calls, seen.dumps
            )
        return seen


def wrong(exemptions=(), evidence=()):
    """A report with wrong steps, at each order, in one scenario."""
    return validate([SMALL], BUNDLE.scenarios, Wrong(SMALL, "shared_munmap2"), exemptions, evidence)


def test_a_wrong_instruction_is_one_different_step():
    """Only the steps with that label differ, in their TLBI list."""
    report = wrong()
    bad = [result for row in report.rows for result in row.results if result.verdict == DIFFERENT]
    assert {result.step.phase for result in bad} == {"shared_munmap2"}
    assert {found.field for result in bad for found in result.differences} == {"tlbi"}
    assert report.count(EQUAL) == len(load(SMALL).steps) - len(bad)


def entry(**fields):
    """An exemption of one of the wrong steps."""
    place = {"cpu": "neoverse-n2", "scenario": "tmpfs", "order": 0, "kind": "tmpfs", "step": "shared_munmap2"}
    return exempt.Exemption(kernel="7.3.4+deb13-cloud-arm64", reason="why", **place, **fields)


def test_exemptions_need_a_task_or_a_measurement_that_disagrees():
    """Without evidence an exempt step counts as different."""
    bad = wrong().count(DIFFERENT)
    assert wrong([entry()]).count(DIFFERENT) == bad
    assert wrong([entry(disagrees="neoverse-n9")]).count(DIFFERENT) == bad
    other = next(path for path in BUNDLE.measurements if path.name.startswith("7.3.4-cloud.neoverse-n1"))
    assert wrong([entry(disagrees="neoverse-n1")], [other]).count(DIFFERENT) == bad  # it agrees
    place = {"scenario": "fork", "kind": "anon", "step": "cow_all", "order": 4}
    step = entry(disagrees="neoverse-n1").model_copy(update=place)
    cow = validate([SMALL], BUNDLE.scenarios, Wrong(SMALL, "cow_all"), [step], [other])
    assert cow.count(EXEMPT) == 1
    named = wrong([entry(task="kswapd")])
    assert (named.count(DIFFERENT), named.count(EXEMPT)) == (bad - 1, 1)


def test_exemptions_of_equal_steps_are_reported():
    """An exemption that nothing needs is said to be unused."""
    report = validate([SMALL], BUNDLE.scenarios, Replay(SMALL), [entry(task="kswapd")])
    assert report.count(EXEMPT) == 0 and [e.step for e in report.unused] == ["shared_munmap2"]


def test_the_bundled_exemptions_hold_and_name_measured_steps():
    """Each has evidence in the bundled measurements."""
    measurements = [load(path) for path in BUNDLE.measurements]
    exemptions = exempt.load(BUNDLE.exemptions)
    places = exempt.by_place(exemptions)
    assert len(places) == len(exemptions)
    steps = {e: [] for e in exemptions}
    for measurement in measurements:
        for step in measurement.steps:
            if e := exempt.find(places, measurement, step):
                steps[e].append(step)
    for e, own in steps.items():
        assert own and all(exempt.holds(e, step, measurements) for step in own), e


def test_bad_exemption_files_are_refused(tmp_path):
    """The message names file and field."""
    path = tmp_path / "e.toml"
    for text, message in (("[[exempt]]\ncpu = 1\n", "exempt.0"), ("[[", "not TOML"), ("x = 1", "x")):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            exempt.load(path)


def test_the_table_and_the_differences_are_readable():
    """Rows by release, CPU and scenario; exempt steps with their reason; steps side by side."""
    out = io.StringIO()
    show(wrong([entry(task="kswapd")]), Console(file=out, width=140), diff=True)
    lines = out.getvalue().splitlines()
    row = next(line for line in lines if line.split()[3:4] == ["tmpfs"])
    assert row.split()[:4] == ["7.3", "neoverse-n2", "4K", "tmpfs"]
    assert any(
        line == "exempt: 7.3 neoverse-n2 4K tmpfs order 0 tmpfs: shared_munmap2: why" for line in lines
    )
    assert any("rvale1is page 0, covers 512, ttl 3" in line and "vale1is page 0" in line for line in lines)
    assert next(line for line in lines if line.startswith("total")).split()[1:3] == ["989", "983"]


def test_json_has_a_schema_and_the_differences():
    """What the table says, for machines."""
    data = json.loads(ValidateDocument.of(wrong()).text())
    assert data["schema"] == "mmarch.validate/1"
    assert data["totals"]["equal"] + data["totals"]["different"] == 989
    differing = [step for row in data["rows"] for step in row["not_equal"]]
    assert differing[0]["differences"][0].keys() == {"field", "measured", "twin"}


def test_unknown_scenarios_are_an_input_error():
    """The message names the scenario, where it was measured and what to do."""
    with pytest.raises(InputError, match="name its file with --scenarios"):
        find_scenario([], "nope", 0, "anon", load(SMALL))


def test_a_failing_twin_is_different_everywhere():
    """Its message becomes the difference; the other scenarios go on."""

    class Broken:
        def run(self, workload, release, cpu, page_size, order):
            raise InternalError("no such operation")

    report = validate([SMALL], BUNDLE.scenarios, Broken())
    assert report.count(DIFFERENT) == len(load(SMALL).steps)
    assert report.rows[0].results[0].differences[0].twin == "no such operation"


def test_a_twin_that_does_not_end_is_asked_once():
    """The next scenario would hang as long: the first one is named, with the CPU and the release."""
    asked = []

    class Endless:
        def run(self, workload, release, cpu, page_size, order):
            asked.append(workload.name)
            raise PluginError("MM024", "it does not come to an end")

    with pytest.raises(
        PluginError, match=r"MM024: scenario \w+, order 0, cpu neoverse-n2, Linux 7.3: it does not"
    ):
        validate([SMALL], BUNDLE.scenarios, Endless())
    assert len(asked) == 1


def test_a_step_that_fails_has_to_fail_alike():
    """A signal that only one of the two gets is a difference, and so is another one."""
    where = {
        "scenario": "s",
        "order": 0,
        "kind": "anon",
        "phase": "p",
        "type": "phase",
        "tlbi": [],
        "tlbi_listed": True,
    }
    counts = {"tlbi_region": {}, "aside1is": 0, "convert": 0, "dsb_tlb": {}, "calls": {}}
    phase = Phase.model_validate({**where, **counts, "failed": "SIGBUS"})
    for failed in ("", "SIGSEGV"):
        assert compare_phase(phase, Observed(failed=failed), Frame(4096))[0].measured == "SIGBUS"
    assert compare_phase(phase, Observed(failed="SIGBUS"), Frame(4096)) == []


def test_regions_lie_where_the_recording_program_put_them():
    """Scenarios of one order follow each other: a region that was alone in its GiB is alone in ours."""
    path = next(path for path in BUNDLE.measurements if path.parent.name == "random")
    starts = {}

    class Look(Replay):
        def run(self, workload, release, cpu, page_size, order):
            for step in workload.steps:
                for dump in step.dumps:
                    starts[workload.name, dump.label] = dump.addr
            return super().run(workload, release, cpu, page_size, order)

    validate([path], BUNDLE.scenarios, Look(path))
    for step in load(path).steps:
        if step.type == "ptes" and step.runs and step.runs[0][1] == "L1":
            others = [addr for (name, _), addr in starts.items() if name == step.scenario]
            alone = starts[step.scenario, step.phase] >> 30
            assert any(addr >> 30 != alone for addr in others)


def test_measured_with_other_parameters(tmp_path, capsys):
    """A measurement of 3 pages is of another scenario than the file's 4, unless --set says so."""
    measured = json.loads(gzip.decompress(SMALL.read_bytes()))
    measured["steps"] = [s for s in measured["steps"] if (s["scenario"], s["order"]) == ("munmap_partial", 0)]
    (tmp_path / "measured.json").write_text(json.dumps(measured))
    text = next(path for path in BUNDLE.scenarios if path.name == "munmap_partial.scn").read_text()
    (tmp_path / "own.scn").write_text(
        text.replace("A 3..", "A n..").replace("orders any", "orders any\nparam n = 4")
    )
    files = ["--measured", str(tmp_path / "measured.json"), "--scenarios", str(tmp_path / "own.scn")]
    assert main(["validate", "-q", *files]) == 1
    assert main(["validate", "-q", *files, "--set", "n=3"]) == 0
    capsys.readouterr()
    assert main(["validate", "-q", *files, "--set", "m=3"]) == 2
    assert "--set m=3: unknown parameter 'm'. Known: n." in capsys.readouterr().err
