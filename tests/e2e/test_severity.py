"""The severity handle in a real browser: what follows it, how fast, and what is on screen once it rests."""

from __future__ import annotations

import base64
import io
import re
import time
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import SLOW
from tests.e2e.explorer import (
    LIGHT,
    Visit,
    drawn,
    handle_at,
    number,
    open_app,
    picture_file,
    severity,
    slider,
    take_handle,
)

pytestmark = pytest.mark.e2e

COVERS = ".cl-frame"
STEPS = 21
# What the frames stand for on the page, and what the server's own rendering of it must equal.
WORDS = (
    ".cl-headline",
    ".st-key-perturbed .cl-title",
    ".st-key-perturbed .cl-predictions",
    ".st-key-difference .cl-moves",
    ".cl-strip",
    ".st-key-gauges .cl-gauge >> nth=0",
    ".st-key-gauges .cl-gauge >> nth=1",
    ".st-key-gauges .cl-gauge >> nth=2",
)
# Runs beside the drag: at every frame that the browser paints, has the picture under the handle changed?
WATCH = """() => {
  const seen = { changed: 0, painted: 0, last: null, on: true };
  window.seen = seen;
  const look = () => {
    if (!seen.on) return;
    seen.painted += 1;
    const canvas = document.querySelector(".st-key-perturbed .cl-frame");
    if (canvas) {
      const row = canvas.getContext("2d").getImageData(0, canvas.height >> 1, canvas.width, 1).data;
      const sum = row.reduce((total, value) => (total * 31 + value) | 0, 7);
      if (sum !== seen.last) seen.changed += 1;
      seen.last = sum;
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}"""


class Wire:
    """What a page sends to the server from here on."""

    def __init__(self, page: Page) -> None:
        self.sent: list[float] = []
        page.on("websocket", lambda socket: socket.on("framesent", self._count))

    def _count(self, _: object) -> None:
        self.sent.append(time.monotonic())

    def quiet(self, page: Page, seconds: float = 3.0) -> None:
        """Wait until nothing has been sent for a while."""
        deadline = time.monotonic() + SLOW / 1000
        while self.sent and time.monotonic() - self.sent[-1] < seconds:
            assert time.monotonic() < deadline, "the page does not come to rest"
            page.wait_for_timeout(250)


def open_followed(visit: Visit, address: str, **window: object) -> tuple[Page, Wire]:
    """Open a link and wait until every step is there to be followed and the page has come to rest."""
    visitor = visit(**window)
    wire = Wire(visitor.page)
    page = open_app(visitor, address)
    drawn(page)
    expect(page.locator(".ready .there")).to_have_count(STEPS)
    wire.quiet(page)
    return page, wire


def title(page: Page) -> Locator:
    return page.locator(".st-key-perturbed .cl-title")


def at_rest(page: Page) -> None:
    """Wait until the server's own pictures are what is seen."""
    expect(page.locator(COVERS)).to_have_count(0, timeout=SLOW)
    assert page.evaluate("document.documentElement.dataset.camlabBehind") is None


def drawn_by_browser(page: Page, panel: str) -> np.ndarray:
    """The canvas over a panel, (H, W, 3)."""
    url = page.locator(f".st-key-{panel} {COVERS}").evaluate("canvas => canvas.toDataURL('image/png')")
    picture = Image.open(io.BytesIO(base64.b64decode(url.split(",")[1])))
    return np.asarray(picture.convert("RGB")).astype(int)


def drawn_by_server(page: Page, panel: str) -> np.ndarray:
    """The picture of a panel as the server sent it, (H, W, 3)."""
    source = page.locator(f'.st-key-{panel} [data-testid="stImage"] img').get_attribute("src")
    assert source
    return np.asarray(Image.open(io.BytesIO(picture_file(source))).convert("RGB")).astype(int)


def hold(page: Page, to: float) -> None:
    """Take the handle somewhere and keep it there until its frame is drawn."""
    take_handle(page)
    page.mouse.move(*handle_at(page, to), steps=4)
    expect(title(page)).to_contain_text(f"severity {to:g}", timeout=SLOW)
    expect(page.locator(COVERS)).to_have_count(2)


def test_a_drag_is_followed_without_asking_the_server(
    server: str, visit: Visit, record_property: Callable[[str, object], None]
) -> None:
    page, wire = open_followed(visit, f"{server}/?draws=2")
    take_handle(page)
    asked = len(wire.sent)
    page.evaluate(WATCH)
    start = time.monotonic()
    for end in (5, 0) * 3:
        page.mouse.move(*handle_at(page, end), steps=STEPS - 1)
    seconds = time.monotonic() - start
    seen = page.evaluate("(window.seen.on = false, window.seen)")
    record_property(
        "severity drag",
        f"{seen['changed'] / seconds:.1f} updates a second ({seen['changed']} in {seconds:.1f} s; the browser "
        f"painted {seen['painted'] / seconds:.1f} frames a second)",
    )
    assert seen["changed"] >= STEPS
    assert len(wire.sent) == asked
    # Once it is let go, the server is asked, and its own rendering is what is seen.
    page.mouse.move(*handle_at(page, 1.25), steps=3)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"severity=1\.25"), timeout=SLOW)
    assert len(wire.sent) > asked
    at_rest(page)
    expect(number(page)).to_have_value("1.25")
    expect(title(page)).to_contain_text("severity 1.25")


