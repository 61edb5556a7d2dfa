"""How long a step of the page's slider takes at 100,000 operations, and how large that page is.

Needs Chromium (apt-get install chromium chromium-driver) and `pip install '.[test]'`. Prints milliseconds from the step
to the frame that shows it: least, median, most.
"""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Any

from selenium import webdriver

import mmarch

OPERATIONS, PAGES = 99_990, 262_144  # a scenario has at most 100,000 lines
STEPS = 60
MEASURE = """
    const [steps, done] = arguments, times = [];
    const one = () => {
        if (!steps.length) return done(times.sort((a, b) => a - b));
        const begin = performance.now();
        goToStep(steps.pop());
        requestAnimationFrame(() => {
            const { port1, port2 } = new MessageChannel();
            port1.onmessage = () => { times.push(performance.now() - begin); one(); };
            port2.postMessage(0);
        });
    };
    one();
"""


def workload() -> mmarch.Scenario:
    """Writes, reads and MADV_DONTNEED all over 1 GiB."""
    chance, made = random.Random(1), mmarch.Scenario(name="scattered").map("A", PAGES)
    for _ in range(OPERATIONS):
        what, page = chance.random(), chance.randrange(PAGES - 16)
        if what < 0.7:
            made.write("A", page, 1)
        elif what < 0.85:
            made.read("A", page, 16)
        else:
            made.madvise("A", "dontneed", page, chance.choice((1, 3, 16)))
    return made


def browser() -> Any:
    """Debian's Chromium without a window."""
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,900"):
        options.add_argument(argument)
    made = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
    made.set_script_timeout(300)
    return made


def main() -> None:
    """Make the page, then step on, back and anywhere."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        page.write_text(mmarch.make_page(workload()), "utf-8")
        driver = browser()
        driver.get(page.as_uri())
        driver.execute_script("document.querySelector('#map').scrollIntoView(); update()")
        operations = driver.execute_script("return SIDES[0].past.operations")
        print(f"{operations:,} operations, {page.stat().st_size / 1e6:.1f} MB")
        middle, chance = operations // 2, random.Random(2)
        for name, steps in (
            ("on", range(middle + STEPS, middle, -1)),
            ("back", range(operations - 2 * STEPS, operations - STEPS)),
            ("anywhere", [chance.randrange(operations) for _ in range(STEPS)]),
        ):
            times = driver.execute_async_script(MEASURE, list(steps))
            print(f"{name:8}  {times[0]:6.1f}  {times[len(times) // 2]:6.1f}  {times[-1]:6.1f} ms")
        driver.quit()


if __name__ == "__main__":
    main()
