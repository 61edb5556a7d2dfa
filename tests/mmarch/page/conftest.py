"""A headless Chromium that looks at pages; without one, what needs it is skipped and says so."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mmarch.cli import main

ROOT = Path(__file__).parents[3]
FORK = ROOT / "examples" / "scenarios" / "fork.scn"
WIDTH, HEIGHT = 1280, 900


SETTLED = """
    const done = arguments[0], begin = performance.now();
    const look = () => {
        const figures = SIDES.flatMap((side) => [...side.map.figures.values()]);
        const near = figures.filter(({ node }) => {
            const box = node.getBoundingClientRect();
            return box.top < innerHeight && box.bottom > 0;
        });
        const ready = near.every(({ state }) => state) && !STEP.linking;
        if (ready || performance.now() - begin > 30000) done(ready);
        else setTimeout(look, 20);
    };
    requestAnimationFrame(() => setTimeout(look, 20));
"""


class Browser:
    """What a person does with a page, and what the browser says about it."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, page: Path, fragment: str = "") -> None:
        """Load a page anew, and forget what was logged before."""
        self.driver.get("about:blank")
        self.driver.get_log("browser"), self.driver.get_log("performance")
        self.driver.get(page.as_uri() + fragment)

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script returns."""
        return self.driver.execute_script(script, *arguments)

    def settle(self) -> None:
        """Wait until what is in sight is drawn, and the address says where one is."""
        assert self.driver.execute_async_script(SETTLED)

    def show_map(self) -> None:
        """Scroll to the page tables."""
        self.run("byId('map').scrollIntoView(); update()")
        self.settle()

    def texts(self, selector: str) -> list[str]:
        """The text of each element."""
        return self.run(
            "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)", selector
        )

    def click(self, selector: str, number: int = 0) -> None:
        """Click an element as a script would, wherever it is."""
        self.run("document.querySelectorAll(arguments[0])[arguments[1]].click()", selector, number)

    def press(self, key: str) -> None:
        """A key, on whatever has the focus."""
        for kind in ("keyDown", "keyUp"):
            self.driver.execute_cdp_cmd("Input.dispatchKeyEvent", {"type": kind, "key": key, "code": key})

    def errors(self) -> list[str]:
        """What the console says."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Addresses that were asked for."""
        messages = (json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance"))
        sent = (m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent")
        return [url for url in sent if url != "about:blank"]

    def emulate(self, width: int = WIDTH, height: int = HEIGHT, dark: bool = False) -> None:
        """The size of the window, light or dark."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    webdriver = pytest.importorskip(
        "selenium.webdriver", reason="selenium is not installed: pip install '.[test]'"
    )
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("no Chromium here: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    made = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    made.set_script_timeout(60)
    found = Browser(made)
    found.emulate()
    yield found
    made.quit()


def write(path: Path, *arguments: str) -> Path:
    """A page that the command writes."""
    assert main(["report", *arguments, "-o", str(path), "-q"]) == 0
    return path


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pages lie."""
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="session")
def redis(folder: Path) -> Path:
    """Of the bundled trace."""
    return write(folder / "redis.html")


@pytest.fixture(scope="session")
def fork(folder: Path) -> Path:
    """Of a scenario, on two releases."""
    return write(folder / "fork.html", str(FORK), "-c", "release=6.7,name=old", "-c", "release=7.3,name=new")
