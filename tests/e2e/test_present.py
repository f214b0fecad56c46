"""Present in a real browser: a story with the keyboard, films, a report from disk without a network, the tour."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from PIL import Image
from PIL.GifImagePlugin import GifImageFile
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import SLOW
from tests.e2e.explorer import LIGHT, Visit, download, open_app

pytestmark = pytest.mark.e2e
TOLD = f"{LIGHT}&draws=2&severity=1&story=explore"


def headline(page: Page) -> str:
    return page.locator(".cl-slide h2").inner_text()


#: Arrow keys are heard, and the page is at rest.
HEARD = (
    "document.documentElement.dataset.camlabKeys === 'heard' && "
    "document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'"
)


def test_a_story_is_taken_with_the_keyboard(server: str, visit: Visit) -> None:
    page = visit(width=390, height=844).page
    page.goto(f"{server}/present?{TOLD}")
    slide = page.locator(".cl-slide h2")
    expect(slide).to_contain_text("says the network", timeout=SLOW)
    seen = [headline(page)]
    for step in range(2, 6):
        counter = page.get_by_text(f"Step {step} of 5")
        page.wait_for_function(HEARD, timeout=SLOW)
        page.keyboard.press("ArrowRight")
        expect(counter).to_be_visible()
        expect(slide).not_to_have_text(seen[-1], timeout=SLOW)
        seen.append(headline(page))
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert len(set(seen)) == 5
    page.wait_for_function(HEARD, timeout=SLOW)
    page.keyboard.press("ArrowRight")  # there is nothing behind the last step
    page.keyboard.press("ArrowLeft")
    expect(slide).to_have_text(seen[3], timeout=SLOW)
    expect(page).to_have_url(re.compile("step=4"), timeout=SLOW)
    # Whoever types keeps the arrows; the buttons are reached by Tab and pressed by Enter.
    back = page.get_by_role("button", name="Back")
    back.focus()
    page.keyboard.press("Enter")
    expect(slide).to_have_text(seen[2])
    # A link to the step restores it, once the address bar shows it.
    expect(page).to_have_url(re.compile("step=3"), timeout=SLOW)
    page.goto(page.url)
    expect(slide).to_have_text(seen[2], timeout=SLOW)
    expect(page.locator(".js-plotly-plot")).to_be_visible(timeout=SLOW)


def test_the_severity_plays_and_its_films_and_report_are_taken_away(
    server: str, visit: Visit, browser: Browser, tmp_path: Path
) -> None:
    page = visit().page
    page.goto(f"{server}/present?{TOLD}&mode=autoplay")
    pause = page.get_by_role("button", name="Pause")
    expect(pause).to_be_visible(timeout=SLOW)  # it starts by itself once all frames are there
    moved = "document.documentElement.dataset.camlabSeverity"
    seen = []
    for _ in range(4):
        before = page.evaluate(moved)
        page.wait_for_function(f"{moved} !== '{before}'", timeout=SLOW)
        seen.append(float(page.evaluate(moved)))
    assert len(set(seen)) == 4 and any(value % 0.25 for value in seen)  # between the steps, too
    expect(page.locator("canvas.cl-frame")).to_have_count(2)
    pause.click()
    expect(page.get_by_role("button", name="Play")).to_be_visible(timeout=SLOW)

    for button, label in (("Make a GIF", "Download the GIF"), ("Make an MP4", "Download the MP4")):
        ready = page.get_by_role("button", name=label)
        page.get_by_role("button", name=button).click()
        expect(ready).to_be_visible()
    gif = Image.open(io.BytesIO(download(page, "Download the GIF")))
    assert isinstance(gif, GifImageFile) and gif.n_frames > 20
    mp4 = download(page, "Download the MP4")
    assert plays(browser, mp4)

    page.goto(f"{server}/present?{TOLD}&mode=report")
    page.get_by_role("button", name="Make the report").click()
    expect(page.get_by_role("button", name="Download the report")).to_be_visible(timeout=2 * SLOW)
    path = tmp_path / "report.html"
    path.write_bytes(download(page, "Download the report"))
    offline(browser, path)


def plays(browser: Browser, data: bytes) -> bool:
    """Whether the browser itself plays a film, where this Chromium has the decoder; else whether it is H.264."""
    page = browser.new_page()
    try:
        can = page.evaluate("document.createElement('video').canPlayType('video/mp4; codecs=\"avc1.42E01E\"')")
        if not can:
            return b"avc1" in data and b"moov" in data
        length = page.evaluate(
            """async (bytes) => {
              const video = document.createElement("video");
              video.src = URL.createObjectURL(new Blob([new Uint8Array(bytes)], { type: "video/mp4" }));
              await new Promise((done, fail) => { video.onloadeddata = done; video.onerror = fail; });
              return video.duration;
            }""",
            list(data),
        )
        return 7 < float(length) < 9
    finally:
        page.close()


def offline(browser: Browser, path: Path) -> None:
    """The report from disk with the network off: no request, no complaint, its plots drawn and interactive."""
    assert path.stat().st_size < 10_000_000
    context = browser.new_context(offline=True, viewport={"width": 390, "height": 844})
    page = context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on(
        "request",
        lambda r: asked.append(r.url) if not r.url.startswith(("file:", "data:", "blob:")) else None,
    )
    page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(path.as_uri())
    expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible(timeout=SLOW)
    expect(page.get_by_role("heading", name="What to keep in mind")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    points = page.locator(".js-plotly-plot").first.locator("path.point").first
    points.scroll_into_view_if_needed()
    points.hover(force=True)
    expect(page.locator(".hoverlayer .hovertext, .hoverlayer .legend").first).to_be_visible(timeout=SLOW)
    assert page.pdf()[:4] == b"%PDF"
    context.close()
    assert asked == [] and complaints == []


def test_where_motion_is_not_wanted_nothing_moves_by_itself(server: str, visit: Visit) -> None:
    page = visit(calm=True).page
    page.goto(f"{server}/present?{TOLD}&mode=autoplay")
    play = page.get_by_role("button", name="Play")
    expect(play).to_be_enabled(timeout=SLOW)
    moved = "document.documentElement.dataset.camlabSeverity"
    assert page.evaluate(moved) is None
    play.click()
    page.wait_for_function(f"Number({moved}) > 1", timeout=SLOW)
    assert float(page.evaluate(moved)) % 0.25 == 0  # in steps


def test_the_tour_comes_once(server: str, visit: Visit) -> None:
    page = open_app(visit(width=390, height=844, first=True), f"{server}/?draws=1&{LIGHT}")
    tour = page.get_by_role("region", name="A short tour")
    expect(tour.get_by_role("heading", name="Drag the severity")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for _ in range(2):
        tour.get_by_role("button", name="Next").click()
    expect(tour.get_by_role("heading", name="Explore further")).to_be_visible()
    tour.get_by_role("button", name="Start").click()
    expect(tour).to_have_count(0)
    open_app_again = page.goto(page.url)
    assert open_app_again is not None
    expect(page.locator(".cl-badge")).to_be_visible(timeout=SLOW)
    expect(tour).to_have_count(0)
