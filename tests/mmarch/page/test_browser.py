"""The page in a browser: it draws, asks for nothing, sorts, steps, and shows what the JSON says."""

from __future__ import annotations

from tests.mmarch.page.test_page import held


def numbers(texts):
    """As a person reads them."""
    return [int(text.replace(",", "")) for text in texts]


def test_no_error_and_no_request(browser, redis):
    """The console is silent, and nothing but the page itself is loaded."""
    browser.open(redis)
    assert browser.errors() == []
    assert browser.requests() == [redis.as_uri()]


def test_the_cards_are_the_totals(browser, redis):
    """Each number under its heading."""
    browser.open(redis)
    result = held(redis)["runs"][0]["result"]
    cards = browser.run(
        "return [...document.querySelectorAll('.card[data-events]')]"
        ".map((c) => [c.dataset.events, c.querySelector('strong').textContent])"
    )
    assert len(cards) == 8
    for events, text in cards:
        names = [name for event in events.split() for name in result["groups"].get(event, [event])]
        assert numbers([text]) == [sum(result["totals"].get(name, 0) for name in names)]


def test_every_counter_is_shown(browser, redis):
    """The table of all counters is the totals of the JSON."""
    browser.open(redis)
    rows = browser.run(
        "return [...document.querySelectorAll('#totals details:last-of-type tbody tr')]"
        ".map((r) => [r.cells[0].textContent, r.cells[1].textContent])"
    )
    assert {name: numbers([text])[0] for name, text in rows} == held(redis)["runs"][0]["result"]["totals"]


def test_sorting_sorts(browser, redis):
    """By a number, most first and then least first, with the sum at the end; by name; and it is announced."""
    browser.open(redis)
    column = "#calls tbody tr:not(.sum) > *:nth-child(6)"
    browser.click("#calls thead button", 5)
    down = numbers(browser.texts(column))
    assert down == sorted(down, reverse=True) and len(set(down)) > 3
    assert (
        browser.run("return document.querySelectorAll('#calls th')[5].getAttribute('aria-sort')")
        == "descending"
    )
    browser.click("#calls thead button", 5)
    assert numbers(browser.texts(column)) == down[::-1]
    browser.click("#calls thead button", 0)
    names = browser.texts("#calls tbody tr:not(.sum) > *:nth-child(1)")
    assert names == sorted(names)
    assert browser.texts("#calls tbody tr:last-child th") == ["total"]


def test_names_are_text(browser, folder):
    """A workload called like markup is shown as it is called, and does nothing."""
    from mmarch import api
    from mmarch.scenario import build

    name = "<script>window.hit = 1</script><img src=x onerror='window.hit = 1'>"
    result = api.run(build.Scenario(name="small").map("A", 32).write("A"))
    named = result.model_copy(update={"workload": result.workload.model_copy(update={"name": name})})
    page = folder / "hostile.html"
    page.write_text(api.make_page(named))
    browser.open(page)
    assert browser.texts("h1") == [name]
    assert browser.run("return [window.hit ?? null, document.images.length]") == [None, 0]
    assert browser.errors() == [] and browser.requests() == [page.as_uri()]


def test_differences_are_marked(browser, fork):
    """Side by side, what is less is marked as less, in words too."""
    browser.open(fork)
    first, second = (run["result"] for run in held(fork)["runs"])
    assert first["totals"]["pte_read"] > second["totals"]["pte_read"]
    cells = browser.run(
        "const rows = [...document.querySelectorAll('#totals tbody tr')];"
        "const row = rows.find((r) => r.cells[0].textContent === 'PTE reads');"
        "return [...row.cells].map((c) => [c.textContent, c.className])"
    )
    assert numbers([cells[1][0], cells[2][0]]) == [first["totals"]["pte_read"], second["totals"]["pte_read"]]
    assert "less" in cells[3][1] and cells[3][0].startswith("−")


def test_coverage_is_that_of_the_result(browser, redis):
    """How much is in large folios and folded when anonymous memory is most; drawn over time too."""
    from mmarch.report.columns import FOLDED, LARGE
    from mmarch.runs.result import Result

    browser.open(redis)
    full = Result.model_validate(held(redis)["runs"][0]["result"]).fullest()
    expected = [f"{full.share(*keys):.0%}" for keys in (LARGE, FOLDED)]
    assert browser.texts(".card:not([data-events]) strong") == expected
    label = browser.run("return document.querySelector('.coverage').getAttribute('aria-label')")
    assert f"{expected[0]} in large folios, {expected[1]} folded" in label


def test_on_paper_nothing_is_lost(browser, fork):
    """Every row of the totals has all its cells in print, and what only a screen has is gone."""
    browser.open(fork)
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    hidden = (
        "return [...document.querySelectorAll(arguments[0])]"
        ".filter((e) => getComputedStyle(e).display === 'none').length"
    )
    try:
        assert browser.run(hidden, "#totals td, #totals th, #calls td, #now, canvas") == 0
        assert browser.run(hidden, "#slider, .moves, header") == 3
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
        browser.emulate()
