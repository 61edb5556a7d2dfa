"""Files of results: read back whole, or refused with what is wrong."""

from __future__ import annotations

import json
import re

import pytest

from mmarch import api
from mmarch.runs import stored

SMALL = "scenario small:\n    map A 32\n    write A\n    unmap A\n"


@pytest.fixture(scope="module")
def result():
    """Of a few pages."""
    return api.run(
        api.open_workload(__import__("mmarch").Scenario(name="small").map("A", 32).write("A").unmap("A"))
    )


@pytest.fixture
def written(tmp_path, result):
    """Its JSON in a file."""
    path = tmp_path / "r.json"
    path.write_bytes(api.render(result, "json"))
    return path


def test_every_kind_comes_back(tmp_path, result):
    """A result, several, a comparison, both ablations: the same model as was written."""
    scenario = __import__("mmarch").Scenario(name="small").map("A", 32).write("A").unmap("A")
    both = api.compare(scenario, [{}, {"release": "7.3"}])
    answers = [both, api.ablate(scenario), api.between("6.12", "7.3", scenario)]
    for answer in answers:
        path = tmp_path / "a.json"
        path.write_bytes(api.render(answer, "json"))
        (found,) = stored.load(path)
        assert found.model_dump_json() == answer.model_dump_json()
    path.write_bytes(api.render([result, result], "json"))
    assert [r.model_dump() for r in stored.load(path)] == [result.model_dump()] * 2


def test_what_an_engine_does_not_show_stays_unseen(written, result):
    """A null is neither 0 nor an error."""
    document = json.loads(written.read_text())
    document["totals"]["gather_page"] = None
    written.write_text(json.dumps(document))
    assert stored.load(written)[0].unseen == ("gather_page",)


DAMAGE = {
    "cut": (lambda text: text[: len(text) // 2], "damaged JSON"),
    "newer": (lambda text: text.replace("mmarch.result/1", "mmarch.result/2"), "newer than this mmarch"),
    "other": (lambda text: text.replace("mmarch.result/1", "acme.thing/1"), "no result that a report shows"),
    "field": (lambda text: text.replace('"page_size"', '"page_sighs"'), "page_sighs"),
    "type": (lambda text: text.replace('"operations":', '"operations": [], "x":', 1), "operations"),
    "list": (lambda text: "[1, 2]", "no schema"),
    "deep": (lambda text: "[" * 100_000, "damaged JSON"),
    "huge": (lambda text: text.replace('"seed": 0', f'"seed": {10**400}'), "beyond 2^53"),
    "order": (
        lambda text: re.sub(r'"folio_orders": \[[^]]*\]', '"folio_orders": [10000000]', text),
        "folio_orders",
    ),
    "release": (lambda text: re.sub(r'"release": "[^"]*"', '"release": ""', text), "release ''"),
    "minus": (lambda text: text.replace('"op": ', '"op": -'), "below 0"),
    "none": (lambda text: '{"schema":"mmarch.compare/1","names":["a"],"results":[]}', "0 results of 1"),
    "empty list": (lambda text: "[]", "1 to 4 runs"),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_damage_is_told(how, written, mmarch):
    """Exit 2, one line that names the file, no page."""
    damage, expected = DAMAGE[how]
    written.write_text(damage(written.read_text()))
    page = written.with_suffix(".html")
    ran = mmarch("report", written, "-o", page)
    assert ran.code == 2 and expected in ran.err and ran.err.count("\n") == 1
    assert how == "empty list" or str(written) in ran.err
    assert not page.exists()


def test_a_file_too_large_is_not_read(written, mmarch, monkeypatch):
    """There is a limit, and it is said."""
    monkeypatch.setattr(stored, "LARGEST", 1 << 10)
    ran = mmarch("report", written, "-o", written.with_suffix(".html"))
    assert ran.code == 2 and "no result is that large" in ran.err
