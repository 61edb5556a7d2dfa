"""The screenshots in the documentation: MMARCH_FILL_SCREENSHOTS=1 takes them anew."""

from __future__ import annotations

import base64
import os
import re
import struct

import pytest

from tests.mmarch.page.conftest import FORK, ROOT, write

IMAGES = ROOT / "docs" / "images"
PAGE = ROOT / "docs" / "how-to" / "a-run-on-one-page.md"
WIDTH = 1000
# of each: arguments of report, where to be, what to show, how much of it
SHOTS = {
    "page-tables": (["redis-bgsave"], "#at=14000&task=2", "#map", 700),
    "side-by-side": ([str(FORK), "-c", "release=6.7", "-c", "release=7.3"], "", "#totals", 560),
    "hooks": ([str(FORK), "--hooks"], "", "#bars", 330),
}


def width_and_height(png: bytes) -> tuple[int, int]:
    """Out of a PNG's header."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", png[16:24])
    return width, height


@pytest.mark.parametrize("name", SHOTS)
def test_a_screenshot_can_be_taken(name, browser, folder):
    """Without an error in the console; of the size that the one in the documentation has."""
    arguments, fragment, selector, tall = SHOTS[name]
    page = write(folder / f"{name}.html", *arguments)
    try:
        browser.emulate(width=WIDTH)
        browser.open(page, fragment)
        browser.run("document.querySelector(arguments[0]).scrollIntoView()", selector)
        browser.settle()
        place = (
            "const box = document.querySelector(arguments[0]).getBoundingClientRect();"
            "return [box.y + scrollY, box.height]"
        )
        top, height = browser.run(place, selector)
        clip = {"x": 0, "y": top, "width": WIDTH, "height": min(round(height), tall), "scale": 1}
        taken = browser.driver.execute_cdp_cmd(
            "Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": True}
        )
    finally:
        browser.emulate()
    assert browser.errors() == []
    png = base64.b64decode(taken["data"])
    image = IMAGES / f"{name}.png"
    if os.environ.get("MMARCH_FILL_SCREENSHOTS"):
        image.write_bytes(png)
    assert width_and_height(png)[0] == width_and_height(image.read_bytes())[0]


def test_the_documentation_shows_them_all():
    """Each image is shown, each that is shown is here, and all are small."""
    shown = set(re.findall(r"\.\./images/([\w-]+)\.png", PAGE.read_text()))
    images = sorted(IMAGES.glob("*.png"))
    assert shown == set(SHOTS) == {image.stem for image in images}
    assert sum(image.stat().st_size for image in images) <= 200_000
