"""What browser tests of the Explore page do with it."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable

import numpy as np
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import SLOW, Visitor

Visit = Callable[..., Visitor]
#: A net and a picture that cost next to nothing, for what any net and picture shows.
LIGHT = "model=shapes_vgg&image=shapes/0-0"
PANELS = '[data-testid="stImage"] img'


def open_app(visitor: Visitor, address: str) -> Page:
    """Load a link and wait for the first verdict and all three panels."""
    page = visitor.page
    page.goto(address)
    expect(page.locator(".cl-badge")).to_be_visible(timeout=SLOW)
    expect(page.locator(PANELS)).to_have_count(3)
    return page


def drawn(page: Page) -> None:
    """Wait until all draws are measured; where the page asks before a long computation, let it go on."""
    done = page.get_by_text(re.compile(r"All \d+ draws? measured"))
    ask = page.get_by_role("button", name="Compute the whole curve")
    expect(done.or_(ask)).to_be_visible(timeout=2 * SLOW)
    if ask.is_visible():  # this machine is busy or slow: then the page asks, and a person presses
        press(ask)
    expect(done).to_be_visible(timeout=4 * SLOW)


def press(button: Locator) -> None:
    """Press a button that then goes."""
    button.click()
    expect(button).to_have_count(0)


#: The server has answered, nothing is faded as old, nothing moves, and so it has been for a while: one answer may ask
#: for the next.
CALM = """() => {
  const calm =
    document.querySelector('[data-testid="stApp"]')?.dataset.testScriptState === "notRunning" &&
    !document.querySelector('[data-stale="true"]') &&
    document.getAnimations().every((each) => each.playState !== "running");
  window.calmSince = calm ? (window.calmSince ?? performance.now()) : null;
  return calm && performance.now() - window.calmSince > 700;
}"""


def at_rest(page: Page) -> None:
    """Wait until the server has answered everything that was chosen and the answer is drawn."""
    page.wait_for_function(CALM, timeout=SLOW, polling=50)


def picture_file(source: str | None) -> bytes:
    """The PNG file that a picture's link holds."""
    start = "data:image/png;base64,"
    assert source is not None and source.startswith(start)
    return base64.b64decode(source.removeprefix(start))


def panel(page: Page, index: int) -> bytes:
    """The file behind a panel's picture."""
    expect(page.locator(PANELS)).to_have_count(3)
    source = page.locator(PANELS).nth(index).get_attribute("src")
    return picture_file(source)


def stays(page: Page, index: int, before: bytes) -> None:
    """The panel comes to rest at the picture that it had; while a page is redrawn, panels come and go."""
    for _ in range(20):
        if panel(page, index) == before:
            return
        page.wait_for_timeout(500)
    raise AssertionError("the panel shows another picture")


def choose(page: Page, label: str, text: str) -> None:
    """Pick an option of a select box by typing it."""
    box = page.get_by_role("combobox", name=label, exact=True)
    options = page.get_by_role("option")
    box.click()
    box.fill(text)
    options.first.click()
    expect(options).to_have_count(0)


def changes(page: Page, index: int, act: Callable[[], object]) -> None:
    """Do something and wait until a panel shows another picture."""
    locator = page.locator(PANELS).nth(index)
    before = locator.get_attribute("src") or ""
    act()
    expect(locator).not_to_have_attribute("src", before)


def drag_severity(page: Page, to: float) -> None:
    """Drag the handle with the mouse and let go."""
    take_handle(page)
    page.mouse.move(*handle_at(page, to), steps=8)
    page.mouse.up()


def take_handle(page: Page) -> None:
    """Put the mouse on the handle where it stands and press."""
    slider(page).scroll_into_view_if_needed()
    page.mouse.move(*handle_at(page, severity(page)))
    page.mouse.down()


def handle_at(page: Page, value: float) -> tuple[float, float]:
    """Where the middle of the handle is on screen when it stands at a severity."""
    box = slider(page).bounding_box()
    assert box
    half = 0.55 * float(page.evaluate("parseFloat(getComputedStyle(document.documentElement).fontSize)"))
    return box["x"] + half + (box["width"] - 2 * half) * value / 5, box["y"] + box["height"] / 2


def slider(page: Page) -> Locator:
    """The severity handle."""
    return page.get_by_role("slider", name="Severity", exact=True)


def number(page: Page) -> Locator:
    """The severity as a number, beside the handle."""
    return page.get_by_role("spinbutton", name="Severity", exact=True)


def click_point(page: Page, chart: int, point: int) -> None:
    """Click one drawn point of a chart where it is on screen."""
    plot = page.locator(".js-plotly-plot").nth(chart)
    mark = plot.locator("path.point").nth(point)
    expect(mark).to_be_visible(timeout=SLOW)
    mark.scroll_into_view_if_needed()
    box = mark.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    found = plot.locator(".hoverlayer .hovertext, .hoverlayer .legend")
    expect(found.first).to_be_visible()  # the chart has found the point
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def point_of(page: Page, chart: int, value: float) -> int:
    """The place of the first drawn point of a chart whose ``customdata`` is a value."""
    points = page.locator(".js-plotly-plot").nth(chart).locator("path.point")
    expect(points.first).to_be_visible()
    place = points.evaluate_all("(points, value) => points.findIndex((p) => p.__data__.data === value)", value)
    assert place >= 0, f"no point stands for {value}"
    return int(place)


def severity(page: Page) -> float:
    """The severity that the handle stands at."""
    return float(slider(page).input_value())


def upload(page: Page, name: str, data: bytes) -> None:
    """Open the upload box and put a file into it."""
    page.get_by_role("button", name="Upload").first.click()
    box = page.locator('[data-testid="stPopoverBody"] input[type="file"]')
    box.set_input_files({"name": name, "mimeType": "image/png", "buffer": data})


def download(page: Page, label: str) -> bytes:
    """Press a download button, once the page is at rest, and read the file: each run gives it another address."""
    at_rest(page)
    with page.expect_download() as waiting:
        page.get_by_role("button", name=label).click()
    return waiting.value.path().read_bytes()


def settled(page: Page, index: int) -> np.ndarray:
    """The pixels of a panel on screen, once two looks at it agree: while a page works, it fades what is old."""
    last: np.ndarray | None = None
    for _ in range(20):
        shot = page.locator(PANELS).nth(index).screenshot(animations="disabled")
        pixels = np.asarray(Image.open(io.BytesIO(shot)))
        if last is not None and np.array_equal(last, pixels):
            return pixels
        last = pixels
        page.wait_for_timeout(500)
    raise AssertionError("the panel does not come to rest")
