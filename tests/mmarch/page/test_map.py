"""The page-table map in a browser, against the history that it was made from."""

from __future__ import annotations

import json

import pytest

import mmarch
from mmarch import api
from mmarch.page.cells import BROKEN, DIRTY, FOLDED, HUGE, SINGLE, SWAP, WRITE, YOUNG
from tests.mmarch.page.conftest import ROOT

CELLS = """
    const side = SIDES[0], bits = side.past.geometry.bits, found = {};
    for (const { level, page, slot } of side.tables)
        for (let index = 0; index < 1 << bits; index++) {
            const value = side.replay.cells[(slot << bits) + index];
            if (value & 7 && (value & 7) !== TABLE)
                found[(page + index * 2 ** (level * bits)) * 2 ** side.past.geometry.pageShift] = value;
        }
    return found;
"""
MAPPINGS = (
    "const s = SIDES[0].past.geometry.pageShift;"
    "return SIDES[0].mappings.map((m) => [m.start * 2 ** s, m.end * 2 ** s, permits(m)])"
)


@pytest.fixture(scope="module")
def history():
    """Of the bundled trace."""
    return api.record_history()


def go_to(browser, operation, task):
    """As a permalink would."""
    browser.run(f"location.hash = '#at={operation}&task={task}'; readLink(); update()")


def expected(tables):
    """Each leaf by its address: kind and marks as the hooks say, without what was before."""
    hooks, found = tables.entries.hooks, {}
    for leaf in tables:
        if not tables.entries.present(leaf.entry):
            found[leaf.address] = SWAP
            continue
        kind = HUGE if leaf.level else FOLDED if leaf.entry & tables.entries.cont_mask else SINGLE
        marks = ((YOUNG, "pte_young"), (DIRTY, "pte_dirty"), (WRITE, "pte_write"))
        found[leaf.address] = kind | sum(bit for bit, hook in marks if hooks[hook](leaf.entry))
    return found


@pytest.mark.parametrize("operation", [700, 17000, 9000, 13000, 9001])
def test_the_map_is_the_history(browser, redis, history, operation):
    """Every leaf and every mapping of every task, forwards and backwards; a broken entry is a single one."""
    if "redis" not in browser.driver.current_url:
        browser.open(redis)
    for task in history.tasks(operation):
        go_to(browser, operation, task)
        tables = history.tables(operation, task)
        cells = {int(address): value for address, value in browser.run(CELLS).items()}
        plain = {a: v - BROKEN + SINGLE if v & 7 == BROKEN else v for a, v in cells.items()}
        assert plain == expected(tables)
        assert browser.run(MAPPINGS) == [[m.start, m.end, str(m)] for m in tables.mappings]


def test_broken_is_what_was_folded(browser, redis, history):
    """Single entries in blocks that the history has seen folded and then not, and no others."""
    browser.open(redis)
    go_to(browser, 14000, 2)
    cells = {int(address): value for address, value in browser.run(CELLS).items()}
    broken = {address for address, value in cells.items() if value & 7 == BROKEN}
    unfolded = {
        event.b
        for event in history.events(0, 14001)
        if event.kind == "convert" and history.event_names[event.a] == "unfold"
    }
    assert broken and {address >> 16 << 16 for address in broken} <= unfolded


def test_the_slider_changes_the_map(browser, redis):
    """Another operation, another picture, other words, another address to link to."""
    browser.open(redis, "#at=9000&task=2")
    seen = (
        "return [[...document.querySelectorAll('.table-cell canvas')].map((c) => c.toDataURL()).join(),"
        "byId('now').textContent, location.hash]"
    )
    browser.show_map()
    before = browser.run(seen)
    slide = "const s = byId('slider'); s.value = '14000'; s.dispatchEvent(new Event('input'))"
    browser.run(slide)
    browser.settle()
    after = browser.run(seen)
    assert all(a != b for a, b in zip(before, after, strict=True))
    assert after[1].startswith("operation 14,000 ") and after[2] == "#at=14000&task=2"
    assert browser.errors() == []


def test_keys_step(browser, redis):
    """Arrows go one on and one back, Home and End to the ends of the slider."""
    browser.open(redis, "#at=500")
    for key, where in (("ArrowRight", 501), ("ArrowRight", 502), ("ArrowLeft", 501)):
        browser.press(key)
        assert browser.run("return STEP.operation") == where
    browser.run("byId('slider').focus()")
    for key, where in (("End", 17724), ("Home", 0), ("ArrowRight", 1)):
        browser.press(key)
        assert browser.run("return STEP.operation") == where


def test_keys_step_after_a_click(browser, redis):
    """A button that has the focus does not take the arrows, a list of choices does."""
    browser.open(redis, "#at=500")
    browser.run("byId('next').focus(); byId('next').click()")
    browser.press("ArrowRight")
    assert browser.run("return STEP.operation") == 502
    browser.run("byId('task').focus()")
    browser.press("ArrowRight")
    assert browser.run("return STEP.operation") == 502


def test_buttons_find_the_next(browser, redis, history):
    """The next operation with a TLBI, or a conversion, is that of the log."""
    kinds = {"#next-tlbi": "tlbi", "#next-fold": "convert"}
    for button, kind in kinds.items():
        browser.open(redis, "#at=9000")
        browser.click(button)
        browser.settle()
        found = next(e.operation for e in history.events(9001, history.operations) if e.kind == kind)
        assert browser.run("return location.hash") == f"#at={found}"