# Mean absolute difference in grey levels of 255 that is allowed between the browser's drawing and the server's. A map
# is exact but for rounding; a picture has gone through JPEG, which noise is hard on.
@pytest.mark.parametrize(("view", "allowed"), [("overlay", 8.0), ("heat", 0.05), ("image", 16.0), ("segments", 8.0)])
def test_what_the_browser_draws_is_what_the_server_draws(server: str, visit: Visit, view: str, allowed: float) -> None:
    page, _ = open_followed(visit, f"{server}/?draws=2&severity=3&view={view}&opacity=0.5&colormap=viridis&{LIGHT}")
    before = {words: page.locator(words).inner_html() for words in WORDS}
    hold(page, 1.5)
    drawn = {panel: drawn_by_browser(page, panel) for panel in ("perturbed", "difference")}
    said = {words: page.locator(words).inner_html() for words in WORDS}
    assert said[WORDS[0]] != before[WORDS[0]]
    page.mouse.up()
    at_rest(page)
    page.wait_for_timeout(1500)  # the gauges are drawn last
    for words in WORDS:
        assert page.locator(words).inner_html() == said[words]
    for panel, limit in (("perturbed", allowed), ("difference", 0.05)):
        there = drawn_by_server(page, panel)
        assert there.shape == drawn[panel].shape
        assert np.abs(there - drawn[panel]).mean() <= limit


def test_a_handle_that_comes_back_leaves_everything_as_it_was(server: str, visit: Visit) -> None:
    page, wire = open_followed(visit, f"{server}/?draws=2&severity=2&{LIGHT}")
    before = {words: page.locator(words).inner_html() for words in WORDS}
    hold(page, 5)
    asked = len(wire.sent)
    expect(number(page)).to_have_value("5")
    page.mouse.move(*handle_at(page, 2), steps=4)
    page.mouse.up()
    at_rest(page)
    assert {words: page.locator(words).inner_html() for words in WORDS} == before
    expect(number(page)).to_have_value("2")
    assert len(wire.sent) == asked


def test_arrow_keys_and_the_number_move_the_same_severity(server: str, visit: Visit) -> None:
    page, _ = open_followed(visit, f"{server}/?draws=2&severity=3&{LIGHT}")
    handle = slider(page)
    expect(handle).to_have_attribute("aria-valuetext", re.compile(r"^severity 3, flipped: triangle"))
    handle.focus()
    for _ in range(8):
        page.keyboard.press("ArrowLeft")
    expect(handle).to_have_attribute("aria-valuetext", re.compile(r"^severity 1, kept: triangle"))
    expect(page).to_have_url(re.compile(r"severity=1(&|$)"), timeout=SLOW)
    at_rest(page)
    expect(title(page)).to_contain_text("severity 1,")
    expect(number(page)).to_have_value("1")

    number(page).fill("4.3")  # no step of its own: the nearest is taken
    number(page).press("Enter")
    expect(page).to_have_url(re.compile(r"severity=4\.25"), timeout=SLOW)
    expect(title(page)).to_contain_text("severity 4.25,", timeout=SLOW)
    expect(number(page)).to_have_value("4.25")
    assert severity(page) == 4.25
    handle.press("End")
    expect(title(page)).to_contain_text("severity 5,", timeout=SLOW)
    expect(page).to_have_url(re.compile(r"severity=5"), timeout=SLOW)


def test_before_the_frames_are_there_the_server_answers(server: str, visit: Visit) -> None:
    visitor = visit()
    # Parcels that never arrive: what the page does on a slow line, or where frames cannot be made.
    visitor.page.add_init_script("Object.defineProperty(globalThis, 'camlabParcels', { get: () => [] })")
    page = open_app(visitor, f"{server}/?draws=1&severity=3&{LIGHT}")
    take_handle(page)
    page.mouse.move(*handle_at(page, 1), steps=4)
    expect(number(page)).to_have_value("1")
    assert severity(page) == 1
    expect(page.locator(COVERS)).to_have_count(0)
    expect(title(page)).to_contain_text("severity 3,")
    page.mouse.up()
    expect(title(page)).to_contain_text("severity 1,", timeout=SLOW)
    expect(page.locator(".cl-badge")).to_contain_text("kept: triangle")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_handle_and_number_fit_on_a_phone(server: str, visit: Visit, scheme: str) -> None:
    page = open_app(visit(390, 844, scheme), f"{server}/?draws=1&{LIGHT}")
    handle, box = slider(page).bounding_box(), number(page).bounding_box()
    assert handle and box
    assert handle["width"] >= 120 and handle["height"] >= 20
    assert handle["x"] + handle["width"] <= box["x"]
    assert box["x"] + box["width"] <= 390
    assert abs((handle["y"] + handle["height"] / 2) - (box["y"] + box["height"] / 2)) < 20