def test_screen_readers_are_told(browser, redis, history):
    """A table in sight says how many entries of each kind it has; every control has a name."""
    browser.open(redis, "#at=14000&task=2")
    browser.show_map()
    label = browser.run("return document.querySelector('.table-cell canvas').getAttribute('aria-label')")
    tables = history.tables(14000, 2)
    first = min(leaf.address for leaf in tables) >> 21 << 21
    inside = [leaf for leaf in tables if first <= leaf.address < first + (1 << 21)]
    assert label.startswith(f"PTE table at {first:#x}: {len(inside)} single")
    unnamed = (
        "return [...document.querySelectorAll('button, input, select, [role=img], section')].filter((e) =>"
        "!(e.getAttribute('aria-label') || e.getAttribute('aria-labelledby') || e.labels?.length || e.textContent))"
        ".map((e) => e.outerHTML)"
    )
    assert browser.run(unnamed) == []


def test_two_runs_step_together(browser, fork):
    """The same operation on both sides; where entries differ, their tables say so."""
    browser.open(fork)
    assert browser.run("return SIDES.length") == 2
    browser.run("goToStep(STEP.last - 1)")
    positions = browser.run("return SIDES.map((side) => side.position())")
    assert len(set(positions)) == 1
    assert browser.errors() == [] and browser.requests() == [fork.as_uri()]


def test_cells_that_differ_are_marked(browser, folder):
    """Folded on one side, single on the other: every entry of the table differs."""
    from tests.mmarch.page.conftest import write

    scenario = folder / "one.scn"
    scenario.write_text("scenario one:\n    map A 512\n    write A\n")
    page = write(
        folder / "one.html",
        str(scenario),
        "-c",
        "folio-orders=4,name=large",
        "-c",
        "folio-orders=0,name=small",
    )
    browser.open(page)
    browser.run("goToStep(STEP.last)")
    browser.show_map()
    marks = browser.run(
        "return SIDES.map((s) => [...s.map.figures.values()].map((f) => f.words.textContent))"
    )
    assert marks == [["512"], ["≠ 512"]]


def test_dark_and_light(browser, redis):
    """What the system prefers, until the button says otherwise."""
    paper = "return getComputedStyle(document.body).backgroundColor"
    browser.emulate(dark=True)
    browser.open(redis)
    dark = browser.run(paper)
    browser.click("#theme")
    light = browser.run(paper)
    browser.emulate()
    browser.open(redis)
    assert browser.run(paper) == light != dark


OVERLAPS = """
    return [...document.querySelectorAll('.strips li')].filter((row) => {
        const [name, share] = ['button', '.share'].map((which) => row.querySelector(which).getBoundingClientRect());
        return share.width && share.left < name.right && share.top < name.bottom && name.top < share.bottom;
    }).length
"""


@pytest.mark.parametrize("width", [390, 1280])
def test_everything_has_its_room(browser, redis, fork, width):
    """On a phone and on a desk nothing is wider than the window, and no words lie on others."""
    try:
        browser.emulate(width=width, height=844)
        for page, fragment in ((redis, "#at=14000&task=2"), (fork, "")):
            browser.open(page, fragment)
            browser.show_map()
            assert browser.run("return document.documentElement.scrollWidth") <= width
            assert browser.run("return document.querySelectorAll('.share').length") > 0
            assert browser.run(OVERLAPS) == 0
    finally:
        browser.emulate()


def test_thinned_histories_say_so(browser, folder, monkeypatch):
    """With room for few positions the slider stops less often, the map is that of the last operation of each."""
    from mmarch.page import past
    from tests.mmarch.page.test_page import held

    monkeypatch.setattr(past, "MOST_POSITIONS", 8)
    page = folder / "thin.html"
    page.write_text(api.make_page(ROOT / "examples/scenarios/fork.scn"))
    history = held(page)["runs"][0]["history"]
    assert history["every"] > 1 and history["positions"] <= 8
    browser.open(page)
    assert any("Thinned" in text for text in browser.texts(".note"))
    whole = api.record_history(ROOT / "examples/scenarios/fork.scn")
    position = browser.run("goToStep(2); return SIDES[0].position()")
    last = (position + 1) * history["every"] - 1
    task = browser.run("return SIDES[0].task()")
    cells = json.loads(json.dumps(browser.run(CELLS)))
    plain = {int(a): v - BROKEN + SINGLE if v & 7 == BROKEN else v for a, v in cells.items()}
    assert plain == expected(whole.tables(last, task))


def test_what_never_fits_is_left_out(browser, folder, monkeypatch):
    """Page tables that would be too much are not there, which the page says; all else is."""
    from mmarch.page import past

    monkeypatch.setattr(past, "MOST_CHANGES", 0)
    page = folder / "without.html"
    page.write_text(api.make_page(ROOT / "examples/scenarios/fork.scn"))
    browser.open(page)
    assert any("change too often" in text for text in browser.texts(".note"))
    assert browser.run("return [byId('map').hidden, byId('timeline').hidden, byId('flame').hidden]") == [
        True,
        False,
        False,
    ]
    assert browser.errors() == []


def test_nothing_to_show(browser, folder):
    """A workload that touches nothing has a page too."""
    page = folder / "nothing.html"
    page.write_text(api.make_page(mmarch.Scenario(name="nothing").map("A", 1)))
    browser.open(page)
    assert browser.errors() == []
    assert browser.texts("h1") == ["nothing"]
